// SPDX-License-Identifier: Apache-2.0
//
// frame_pipeline.h: compresses and hashes frames on worker threads, in order.
//
// One thread fills Content() and calls Submit(), or submits what lies elsewhere; two others work;
// finished frames come back to the first thread, through `sink`, in the order in which they were
// submitted. At most kSlots frames exist at once, so of packs memory stays below 10 MiB whatever is
// written.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_FRAME_PIPELINE_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_FRAME_PIPELINE_H_

#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "restore/image/digest.h"
#include "restore/image/internal/zstd.h"

namespace stasis::image {

struct FinishedFrame {
  std::span<const std::byte> stored;
  uint32_t content_length = 0;
  Digest content_digest;  // if they are wanted
};

class FramePipeline {
 public:
  using Sink = std::function<absl::Status(const FinishedFrame&)>;

  enum class Digests { kOfContent, kNone };

  explicit FramePipeline(Sink sink, Digests digests = Digests::kOfContent);
  // Waits for the workers; what they still had is dropped.
  ~FramePipeline();

  // The content of the next frame, to be appended to; empty after Submit().
  std::vector<std::byte>& Content() { return slots_[filling_ % kSlots]->content; }
  // Number of the frame that Content() is.
  uint32_t current() const { return static_cast<uint32_t>(filling_); }
  // Gives the frame to the workers; may call `sink` for earlier ones. Requires: Content() not
  // empty.
  absl::Status Submit() { return Submit(Content()); }
  // The same for content that stays as it is until the end of this. Requires: Content() empty, or
  // the content.
  absl::Status Submit(std::span<const std::byte> content);
  // Waits for all frames and calls `sink` for them.
  absl::Status Drain();

 private:
  static constexpr size_t kSlots = 16;
  static constexpr int kWorkers = 2;

  struct Slot {
    std::vector<std::byte> content;
    std::span<const std::byte> submitted;  // that, or what lies elsewhere
    std::vector<std::byte> stored;
    Digest digest;
    absl::Status status;
    bool finished = false;  // guarded by mu_
  };

  void Work();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || taken_ < submitted_;
  }
  // Waits for the oldest frame and hands it on.
  absl::Status DeliverOldest();

  const Sink sink_;
  const Digests digests_;
  std::vector<std::unique_ptr<Slot>> slots_;  // frame n is in slot n % kSlots

  // The submitting thread's.
  uint64_t filling_ = 0;
  uint64_t delivered_ = 0;

  absl::Mutex mu_;
  uint64_t submitted_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t taken_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::vector<std::thread> workers_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_FRAME_PIPELINE_H_
