// SPDX-License-Identifier: Apache-2.0
//
// restore.h: an image into a live filesystem.
//
//   RestoreRequest request;
//   request.registry = &registry;
//   request.clock = &clock;
//   request.directory = "snaps";
//   request.tag = "v1";
//   absl::StatusOr<RestoredImage> restored = Restore(request);
//   RefPtr<vfs::VirtualFilesystem> vfs = restored->TakeVfs();   // Teardown() it in the end
//
// Manifest, config and state are verified before anything is built from them. File data stays in
// the image until it is read, and is verified then; a chunk that is missing or damaged is EIO,
// never zeros. Files on the host are compared with what the image saw of them, all of them, before
// it is decided whether there is a restore (drift.h). All or nothing: a failed restore leaves
// nothing behind.

#ifndef STASIS_RESTORE_RESTORE_H_
#define STASIS_RESTORE_RESTORE_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "restore/drift.h"
#include "restore/image/image_reader.h"
#include "state/base/clock.h"
#include "state/load_context.h"
#include "state/registry.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

struct RestoreRequest {
  // Borrowed. The clock outlives the VirtualFilesystem.
  const state::Registry* registry = nullptr;
  const Clock* clock = nullptr;

  std::string directory;
  std::string tag;
  std::shared_ptr<image::FileOps> file_ops;  // null: the host's
  // Services for the load hooks of extra roots; the clock is added.
  state::LoadOptions services;
  // How file data is read; `on_error` hears why a read gave EIO.
  image::PackReaderOptions packs;
  // Who reads the image, to people who want to remove it: a sandbox's name, or empty.
  std::string lease_name;

  // Where the host directories are that the image names; all of them, and no others.
  std::map<std::string, std::string> roots;
  bool spare_roots = false;  // others are no error
  // Asked for those that `roots` does not have; may be null.
  std::function<std::optional<std::string>(const std::string& name)> find_root;
  vfs::DriftChecks checks;
  DriftRules rules;
  int threads = 1;  // that may compare files at once
  // Borrowed; true: stop, with kCancelled. Not looked at any more once the host may be changed.
  const std::atomic<bool>* cancel = nullptr;
};

struct RestoreReport {
  std::string reference;  // "DIR:TAG"
  image::Digest digest;   // of the manifest
  std::string created;    // RFC 3339, when the checkpoint was made

  int64_t open_ns = 0;      // manifest, config, state blob
  int64_t load_ns = 0;      // rows into objects
  int64_t reopen_ns = 0;    // Reopen: host files opened and compared
  int64_t complete_ns = 0;  // CompleteRestore
  int64_t wall_ns = 0;

  uint64_t objects = 0;
  uint64_t files = 0;
  uint64_t dentries = 0;
  uint64_t chunks = 0;
  uint64_t data_bytes = 0;  // of files, in the image

  DriftReport drift;

  std::string ToJson() const;
  std::string ToText() const;
};

// Owns what was restored. Movable. What is not taken is torn down with it.
class RestoredImage {
 public:
  RestoredImage() = default;
  RestoredImage(RestoredImage&& other) noexcept = default;
  RestoredImage& operator=(RestoredImage&& other) noexcept;
  ~RestoredImage();

  vfs::VirtualFilesystem& vfs() const { return *vfs_; }
  // Gives the filesystem to the caller, who calls Teardown() when nobody uses it any more.
  RefPtr<vfs::VirtualFilesystem> TakeVfs() { return std::move(vfs_); }

  // A root that was saved beside the filesystem; null if there is none of that name and type.
  template <typename T>
  RefPtr<T> Root(std::string_view name) const {
    return RefPtr<T>(dynamic_cast<T*>(FindRoot(name)));
  }
  std::vector<std::string> root_names() const;

  // What the image says about itself, and the source of the chunks.
  const image::ImageReader& image() const { return *image_; }
  // Gives the open image to the caller, for a prefetch. Requires: image() is not used any more.
  std::unique_ptr<image::ImageReader> TakeImage() { return std::move(image_); }
  const RestoreReport& report() const { return report_; }

 private:
  friend class Restorer;
  state::Object* FindRoot(std::string_view name) const;
  void Clear();

  std::unique_ptr<image::ImageReader> image_;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  std::vector<std::pair<std::string, RefPtr<state::Object>>> roots_;
  RestoreReport report_;
};

// Errors: those of image/layout.h; kDataLoss that names table, row and field for state that cannot
// be; kInvalidArgument for roots that are missing or unknown, which names those of the image; drift
// with its whole report (ErrorOf in drift.h); of the filesystems' Reopen and CompleteRestore;
// kCancelled.
absl::StatusOr<RestoredImage> Restore(const RestoreRequest& request);

// How the host differs now, with the policies that a restore would follow. Restores and changes
// nothing. Errors: as Restore, but for drift.
absl::StatusOr<DriftReport> DriftOf(const RestoreRequest& request);

// The state alone, which needs no roots: names and attributes as they were saved. Host files are
// not opened, so it is for looking at the trees' dentries and inodes, not for operations on them.
absl::StatusOr<RestoredImage> Load(const RestoreRequest& request);
// The same of an image that is open already; its tables are given up.
absl::StatusOr<RestoredImage> LoadFrom(std::unique_ptr<image::ImageReader> image,
                                       const RestoreRequest& request);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_RESTORE_H_
