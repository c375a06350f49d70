// SPDX-License-Identifier: Apache-2.0
//
// reserve.h: space of a layout for the index that takes something away, so that a disk that is full
// can be emptied.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_RESERVE_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_RESERVE_H_

#include <absl/status/statusor.h>

#include <string_view>

#include "restore/image/internal/staged_file.h"
#include "restore/image/layout.h"

namespace stasis::image {

// Has .stasis/reserve hold enough space for the index, and for one that has grown a little; without
// space for it, or a filesystem that reserves any, there is none. Requires: layout.writable().
void KeepReserve(Layout& layout);

// The next index in the space of the reserve, durable. The reserve is gone then.
// Errors: kNotFound if there is none; kResourceExhausted if it is too small.
absl::StatusOr<StagedFile> WriteIndexInReserve(Layout& layout, std::string_view bytes);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_RESERVE_H_
