// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/frame_pipeline.h"

#include "restore/image/internal/status.h"
#include "restore/image/tables.h"

namespace stasis::image {
namespace {
constexpr int kLevel = 1;
}  // namespace

FramePipeline::FramePipeline(Sink sink, Digests digests)
    : sink_(std::move(sink)), digests_(digests) {
  for (size_t i = 0; i < kSlots; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->content.reserve(kMaxFrameContent);
  }
  for (int i = 0; i < kWorkers; ++i) workers_.emplace_back([this] { Work(); });
}

FramePipeline::~FramePipeline() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (std::thread& worker : workers_) worker.join();
}

void FramePipeline::Work() {
  FrameCompressor compressor(kLevel);
  while (true) {
    Slot* slot = nullptr;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &FramePipeline::HasWork));
      if (stopping_) return;
      slot = slots_[taken_++ % kSlots].get();
    }
    if (digests_ == Digests::kOfContent) slot->digest = Digest::Of(slot->submitted);
    slot->status = compressor.Compress(slot->submitted, slot->stored);
    absl::MutexLock lock(&mu_);
    slot->finished = true;
  }
}

absl::Status FramePipeline::Submit(std::span<const std::byte> content) {
  slots_[filling_ % kSlots]->submitted = content;
  {
    absl::MutexLock lock(&mu_);
    ++submitted_;
  }
  ++filling_;
  if (filling_ - delivered_ == kSlots) return DeliverOldest();
  return absl::OkStatus();
}

absl::Status FramePipeline::DeliverOldest() {
  Slot& slot = *slots_[delivered_ % kSlots];
  {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&slot.finished));
    slot.finished = false;
  }
  ++delivered_;
  IMAGE_RETURN_IF_ERROR(slot.status);
  absl::Status status =
      sink_({slot.stored, static_cast<uint32_t>(slot.submitted.size()), slot.digest});
  slot.content.clear();
  return status;
}

absl::Status FramePipeline::Drain() {
  while (delivered_ < filling_) IMAGE_RETURN_IF_ERROR(DeliverOldest());
  return absl::OkStatus();
}

}  // namespace stasis::image
