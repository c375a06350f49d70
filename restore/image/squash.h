// SPDX-License-Identifier: Apache-2.0
//
// squash.h: an image whose data lies in packs of its own, in the order of its chunks.
//
// After many incremental checkpoints an image's data is spread over the packs of its ancestors,
// among frames that it does not use, and keeps all of them from being removed. Squashing writes the
// chunks anew, one after the other. State, config and annotations stay what they are.

#ifndef STASIS_RESTORE_IMAGE_SQUASH_H_
#define STASIS_RESTORE_IMAGE_SQUASH_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "restore/image/image_writer.h"
#include "restore/image/layout.h"

namespace stasis::image {

struct SquashOptions {
  std::vector<std::string> known_features;
  uint32_t depth = 0;  // nearest ancestors whose packs the image may go on sharing
  std::function<void(const WriteProgress&)> on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed; true stops it with kCancelled
};

struct SquashReport {
  std::string reference;
  Digest before;  // of the manifest
  Digest after;   // the same if there was nothing to do
  uint64_t chunks = 0;
  uint64_t content_bytes = 0;
  uint64_t written_bytes = 0;  // content that was written anew
  uint64_t stored_bytes = 0;   // of the packs that it is in now
  uint64_t packs_before = 0;
  uint64_t packs_after = 0;
  uint64_t frames_before = 0;
  uint64_t frames_after = 0;
};

// Requires: layout.writable(). The tag moves last, after every chunk was read back from the new
// packs and compared; a failure leaves everything as it was. Its old data goes with the next
// CollectGarbage, as does a trace.
// Errors: those of ImageReader::Open; kDataLoss naming chunk, pack and frame that are damaged;
// kCancelled; those of writing.
absl::StatusOr<SquashReport> SquashImage(Layout& layout, const std::string& tag,
                                         const SquashOptions& options);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_SQUASH_H_
