// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/host_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "restore/internal/format.h"
#include "restore/transfer/internal/host_xattr.h"
#include "vfs/stat.h"

namespace stasis::restore {
namespace {

struct timespec ToTimespec(TimeNs time) {
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t seconds = time / kSecond;
  int64_t rest = time % kSecond;
  if (rest < 0) {
    --seconds;
    rest += kSecond;
  }
  return {static_cast<time_t>(seconds), static_cast<long>(rest)};  // NOLINT(google-runtime-int)
}

std::array<struct timespec, 2> TimesOf(const TreeNode& node) {
  return {ToTimespec(node.attributes.stat.atime), ToTimespec(node.attributes.stat.mtime)};
}

Result<void> Check(int result) {
  if (result != 0) return Err(errno);
  return {};
}

}  // namespace

HostSink::HostSink(UniqueFd root, TransferReport& report)
    : report_(report), dirs_(std::move(root)), is_root_(::geteuid() == 0) {}

Result<void> HostSink::EnterDirectory(const TreeNode& node) {
  if (node.name.empty()) return {};
  STASIS_RETURN_IF_ERROR(Check(::mkdirat(dirs_.fd(), node.name.c_str(), 0700)));
  return dirs_.Enter(node.name);
}

Result<void> HostSink::LeaveDirectory(const TreeNode& node) {
  const UniqueFd dir(::fcntl(dirs_.fd(), F_DUPFD_CLOEXEC, 0));
  if (!dir.valid()) return Err(errno);
  // Up first: the final mode may keep us out of "..".
  if (!node.name.empty()) STASIS_RETURN_IF_ERROR(dirs_.Leave());
  return SetAttributes(node, dir.get());
}

Result<void> HostSink::BeginFile(const TreeNode& node) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  file_.reset(::openat(dirs_.fd(), node.name.c_str(), kFlags, 0600));
  if (!file_.valid()) return Err(errno);
  written_end_ = 0;
  return {};
}

Result<void> HostSink::WriteData(uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = ::pwrite(file_.get(), data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Err(errno);
    data = data.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  written_end_ = std::max(written_end_, offset);
  return {};
}

Result<void> HostSink::EndFile(const TreeNode& node, bool complete) {
  const UniqueFd file = std::move(file_);
  if (!complete) return Check(::unlinkat(dirs_.fd(), node.name.c_str(), 0));
  const uint64_t size = node.attributes.stat.size;
  if (written_end_ != size)
    STASIS_RETURN_IF_ERROR(Check(::ftruncate(file.get(), static_cast<off_t>(size))));
  return SetAttributes(node, file.get());
}

Result<bool> HostSink::MakeNode(const TreeNode& node) {
  if (!S_ISLNK(node.mode())) return MakeSpecial(node);
  STASIS_RETURN_IF_ERROR(
      Check(::symlinkat(node.symlink_target.c_str(), dirs_.fd(), node.name.c_str())));
  STASIS_RETURN_IF_ERROR(SetAttributesAt(node));
  return true;
}

Result<bool> HostSink::MakeSpecial(const TreeNode& node) {
  const bool device = S_ISCHR(node.mode()) || S_ISBLK(node.mode());
  const dev_t rdev = device ? static_cast<dev_t>(node.attributes.stat.rdev) : 0;
  const mode_t mode = (node.mode() & S_IFMT) | 0600;
  if (::mknodat(dirs_.fd(), node.name.c_str(), mode, rdev) != 0) {
    if (errno != EPERM || !device) return Err(errno);
    Warn(node, "a device node was left out: making one needs root");
    return false;
  }
  STASIS_RETURN_IF_ERROR(SetAttributesAt(node));
  return true;
}

Result<void> HostSink::MakeLink(const TreeNode& node, const std::string& existing) {
  STASIS_ASSIGN_OR_RETURN(const UniqueFd parent, dirs_.OpenParentOf(existing));
  return Check(
      ::linkat(parent.get(), LastComponent(existing).c_str(), dirs_.fd(), node.name.c_str(), 0));
}

Result<void> HostSink::SetAttributes(const TreeNode& node, int fd) {
  const vfs::Stat& stat = node.attributes.stat;
  STASIS_RETURN_IF_ERROR(CheckOwner(node, ::fchown(fd, stat.uid, stat.gid)));
  for (const auto& [key, value] : node.xattrs) CheckXattr(node, key, SetHostXattr(fd, key, value));
  STASIS_RETURN_IF_ERROR(Check(::fchmod(fd, stat.mode & vfs::kPermissionBits)));
  return Check(::futimens(fd, TimesOf(node).data()));
}

// For files that are not to be opened. The mode is set through a descriptor that is only a place,
// so that nothing put in the file's way is followed.
Result<void> HostSink::SetAttributesAt(const TreeNode& node) {
  const vfs::Stat& stat = node.attributes.stat;
  const UniqueFd place(::openat(dirs_.fd(), node.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place.valid()) return Err(errno);
  STASIS_RETURN_IF_ERROR(
      CheckOwner(node, ::fchownat(place.get(), "", stat.uid, stat.gid, AT_EMPTY_PATH)));
  for (const auto& [key, value] : node.xattrs)
    CheckXattr(node, key, SetHostXattrAt(dirs_.fd(), node.name, key, value));
  if (!S_ISLNK(stat.mode)) {
    const std::string path = fmt::format("/proc/self/fd/{}", place.get());
    STASIS_RETURN_IF_ERROR(Check(::chmod(path.c_str(), stat.mode & vfs::kPermissionBits)));
  }
  return Check(
      ::utimensat(dirs_.fd(), node.name.c_str(), TimesOf(node).data(), AT_SYMLINK_NOFOLLOW));
}

Result<void> HostSink::CheckOwner(const TreeNode& node, int result) {
  if (result == 0) return {};
  if (errno != EPERM && errno != EINVAL) return Err(errno);
  if (is_root_) {
    Warn(node, fmt::format("owner {}:{} is not kept: {}", node.attributes.stat.uid,
                           node.attributes.stat.gid, std::strerror(errno)));
  } else if (!std::exchange(warned_owner_, true)) {
    Warn(node, "its owner and those of other files are not kept: that needs root");
  }
  return {};
}

void HostSink::CheckXattr(const TreeNode& node, const std::string& key,
                          const Result<void>& result) {
  if (!result)
    Warn(node, fmt::format("extended attribute {} is not kept: {}", PrintablePath(key),
                           std::strerror(result.error().value())));
}

void HostSink::Warn(const TreeNode& node, std::string message) {
  report_.warnings.push_back(
      {node.path.empty() ? "." : PrintablePath(node.path), std::move(message)});
}

}  // namespace stasis::restore
