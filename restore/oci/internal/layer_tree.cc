// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/layer_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "restore/image/internal/status.h"
#include "restore/internal/format.h"
#include "restore/oci/internal/beneath.h"
#include "restore/transfer/internal/host_dir_stack.h"
#include "restore/transfer/internal/host_xattr.h"
#include "restore/transfer/internal/overlay_format.h"

namespace stasis::oci {
namespace {

using image::DataLoss;
using restore::ErrnoStatus;
using restore::IsWhiteout;
using restore::kTrustedOverlay;
using restore::kUserOverlay;
using restore::TreeNode;

constexpr uint32_t kDefaultMode = S_IFDIR | 0755;

// What is wrong with a directory of a name.
absl::Status PathStatus(int error) {
  if (error == ELOOP) return DataLoss("a directory of its name is a symbolic link in this layer");
  if (error == ENOTDIR) return DataLoss("a directory of its name is no directory in this layer");
  return ErrnoStatus(error, "cannot open its directory");
}

absl::Status Twice() {
  return DataLoss("it is there twice; a layer has each name once, but for directories");
}

}  // namespace

LayerTree::LayerTree(UniqueFd root, const LayerTreeLimits& limits, const LowerDirectories& lowers,
                     restore::TransferReport& report)
    : root_(std::move(root)),
      limits_(limits),
      lowers_(lowers),
      report_(report),
      attributes_(report) {
  Directory& top = directories_[""];
  top.implied = true;
  top.node.attributes.stat.mode = kDefaultMode;
}

absl::Status LayerTree::Add(TarEntry entry, LayerStream& stream) {
  if (++entries_ > limits_.max_entries)
    return absl::ResourceExhaustedError(
        fmt::format("it has more than {} entries, the limit; if they are wanted, raise it",
                    limits_.max_entries));
  for (std::string& warning : entry.warnings) attributes_.Warn(entry.node, std::move(warning));
  switch (entry.kind) {
    case TarEntry::Kind::kIgnored:
      return absl::OkStatus();
    case TarEntry::Kind::kWhiteout:
      return AddWhiteout(entry.node);
    case TarEntry::Kind::kOpaque:
      return MakeOpaque(entry.node.path);
    default:
      return AddFile(entry, stream);
  }
}

absl::Status LayerTree::AddFile(TarEntry& entry, LayerStream& stream) {
  if (entry.node.path.empty() && (entry.is_hard_link || !S_ISDIR(entry.node.mode())))
    return DataLoss("it is the root, but not a directory");
  if (entry.is_hard_link) return AddHardLink(entry);
  switch (entry.node.mode() & S_IFMT) {
    case S_IFDIR:
      return AddDirectory(entry);
    case S_IFREG:
      return AddRegular(entry.node, stream);
    case S_IFLNK:
      return AddSymlink(entry.node);
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
      return AddSpecial(entry.node);
    default:
      return DataLoss("it is of a type that layers do not have ({:o})", entry.node.mode() & S_IFMT);
  }
}

absl::StatusOr<int> LayerTree::ParentFor(const TreeNode& node) {
  const std::string_view path = ParentOf(node.path);
  if (parent_.valid() && path == parent_path_) return parent_.get();
  parent_ = OpenBeneath(root_.get(), path, O_PATH | O_DIRECTORY);
  const bool whiteout_above = !parent_.valid() && errno == ENOTDIR;
  if (!parent_.valid() && (errno == ENOENT || whiteout_above)) {
    IMAGE_RETURN_IF_ERROR(MakeImplied(path, node.attributes.stat.mtime));
    parent_ = OpenBeneath(root_.get(), path, O_PATH | O_DIRECTORY);
  }
  if (!parent_.valid()) return PathStatus(errno);
  parent_path_ = std::string(path);
  return parent_.get();
}

// Makes those directories of `path` that are not there.
absl::Status LayerTree::MakeImplied(std::string_view path, TimeNs mtime) {
  for (size_t end = 0; end != path.npos;) {
    end = path.find('/', end + 1);
    const std::string above(path.substr(0, end));
    if (directories_.contains(above)) continue;
    const UniqueFd parent = OpenBeneath(root_.get(), ParentOf(above), O_PATH | O_DIRECTORY);
    if (!parent.valid()) return PathStatus(errno);
    TreeNode node;
    node.path = above;
    node.name = restore::LastComponent(above);
    const bool was_whiteout = whiteouts_.contains(above);
    struct stat st = {};
    if (!was_whiteout && ::fstatat(parent.get(), node.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
      return PathStatus(S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR);
    IMAGE_RETURN_IF_ERROR(MakeNew(
        node, parent.get(), [&] { return ::mkdirat(parent.get(), node.name.c_str(), 0700); }));
    Directory& directory = directories_[above];
    directory.implied = true;
    directory.node = node;
    directory.node.attributes.stat.mode = kDefaultMode;
    directory.node.attributes.stat.mtime = mtime;
    if (was_whiteout) IMAGE_RETURN_IF_ERROR(MakeOpaque(above));
  }
  return absl::OkStatus();
}

absl::Status LayerTree::MakeNew(const TreeNode& node, int parent, absl::FunctionRef<int()> make) {
  if (make() >= 0) return absl::OkStatus();
  if (errno == EEXIST && whiteouts_.erase(node.path) > 0) {
    if (::unlinkat(parent, node.name.c_str(), 0) != 0)
      return ErrnoStatus(errno, "cannot replace the whiteout");
    if (make() >= 0) return absl::OkStatus();
  }
  if (errno == EEXIST) return Twice();
  return ErrnoStatus(errno, "cannot make it");
}

absl::Status LayerTree::AddDirectory(TarEntry& entry) {
  const std::string path = entry.node.path;
  bool opaque = false;
  if (!directories_.contains(path)) {
    IMAGE_ASSIGN_OR_RETURN(const int parent, ParentFor(entry.node));
    // The whiteout took away what is below; the directory is new.
    opaque = whiteouts_.contains(path);
    IMAGE_RETURN_IF_ERROR(MakeNew(
        entry.node, parent, [&] { return ::mkdirat(parent, entry.node.name.c_str(), 0700); }));
  }
  directories_[path] = {std::move(entry.node), false};
  return opaque ? MakeOpaque(path) : absl::OkStatus();
}

absl::Status LayerTree::AddRegular(const TreeNode& node, LayerStream& stream) {
  const uint64_t size = node.attributes.stat.size;
  if (size > limits_.max_file_size)
    return absl::ResourceExhaustedError(fmt::format(
        "it is a file of {} bytes, more than the limit of {}; if it is wanted, raise it", size,
        limits_.max_file_size));
  apparent_bytes_ += size;
  if (apparent_bytes_ > limits_.max_apparent_bytes)
    return absl::ResourceExhaustedError(fmt::format(
        "files with their holes have more than {} bytes, the limit; if they are wanted, "
        "raise it",
        limits_.max_apparent_bytes));
  IMAGE_ASSIGN_OR_RETURN(const int parent, ParentFor(node));
  UniqueFd file;
  IMAGE_RETURN_IF_ERROR(MakeNew(node, parent, [&] {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    file.reset(::openat(parent, node.name.c_str(), kFlags, 0600));
    return file.get();
  }));
  IMAGE_RETURN_IF_ERROR(CopyData(node, file.get(), stream));
  if (auto set = attributes_.Set(node, file.get()); !set)
    return ErrnoStatus(set.error().value(), "cannot set its attributes");
  return absl::OkStatus();
}

absl::Status LayerTree::CopyData(const TreeNode& node, int fd, LayerStream& stream) {
  const uint64_t size = node.attributes.stat.size;
  uint64_t end = 0;
  while (true) {
    IMAGE_ASSIGN_OR_RETURN(LayerStream::Data data, stream.Read());
    if (data.bytes.empty()) break;
    if (data.offset > size || data.bytes.size() > size - data.offset)
      return DataLoss("it has data up to byte {}, but its size is {}",
                      data.offset + data.bytes.size(), size);
    while (!data.bytes.empty()) {
      const ssize_t n =
          ::pwrite(fd, data.bytes.data(), data.bytes.size(), static_cast<off_t>(data.offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "cannot write it");
      data.bytes = data.bytes.subspan(static_cast<size_t>(n));
      data.offset += static_cast<uint64_t>(n);
      report_.bytes += static_cast<uint64_t>(n);
    }
    end = data.offset;
  }
  if (end != size && ::ftruncate(fd, static_cast<off_t>(size)) != 0)
    return ErrnoStatus(errno, fmt::format("cannot give it its size of {} bytes", size));
  return absl::OkStatus();
}

absl::Status LayerTree::AddHardLink(const TarEntry& entry) {
  IMAGE_ASSIGN_OR_RETURN(const int parent, ParentFor(entry.node));
  const std::string name = restore::LastComponent(entry.hard_link);
  const UniqueFd other = OpenBeneath(root_.get(), ParentOf(entry.hard_link), O_PATH | O_DIRECTORY);
  const std::string shown = restore::PrintablePath(entry.hard_link);
  struct stat st = {};
  if (!other.valid() || whiteouts_.contains(entry.hard_link) || name.empty() ||
      ::fstatat(other.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return DataLoss("it is a hard link to \"{}\", which this layer does not have before it", shown);
  if (S_ISDIR(st.st_mode)) return DataLoss("it is a hard link to \"{}\", a directory", shown);
  return MakeNew(entry.node, parent, [&] {
    return ::linkat(other.get(), name.c_str(), parent, entry.node.name.c_str(), 0);
  });
}

absl::Status LayerTree::AddSymlink(const TreeNode& node) {
  IMAGE_ASSIGN_OR_RETURN(const int parent, ParentFor(node));
  IMAGE_RETURN_IF_ERROR(MakeNew(node, parent, [&] {
    return ::symlinkat(node.symlink_target.c_str(), parent, node.name.c_str());
  }));
  if (auto set = attributes_.SetAt(node, parent); !set)
    return ErrnoStatus(set.error().value(), "cannot set its attributes");
  return absl::OkStatus();
}

absl::Status LayerTree::AddSpecial(const TreeNode& node) {
  const uint64_t rdev = node.attributes.stat.rdev;
  if (IsWhiteout(node.mode(), rdev))
    return DataLoss("it is the character device 0:0, which an overlay takes for a whiteout");
  IMAGE_ASSIGN_OR_RETURN(const int parent, ParentFor(node));
  const mode_t mode = (node.mode() & S_IFMT) | 0600;
  bool denied = false;
  IMAGE_RETURN_IF_ERROR(MakeNew(node, parent, [&] {
    const int made = ::mknodat(parent, node.name.c_str(), mode, static_cast<dev_t>(rdev));
    denied = made != 0 && errno == EPERM && !S_ISFIFO(mode);
    return denied ? 0 : made;
  }));
  if (denied) {
    attributes_.Warn(node, "a device node was left out: making one needs root");
    return absl::OkStatus();
  }
  if (auto set = attributes_.SetAt(node, parent); !set)
    return ErrnoStatus(set.error().value(), "cannot set its attributes");
  return absl::OkStatus();
}

// Of a name that the layer has itself: then only what is below is taken away.
absl::Status LayerTree::AddWhiteout(const TreeNode& node) {
  if (directories_.contains(node.path)) return MakeOpaque(node.path);
  IMAGE_ASSIGN_OR_RETURN(const int parent, ParentFor(node));
  if (::mknodat(parent, node.name.c_str(), S_IFCHR, 0) == 0) {
    whiteouts_.insert(node.path);
    return absl::OkStatus();
  }
  if (errno == EEXIST) return absl::OkStatus();
  return ErrnoStatus(errno, "cannot make the whiteout (a character device 0:0)");
}

absl::Status LayerTree::MakeOpaque(const std::string& path) {
  if (!directories_.contains(path)) {
    TreeNode inside;
    inside.path = path + "/x";
    IMAGE_RETURN_IF_ERROR(ParentFor(inside).status());
  }
  IMAGE_ASSIGN_OR_RETURN(const UniqueFd directory, OpenDirectory(path));
  constexpr char kKey[] = "opaque";
  auto set = restore::SetHostXattr(directory.get(), std::string(kTrustedOverlay) + kKey, "y");
  if (!set && set.error() == Errno(EPERM))
    set = restore::SetHostXattr(directory.get(), std::string(kUserOverlay) + kKey, "y");
  if (!set)
    return ErrnoStatus(set.error().value(),
                       "cannot mark its directory as opaque with an extended attribute; keep the "
                       "cache on a filesystem that has them");
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> LayerTree::OpenDirectory(const std::string& path) const {
  UniqueFd fd = OpenBeneath(root_.get(), path, O_RDONLY | O_DIRECTORY);
  if (!fd.valid()) return PathStatus(errno);
  return fd;
}

// As the layers below say.
void LayerTree::DescribeImplied(const std::string& path, TreeNode& node) {
  implied_.push_back(path);
  vfs::Stat& stat = node.attributes.stat;
  if (auto lower = lowers_.Find(path)) {
    node.attributes = lower->attributes;
    node.xattrs = std::move(lower->xattrs);
  } else {
    stat.uid = ::geteuid();
    stat.gid = ::getegid();
    stat.atime = stat.mtime;
  }
}

absl::Status LayerTree::Finish() {
  parent_.reset();
  for (auto& [path, directory] : directories_)
    if (directory.implied) DescribeImplied(path, directory.node);
  // Those below first: the final mode of one above may keep us out.
  for (auto it = directories_.rbegin(); it != directories_.rend(); ++it) {
    const std::string& path = it->first;
    IMAGE_ASSIGN_OR_RETURN(const UniqueFd fd, OpenDirectory(path));
    if (auto set = attributes_.Set(it->second.node, fd.get()); !set)
      return ErrnoStatus(
          set.error().value(),
          fmt::format("cannot set the attributes of directory {}", restore::PrintablePath(path)));
  }
  return absl::OkStatus();
}

}  // namespace stasis::oci
