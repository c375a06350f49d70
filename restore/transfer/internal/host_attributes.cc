// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/host_attributes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/host_xattr.h"
#include "state/base/unique_fd.h"
#include "vfs/stat.h"

namespace stasis::restore {
namespace {

constexpr size_t kMaxWarnings = 10'000;

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

HostAttributes::HostAttributes(TransferReport& report)
    : report_(report), is_root_(::geteuid() == 0) {}

Result<void> HostAttributes::Set(const TreeNode& node, int fd) {
  const vfs::Stat& stat = node.attributes.stat;
  STASIS_RETURN_IF_ERROR(CheckOwner(node, ::fchown(fd, stat.uid, stat.gid)));
  for (const auto& [key, value] : node.xattrs) CheckXattr(node, key, SetHostXattr(fd, key, value));
  STASIS_RETURN_IF_ERROR(Check(::fchmod(fd, stat.mode & vfs::kPermissionBits)));
  return Check(::futimens(fd, TimesOf(node).data()));
}

// For files that are not to be opened. The mode is set through a descriptor that is only a place,
// so that nothing put in the file's way is followed.
Result<void> HostAttributes::SetAt(const TreeNode& node, int dir) {
  const vfs::Stat& stat = node.attributes.stat;
  const UniqueFd place(::openat(dir, node.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place.valid()) return Err(errno);
  STASIS_RETURN_IF_ERROR(
      CheckOwner(node, ::fchownat(place.get(), "", stat.uid, stat.gid, AT_EMPTY_PATH)));
  for (const auto& [key, value] : node.xattrs)
    CheckXattr(node, key, SetHostXattrAt(dir, node.name, key, value));
  if (!S_ISLNK(stat.mode)) {
    const std::string path = fmt::format("/proc/self/fd/{}", place.get());
    STASIS_RETURN_IF_ERROR(Check(::chmod(path.c_str(), stat.mode & vfs::kPermissionBits)));
  }
  return Check(::utimensat(dir, node.name.c_str(), TimesOf(node).data(), AT_SYMLINK_NOFOLLOW));
}

Result<void> HostAttributes::CheckOwner(const TreeNode& node, int result) {
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

void HostAttributes::CheckXattr(const TreeNode& node, const std::string& key,
                                const Result<void>& result) {
  if (!result)
    Warn(node, fmt::format("extended attribute {} is not kept: {}", PrintablePath(key),
                           std::strerror(result.error().value())));
}

void HostAttributes::Warn(const TreeNode& node, std::string message) {
  if (report_.warnings.size() >= kMaxWarnings) return;
  report_.warnings.push_back(
      {node.path.empty() ? "." : PrintablePath(node.path), std::move(message)});
}

}  // namespace stasis::restore
