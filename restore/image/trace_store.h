// SPDX-License-Identifier: Apache-2.0
//
// trace_store.h: the trace of an image, beside it in its layout.
//
// An artifact that refers to the image's manifest, as OCI has it: a manifest of its own with a
// `subject`, listed in index.json without a tag. An image has at most one.

#ifndef STASIS_RESTORE_IMAGE_TRACE_STORE_H_
#define STASIS_RESTORE_IMAGE_TRACE_STORE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "restore/image/layout.h"
#include "restore/image/trace.h"

namespace stasis::image {

// The image that a trace is of.
struct TraceSubject {
  Digest manifest;
  uint64_t manifest_size = 0;
  uint32_t frame_count = 0;
};

// Errors: kNotFound if there is none; kDataLoss if what is there is damaged, of another image, or
// names frames that the image does not have.
absl::StatusOr<Trace> FindTrace(const Layout& layout, const TraceSubject& subject);

// Stores what was recorded in place of what is there. The layout is not made if it has gone.
// Errors: those of layout.h; kNotFound if the layout does not have the image any more.
absl::Status StoreTrace(const std::string& directory, const TraceSubject& subject,
                        std::vector<uint32_t> frames, std::shared_ptr<FileOps> ops = nullptr);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_TRACE_STORE_H_
