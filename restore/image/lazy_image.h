// SPDX-License-Identifier: Apache-2.0
//
// lazy_image.h: what goes on behind a restored tree whose data is not all in memory.
//
// One thread, from Start() on: it prefetches by the image's trace if there is one; otherwise it
// records one for the next restore, and stores it beside the image. And a ReadHealth, for all
// readers of the tree.

#ifndef STASIS_RESTORE_IMAGE_LAZY_IMAGE_H_
#define STASIS_RESTORE_IMAGE_LAZY_IMAGE_H_

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "restore/image/prefetch.h"
#include "restore/image/read_health.h"
#include "restore/image/trace_store.h"

namespace stasis::image {

struct LazyOptions {
  std::string directory;  // of the layout, absolute
  PrefetchMode mode = PrefetchMode::kNone;
  bool record = true;  // a trace, unless one is followed or everything is prefetched
  absl::Duration record_for = absl::Seconds(60);
  uint64_t max_bytes = 0;  // to prefetch; 0: DefaultPrefetchLimit()
  // Where data that is read is shared with others (shared_frames.h); empty: nowhere.
  std::string share_in;
  ReadHealthOptions health;
  std::function<void(const std::string&)> on_note;  // hears what nobody needs to know; may be null
};

// Thread-safe but for what comes before Start().
class LazyImage {
 public:
  explicit LazyImage(LazyOptions options);
  LazyImage(const LazyImage&) = delete;
  LazyImage& operator=(const LazyImage&) = delete;
  ~LazyImage() { Stop(); }

  // For the restore that is to come: it is listened to.
  PackReaderOptions RestoreOptions() const;
  // For images that chunks of the tree refer to later.
  PackReaderOptions LaterOptions() const;
  // What was restored.
  void Attach(std::unique_ptr<ImageReader> image);

  // Once the tree is served. Does nothing without an image, or after Stop().
  void Start() ABSL_LOCKS_EXCLUDED(mu_);
  // Ends everything; what was recorded is stored. May be called again.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  PrefetchMode mode() const { return options_.mode; }
  PrefetchProgress progress() const ABSL_LOCKS_EXCLUDED(mu_);
  const ReadHealth& health() const { return *health_; }
  // Bytes of memory that data takes which is shared.
  uint64_t shared_bytes() const { return shared_ == nullptr ? 0 : shared_->bytes(); }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<uint32_t> ReadTrace() const;
  void RunPrefetch(const std::vector<uint32_t>& trace) ABSL_LOCKS_EXCLUDED(mu_);
  void Record() ABSL_LOCKS_EXCLUDED(mu_);
  void Note(const std::string& what) const {
    if (options_.on_note) options_.on_note(what);
  }

  const LazyOptions options_;
  const std::shared_ptr<ReadHealth> health_;
  const std::shared_ptr<TraceRecorder> recorder_;
  const std::shared_ptr<SharedFrames> shared_;  // may be null
  std::unique_ptr<ImageReader> image_;          // until Start(), then the thread's
  TraceSubject subject_;

  mutable absl::Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<Prefetch> prefetch_ ABSL_GUARDED_BY(mu_);
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_LAZY_IMAGE_H_
