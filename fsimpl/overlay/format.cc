// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/overlay/format.h"

#include "vfs/dentry.h"

namespace stasis::overlay {
namespace {

constexpr std::string_view kOpaque = "opaque";
constexpr std::string_view kRedirect = "redirect";
constexpr std::string_view kMetacopy = "metacopy";
constexpr std::string_view kWhiteout = "whiteout";

}  // namespace

Result<bool> Format::Read(const vfs::Inode& file, std::string_view mark, std::string* value) const {
  auto found = file.GetXattr(Name(mark));
  if (found) {
    *value = *std::move(found);
    return true;
  }
  const Errno error = found.error();
  if (error == Errno(EIO) || error == Errno(ESTALE)) return Err(error);
  return false;
}

Result<Opacity> Format::OpacityOf(const vfs::Inode& dir) const {
  std::string value;
  STASIS_ASSIGN_OR_RETURN(const bool marked, Read(dir, kOpaque, &value));
  if (!marked) return Opacity::kNone;
  if (value == "y") return Opacity::kOpaque;
  return value == "x" ? Opacity::kXattrWhiteouts : Opacity::kNone;
}

bool IsWhiteoutDevice(const vfs::Inode& file) {
  if (!S_ISCHR(file.mode())) return false;
  vfs::Stat stat;
  file.FillStat(stat);
  return stat.rdev == 0;
}

bool Format::IsWhiteout(const vfs::Inode& file, Opacity dir) const {
  if (dir != Opacity::kXattrWhiteouts || !file.is_regular()) return IsWhiteoutDevice(file);
  vfs::Stat stat;
  file.FillStat(stat);
  std::string value;
  return stat.size == 0 && Read(file, kWhiteout, &value).value_or(false);
}

bool IsValidRedirect(std::string_view redirect) {
  if (redirect.empty() || redirect.size() > kMaxRedirect) return false;
  if (redirect.front() != '/') return vfs::IsValidName(redirect);
  while (!redirect.empty()) {
    redirect.remove_prefix(1);
    const std::string_view name = redirect.substr(0, redirect.find('/'));
    if (!vfs::IsValidName(name)) return false;
    redirect.remove_prefix(name.size());
  }
  return true;
}

Result<std::string> Format::RedirectOf(const vfs::Inode& file) const {
  std::string redirect;
  STASIS_ASSIGN_OR_RETURN(const bool marked, Read(file, kRedirect, &redirect));
  if (!marked) return std::string();
  if (!IsValidRedirect(redirect)) return Err(EIO);
  return redirect;
}

Result<bool> Format::IsMetacopy(const vfs::Inode& file) const {
  std::string value;
  return Read(file, kMetacopy, &value);
}

Result<void> Format::SetOpaque(vfs::Inode& dir, TimeNs now) const {
  return dir.SetXattr(Name(kOpaque), "y", 0, now);
}

Result<void> Format::SetRedirect(vfs::Inode& file, std::string_view redirect, TimeNs now) const {
  return file.SetXattr(Name(kRedirect), redirect, 0, now);
}

Result<void> Format::SetMetacopy(vfs::Inode& file, TimeNs now) const {
  return file.SetXattr(Name(kMetacopy), "", 0, now);
}

Result<void> Format::ClearMetacopy(vfs::Inode& file, TimeNs now) const {
  auto removed = file.RemoveXattr(Name(kMetacopy), now);
  if (!removed && removed.error() != Errno(ENODATA)) return removed;
  return {};
}

}  // namespace stasis::overlay
