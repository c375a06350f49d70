// SPDX-License-Identifier: Apache-2.0
//
// footer.h: the last bytes of a state blob.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_FOOTER_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_FOOTER_H_

#include <absl/status/statusor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "restore/image/state_blob.h"

namespace stasis::image {

struct Footer {
  uint64_t index_offset = 0;
  uint64_t index_stored = 0;
  uint64_t index_content = 0;
  Digest index_digest;  // of the stored bytes
};

std::array<std::byte, kFooterSize> EncodeFooter(const Footer& footer);
// Reads the footer at the end of `blob` and checks that the index lies right before it.
// Errors: kDataLoss.
absl::StatusOr<Footer> DecodeFooter(std::span<const std::byte> blob);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_FOOTER_H_
