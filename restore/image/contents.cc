// SPDX-License-Identifier: Apache-2.0

#include "restore/image/contents.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "restore/image/index.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kOurTypes = "application/vnd.stasis.";
constexpr int kMaxIndexNesting = 8;

const Json* Member(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() ? nullptr : &*found;
}

std::string StringAt(const Json& json, const char* key) {
  const Json* value = Member(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::optional<Digest> DigestAt(const Json& json) {
  const auto digest = Digest::Parse(StringAt(json, "digest"));
  if (!digest.ok()) return std::nullopt;
  return *digest;
}

class Collector {
 public:
  explicit Collector(const Layout& layout) : layout_(layout) {}

  absl::StatusOr<Contents> Run(const Descriptor& document) {
    IMAGE_RETURN_IF_ERROR(AddDocument(document, 0));
    return std::move(contents_);
  }

 private:
  void Add(const Digest& digest) {
    if (seen_.insert(digest).second) contents_.blobs.push_back(digest);
  }

  absl::Status AddDocument(const Descriptor& descriptor, int depth) {
    Add(descriptor.digest);
    if (depth > kMaxIndexNesting)
      return DataLoss("{}: blob {} is nested deeper than {} indexes", layout_.directory(),
                      descriptor.digest.ToString(), kMaxIndexNesting);
    IMAGE_ASSIGN_OR_RETURN(const std::string text, layout_.ReadBlob(descriptor, kMaxIndexSize));
    auto json = ParseJson(text, "document");
    if (!json.ok()) return NotADocument(descriptor, json.status());
    if (depth == 0) Describe(*json);
    AddMembers(*json, /*top=*/true);
    const Json* manifests = Member(*json, "manifests");
    if (manifests == nullptr || !manifests->is_array()) return absl::OkStatus();
    for (const Json& entry : *manifests) IMAGE_RETURN_IF_ERROR(AddNested(entry, depth));
    return absl::OkStatus();
  }

  // What is of a type that has no JSON in it needs nothing else.
  absl::Status NotADocument(const Descriptor& descriptor, const absl::Status& status) const {
    if (!descriptor.media_type.ends_with("+json")) return absl::OkStatus();
    return Prefix(status,
                  fmt::format("{}: blob {}", layout_.directory(), descriptor.digest.ToString()));
  }

  absl::Status AddNested(const Json& entry, int depth) {
    auto descriptor = ParseDescriptor(entry, "an index, entry of \"manifests\"");
    if (!descriptor.ok()) return Prefix(descriptor.status(), layout_.directory());
    if (seen_documents_.contains(descriptor->digest)) return absl::OkStatus();
    seen_documents_.insert(descriptor->digest);
    const auto st = layout_.ops().StatAt(layout_.blobs_fd(), descriptor->digest.Hex());
    if (!st && st.error() == Errno(ENOENT)) return absl::OkStatus();
    return AddDocument(*descriptor, depth + 1);
  }

  void Describe(const Json& json) {
    contents_.artifact_type = StringAt(json, "artifactType");
    if (const Json* config = Member(json, "config"); config != nullptr) {
      if (contents_.artifact_type.empty()) contents_.artifact_type = StringAt(*config, "mediaType");
    }
    if (const Json* subject = Member(json, "subject"); subject != nullptr)
      contents_.subject = DigestAt(*subject);
  }

  // Depth is bounded by the parser.
  void AddMembers(const Json& json, bool top) {
    if (json.is_object()) {
      if (const auto digest = DigestAt(json); digest.has_value()) Add(*digest);
      for (const auto& member : json.items())
        if (!top || member.key() != "subject") AddMembers(member.value(), false);
    } else if (json.is_array()) {
      for (const Json& item : json) AddMembers(item, false);
    }
  }

  const Layout& layout_;
  Contents contents_;
  absl::flat_hash_set<Digest> seen_;
  absl::flat_hash_set<Digest> seen_documents_;
};

// What was read for other entries: an index may name one document very often.
using Known = absl::flat_hash_map<std::pair<Digest, uint64_t>, absl::StatusOr<Contents>>;

const absl::StatusOr<Contents>& ReadOnce(const Layout& layout, const Descriptor& document,
                                         Known& known) {
  const std::pair key(document.digest, document.size);
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  return known.emplace(key, ReadContents(layout, document)).first->second;
}

IndexEntry ReadEntry(const Layout& layout, const Json& json, Known& known) {
  IndexEntry entry;
  if (const std::string* tag = Index::TagOf(json); tag != nullptr) entry.tag = *tag;
  const std::string what = entry.tag.empty() ? std::string("index.json, an entry without a tag")
                                             : fmt::format("index.json, tag \"{}\"", entry.tag);
  auto descriptor = ParseDescriptor(json, what);
  if (!descriptor.ok()) {
    entry.status = Prefix(descriptor.status(), layout.directory());
    return entry;
  }
  entry.descriptor = *std::move(descriptor);
  const auto& contents = ReadOnce(layout, entry.descriptor, known);
  if (contents.ok())
    entry.contents = *contents;
  else
    entry.status = Prefix(contents.status(), entry.Name());
  return entry;
}

}  // namespace

bool Contents::IsOurs() const { return artifact_type.starts_with(kOurTypes); }

absl::StatusOr<Contents> ReadContents(const Layout& layout, const Descriptor& document) {
  return Collector(layout).Run(document);
}

absl::StatusOr<Contents> ReadContentsOf(const Layout& layout, const Digest& digest) {
  Descriptor document;
  document.digest = digest;
  IMAGE_ASSIGN_OR_ERRNO(const struct stat st, layout.ops().StatAt(layout.blobs_fd(), digest.Hex()),
                        fmt::format("{}: blob {}", layout.directory(), digest.ToString()));
  document.size = static_cast<uint64_t>(st.st_size);
  return ReadContents(layout, document);
}

std::string IndexEntry::Name() const {
  if (!tag.empty()) return fmt::format("tag \"{}\"", tag);
  return fmt::format("the entry for {}", descriptor.digest.ToString());
}

absl::StatusOr<std::vector<IndexEntry>> ReadEntries(const Layout& layout) {
  IMAGE_ASSIGN_OR_RETURN(const std::string text, layout.ReadIndex());
  auto index = Index::Parse(text);
  if (!index.ok()) return Prefix(index.status(), layout.directory());
  std::vector<IndexEntry> entries;
  Known known;
  for (const Json& json : index->Entries()) entries.push_back(ReadEntry(layout, json, known));
  return entries;
}

}  // namespace stasis::image
