// SPDX-License-Identifier: Apache-2.0
//
// history.h: the tags of a layout, one after the other: what `stasis log` shows.

#ifndef STASIS_RESTORE_IMAGE_HISTORY_H_
#define STASIS_RESTORE_IMAGE_HISTORY_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "restore/image/layout.h"
#include "restore/image/lease.h"

namespace stasis::image {

// A digest that the manifest names as that of the checkpoint before.
struct HistoryParent {
  enum class State {
    kTagged,
    kUntagged,  // its manifest is there, no tag names it
    kGone
  };
  std::string digest;  // as it is written
  State state = State::kGone;
  std::vector<std::string> tags;  // of it, or of what it became when it was squashed
};

struct HistoryEntry {
  std::string tag;
  Digest digest;  // of the manifest; zeros if the entry does not say
  bool is_checkpoint = false;
  std::string artifact_type;  // what it is otherwise
  std::string created;        // RFC 3339; empty if it does not say
  std::string name;           // of the sandbox; may be empty
  std::optional<HistoryParent> parent;
  std::optional<uint64_t> files;
  std::optional<uint64_t> content_bytes;  // of file data
  uint64_t stored_bytes = 0;              // of its blobs, those of its trace too
  uint64_t own_bytes = 0;                 // of them, what no other tag needs
  bool has_trace = false;
  std::vector<LeaseInfo> leases;  // that name it, or everything
  absl::Status status;            // what is wrong with it
};

struct History {
  std::vector<HistoryEntry> entries;  // newest first
  uint64_t blobs = 0;                 // files in the layout
  uint64_t total_bytes = 0;           // of them
  uint64_t unnamed_bytes = 0;         // of those that no entry of the index needs
};

// Reads manifests and configs, and looks for the other blobs; their content is not verified.
// Errors: kDataLoss if the index is damaged. A damaged image is no error, but has a `status`.
absl::StatusOr<History> ReadHistory(const Layout& layout);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_HISTORY_H_
