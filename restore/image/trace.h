// SPDX-License-Identifier: Apache-2.0
//
// trace.h: in which order the frames of an image were first wanted after a restore.
//
// The next restore of the image reads them in that order before they are asked for (prefetch.h).
// docs/image_format.md, section 9, specifies how a trace is stored.

#ifndef STASIS_RESTORE_IMAGE_TRACE_H_
#define STASIS_RESTORE_IMAGE_TRACE_H_

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "restore/image/digest.h"

namespace stasis::image {

// Frames of a trace at most: 4 GiB of content.
inline constexpr uint32_t kMaxTraceFrames = 16'384;
// Stored bytes of one at most.
inline constexpr uint64_t kMaxTraceBlob = 256 * 1024;

struct Trace {
  Digest manifest;           // of the image that the frames are of
  uint32_t frame_count = 0;  // of that image
  std::vector<uint32_t> frames;
  friend bool operator==(const Trace&, const Trace&) = default;
};

// One zstd frame. Requires: what DecodeTrace checks. Errors: kInternal.
absl::StatusOr<std::string> EncodeTrace(const Trace& trace);
// Takes a blob apart; it may hold anything. Errors: kDataLoss that names field and value.
absl::StatusOr<Trace> DecodeTrace(std::span<const std::byte> blob);

// Listens to the reads of a PackReader. Thread-safe.
class TraceRecorder {
 public:
  explicit TraceRecorder(uint32_t max_frames = kMaxTraceFrames) : max_frames_(max_frames) {}

  // Somebody waits for a chunk of `frame`.
  void Add(uint32_t frame) {
    if (recording_.load(std::memory_order_relaxed)) AddFirst(frame);
  }
  // Nothing is recorded from now on.
  void Stop() { recording_.store(false, std::memory_order_relaxed); }
  bool recording() const { return recording_.load(std::memory_order_relaxed); }
  // The frames so far, in the order of their first use.
  std::vector<uint32_t> Frames() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void AddFirst(uint32_t frame) ABSL_LOCKS_EXCLUDED(mu_);

  const uint32_t max_frames_;
  std::atomic<bool> recording_{true};

  mutable absl::Mutex mu_;
  absl::flat_hash_set<uint32_t> seen_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> frames_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_TRACE_H_
