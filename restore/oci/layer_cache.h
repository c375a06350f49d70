// SPDX-License-Identifier: Apache-2.0
//
// layer_cache.h: layers that are unpacked once, for all sandboxes that have them below.
//
//   DIR/sha256/HEX/tree/        the layer, in the format of overlayfs
//   DIR/sha256/HEX/layer.json   what was unpacked
//   DIR/sha256/HEX-CHAIN/       the same for other layers below (see docs/oci.md)
//   DIR/sha256-rootless/        the same by users without privileges, whose files are all theirs
//   DIR/tmp/NAME/               being unpacked or removed; locked with flock(2) by who does it
//
// HEX is the digest of the blob. A layer appears by rename(2), complete and on the disk, and never
// changes. Who uses one holds a shared lock on its directory, so that nobody removes it. Any number
// of processes may use, fill and clear a cache at a time.

#ifndef STASIS_RESTORE_OCI_LAYER_CACHE_H_
#define STASIS_RESTORE_OCI_LAYER_CACHE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "restore/image/layout.h"
#include "restore/oci/image.h"
#include "state/base/unique_fd.h"

namespace stasis::oci {

// Against images that are made to fill a disk. Of a whole image.
struct UnpackLimits {
  uint64_t max_bytes = uint64_t{64} << 30;  // of uncompressed tar files
  uint64_t max_entries = 2'000'000;
  uint64_t max_file_size = uint64_t{8} << 40;        // of one file, with holes
  uint64_t max_apparent_bytes = uint64_t{32} << 40;  // of all files, with holes
};

struct UnpackOptions {
  UnpackLimits limits;
  std::function<void(uint64_t bytes)> on_progress;  // uncompressed bytes of the layer so far
  const std::atomic<bool>* cancel = nullptr;        // borrowed
};

// Keeps a layer from being removed, for as long as somebody has it.
using LayerLock = std::shared_ptr<const UniqueFd>;

// A layer in the cache.
struct CachedLayer {
  std::string tree;  // the directory, absolute if the cache is
  LayerLock lock;
  uint64_t bytes = 0;
  uint64_t entries = 0;
  uint64_t apparent_bytes = 0;
  bool unpacked = false;              // by this call
  std::vector<std::string> warnings;  // "PATH: MESSAGE", only if so
};

// What a list of the cache says of a layer.
struct ListedLayer {
  std::string name;    // of its directory
  uint64_t bytes = 0;  // of the tar file
  uint64_t entries = 0;
  bool in_use = false;
};

// Thread-safe after Open.
class LayerCache {
 public:
  // $XDG_CACHE_HOME/stasis/layers; without the variable /var/cache/stasis/layers for root and
  // $HOME/.cache/stasis/layers for others. Errors: kNotFound if a user has no home.
  static absl::StatusOr<std::string> DefaultDirectory();

  // Makes the directory, for its owner alone, with those above it, and removes what dead processes
  // left. Errors: kPermissionDenied, also if others can write to the directory, or own it.
  static absl::StatusOr<std::unique_ptr<LayerCache>> Open(const std::string& directory);

  // The directory of a layer, unpacked if it is not there yet. `lowers` are the trees below it,
  // topmost first. `what` names the layer in errors.
  // Errors: kDataLoss, kResourceExhausted, kCancelled, kPermissionDenied, kInternal; all name the
  // entry. Nothing is left behind then.
  absl::StatusOr<CachedLayer> Get(const image::Layout& layout, const LayerBlob& layer,
                                  const std::vector<std::string>& lowers,
                                  const UnpackOptions& options) const;

  struct Tree {
    std::string directory;
    LayerLock lock;
  };
  // A layer that is in the cache, by the name of the directory that it is in.
  std::optional<Tree> FindTree(const std::string& name) const;

  // All layers, by name; those of the caller's kind, root or not.
  absl::StatusOr<std::vector<ListedLayer>> List() const;
  // Removes those that nobody uses, and returns them. Images that were made of them need them
  // again.
  absl::StatusOr<std::vector<ListedLayer>> RemoveUnused() const;

 private:
  explicit LayerCache(std::string directory) : directory_(std::move(directory)) {}

  absl::Status MakeFolders();
  void RemoveLeftovers() const;
  std::string TreeOf(const std::string& name) const;
  // Null if there is no such layer.
  LayerLock Lock(const std::string& name) const;
  ListedLayer Describe(int dir, const std::string& name) const;
  absl::StatusOr<CachedLayer> Find(const std::string& name, const LayerBlob& layer,
                                   const std::vector<std::string>& lowers) const;
  absl::StatusOr<CachedLayer> Unpack(const image::Layout& layout, const LayerBlob& layer,
                                     const std::vector<std::string>& lowers,
                                     const UnpackOptions& options) const;

  const std::string directory_;
  std::string folder_;  // of the layers: "sha256" or "sha256-rootless"
  UniqueFd layers_;
  UniqueFd temporary_;
};

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_LAYER_CACHE_H_
