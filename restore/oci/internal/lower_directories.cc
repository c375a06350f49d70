// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/lower_directories.h"

#include <sys/stat.h>

#include <cerrno>

#include "restore/oci/internal/beneath.h"
#include "restore/transfer/internal/host_xattr.h"
#include "restore/transfer/internal/overlay_format.h"

namespace stasis::oci {
namespace {

using restore::GetHostXattrs;
using restore::TreeNode;
using restore::Xattrs;

constexpr int kDirectory = O_RDONLY | O_DIRECTORY;

TimeNs ToNs(const struct timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; }

std::optional<TreeNode> NodeOf(int fd) {
  struct stat st = {};
  Result<Xattrs> xattrs = GetHostXattrs(fd);
  if (::fstat(fd, &st) != 0 || !xattrs) return std::nullopt;
  TreeNode node;
  vfs::Stat& stat = node.attributes.stat;
  stat.mode = st.st_mode;
  stat.uid = st.st_uid;
  stat.gid = st.st_gid;
  stat.atime = ToNs(st.st_atim);
  stat.mtime = ToNs(st.st_mtim);
  node.xattrs = *std::move(xattrs);
  restore::RemoveOverlayXattrs(node.xattrs);
  return node;
}

// True if a directory above `path`, as far as they are there, hides what is below it.
bool HidesBelow(int root, std::string_view path) {
  for (size_t end = 0; end != path.npos; end = path.find('/', end + 1)) {
    const UniqueFd fd = OpenBeneath(root, path.substr(0, end), kDirectory);
    if (!fd.valid()) return errno != ENOENT;
    const Result<Xattrs> xattrs = GetHostXattrs(fd.get());
    if (!xattrs || restore::OverlayXattr(*xattrs, "opaque") == "y") return true;
  }
  return false;
}

}  // namespace

std::optional<TreeNode> LowerDirectories::Find(const std::string& path) const {
  const bool below_missing = missing_ && path.size() > missing_->size() &&
                             path[missing_->size()] == '/' &&
                             path.compare(0, missing_->size(), *missing_) == 0;
  if (below_missing) return std::nullopt;
  for (const std::string& tree : trees_) {
    const UniqueFd root(::open(tree.c_str(), kDirectory | O_CLOEXEC));
    if (!root.valid()) break;
    const UniqueFd fd = OpenBeneath(root.get(), path, kDirectory);
    if (fd.valid()) return NodeOf(fd.get());
    if (errno != ENOENT || HidesBelow(root.get(), path)) break;
  }
  missing_ = path;
  return std::nullopt;
}

}  // namespace stasis::oci
