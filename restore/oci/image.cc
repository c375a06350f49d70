// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/image.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "restore/image/internal/status.h"
#include "restore/internal/format.h"
#include "restore/oci/internal/resolve.h"

namespace stasis::oci {
namespace {

using Json = nlohmann::ordered_json;
using image::DataLoss;

constexpr size_t kMaxLayers = 4096;

struct LayerType {
  std::string_view media_type;
  Compression compression;
};
constexpr std::array<LayerType, 9> kLayerTypes = {
    {{"application/vnd.oci.image.layer.v1.tar", Compression::kNone},
     {"application/vnd.oci.image.layer.v1.tar+gzip", Compression::kGzip},
     {"application/vnd.oci.image.layer.v1.tar+zstd", Compression::kZstd},
     {"application/vnd.oci.image.layer.nondistributable.v1.tar", Compression::kNone},
     {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Compression::kGzip},
     {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Compression::kZstd},
     {"application/vnd.docker.image.rootfs.diff.tar", Compression::kNone},
     {"application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::kGzip},
     {"application/vnd.docker.image.rootfs.diff.tar.zstd", Compression::kZstd}}};

// The member `key` of an object; null if it is absent or null.
const Json* Find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

absl::Status ReadText(const Json& object, const char* key, const std::string& what,
                      std::string& out) {
  const Json* value = Find(object, key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_string()) return DataLoss("{}: \"{}\" is not a string", what, key);
  out = value->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadTexts(const Json& object, const char* key, const std::string& what,
                       std::vector<std::string>& out) {
  const Json* value = Find(object, key);
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_array()) return DataLoss("{}: \"{}\" is not a list", what, key);
  for (const Json& item : *value) {
    if (!item.is_string())
      return DataLoss("{}: \"{}\" has an item that is not a string", what, key);
    out.push_back(item.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ReadDiffIds(const Json& json, const std::string& what,
                         std::vector<image::Digest>& out) {
  const Json* rootfs = Find(json, "rootfs");
  if (rootfs == nullptr || !rootfs->is_object())
    return DataLoss("{}: \"rootfs\" is missing or not an object", what);
  std::vector<std::string> texts;
  IMAGE_RETURN_IF_ERROR(ReadTexts(*rootfs, "diff_ids", what + ", rootfs", texts));
  for (const std::string& text : texts) {
    auto digest = image::Digest::Parse(text);
    if (!digest.ok()) return image::Prefix(digest.status(), what + ", diff_ids");
    out.push_back(*digest);
  }
  return absl::OkStatus();
}

absl::Status ReadRunSettings(const Json& run, const std::string& where, ImageConfig& config) {
  IMAGE_RETURN_IF_ERROR(ReadTexts(run, "Env", where, config.env));
  IMAGE_RETURN_IF_ERROR(ReadText(run, "WorkingDir", where, config.working_dir));
  IMAGE_RETURN_IF_ERROR(ReadTexts(run, "Entrypoint", where, config.entrypoint));
  IMAGE_RETURN_IF_ERROR(ReadTexts(run, "Cmd", where, config.cmd));
  return ReadText(run, "User", where, config.user);
}

absl::StatusOr<LayerBlob> ParseLayer(const Json& json, const std::string& what) {
  LayerBlob layer;
  IMAGE_ASSIGN_OR_RETURN(layer.blob, image::ParseDescriptor(json, what));
  for (const LayerType& type : kLayerTypes) {
    if (layer.blob.media_type != type.media_type) continue;
    layer.compression = type.compression;
    return layer;
  }
  return absl::UnimplementedError(
      fmt::format("{} ({}) is of type \"{}\"; base images have layers that are tar files, plain or "
                  "with gzip or "
                  "zstd: convert the image, such as with skopeo copy --dest-compress-format gzip",
                  what, layer.blob.digest.ToString(), layer.blob.media_type));
}

absl::Status CheckConfigType(const image::Descriptor& config) {
  if (config.media_type == kMediaTypeImageConfig ||
      config.media_type == "application/vnd.docker.container.image.v1+json")
    return absl::OkStatus();
  if (config.media_type == image::kMediaTypeConfig)
    return absl::UnimplementedError(
        "the image is a checkpoint, not a base image; bring it back with stasis restore");
  return absl::UnimplementedError(fmt::format("the config is of type \"{}\"; base images have {}",
                                              config.media_type, kMediaTypeImageConfig));
}

// Fills `image` from its manifest; what the config says follows.
absl::Status ParseManifest(std::string_view text, image::Descriptor& config, Image& image) {
  const std::string what = "manifest";
  IMAGE_ASSIGN_OR_RETURN(const Json json, image::ParseJson(text, what));
  const Json* found = json.is_object() ? Find(json, "config") : nullptr;
  if (found == nullptr) return DataLoss("{}: \"config\" is missing", what);
  IMAGE_ASSIGN_OR_RETURN(config, image::ParseDescriptor(*found, what + ", config"));
  IMAGE_RETURN_IF_ERROR(CheckConfigType(config));
  const Json* layers = Find(json, "layers");
  if (layers == nullptr || !layers->is_array())
    return DataLoss("{}: \"layers\" is missing or not a list", what);
  if (layers->size() > kMaxLayers)
    return DataLoss("{}: {} layers, more than {}", what, layers->size(), kMaxLayers);
  for (size_t i = 0; i < layers->size(); ++i) {
    IMAGE_ASSIGN_OR_RETURN(LayerBlob layer, ParseLayer((*layers)[i], fmt::format("layer {}", i)));
    image.layers.push_back(std::move(layer));
  }
  if (const Json* annotations = Find(json, "annotations");
      annotations != nullptr && annotations->is_object())
    for (const auto& [key, value] : annotations->items())
      if (value.is_string()) image.annotations[key] = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadDocuments(const image::Layout& layout, Image& image) {
  IMAGE_ASSIGN_OR_RETURN(const std::string manifest,
                         layout.ReadBlob(image.manifest, image::kMaxManifestSize));
  image::Descriptor config;
  IMAGE_RETURN_IF_ERROR(ParseManifest(manifest, config, image));
  IMAGE_ASSIGN_OR_RETURN(const std::string text, layout.ReadBlob(config, image::kMaxConfigSize));
  IMAGE_ASSIGN_OR_RETURN(image.config, ParseImageConfig(text));
  const std::vector<image::Digest>& diff_ids = image.config.diff_ids;
  if (diff_ids.size() != image.layers.size())
    return DataLoss("the manifest has {} layers, but the config has {} diff_ids",
                    image.layers.size(), diff_ids.size());
  for (size_t i = 0; i < diff_ids.size(); ++i) image.layers[i].diff_id = diff_ids[i];
  return absl::OkStatus();
}

}  // namespace

std::string_view CompressionName(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
    default:
      return "none";
  }
}

absl::StatusOr<Compression> ParseCompression(std::string_view name) {
  for (const Compression each : {Compression::kNone, Compression::kGzip, Compression::kZstd})
    if (name == CompressionName(each)) return each;
  return absl::InvalidArgumentError(
      fmt::format("'{}' is no compression of a layer: gzip, zstd or none", name));
}

std::string LayerMediaType(Compression compression) {
  if (compression == Compression::kNone) return kMediaTypeLayer;
  return fmt::format("{}+{}", kMediaTypeLayer, CompressionName(compression));
}

absl::StatusOr<ImageConfig> ParseImageConfig(std::string_view text) {
  const std::string what = "config";
  ImageConfig config;
  IMAGE_ASSIGN_OR_RETURN(config.json, image::ParseJson(text, what));
  const Json& json = config.json;
  if (!json.is_object()) return DataLoss("{} is not a JSON object", what);
  IMAGE_RETURN_IF_ERROR(ReadText(json, "os", what, config.os));
  IMAGE_RETURN_IF_ERROR(ReadText(json, "architecture", what, config.architecture));
  IMAGE_RETURN_IF_ERROR(ReadText(json, "variant", what, config.variant));
  IMAGE_RETURN_IF_ERROR(ReadDiffIds(json, what, config.diff_ids));
  const Json* run = Find(json, "config");
  if (run == nullptr) return config;
  if (!run->is_object()) return DataLoss("{}: \"config\" is not an object", what);
  IMAGE_RETURN_IF_ERROR(ReadRunSettings(*run, what + ", config", config));
  return config;
}

std::string RunSettingsToJson(const ImageConfig& config) {
  return restore::DumpJson(Json{{"Env", config.env},
                                {"WorkingDir", config.working_dir},
                                {"Entrypoint", config.entrypoint},
                                {"Cmd", config.cmd},
                                {"User", config.user}});
}

absl::StatusOr<ImageConfig> ParseRunSettings(std::string_view text) {
  const std::string what = "settings of the base";
  ImageConfig config;
  IMAGE_ASSIGN_OR_RETURN(const Json json, image::ParseJson(text, what));
  if (!json.is_object()) return DataLoss("{}: not a JSON object", what);
  IMAGE_RETURN_IF_ERROR(ReadRunSettings(json, what, config));
  return config;
}

absl::StatusOr<Image> ReadImage(const image::Layout& layout, const ImageReference& reference,
                                const Platform& platform) {
  Image image;
  IMAGE_ASSIGN_OR_RETURN(image.manifest, ResolveManifest(layout, reference, platform));
  if (absl::Status status = ReadDocuments(layout, image); !status.ok())
    return image::Prefix(status, reference.ToString());
  return image;
}

}  // namespace stasis::oci
