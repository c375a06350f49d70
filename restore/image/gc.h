// SPDX-License-Identifier: Apache-2.0
//
// gc.h: removing the blobs that nobody needs.
//
// What index.json names stays, with all that it needs (contents.h), and what a live lease names
// (lease.h). A referrer without a tag goes with its subject. Of the rest, what belongs to images
// that Stasis has written goes at once; anything else may be another program's that is about to be
// named, and goes when it is old enough. docs/image_format.md, section 8, has the rules.

#ifndef STASIS_RESTORE_IMAGE_GC_H_
#define STASIS_RESTORE_IMAGE_GC_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "restore/image/layout.h"
#include "restore/image/lease.h"
#include "restore/image/transaction.h"
#include "state/base/clock.h"

namespace stasis::image {

inline constexpr TimeNs kDefaultGrace = TimeNs{3600} * 1'000'000'000;

struct GcOptions {
  bool dry_run = false;
  TimeNs now = 0;                     // by the clock of the files' times
  TimeNs older_than = kDefaultGrace;  // how old another program's blobs have to be
};

// What is there only because somebody reads it.
struct LeasedBlobs {
  LeaseInfo lease;
  uint64_t blobs = 0;
  uint64_t bytes = 0;
};

struct GcReport {
  std::vector<StoredBlob> removed;  // or would be, of a dry run
  uint64_t removed_bytes = 0;
  std::vector<Digest> removed_entries;  // of index.json: referrers whose subject is gone
  uint64_t kept_blobs = 0;              // for the index
  uint64_t kept_bytes = 0;
  std::vector<LeasedBlobs> leased;  // by leases that keep something
  uint64_t young_blobs = 0;         // not named, but too new to be removed
  uint64_t young_bytes = 0;
  uint64_t unknown_files = 0;  // in blobs/sha256 that are no blobs: left alone
  uint64_t dead_leases = 0;
};

// Removes what is not needed. Whenever it is killed, everything that is named verifies, and the
// next run goes on. A dry run only looks.
//
// Requires: layout.writable(), but for a dry run.
// Errors: kDataLoss naming the tag if a manifest is damaged: nobody knows what it needs, so nothing
// is removed; kInternal naming the blob that could not be removed.
absl::StatusOr<GcReport> CollectGarbage(Layout& layout, const GcOptions& options);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_GC_H_
