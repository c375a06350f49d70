// SPDX-License-Identifier: Apache-2.0
//
// manifest.h: the JSON documents of an image, parsed strictly and written compactly.
//
// A document that we write has exactly one form (compact, keys in a fixed order). One that we read
// may have more in it than we know (OCI asks readers to ignore that), but duplicate keys, wrong
// types and nesting deeper than 32 are refused.

#ifndef STASIS_RESTORE_IMAGE_MANIFEST_H_
#define STASIS_RESTORE_IMAGE_MANIFEST_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "restore/image/digest.h"

namespace stasis::image {

inline constexpr char kMediaTypeIndex[] = "application/vnd.oci.image.index.v1+json";
inline constexpr char kMediaTypeManifest[] = "application/vnd.oci.image.manifest.v1+json";
inline constexpr char kMediaTypeConfig[] = "application/vnd.stasis.checkpoint.config.v1+json";
inline constexpr char kMediaTypeState[] = "application/vnd.stasis.state.v1+zstd";
inline constexpr char kMediaTypePack[] = "application/vnd.stasis.pack.v1+zstd";
inline constexpr char kMediaTypeTrace[] = "application/vnd.stasis.trace.v1+zstd";
inline constexpr char kMediaTypeEmpty[] = "application/vnd.oci.empty.v1+json";

// With what every type of a trace begins, whatever its version.
inline constexpr char kTraceTypes[] = "application/vnd.stasis.trace.";

inline constexpr char kAnnotationRefName[] = "org.opencontainers.image.ref.name";
inline constexpr char kAnnotationCreated[] = "org.opencontainers.image.created";
inline constexpr char kAnnotationEngineName[] = "org.criu.checkpoint.engine.name";
inline constexpr char kAnnotationEngineVersion[] = "org.criu.checkpoint.engine.version";
// For WriteOptions::annotations: the sandbox's name.
inline constexpr char kAnnotationContainerName[] = "org.criu.checkpoint.container.name";
// The container image that the tree's layers are of, "DIR@DIGEST".
inline constexpr char kAnnotationBase[] = "vnd.stasis.checkpoint.base";
inline constexpr char kAnnotationParent[] = "vnd.stasis.checkpoint.parent";
// Digests of the manifests that the image had before it was squashed, the last one first, with
// commas between.
inline constexpr char kAnnotationSquashed[] = "vnd.stasis.checkpoint.squashed";
inline constexpr char kAnnotationFormatVersion[] = "vnd.stasis.checkpoint.format";

// Registries refuse more.
inline constexpr uint64_t kMaxManifestSize = 4 * 1024 * 1024 - 1;
inline constexpr uint64_t kMaxConfigSize = 4 * 1024 * 1024;
inline constexpr uint64_t kMaxIndexSize = 64 * 1024 * 1024;

// The version of the container: state blob, tables, packs. A reader takes every version up to its
// own.
inline constexpr uint32_t kFormatVersion = 1;

using Annotations = std::map<std::string, std::string>;

// An OCI content descriptor.
struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  std::string artifact_type;  // empty if absent
  Annotations annotations;
};

struct Manifest {
  Descriptor config;
  Descriptor state;
  std::vector<Descriptor> packs;  // in the order of the state blob's pack table
  Annotations annotations;
};

// What a reader needs to know before it touches the state.
struct Config {
  uint32_t format_version = kFormatVersion;
  std::vector<std::string> required_features;  // sorted
  std::string creator;                         // such as "stasis 0.1.0"
  std::string created;                         // RFC 3339, UTC
  nlohmann::ordered_json statistics;           // an object; for people
};

// Parses strictly; `what` names the document in errors (kDataLoss).
absl::StatusOr<nlohmann::ordered_json> ParseJson(std::string_view text, std::string_view what);

absl::StatusOr<Descriptor> ParseDescriptor(const nlohmann::ordered_json& json,
                                           const std::string& what);
nlohmann::ordered_json DescriptorToJson(const Descriptor& descriptor);

std::string EncodeManifest(const Manifest& manifest);
// Errors: kDataLoss; kUnimplemented for a manifest that is not a checkpoint of ours, naming its
// artifact type. What types the layers have is not looked at yet: a newer version, which only the
// config tells, may have others.
absl::StatusOr<Manifest> ParseManifest(std::string_view text);
// Checks that the layers are one state blob and packs. Errors: kDataLoss.
absl::Status CheckLayers(const Manifest& manifest);

std::string EncodeConfig(const Config& config);
// Errors: kDataLoss; kUnimplemented if the format version is newer than ours or a required feature
// is not among `known_features`. Those are looked at before anything else in the document.
absl::StatusOr<Config> ParseConfig(std::string_view text,
                                   const std::vector<std::string>& known_features);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_MANIFEST_H_
