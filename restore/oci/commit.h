// SPDX-License-Identifier: Apache-2.0
//
// commit.h: the upper layer of an overlay as a container image.
//
// The image has the layers of the base and one more, which any container engine reads. It appears
// in the layout as a whole, or not at all.

#ifndef STASIS_RESTORE_OCI_COMMIT_H_
#define STASIS_RESTORE_OCI_COMMIT_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "restore/oci/image.h"
#include "restore/oci/reference.h"
#include "restore/transfer/owner_map.h"
#include "restore/transfer/report.h"
#include "restore/transfer/tree_source.h"

namespace stasis::oci {

struct CommitOptions {
  Compression compression = Compression::kGzip;
  // When the image is said to be made, and the latest modification time in its new layers: the same
  // tree then gives the same digests. Not set: now, and times as they are.
  std::optional<TimeNs> time;
  std::string author;
  std::string comment;
  std::string created_by = "stasis commit";

  // What the config says instead of what the base's says.
  std::optional<std::vector<std::string>> env;
  std::optional<std::vector<std::string>> entrypoint;
  std::optional<std::vector<std::string>> cmd;
  std::optional<std::string> working_dir;
  std::optional<std::string> user;

  restore::OwnerMap owners;
  restore::TransferProgressCallback on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed
};

// Sources are borrowed and at their roots. At most one of `base` and `base_tree` is set.
struct CommitRequest {
  // The upper layer as it is: whiteouts, overlayfs's extended attributes. It must be complete: data
  // and further names that an overlay of ours copies up later have been settled, and nobody changes
  // it meanwhile.
  restore::TreeSource* upper = nullptr;
  // What is seen. Needed where directories were moved or only attributes were copied up. It must
  // not show what is mounted on the overlay.
  restore::TreeSource* merged = nullptr;

  // The image below. Name it by the digest that was unpacked: a tag may have moved on.
  std::optional<ImageReference> base;
  Platform platform = Platform::Host();
  // The directory below: becomes the first layer, but for other filesystems mounted in it.
  restore::TreeSource* base_tree = nullptr;

  // Where to. The layout is made if it is missing (not its parents), the tag replaced if it is
  // there.
  std::string directory;
  std::string tag;
  CommitOptions options;
};

struct CommitReport {
  std::string reference;  // "DIR:TAG"
  image::Digest manifest;
  LayerBlob layer;               // the new one, of the upper layer
  size_t layers = 0;             // of the image
  uint64_t copied = 0;           // bytes of the base's blobs that were copied to the layout
  int64_t pause_ns = 0;          // what programs felt, if the caller says so
  restore::TransferReport tree;  // what went into the new layers

  std::string ToText() const;
  std::string ToJson() const;
};

// Errors: kInvalidArgument (a tag that is none, a name that OCI cannot hold); kNotFound (the base);
// kDataLoss (a damaged base); kUnavailable (another writer); kResourceExhausted; kCancelled. The
// layout is then what it was.
absl::StatusOr<CommitReport> Commit(const CommitRequest& request);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_COMMIT_H_
