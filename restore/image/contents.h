// SPDX-License-Identifier: Apache-2.0
//
// contents.h: which blobs the entries of an index need.
//
// Of any program's images: manifests, indexes in indexes, and referrers, which have a `subject`. A
// document needs what it describes anywhere in it (every object with a digest) but for its subject:
// a signature or a trace does not keep what it is about.

#ifndef STASIS_RESTORE_IMAGE_CONTENTS_H_
#define STASIS_RESTORE_IMAGE_CONTENTS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "restore/image/layout.h"

namespace stasis::image {

// What a document says about itself and what it needs.
struct Contents {
  // Its own digest first; each once, also those that are missing. Other algorithms than SHA-256 are
  // not ours to count.
  std::vector<Digest> blobs;
  // `artifactType`, or the type of the config if it has none; empty for an index.
  std::string artifact_type;
  std::optional<Digest> subject;

  // True for what only Stasis writes.
  bool IsOurs() const;
};

// Reads a manifest or an index, and what is nested in it. Nested ones may be missing, as other
// programs leave them when they copy one platform of many.
// Errors: kDataLoss, naming the blob, if `document` itself is missing, or anything is damaged.
absl::StatusOr<Contents> ReadContents(const Layout& layout, const Descriptor& document);
// The same of a blob of which only the digest is known. Errors: also kNotFound if it is missing.
absl::StatusOr<Contents> ReadContentsOf(const Layout& layout, const Digest& digest);

struct IndexEntry {
  std::string tag;  // empty if it has none
  Descriptor descriptor;
  Contents contents;    // as far as `status` is OK
  absl::Status status;  // kDataLoss, naming the tag: what it needs is not known

  // "tag "v1"" or "the entry for sha256:...", for people.
  std::string Name() const;
};

// All entries of index.json, in their order. Errors: kDataLoss if the index itself is damaged.
absl::StatusOr<std::vector<IndexEntry>> ReadEntries(const Layout& layout);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_CONTENTS_H_
