// SPDX-License-Identifier: Apache-2.0

#include "restore/image/lazy_image.h"

#include <sys/prctl.h>

#include <algorithm>
#include <string>

#include "state/chunk_reclaim.h"

namespace stasis::image {

LazyImage::LazyImage(LazyOptions options)
    : options_(std::move(options)),
      health_(std::make_shared<ReadHealth>(options_.health)),
      recorder_(std::make_shared<TraceRecorder>()),
      shared_(options_.share_in.empty() ? nullptr
                                        : std::make_shared<SharedFrames>(options_.share_in)) {
  if (!options_.record || options_.mode == PrefetchMode::kAll) recorder_->Stop();
}

PackReaderOptions LazyImage::LaterOptions() const {
  PackReaderOptions options;
  options.health = health_;
  options.shared = shared_;
  return options;
}

PackReaderOptions LazyImage::RestoreOptions() const {
  PackReaderOptions options = LaterOptions();
  options.recorder = recorder_;
  return options;
}

void LazyImage::Attach(std::unique_ptr<ImageReader> image) {
  subject_ = {image->info().manifest_digest, image->info().manifest_size,
              static_cast<uint32_t>(image->source()->frames().size())};
  image_ = std::move(image);
  // Held by nobody else, chunks need not be copied to be written to.
  if (options_.mode == PrefetchMode::kNone) image_.reset();
}

void LazyImage::Start() {
  const absl::MutexLock lock(&mu_);
  if (stopped_ || thread_.joinable() || subject_.manifest_size == 0) return;
  thread_ = std::thread([this] { Run(); });
}

void LazyImage::Stop() {
  std::thread ended;
  {
    const absl::MutexLock lock(&mu_);
    stopped_ = true;
    if (prefetch_ != nullptr) prefetch_->Stop();
    ended = std::move(thread_);
  }
  if (ended.joinable()) ended.join();
  image_.reset();
  health_->Stop();
}

void LazyImage::Run() {
  prctl(PR_SET_NAME, "stasis-prefetch");
  if (options_.mode != PrefetchMode::kNone) {
    const std::vector<uint32_t> trace = ReadTrace();
    if (!trace.empty() || options_.mode == PrefetchMode::kAll) {
      recorder_->Stop();
      RunPrefetch(trace);
      return;
    }
    image_.reset();
  }
  Record();
}

std::vector<uint32_t> LazyImage::ReadTrace() const {
  const auto layout = Layout::Open(options_.directory);
  if (!layout.ok()) return {};
  auto trace = FindTrace(**layout, subject_);
  if (trace.ok()) return std::move(trace->frames);
  Note(std::string(trace.status().message()));
  return {};
}

void LazyImage::RunPrefetch(const std::vector<uint32_t>& trace) {
  uint64_t most = options_.max_bytes != 0 ? options_.max_bytes : DefaultPrefetchLimit();
  // More would be dropped from memory again.
  if (const uint64_t limit = state::ChunkReclaim::limit(); limit != 0) most = std::min(most, limit);
  const auto prefetch = std::make_shared<Prefetch>(std::move(image_), trace,
                                                   options_.mode == PrefetchMode::kAll, most);
  {
    const absl::MutexLock lock(&mu_);
    if (stopped_) return;
    prefetch_ = prefetch;
  }
  prefetch->Run();
}

void LazyImage::Record() {
  {
    const absl::MutexLock lock(&mu_);
    const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopped_; };
    (void)mu_.AwaitWithTimeout(absl::Condition(&over), options_.record_for);
  }
  recorder_->Stop();
  std::vector<uint32_t> frames = recorder_->Frames();
  if (!options_.record || frames.empty()) return;
  const absl::Status stored = StoreTrace(options_.directory, subject_, std::move(frames));
  if (!stored.ok()) Note(std::string(stored.message()));
}

PrefetchProgress LazyImage::progress() const {
  const absl::MutexLock lock(&mu_);
  return prefetch_ == nullptr ? PrefetchProgress() : prefetch_->progress();
}

}  // namespace stasis::image
