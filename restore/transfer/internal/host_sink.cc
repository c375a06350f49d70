// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/host_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace stasis::restore {
namespace {

Result<void> Check(int result) {
  if (result != 0) return Err(errno);
  return {};
}

}  // namespace

HostSink::HostSink(UniqueFd root, TransferReport& report)
    : dirs_(std::move(root)), attributes_(report) {}

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
  return attributes_.Set(node, dir.get());
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
  return attributes_.Set(node, file.get());
}

Result<bool> HostSink::MakeNode(const TreeNode& node) {
  if (!S_ISLNK(node.mode())) return MakeSpecial(node);
  STASIS_RETURN_IF_ERROR(
      Check(::symlinkat(node.symlink_target.c_str(), dirs_.fd(), node.name.c_str())));
  STASIS_RETURN_IF_ERROR(attributes_.SetAt(node, dirs_.fd()));
  return true;
}

Result<bool> HostSink::MakeSpecial(const TreeNode& node) {
  const bool device = S_ISCHR(node.mode()) || S_ISBLK(node.mode());
  const dev_t rdev = device ? static_cast<dev_t>(node.attributes.stat.rdev) : 0;
  const mode_t mode = (node.mode() & S_IFMT) | 0600;
  if (::mknodat(dirs_.fd(), node.name.c_str(), mode, rdev) != 0) {
    if (errno != EPERM || !device) return Err(errno);
    attributes_.Warn(node, "a device node was left out: making one needs root");
    return false;
  }
  STASIS_RETURN_IF_ERROR(attributes_.SetAt(node, dirs_.fd()));
  return true;
}

Result<void> HostSink::MakeLink(const TreeNode& node, const std::string& existing) {
  STASIS_ASSIGN_OR_RETURN(const UniqueFd parent, dirs_.OpenParentOf(existing));
  return Check(
      ::linkat(parent.get(), LastComponent(existing).c_str(), dirs_.fd(), node.name.c_str(), 0));
}

}  // namespace stasis::restore
