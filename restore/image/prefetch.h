// SPDX-License-Identifier: Apache-2.0
//
// prefetch.h: file data into memory before it is asked for.
//
// A Prefetch fills the chunks of a restored tree, frame by frame: first those of a trace in its
// order, then, if all are wanted, the rest. It never makes anybody else wait for long:
//
//   - a thread of the lowest priority reads, decompresses and verifies (internal/idle_reader.h);
//     its caller only copies what it has read into chunks, and steps in now and then on a host
//     that is never idle
//   - no frame is begun while somebody waits for one in PackReader::Read
//   - whoever wants the frame that is being read reads it himself; the device is read once all the
//     same, through the page cache
//   - the frames that others have read stay in the cache: what is prefetched goes past it
//
// It holds a reference on each chunk until its turn, so a write to one makes a copy meanwhile. A
// chunk that nobody else holds any more is not loaded.

#ifndef STASIS_RESTORE_IMAGE_PREFETCH_H_
#define STASIS_RESTORE_IMAGE_PREFETCH_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "restore/image/image_reader.h"

namespace stasis::image {

enum class PrefetchMode { kNone, kTrace, kAll };
// "none", "trace", "all". Errors: kInvalidArgument.
absl::StatusOr<PrefetchMode> ParsePrefetchMode(std::string_view text);
std::string_view PrefetchModeName(PrefetchMode mode);

enum class PrefetchState {
  kNone,        // nothing to do, or not begun
  kRunning,     //
  kDone,        // everything that was wanted is in memory
  kIncomplete,  // so is what could be read
  kLimited,     // ended for want of memory
  kStopped,
};
std::string_view PrefetchStateName(PrefetchState state);

struct PrefetchProgress {
  PrefetchState state = PrefetchState::kNone;
  uint64_t done_bytes = 0;  // of frames whose turn has been
  uint64_t total_bytes = 0;
};

// Half of FreeMemory().
uint64_t DefaultPrefetchLimit();

// Used once. Thread-safe where it says so.
class Prefetch {
 public:
  // `frames` come first, in their order, then, with `all`, the others. Loads at most `max_bytes`.
  // Requires: frames are distinct and of the image; nobody calls image->Get any more.
  Prefetch(std::unique_ptr<ImageReader> image, std::span<const uint32_t> frames, bool all,
           uint64_t max_bytes);
  ~Prefetch();

  // Returns when everything is done, or Stop() was called. The image is closed then.
  void Run();
  // From another thread.
  void Stop();
  // From any thread.
  PrefetchProgress progress() const;

 private:
  class FrameChunks;

  PrefetchState RunFrames(const FrameChunks& chunks);
  // False if it could not be read.
  bool LoadFrame(uint32_t frame, std::span<const uint32_t> chunks);
  void AwaitQuiet() const;

  std::unique_ptr<ImageReader> image_;
  std::vector<uint32_t> order_;
  const uint64_t max_bytes_;
  const std::unique_ptr<class IdleReader> reader_;

  uint64_t loaded_bytes_ = 0;
  std::atomic<bool> stopped_{false};
  std::atomic<PrefetchState> state_{PrefetchState::kNone};
  std::atomic<uint64_t> done_bytes_{0};
  uint64_t total_bytes_ = 0;  // immutable after construction
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_PREFETCH_H_
