// SPDX-License-Identifier: Apache-2.0
//
// pending.h: what a dead writer left, and how the next one knows.
//
// Between giving blobs their names and replacing index.json, .stasis/tmp/pending holds their
// digests, one in hexadecimal per line. A writer that finds the file removes those of them that
// nothing in the index refers to. Blobs that are not listed are never removed: they may be another
// program's.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_PENDING_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_PENDING_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <vector>

#include "restore/image/layout.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

// Writes the list, and returns its file. Requires: layout.writable(); the caller makes file and
// folder durable before a blob on it gets its name.
absl::StatusOr<UniqueFd> WritePending(Layout& layout, const std::vector<Digest>& digests);

// Removes the list; a failure does no harm.
void RemovePending(Layout& layout);

// Removes pending blobs that nothing refers to, then everything in .stasis/tmp.
// Errors: kDataLoss if the index is damaged, so that nobody knows what is referred to.
absl::Status RemoveLeftovers(Layout& layout);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_PENDING_H_
