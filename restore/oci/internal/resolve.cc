// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/resolve.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "restore/image/index.h"
#include "restore/image/internal/status.h"

namespace stasis::oci {
namespace {

using Json = nlohmann::ordered_json;
using image::DataLoss;
using image::Descriptor;

constexpr int kMaxNesting = 8;
constexpr char kDockerIndex[] = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr char kDockerManifest[] = "application/vnd.docker.distribution.manifest.v2+json";

bool IsIndex(const std::string& type) {
  return type == image::kMediaTypeIndex || type == kDockerIndex;
}
bool IsManifest(const std::string& type) {
  return type == image::kMediaTypeManifest || type == kDockerManifest;
}

// One entry of an index.
struct Entry {
  Descriptor descriptor;
  std::optional<Platform> platform;
};

std::string Text(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

absl::StatusOr<Entry> ParseEntry(const Json& json, const std::string& what) {
  Entry entry;
  IMAGE_ASSIGN_OR_RETURN(entry.descriptor, image::ParseDescriptor(json, what));
  const auto platform = json.find("platform");
  if (platform != json.end() && platform->is_object())
    entry.platform = Platform{Text(*platform, "os"), Text(*platform, "architecture"),
                              Text(*platform, "variant")};
  return entry;
}

absl::StatusOr<std::vector<Entry>> ParseEntries(std::string_view text, const std::string& what) {
  IMAGE_ASSIGN_OR_RETURN(const Json json, image::ParseJson(text, what));
  const auto list = json.is_object() ? json.find("manifests") : json.end();
  if (list == json.end() || !list->is_array())
    return DataLoss("{}: \"manifests\" is missing or not a list", what);
  std::vector<Entry> entries;
  for (size_t i = 0; i < list->size(); ++i) {
    IMAGE_ASSIGN_OR_RETURN(Entry entry, ParseEntry((*list)[i], fmt::format("{}, {}", what, i)));
    entries.push_back(std::move(entry));
  }
  return entries;
}

bool Fits(const Platform& wanted, const Platform& found) {
  return wanted.os == found.os && wanted.architecture == found.architecture &&
         (wanted.variant.empty() || found.variant.empty() || wanted.variant == found.variant);
}

// The entry for a platform. A single one without a platform fits any.
absl::StatusOr<Descriptor> Choose(const std::vector<Entry>& entries, const Platform& platform,
                                  const std::string& what) {
  std::set<std::string> there;
  for (const Entry& entry : entries) {
    if (!entry.platform) continue;
    if (Fits(platform, *entry.platform)) return entry.descriptor;
    there.insert(entry.platform->ToString());
  }
  if (entries.size() == 1 && !entries[0].platform) return entries[0].descriptor;
  return absl::NotFoundError(
      fmt::format("{} has no image for {}; there are: {}", what, platform.ToString(),
                  there.empty() ? "none" : fmt::format("{}", fmt::join(there, ", "))));
}

std::string TagOf(const Entry& entry) {
  const auto it = entry.descriptor.annotations.find(image::kAnnotationRefName);
  return it == entry.descriptor.annotations.end() ? std::string() : it->second;
}

// Entries of index.json that have the reference's tag or digest.
std::vector<Entry> Matching(const std::vector<Entry>& entries, const ImageReference& reference) {
  std::vector<Entry> matching;
  for (const Entry& entry : entries) {
    const bool fits = reference.digest ? entry.descriptor.digest == *reference.digest
                                       : reference.tag.empty() || TagOf(entry) == reference.tag;
    if (fits) matching.push_back(entry);
  }
  return matching;
}

absl::Status NoSuchTag(const std::vector<Entry>& entries, const ImageReference& reference) {
  std::set<std::string> tags;
  for (const Entry& entry : entries)
    if (std::string tag = TagOf(entry); !tag.empty()) tags.insert(std::move(tag));
  const std::string there =
      tags.empty() ? "there is none at all" : fmt::format("there are: {}", fmt::join(tags, ", "));
  if (reference.tag.empty() && entries.size() > 1)
    return absl::NotFoundError(
        fmt::format("{} has several images: name a tag; {}", reference.directory, there));
  return absl::NotFoundError(
      fmt::format("{}: there is no tag \"{}\"; {}", reference.directory, reference.tag, there));
}

// A blob that no entry of index.json names: what it is says its own media type.
absl::StatusOr<Descriptor> ByDigest(const image::Layout& layout, const ImageReference& reference) {
  Descriptor descriptor;
  descriptor.digest = *reference.digest;
  const auto stat = layout.ops().StatAt(layout.blobs_fd(), reference.digest->Hex());
  if (!stat)
    return absl::NotFoundError(
        fmt::format("{}: there is no blob {}", reference.directory, reference.digest->ToString()));
  descriptor.size = static_cast<uint64_t>(stat->st_size);
  IMAGE_ASSIGN_OR_RETURN(const std::string text,
                         layout.ReadBlob(descriptor, image::kMaxManifestSize));
  IMAGE_ASSIGN_OR_RETURN(const Json json, image::ParseJson(text, reference.ToString()));
  if (json.is_object()) {
    descriptor.media_type = Text(json, "mediaType");
    if (descriptor.media_type.empty() && json.contains("layers"))
      descriptor.media_type = image::kMediaTypeManifest;
  }
  return descriptor;
}

absl::StatusOr<Descriptor> FromIndexFile(const image::Layout& layout,
                                         const ImageReference& reference,
                                         const Platform& platform) {
  IMAGE_ASSIGN_OR_RETURN(const std::string text, layout.ReadIndex());
  IMAGE_ASSIGN_OR_RETURN(const std::vector<Entry> entries,
                         ParseEntries(text, reference.directory + "/index.json"));
  std::vector<Entry> matching = Matching(entries, reference);
  if (matching.empty() && reference.digest) return ByDigest(layout, reference);
  if (matching.size() == 1) return matching[0].descriptor;
  bool all_have_platforms = !matching.empty();
  for (const Entry& entry : matching) all_have_platforms &= entry.platform.has_value();
  if (all_have_platforms) return Choose(matching, platform, reference.ToString());
  if (matching.size() > 1 && !reference.tag.empty())
    return DataLoss("{}/index.json: tag \"{}\" is there {} times", reference.directory,
                    reference.tag, matching.size());
  if (matching.size() > 1 && reference.digest) return matching[0].descriptor;
  return NoSuchTag(entries, reference);
}

}  // namespace

absl::StatusOr<Descriptor> ResolveManifest(const image::Layout& layout,
                                           const ImageReference& reference,
                                           const Platform& platform) {
  IMAGE_ASSIGN_OR_RETURN(Descriptor found, FromIndexFile(layout, reference, platform));
  for (int depth = 0; IsIndex(found.media_type); ++depth) {
    const std::string what =
        fmt::format("{}: image index {}", reference.ToString(), found.digest.ToString());
    if (depth == kMaxNesting) return DataLoss("{} is nested deeper than {}", what, kMaxNesting);
    IMAGE_ASSIGN_OR_RETURN(const std::string text, layout.ReadBlob(found, image::kMaxManifestSize));
    IMAGE_ASSIGN_OR_RETURN(const std::vector<Entry> entries, ParseEntries(text, what));
    IMAGE_ASSIGN_OR_RETURN(found, Choose(entries, platform, what));
  }
  if (!IsManifest(found.media_type))
    return absl::UnimplementedError(fmt::format("{}: {} is of type \"{}\"; images have {} or {}",
                                                reference.ToString(), found.digest.ToString(),
                                                found.media_type, image::kMediaTypeManifest,
                                                image::kMediaTypeIndex));
  return found;
}

}  // namespace stasis::oci
