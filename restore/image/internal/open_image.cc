// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/open_image.h"

#include "restore/image/index.h"
#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

// The pack table repeats the manifest's layers: a registry knows those, a reader of the state
// these.
absl::Status CheckPacks(const DataTables& data, const Manifest& manifest) {
  if (data.packs.size() != manifest.packs.size())
    return DataLoss("state blob, pack table: {} rows, but the manifest has {} packs",
                    data.packs.size(), manifest.packs.size());
  for (size_t i = 0; i < data.packs.size(); ++i) {
    if (data.packs[i].digest != manifest.packs[i].digest)
      return DataLoss("state blob, pack table, row {}, field digest: {}, but {} in the manifest", i,
                      data.packs[i].digest.ToString(), manifest.packs[i].digest.ToString());
    if (data.packs[i].size != manifest.packs[i].size)
      return DataLoss("state blob, pack table, row {}, field size: {}, but {} in the manifest", i,
                      data.packs[i].size, manifest.packs[i].size);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageInfo> OpenManifest(const Layout& layout, std::string_view tag,
                                       const Descriptor& entry) {
  ImageInfo info;
  info.tag = std::string(tag);
  info.reference = fmt::format("{}:{}", layout.directory(), tag);
  info.manifest_digest = entry.digest;
  info.manifest_size = entry.size;
  IMAGE_ASSIGN_OR_RETURN(const std::string text, layout.ReadBlob(entry, kMaxManifestSize));
  auto manifest = ParseManifest(text);
  if (!manifest.ok()) return Prefix(manifest.status(), info.reference);
  info.manifest = *std::move(manifest);
  if (absl::Status status = CheckEntry(entry, info.manifest.annotations); !status.ok())
    return Prefix(status, layout.directory());
  const auto parent = info.manifest.annotations.find(kAnnotationParent);
  if (parent != info.manifest.annotations.end()) info.parent = parent->second;
  return info;
}

absl::Status OpenConfig(const Layout& layout, const std::vector<std::string>& known_features,
                        ImageInfo& info) {
  IMAGE_ASSIGN_OR_RETURN(const std::string text,
                         layout.ReadBlob(info.manifest.config, kMaxConfigSize));
  auto config = ParseConfig(text, known_features);
  if (!config.ok()) return Prefix(config.status(), info.reference);
  info.config = *std::move(config);
  return Prefix(CheckLayers(info.manifest), info.reference);
}

absl::StatusOr<DecodedState> OpenState(const Layout& layout, const ImageInfo& info) {
  IMAGE_ASSIGN_OR_RETURN(const std::string blob,
                         layout.ReadBlob(info.manifest.state, kMaxStateBlob));
  auto state = DecodeStateBlob(AsBytes(blob));
  if (!state.ok()) return Prefix(state.status(), info.reference);
  if (absl::Status status = CheckPacks(state->data, info.manifest); !status.ok())
    return Prefix(status, info.reference);
  return state;
}

}  // namespace stasis::image
