// SPDX-License-Identifier: Apache-2.0
//
// read_health.h: which stored data cannot be read at the moment.
//
// Several PackReaders may share a ReadHealth. A frame that cannot be read is on its list until it
// is read well: by whoever wants it, or by a thread that tries what is on the list again and runs
// only while there is something on it. Each frame is named once while it is there, and no more than
// a few in a while.

#ifndef STASIS_RESTORE_IMAGE_READ_HEALTH_H_
#define STASIS_RESTORE_IMAGE_READ_HEALTH_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "state/base/ref_ptr.h"

namespace stasis::image {

class PackReader;

struct ReadHealthOptions {
  // Both are called from any thread and must not touch chunks.
  std::function<void(const absl::Status&)> on_failed;
  std::function<void(const std::string&)> on_recovered;
  absl::Duration retry = absl::Seconds(1);
  // At most so many failures are named in `window`; the rest is counted.
  uint32_t most_named = 10;
  absl::Duration window = absl::Minutes(1);
};

// Thread-safe.
class ReadHealth {
 public:
  explicit ReadHealth(ReadHealthOptions options) : options_(std::move(options)) {}
  ReadHealth(const ReadHealth&) = delete;
  ReadHealth& operator=(const ReadHealth&) = delete;
  // Requires: Stop() was called, or nothing has failed.
  ~ReadHealth();

  // Ends the thread, and the list: the readers on it hold this object.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // What PackReader says of its frames.
  void Failed(const PackReader& reader, uint32_t frame, const absl::Status& error)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Succeeded(const PackReader& reader, uint32_t frame) ABSL_LOCKS_EXCLUDED(mu_) {
    if (failing_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      Recover(reader, frame);
  }

  // Why data cannot be read: the latest error, and how many frames it is about. Empty if all can.
  std::string Reason() const ABSL_LOCKS_EXCLUDED(mu_);
  // Frames on the list.
  size_t failing() const { return failing_.load(std::memory_order_relaxed); }

 private:
  // What a reader cannot read.
  struct Failing {
    RefPtr<const RefCounted> held;  // the reader
    std::set<uint32_t> frames;
  };

  void Recover(const PackReader& reader, uint32_t frame) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether this failure is one to name.
  bool MayName() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Retry() ABSL_LOCKS_EXCLUDED(mu_);
  void RetryFrames(const Failing& failing) ABSL_LOCKS_EXCLUDED(mu_);
  void Forget(const PackReader& reader) ABSL_LOCKS_EXCLUDED(mu_);
  void Recovered();
  void CountLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ReadHealthOptions options_;
  std::atomic<size_t> failing_{0};

  mutable absl::Mutex mu_;
  absl::flat_hash_map<const PackReader*, Failing> readers_ ABSL_GUARDED_BY(mu_);
  absl::Status latest_ ABSL_GUARDED_BY(mu_);
  absl::Time window_end_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  uint32_t named_ ABSL_GUARDED_BY(mu_) = 0;  // in this window
  bool retrying_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_READ_HEALTH_H_
