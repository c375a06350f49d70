// SPDX-License-Identifier: Apache-2.0

#include "restore/image/manifest.h"

#include <algorithm>
#include <set>
#include <utility>

#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 32;
constexpr size_t kMaxLayers = 65536;

// Watches the parser for what it would let pass: duplicate keys and bottomless nesting.
class StrictEvents {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        keys_.emplace_back();
        if (depth > kMaxDepth) Fail("nested deeper than 32");
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        if (!keys_.empty()) keys_.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!keys_.empty() && !keys_.back().insert(parsed.get<std::string>()).second)
          Fail(fmt::format("key \"{}\" is there twice", parsed.get<std::string>()));
        break;
      default:
        break;
    }
    return error_.empty();  // false drops what follows instead of keeping it
  }
  const std::string& error() const { return error_; }

 private:
  void Fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
  }
  std::vector<std::set<std::string>> keys_;
  std::string error_;
};

// The member `key` of an object; null if absent.
const Json* Find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

absl::StatusOr<std::string> StringMember(const Json& object, const char* key,
                                         const std::string& what) {
  const Json* value = Find(object, key);
  if (value == nullptr) return DataLoss("{}: \"{}\" is missing", what, key);
  if (!value->is_string()) return DataLoss("{}: \"{}\" is not a string", what, key);
  return value->get<std::string>();
}

absl::StatusOr<uint64_t> UnsignedMember(const Json& object, const char* key, uint64_t max,
                                        const std::string& what) {
  const Json* value = Find(object, key);
  if (value == nullptr) return DataLoss("{}: \"{}\" is missing", what, key);
  if (!value->is_number_unsigned()) return DataLoss("{}: \"{}\" is not a whole number", what, key);
  const uint64_t number = value->get<uint64_t>();
  if (number > max) return DataLoss("{}: \"{}\" is {}, more than {}", what, key, number, max);
  return number;
}

absl::StatusOr<Annotations> AnnotationsMember(const Json& object, const std::string& what) {
  Annotations annotations;
  const Json* value = Find(object, "annotations");
  if (value == nullptr) return annotations;
  if (!value->is_object()) return DataLoss("{}: \"annotations\" is not an object", what);
  for (const auto& [key, text] : value->items()) {
    if (!text.is_string()) return DataLoss("{}: annotation \"{}\" is not a string", what, key);
    annotations[key] = text.get<std::string>();
  }
  return annotations;
}

absl::Status RequireObject(const Json& json, const std::string& what) {
  if (!json.is_object()) return DataLoss("{} is not a JSON object", what);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FeaturesMember(const Json& config,
                                                        const std::string& what) {
  const Json* list = Find(config, "requiredFeatures");
  if (list == nullptr) return DataLoss("{}: \"requiredFeatures\" is missing", what);
  if (!list->is_array()) return DataLoss("{}: \"requiredFeatures\" is not a list", what);
  std::vector<std::string> features;
  for (const Json& feature : *list) {
    if (!feature.is_string())
      return DataLoss("{}: \"requiredFeatures\" has an item that is not a string", what);
    features.push_back(feature.get<std::string>());
  }
  return features;
}

Json AnnotationsToJson(const Annotations& annotations) {
  Json json = Json::object();
  for (const auto& [key, value] : annotations) json[key] = value;
  return json;
}

// Our own documents hold valid UTF-8 only if the caller's strings do; others are replaced.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text, std::string_view what) {
  StrictEvents events;
  Json json = Json::parse(
      text.begin(), text.end(),
      [&events](int depth, Json::parse_event_t event, Json& parsed) {
        return events(depth, event, parsed);
      },
      /*allow_exceptions=*/false);
  if (!events.error().empty()) return DataLoss("{}: {}", what, events.error());
  if (json.is_discarded()) return DataLoss("{} is not valid JSON", what);
  return json;
}

absl::StatusOr<Descriptor> ParseDescriptor(const Json& json, const std::string& what) {
  IMAGE_RETURN_IF_ERROR(RequireObject(json, what));
  Descriptor descriptor;
  IMAGE_ASSIGN_OR_RETURN(descriptor.media_type, StringMember(json, "mediaType", what));
  IMAGE_ASSIGN_OR_RETURN(const std::string digest, StringMember(json, "digest", what));
  auto parsed = Digest::Parse(digest);
  if (!parsed.ok()) return Prefix(parsed.status(), what);
  descriptor.digest = *parsed;
  IMAGE_ASSIGN_OR_RETURN(descriptor.size, UnsignedMember(json, "size", INT64_MAX, what));
  if (Find(json, "artifactType") != nullptr) {
    IMAGE_ASSIGN_OR_RETURN(descriptor.artifact_type, StringMember(json, "artifactType", what));
  }
  IMAGE_ASSIGN_OR_RETURN(descriptor.annotations, AnnotationsMember(json, what));
  return descriptor;
}

Json DescriptorToJson(const Descriptor& descriptor) {
  Json json;
  json["mediaType"] = descriptor.media_type;
  json["digest"] = descriptor.digest.ToString();
  json["size"] = descriptor.size;
  if (!descriptor.artifact_type.empty()) json["artifactType"] = descriptor.artifact_type;
  if (!descriptor.annotations.empty())
    json["annotations"] = AnnotationsToJson(descriptor.annotations);
  return json;
}

std::string EncodeManifest(const Manifest& manifest) {
  Json json;
  json["schemaVersion"] = 2;
  json["mediaType"] = kMediaTypeManifest;
  json["artifactType"] = kMediaTypeConfig;
  json["config"] = DescriptorToJson(manifest.config);
  json["layers"] = Json::array({DescriptorToJson(manifest.state)});
  for (const Descriptor& pack : manifest.packs) json["layers"].push_back(DescriptorToJson(pack));
  json["annotations"] = AnnotationsToJson(manifest.annotations);
  return Dump(json);
}

namespace {

// Checks that the document is an image manifest of ours and parses its config descriptor.
absl::StatusOr<Descriptor> ParseManifestHead(const Json& json, const std::string& what) {
  IMAGE_ASSIGN_OR_RETURN(const uint64_t schema,
                         UnsignedMember(json, "schemaVersion", UINT32_MAX, what));
  if (schema != 2) return DataLoss("{}: \"schemaVersion\" is {}, not 2", what, schema);
  IMAGE_ASSIGN_OR_RETURN(const std::string type, StringMember(json, "mediaType", what));
  if (type != kMediaTypeManifest)
    return DataLoss("{}: \"mediaType\" is \"{}\", not {}", what, type, kMediaTypeManifest);
  const Json* config = Find(json, "config");
  if (config == nullptr) return DataLoss("{}: \"config\" is missing", what);
  IMAGE_ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(*config, what + ", config"));
  std::string artifact = descriptor.media_type;
  if (Find(json, "artifactType") != nullptr) {
    IMAGE_ASSIGN_OR_RETURN(artifact, StringMember(json, "artifactType", what));
  }
  for (const std::string& found : {artifact, descriptor.media_type}) {
    if (found != kMediaTypeConfig)
      return absl::UnimplementedError(
          fmt::format("{} is of type \"{}\"; this program reads checkpoints of type {} only", what,
                      found, kMediaTypeConfig));
  }
  return descriptor;
}

}  // namespace

absl::StatusOr<Manifest> ParseManifest(std::string_view text) {
  const std::string what = "manifest";
  IMAGE_ASSIGN_OR_RETURN(const Json json, ParseJson(text, what));
  IMAGE_RETURN_IF_ERROR(RequireObject(json, what));
  Manifest manifest;
  IMAGE_ASSIGN_OR_RETURN(manifest.config, ParseManifestHead(json, what));
  IMAGE_ASSIGN_OR_RETURN(manifest.annotations, AnnotationsMember(json, what));
  const Json* layers = Find(json, "layers");
  if (layers == nullptr || !layers->is_array())
    return DataLoss("{}: \"layers\" is missing or not a list", what);
  if (layers->empty() || layers->size() > kMaxLayers)
    return DataLoss("{}: {} layers instead of 1 to {}", what, layers->size(), kMaxLayers);
  for (size_t i = 0; i < layers->size(); ++i) {
    IMAGE_ASSIGN_OR_RETURN(Descriptor layer,
                           ParseDescriptor((*layers)[i], fmt::format("{}, layer {}", what, i)));
    if (i == 0)
      manifest.state = std::move(layer);
    else
      manifest.packs.push_back(std::move(layer));
  }
  return manifest;
}

absl::Status CheckLayers(const Manifest& manifest) {
  if (manifest.state.media_type != kMediaTypeState)
    return DataLoss("manifest, layer 0: \"mediaType\" is \"{}\", not {}", manifest.state.media_type,
                    kMediaTypeState);
  for (size_t i = 0; i < manifest.packs.size(); ++i) {
    if (manifest.packs[i].media_type != kMediaTypePack)
      return DataLoss("manifest, layer {}: \"mediaType\" is \"{}\", not {}", i + 1,
                      manifest.packs[i].media_type, kMediaTypePack);
  }
  return absl::OkStatus();
}

std::string EncodeConfig(const Config& config) {
  Json json;
  json["formatVersion"] = config.format_version;
  json["requiredFeatures"] = config.required_features;
  json["creator"] = config.creator;
  json["created"] = config.created;
  json["statistics"] = config.statistics;
  return Dump(json);
}

absl::StatusOr<Config> ParseConfig(std::string_view text,
                                   const std::vector<std::string>& known_features) {
  const std::string what = "config";
  IMAGE_ASSIGN_OR_RETURN(const Json json, ParseJson(text, what));
  IMAGE_RETURN_IF_ERROR(RequireObject(json, what));
  Config config;
  IMAGE_ASSIGN_OR_RETURN(const uint64_t version,
                         UnsignedMember(json, "formatVersion", UINT32_MAX, what));
  if (version == 0) return DataLoss("{}: \"formatVersion\" is 0", what);
  config.format_version = static_cast<uint32_t>(version);
  // Names first: they say more than a number.
  IMAGE_ASSIGN_OR_RETURN(config.required_features, FeaturesMember(json, what));
  std::string missing;
  for (const std::string& feature : config.required_features) {
    if (std::find(known_features.begin(), known_features.end(), feature) == known_features.end())
      missing += (missing.empty() ? "\"" : ", \"") + feature + "\"";
  }
  if (!missing.empty())
    return absl::UnimplementedError(
        fmt::format("the image needs a feature that this version does not have: {}", missing));
  if (config.format_version > kFormatVersion)
    return absl::UnimplementedError(
        fmt::format("the image has format version {}; this version reads up to {}",
                    config.format_version, kFormatVersion));
  IMAGE_ASSIGN_OR_RETURN(config.creator, StringMember(json, "creator", what));
  IMAGE_ASSIGN_OR_RETURN(config.created, StringMember(json, "created", what));
  const Json* statistics = Find(json, "statistics");
  if (statistics == nullptr || !statistics->is_object())
    return DataLoss("{}: \"statistics\" is missing or not an object", what);
  config.statistics = *statistics;
  return config;
}

}  // namespace stasis::image
