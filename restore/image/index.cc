// SPDX-License-Identifier: Apache-2.0

#include "restore/image/index.h"

#include <algorithm>
#include <array>
#include <optional>

#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 6> kIndexProperties = {
    "schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations"};
constexpr std::array<std::string_view, 8> kDescriptorProperties = {
    "mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"};

// True if the entry has no tag and names this digest.
bool IsUntagged(const Json& entry, const std::string& digest) {
  const auto found = entry.find("digest");
  return Index::TagOf(entry) == nullptr && found != entry.end() && *found == digest;
}

absl::Status CheckIndex(const Json& json) {
  if (!json.is_object()) return DataLoss("index.json is not a JSON object");
  const auto schema = json.find("schemaVersion");
  if (schema == json.end() || *schema != 2)
    return DataLoss("index.json: \"schemaVersion\" is missing or not 2");
  const auto type = json.find("mediaType");
  if (type != json.end() && *type != kMediaTypeIndex)
    return DataLoss("index.json: \"mediaType\" is {}, not \"{}\"", type->dump(), kMediaTypeIndex);
  const auto manifests = json.find("manifests");
  if (manifests == json.end() || !manifests->is_array())
    return DataLoss("index.json: \"manifests\" is missing or not a list");
  for (size_t i = 0; i < manifests->size(); ++i) {
    if (!(*manifests)[i].is_object()) return DataLoss("index.json: entry {} is not an object", i);
  }
  return absl::OkStatus();
}

template <size_t N>
void CollectUnknown(const Json& object, const std::array<std::string_view, N>& known,
                    const std::string& what, std::vector<std::string>& out) {
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end())
      out.push_back(fmt::format("{}: unknown property \"{}\"", what, item.key()));
  }
}

}  // namespace

const std::string* Index::TagOf(const Json& entry) {
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return nullptr;
  const auto name = annotations->find(kAnnotationRefName);
  if (name == annotations->end() || !name->is_string()) return nullptr;
  return name->get_ptr<const std::string*>();
}

Index::Index() {
  json_["schemaVersion"] = 2;
  json_["mediaType"] = kMediaTypeIndex;
  json_["manifests"] = Json::array();
}

absl::StatusOr<Index> Index::Parse(std::string_view text) {
  IMAGE_ASSIGN_OR_RETURN(Json json, ParseJson(text, "index.json"));
  IMAGE_RETURN_IF_ERROR(CheckIndex(json));
  return Index(std::move(json));
}

std::string Index::Encode() const {
  return json_.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Descriptor> Index::Find(std::string_view tag) const {
  const Json* found = nullptr;
  for (const Json& entry : json_["manifests"]) {
    const std::string* name = TagOf(entry);
    if (name == nullptr || *name != tag) continue;
    if (found != nullptr) return DataLoss("index.json: tag \"{}\" is there twice", tag);
    found = &entry;
  }
  if (found == nullptr) return absl::NotFoundError(fmt::format("there is no tag \"{}\"", tag));
  return ParseDescriptor(*found, fmt::format("index.json, tag \"{}\"", tag));
}

std::vector<std::pair<std::string, const Json*>> Index::Tags() const {
  std::vector<std::pair<std::string, const Json*>> tags;
  for (const Json& entry : json_["manifests"]) {
    if (const std::string* name = TagOf(entry); name != nullptr) tags.emplace_back(*name, &entry);
  }
  return tags;
}

void Index::Set(std::string_view tag, Descriptor descriptor) {
  descriptor.annotations[kAnnotationRefName] = std::string(tag);
  Json json = DescriptorToJson(descriptor);
  for (Json& entry : json_["manifests"]) {
    const std::string* name = TagOf(entry);
    if (name != nullptr && *name == tag) {
      entry = std::move(json);
      return;
    }
  }
  json_["manifests"].push_back(std::move(json));
}

bool Index::Remove(std::string_view tag) {
  Json& entries = json_["manifests"];
  bool found = false;
  for (size_t i = entries.size(); i-- > 0;) {
    const std::string* name = TagOf(entries[i]);
    if (name == nullptr || *name != tag) continue;
    entries.erase(i);
    found = true;
  }
  return found;
}

void Index::AddUntagged(const Descriptor& descriptor) {
  for (const Json& entry : json_["manifests"])
    if (IsUntagged(entry, descriptor.digest.ToString())) return;
  json_["manifests"].push_back(DescriptorToJson(descriptor));
}

void Index::RemoveUntagged(const Digest& digest) {
  Json& entries = json_["manifests"];
  for (size_t i = entries.size(); i-- > 0;)
    if (IsUntagged(entries[i], digest.ToString())) entries.erase(i);
}

bool Index::Names(const Digest& digest) const {
  for (const Json& entry : json_["manifests"]) {
    const auto found = entry.find("digest");
    if (found != entry.end() && *found == digest.ToString()) return true;
  }
  return false;
}

std::vector<Descriptor> Index::Untagged(std::string_view artifact_type) const {
  std::vector<Descriptor> found;
  for (const Json& entry : json_["manifests"]) {
    if (TagOf(entry) != nullptr) continue;
    auto descriptor = ParseDescriptor(entry, "index.json");
    if (descriptor.ok() && descriptor->artifact_type == artifact_type)
      found.push_back(*std::move(descriptor));
  }
  return found;
}

void Index::ReplaceUntagged(const std::vector<Digest>& old, const Descriptor& descriptor) {
  for (const Digest& digest : old) RemoveUntagged(digest);
  AddUntagged(descriptor);
}

std::vector<std::string> Index::UnknownProperties(std::string_view tag) const {
  std::vector<std::string> unknown;
  CollectUnknown(json_, kIndexProperties, "index.json", unknown);
  for (const auto& [name, entry] : Tags()) {
    if (name != tag) continue;
    CollectUnknown(*entry, kDescriptorProperties, fmt::format("index.json, tag \"{}\"", name),
                   unknown);
  }
  return unknown;
}

Descriptor EntryFor(std::string_view tag, const Digest& digest, uint64_t size,
                    const Annotations& manifest_annotations) {
  Descriptor entry;
  entry.media_type = kMediaTypeManifest;
  entry.digest = digest;
  entry.size = size;
  entry.artifact_type = kMediaTypeConfig;
  entry.annotations = manifest_annotations;
  entry.annotations[kAnnotationRefName] = std::string(tag);
  return entry;
}

absl::Status CheckEntry(const Descriptor& entry, const Annotations& manifest_annotations) {
  const auto tag = entry.annotations.find(kAnnotationRefName);
  const std::string what = fmt::format(
      "index.json, tag \"{}\"", tag == entry.annotations.end() ? std::string() : tag->second);
  if (entry.media_type != kMediaTypeManifest)
    return DataLoss("{}: \"mediaType\" is \"{}\", not {}", what, entry.media_type,
                    kMediaTypeManifest);
  if (!entry.artifact_type.empty() && entry.artifact_type != kMediaTypeConfig)
    return DataLoss("{}: \"artifactType\" is \"{}\", not {}", what, entry.artifact_type,
                    kMediaTypeConfig);
  Annotations repeated = entry.annotations;
  repeated.erase(kAnnotationRefName);
  if (repeated.empty()) return absl::OkStatus();  // as skopeo and others leave it
  for (const auto& [key, value] : manifest_annotations) {
    const auto it = repeated.find(key);
    if (it == repeated.end()) return DataLoss("{}: annotation \"{}\" is missing", what, key);
    if (it->second != value)
      return DataLoss("{}: annotation \"{}\" is \"{}\", but \"{}\" in the manifest", what, key,
                      it->second, value);
  }
  return absl::OkStatus();
}

}  // namespace stasis::image
