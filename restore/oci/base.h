// SPDX-License-Identifier: Apache-2.0
//
// base.h: a container image as the read-only layers below a sandbox.
//
//   auto reference = oci::ParseImageReference("oci:images:debian");
//   auto base = oci::OpenBase(*reference, {});
//   for (const oci::BaseLayer& layer : base->layers) ...layer.directory...

#ifndef STASIS_RESTORE_OCI_BASE_H_
#define STASIS_RESTORE_OCI_BASE_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "restore/image/digest.h"
#include "restore/oci/image.h"
#include "restore/oci/layer_cache.h"
#include "restore/oci/reference.h"

namespace stasis::oci {

struct BaseProgress {
  size_t layer = 0;  // counted from 1
  size_t layers = 0;
  uint64_t bytes = 0;  // uncompressed, of all layers so far
};

struct BaseOptions {
  std::string cache;  // a directory; empty: LayerCache::DefaultDirectory()
  Platform platform = Platform::Host();
  UnpackLimits limits;
  std::function<void(const BaseProgress&)> on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed
};

struct BaseLayer {
  // In the format of overlayfs: whiteouts are character devices 0:0, opaque directories have the
  // extended attribute trusted.overlay.opaque (or user.overlay.opaque) of "y". Never to be changed.
  std::string directory;
  image::Digest digest;   // of the blob
  image::Digest diff_id;  // of the uncompressed tar file
  LayerLock lock;         // as long as it is used
};

struct BaseImage {
  // Topmost first, as overlayfs's lowerdir. The same layer may be there more than once.
  std::vector<BaseLayer> layers;
  image::Digest manifest;
  ImageConfig config;
  std::vector<std::string> warnings;  // "layer N: PATH: MESSAGE", of layers that were unpacked now
  size_t unpacked = 0;                // layers that were not in the cache
};

// Verifies the image and unpacks those of its layers that are not in the cache.
// Errors: those of ParseImageReference, ReadImage and LayerCache; they name layer, entry and
// remedy.
absl::StatusOr<BaseImage> OpenBase(const ImageReference& reference, const BaseOptions& options);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_BASE_H_
