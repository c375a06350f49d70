// SPDX-License-Identifier: Apache-2.0
//
// index.h: the document index.json, changed without touching other programs' entries.

#ifndef STASIS_RESTORE_IMAGE_INDEX_H_
#define STASIS_RESTORE_IMAGE_INDEX_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "restore/image/digest.h"
#include "restore/image/manifest.h"

namespace stasis::image {

// Not thread-safe.
class Index {
 public:
  // An index without entries.
  Index();
  // Errors: kDataLoss if it is not an OCI image index.
  static absl::StatusOr<Index> Parse(std::string_view text);
  // Compact; unknown properties and the order of entries as they were read.
  std::string Encode() const;

  // Errors: kNotFound; kDataLoss if the tag's entry is damaged or the tag is there twice.
  absl::StatusOr<Descriptor> Find(std::string_view tag) const;
  // Tag and raw entry of all that have a tag.
  std::vector<std::pair<std::string, const nlohmann::ordered_json*>> Tags() const;
  // All entries as they are, in their order.
  const nlohmann::ordered_json& Entries() const { return json_["manifests"]; }
  // The tag of one of them; null if it has none.
  static const std::string* TagOf(const nlohmann::ordered_json& entry);
  // Puts `descriptor` in the place of the tag's entry, or at the end.
  void Set(std::string_view tag, Descriptor descriptor);
  // Removes every entry of the tag. False if there is no such tag.
  bool Remove(std::string_view tag);
  // An entry without a tag, at the end; nothing if its digest has one already.
  void AddUntagged(const Descriptor& descriptor);
  // Removes the entries without a tag that name this digest.
  void RemoveUntagged(const Digest& digest);

  // True if an entry, with a tag or without, names this digest.
  bool Names(const Digest& digest) const;
  // Entries without a tag that have this artifact type and are well-formed, in their order.
  std::vector<Descriptor> Untagged(std::string_view artifact_type) const;
  // Removes the entries without a tag that name `old`, and puts `descriptor` at the end.
  void ReplaceUntagged(const std::vector<Digest>& old, const Descriptor& descriptor);

  // Properties that OCI does not know, in the document and in the tag's entry. Readers must ignore
  // them; to Verify they are a sign of damage.
  std::vector<std::string> UnknownProperties(std::string_view tag) const;

 private:
  explicit Index(nlohmann::ordered_json json) : json_(std::move(json)) {}
  nlohmann::ordered_json json_;  // "manifests" is a list of objects
};

// The entry that a tag for this manifest has: the manifest's annotations are repeated in it.
Descriptor EntryFor(std::string_view tag, const Digest& digest, uint64_t size,
                    const Annotations& manifest_annotations);

// Compares an entry with the manifest that it names. The manifest's annotations must be repeated
// exactly, or be missing altogether, as other programs leave them when they copy an image; the same
// goes for the artifact type. Further annotations are other people's business.
// Errors: kDataLoss.
absl::Status CheckEntry(const Descriptor& entry, const Annotations& manifest_annotations);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INDEX_H_
