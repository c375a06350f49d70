// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/vfs_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

// Everything but the size. Setting all at once, last of all, so that nothing changes the times
// again.
vfs::SetStat AllAttributes(const FileAttributes& attributes) {
  const vfs::Stat& stat = attributes.stat;
  vfs::SetStat set;
  if (!S_ISLNK(stat.mode)) set.mode = stat.mode & vfs::kPermissionBits;
  set.uid = stat.uid;
  set.gid = stat.gid;
  set.atime = vfs::SetTime{stat.atime, false};
  set.mtime = vfs::SetTime{stat.mtime, false};
  set.ctime = stat.ctime;
  if (attributes.has_btime) set.btime = stat.btime;
  return set;
}

}  // namespace

Result<void> VfsSink::EnterDirectory(const TreeNode& node) {
  if (node.name.empty()) return {};
  STASIS_RETURN_IF_ERROR(vfs_.MkdirAt(creds_, At(node.name), node.mode() & vfs::kPermissionBits));
  STASIS_ASSIGN_OR_RETURN(vfs::VirtualDentry dir, vfs_.GetDentryAt(creds_, At(node.name)));
  way_.push_back(std::move(dir));
  return {};
}

Result<void> VfsSink::LeaveDirectory(const TreeNode& node) {
  STASIS_RETURN_IF_ERROR(SetAttributes(node, ""));
  way_.pop_back();
  return {};
}

Result<void> VfsSink::BeginFile(const TreeNode& node) {
  vfs::OpenOptions options;
  options.flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  options.mode = node.mode() & vfs::kPermissionBits;
  STASIS_ASSIGN_OR_RETURN(file_, vfs_.OpenAt(creds_, At(node.name), options));
  written_end_ = 0;
  return {};
}

Result<void> VfsSink::WriteData(uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    STASIS_ASSIGN_OR_RETURN(const size_t n, file_->PWrite(offset, data));
    if (n == 0) return Err(EIO);
    data = data.subspan(n);
    offset += n;
  }
  written_end_ = std::max(written_end_, offset);
  return {};
}

Result<void> VfsSink::EndFile(const TreeNode& node, bool complete) {
  const RefPtr<vfs::FileDescription> file = std::move(file_);
  if (!complete) return vfs_.UnlinkAt(creds_, At(node.name));
  if (written_end_ != node.attributes.stat.size) {
    vfs::SetStat size;
    size.size = node.attributes.stat.size;
    STASIS_RETURN_IF_ERROR(file->SetAttributes(creds_, size));
  }
  SetXattrs(node, node.name);
  return file->SetAttributes(creds_, AllAttributes(node.attributes));
}

Result<bool> VfsSink::MakeNode(const TreeNode& node) {
  if (S_ISLNK(node.mode())) {
    STASIS_RETURN_IF_ERROR(vfs_.SymlinkAt(creds_, At(node.name), node.symlink_target));
  } else {
    vfs::MknodOptions options;
    options.mode = node.mode();
    options.rdev = S_ISCHR(node.mode()) || S_ISBLK(node.mode()) ? node.attributes.stat.rdev : 0;
    STASIS_RETURN_IF_ERROR(vfs_.MknodAt(creds_, At(node.name), options));
  }
  STASIS_RETURN_IF_ERROR(SetAttributes(node, node.name));
  return true;
}

Result<void> VfsSink::MakeLink(const TreeNode& node, const std::string& existing) {
  const vfs::PathOperation old_path{way_.front(), way_.front(), existing, false};
  STASIS_RETURN_IF_ERROR(vfs_.LinkAt(creds_, old_path, At(node.name)));
  // Linking has changed it.
  vfs::SetStat set;
  set.ctime = node.attributes.stat.ctime;
  return vfs_.SetAttributesAt(creds_, At(node.name), set);
}

Result<void> VfsSink::SetAttributes(const TreeNode& node, const std::string& name) {
  SetXattrs(node, name);
  return vfs_.SetAttributesAt(creds_, At(name), AllAttributes(node.attributes));
}

void VfsSink::SetXattrs(const TreeNode& node, const std::string& name) {
  for (const auto& [key, value] : node.xattrs) {
    Result<void> r = vfs_.SetXattrAt(creds_, At(name), key, value, 0);
    if (!r)
      report_.warnings.push_back(
          {node.path.empty() ? "." : PrintablePath(node.path),
           fmt::format("extended attribute {} is not kept: {}", PrintablePath(key),
                       std::strerror(r.error().value()))});
  }
}

}  // namespace stasis::restore
