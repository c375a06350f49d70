// SPDX-License-Identifier: Apache-2.0

#include "restore/inspect.h"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

#include "fsimpl/gofer/filesystem.h"
#include "restore/image/lease.h"
#include "restore/internal/format.h"
#include "restore/rows.h"
#include "restore/types.h"
#include "vfs/operation_gate.h"

namespace stasis::restore {

const char* FileTypeName(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "regular";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character_device";
    default:
      return "block_device";
  }
}

namespace {

absl::StatusOr<std::unique_ptr<image::ImageReader>> OpenImage(const RestoreRequest& request) {
  auto layout = image::Layout::Open(request.directory, request.file_ops);
  if (!layout.ok()) return layout.status();
  image::ReadOptions options;
  options.known_features = KnownFeatures(*request.registry);
  const std::shared_ptr<image::Lease> lease = image::Lease::Take(**layout, request.lease_name);
  options.packs.hold = lease;
  auto reader = image::ImageReader::Open(**layout, request.tag, std::move(options));
  if (reader.ok() && lease != nullptr) lease->Narrow({(*reader)->info().manifest_digest});
  return reader;
}

void DescribeImage(const image::ImageReader& image, ImageSummary& summary) {
  const image::ImageInfo& info = image.info();
  summary.reference = info.reference;
  summary.digest = info.manifest_digest.ToString();
  summary.parent = info.parent;
  summary.created = info.config.created;
  summary.creator = info.config.creator;
  summary.format_version = info.config.format_version;
  summary.features = info.config.required_features;
  summary.state_digest = info.manifest.state.digest.ToString();
  summary.state_bytes = info.manifest.state.size;
  summary.packs = info.manifest.packs.size();
  for (const image::Descriptor& pack : info.manifest.packs) summary.pack_bytes += pack.size;
  summary.chunks = image.size();
  for (const image::ChunkEntry& chunk : image.chunk_entries()) summary.data_bytes += chunk.length;
}

void DescribeGraph(const state::SavedGraph& graph, const state::Registry& registry,
                   ImageSummary& summary) {
  for (const state::SavedTable& table : graph.tables) {
    TableSummary row{table.type, table.row_count, 0};
    for (const auto& message : table.messages) row.bytes += message.asBytes().size();
    summary.tables.push_back(std::move(row));
  }
  for (const state::SavedRoot& root : graph.roots) summary.roots.push_back({root.name, root.type});
  summary.open_files = CountRowsOf(graph, registry, "vfs.FileDescription");
}

// Counts what hangs in the trees.
class TreeCounter {
 public:
  explicit TreeCounter(ImageSummary& summary) : summary_(summary) {}

  void Count(vfs::Filesystem& filesystem) {
    FilesystemSummary fs{std::string(filesystem.type()), filesystem.dev(), 0, 0};
    std::vector<vfs::Dentry*> pending = {&filesystem.root()};
    while (!pending.empty()) {
      vfs::Dentry& dentry = *pending.back();
      pending.pop_back();
      ++fs.dentries;
      if (CountInode(dentry.inode())) ++fs.inodes;
      if (!dentry.is_dir()) continue;
      absl::ReaderMutexLock lock(&dentry.directory().mu);
      dentry.directory().ForEach([&](vfs::Dentry& child) { pending.push_back(&child); });
    }
    if (const auto* host = dynamic_cast<const gofer::GoferFilesystem*>(&filesystem))
      summary_.host_directories.push_back(
          {PrintablePath(host->root_name()), PrintablePath(host->directory()),
           std::string(NameOf(host->interop())), fs.type, fs.dev, fs.inodes});
    named_ += fs.inodes;
    summary_.filesystems.push_back(std::move(fs));
  }

  // Inodes that have a name.
  uint64_t named() const { return named_; }

 private:
  // False if another of its names was counted already.
  bool CountInode(const vfs::Inode& inode) {
    if (inode.nlink() > 1 && !inode.is_dir() && !several_names_.insert(&inode).second) return false;
    ++summary_.files_by_type[FileTypeName(inode.mode())];
    if (inode.is_regular()) summary_.file_bytes += inode.size();
    return true;
  }

  ImageSummary& summary_;
  uint64_t named_ = 0;
  absl::flat_hash_set<const vfs::Inode*> several_names_;
};

MountSummary DescribeMount(const vfs::Mount& mount) {
  MountSummary summary;
  summary.id = mount.id();
  summary.dev = mount.filesystem().dev();
  summary.root = PrintablePath(mount.root().PathForMessages());
  if (mount.point() != nullptr) summary.point = PrintablePath(mount.point()->PathForMessages());
  summary.read_only = mount.read_only();
  return summary;
}

void DescribeVfs(vfs::VirtualFilesystem& vfs, uint64_t inodes, ImageSummary& summary) {
  vfs::Operation operation(vfs.gate());
  TreeCounter counter(summary);
  for (const RefPtr<vfs::Filesystem>& filesystem : vfs.filesystems()) counter.Count(*filesystem);
  summary.deleted_files = inodes - std::min(inodes, counter.named());
  for (const RefPtr<vfs::MountNamespace>& ns : vfs.namespaces()) {
    summary.mounts.push_back(DescribeMount(ns->root_mount()));
    for (const RefPtr<vfs::Mount>& mount : ns->mounts())
      summary.mounts.push_back(DescribeMount(*mount));
  }
}

}  // namespace

absl::StatusOr<ImageSummary> Inspect(const RestoreRequest& request) {
  auto image = OpenImage(request);
  if (!image.ok()) return image.status();
  ImageSummary summary;
  DescribeImage(**image, summary);
  DescribeGraph((*image)->graph(), *request.registry, summary);
  const uint64_t inodes = CountRowsOf((*image)->graph(), *request.registry, "vfs.Inode");
  absl::StatusOr<RestoredImage> restored = LoadFrom(*std::move(image), request);
  if (!restored.ok()) return restored.status();
  DescribeVfs(restored->vfs(), inodes, summary);
  return summary;
}

}  // namespace stasis::restore
