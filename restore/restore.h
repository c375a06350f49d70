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
// never zeros. All or nothing: a failed restore leaves nothing behind.

#ifndef STASIS_RESTORE_RESTORE_H_
#define STASIS_RESTORE_RESTORE_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  // Where the host directories are that the image calls by these names.
  std::map<std::string, std::string> roots;
  // How file data is read; `on_error` hears why a read gave EIO.
  image::PackReaderOptions packs;
};

struct RestoreReport {
  std::string reference;  // "DIR:TAG"
  image::Digest digest;   // of the manifest
  std::string created;    // RFC 3339, when the checkpoint was made

  int64_t open_ns = 0;      // manifest, config, state blob
  int64_t load_ns = 0;      // rows into objects
  int64_t complete_ns = 0;  // CompleteRestore
  int64_t wall_ns = 0;

  uint64_t objects = 0;
  uint64_t files = 0;
  uint64_t dentries = 0;
  uint64_t chunks = 0;
  uint64_t data_bytes = 0;  // of files, in the image

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
// be; of the filesystems' CompleteRestore.
absl::StatusOr<RestoredImage> Restore(const RestoreRequest& request);

// The same of an image that is open already; its tables are given up.
absl::StatusOr<RestoredImage> RestoreFrom(std::unique_ptr<image::ImageReader> image,
                                          const RestoreRequest& request);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_RESTORE_H_
