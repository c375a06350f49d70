// SPDX-License-Identifier: Apache-2.0
//
// frame_io.h: one frame, from a pack to verified content.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_FRAME_IO_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_FRAME_IO_H_

#include <absl/status/statusor.h>

#include <string>

#include "restore/image/file_ops.h"
#include "restore/image/frame_cache.h"
#include "restore/image/tables.h"

namespace stasis::image {

// Reads the frame from the pack `fd`, decompresses it and compares the digest of its content.
// Requires: the lengths in `frame` are within the limits of tables.h.
// Errors: kDataLoss, kInternal; `what` names the frame.
absl::StatusOr<FrameContent> ReadFrameFrom(FileOps& ops, int fd, const FrameEntry& frame,
                                           const std::string& what);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_FRAME_IO_H_
