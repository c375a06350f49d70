// SPDX-License-Identifier: Apache-2.0
//
// image.h: the documents of a container image: index, manifest, config.
//
// Read are the media types of OCI and those of Docker that hold the same; what is written is OCI.

#ifndef STASIS_RESTORE_OCI_IMAGE_H_
#define STASIS_RESTORE_OCI_IMAGE_H_

#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "restore/image/layout.h"
#include "restore/image/manifest.h"
#include "restore/oci/reference.h"

namespace stasis::oci {

inline constexpr char kMediaTypeImageConfig[] = "application/vnd.oci.image.config.v1+json";
inline constexpr char kMediaTypeLayer[] = "application/vnd.oci.image.layer.v1.tar";

enum class Compression { kNone, kGzip, kZstd };
std::string_view CompressionName(Compression compression);  // "gzip"
// Errors: kInvalidArgument.
absl::StatusOr<Compression> ParseCompression(std::string_view name);
// The OCI media type of a layer.
std::string LayerMediaType(Compression compression);

// What a program in the image is started with, and what the image says about itself.
struct ImageConfig {
  std::string os;
  std::string architecture;
  std::string variant;
  std::vector<std::string> env;  // "NAME=VALUE"
  std::string working_dir;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string user;                     // "", "USER", "USER:GROUP", names or numbers
  std::vector<image::Digest> diff_ids;  // of the uncompressed layers, bottom first
  nlohmann::ordered_json json;          // the whole document
};

struct LayerBlob {
  image::Descriptor blob;
  image::Digest diff_id;
  Compression compression = Compression::kNone;
};

struct Image {
  image::Descriptor manifest;
  ImageConfig config;
  std::vector<LayerBlob> layers;  // bottom first
  image::Annotations annotations;
};

// Resolves a reference, through image indexes by platform, and reads and verifies the documents.
// Layers are not looked at.
// Errors: kNotFound (with the tags or platforms that there are); kDataLoss; kUnimplemented for a
// document or layer of a media type that is not known here, named with it.
absl::StatusOr<Image> ReadImage(const image::Layout& layout, const ImageReference& reference,
                                const Platform& platform);

// Errors: kDataLoss.
absl::StatusOr<ImageConfig> ParseImageConfig(std::string_view text);

// Env, Entrypoint, Cmd, WorkingDir and User alone, as in the "config" of a config; and back, with
// the rest empty. Errors: kDataLoss.
std::string RunSettingsToJson(const ImageConfig& config);
absl::StatusOr<ImageConfig> ParseRunSettings(std::string_view text);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_IMAGE_H_
