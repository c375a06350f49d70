// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/base.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "restore/image/internal/status.h"

namespace stasis::oci {
namespace {

// The error with the layer before it and, if the image is to blame, what to do after it.
absl::Status Explain(const absl::Status& status, const ImageReference& reference, size_t number,
                     const LayerBlob& layer) {
  const std::string what =
      fmt::format("{}: layer {} ({})", reference.ToString(), number, layer.blob.digest.ToString());
  absl::Status explained = image::Prefix(status, what);
  if (!absl::IsDataLoss(status)) return explained;
  return absl::DataLossError(fmt::format("{}; get the image again, or build it anew without this",
                                         std::string(explained.message())));
}

// What one layer leaves to those above it.
void Subtract(UnpackLimits& limits, const CachedLayer& layer) {
  limits.max_bytes -= std::min(limits.max_bytes, layer.bytes);
  limits.max_entries -= std::min(limits.max_entries, layer.entries);
  limits.max_apparent_bytes -= std::min(limits.max_apparent_bytes, layer.apparent_bytes);
}

absl::StatusOr<std::unique_ptr<LayerCache>> OpenCache(const BaseOptions& options) {
  std::string directory = options.cache;
  if (directory.empty()) {
    IMAGE_ASSIGN_OR_RETURN(directory, LayerCache::DefaultDirectory());
  }
  return LayerCache::Open(std::filesystem::absolute(directory).string());
}

}  // namespace

absl::StatusOr<BaseImage> OpenBase(const ImageReference& reference, const BaseOptions& options) {
  IMAGE_ASSIGN_OR_RETURN(const auto layout, image::Layout::Open(reference.directory));
  IMAGE_ASSIGN_OR_RETURN(Image image, ReadImage(*layout, reference, options.platform));
  IMAGE_ASSIGN_OR_RETURN(const auto cache, OpenCache(options));
  BaseImage base;
  base.manifest = image.manifest.digest;
  base.config = std::move(image.config);
  UnpackOptions how;
  how.limits = options.limits;
  how.cancel = options.cancel;
  std::vector<std::string> lowers;  // topmost first
  uint64_t bytes = 0;
  for (size_t i = 0; i < image.layers.size(); ++i) {
    const LayerBlob& layer = image.layers[i];
    if (options.on_progress)
      how.on_progress = [&, i](uint64_t done) {
        options.on_progress({i + 1, image.layers.size(), bytes + done});
      };
    auto cached = cache->Get(*layout, layer, lowers, how);
    if (!cached.ok()) return Explain(cached.status(), reference, i + 1, layer);
    Subtract(how.limits, *cached);
    bytes += cached->bytes;
    base.unpacked += cached->unpacked ? 1 : 0;
    for (const std::string& warning : cached->warnings)
      base.warnings.push_back(fmt::format("layer {}: {}", i + 1, warning));
    lowers.insert(lowers.begin(), cached->tree);
    base.layers.insert(base.layers.begin(),
                       {cached->tree, layer.blob.digest, layer.diff_id, cached->lock});
  }
  return base;
}

}  // namespace stasis::oci
