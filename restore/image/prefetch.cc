// SPDX-License-Identifier: Apache-2.0

#include "restore/image/prefetch.h"

#include <absl/time/clock.h>

#include <array>
#include <string>
#include <utility>

#include "restore/image/free_memory.h"
#include "restore/image/internal/idle_reader.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr std::array<std::string_view, 3> kModes = {"none", "trace", "all"};
constexpr std::array<std::string_view, 6> kStates = {"none",       "running", "done",
                                                     "incomplete", "limited", "stopped"};
constexpr absl::Duration kQuietInterval = absl::Microseconds(500);

}  // namespace

absl::StatusOr<PrefetchMode> ParsePrefetchMode(std::string_view text) {
  for (size_t i = 0; i < kModes.size(); ++i)
    if (text == kModes[i]) return static_cast<PrefetchMode>(i);
  return absl::InvalidArgumentError(
      fmt::format("'{}' is not a way to prefetch: trace, all or none", text));
}

std::string_view PrefetchModeName(PrefetchMode mode) { return kModes[static_cast<size_t>(mode)]; }

std::string_view PrefetchStateName(PrefetchState state) {
  return kStates[static_cast<size_t>(state)];
}

uint64_t DefaultPrefetchLimit() { return FreeMemory() / 2; }

// The chunks that are wanted, by the row of their frame in the order of work. All others are given
// up while this is made.
class Prefetch::FrameChunks {
 public:
  FrameChunks(ImageReader& image, const std::vector<uint32_t>& order)
      : first_(order.size() + 1), chunks_() {
    constexpr uint32_t kUnwanted = UINT32_MAX;
    std::vector<uint32_t> row_of(image.source()->frames().size(), kUnwanted);
    for (uint32_t row = 0; row < order.size(); ++row) row_of[order[row]] = row;
    const std::vector<ChunkEntry>& entries = image.chunk_entries();
    const auto row = [&](uint32_t chunk) {
      const ChunkEntry& entry = entries[chunk];
      return entry.length == 0 ? kUnwanted : row_of[entry.at.frame];
    };
    for (uint32_t i = 0; i < entries.size(); ++i) {
      if (row(i) == kUnwanted)
        image.Take(i).reset();
      else
        ++first_[row(i) + 1];
    }
    for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
    chunks_.resize(first_.back());
    std::vector<uint32_t> next = first_;
    for (uint32_t i = 0; i < entries.size(); ++i)
      if (row(i) != kUnwanted) chunks_[next[row(i)]++] = i;
  }

  std::span<const uint32_t> Of(size_t row) const {
    return std::span(chunks_).subspan(first_[row], first_[row + 1] - first_[row]);
  }

 private:
  std::vector<uint32_t> first_;  // by row: where its chunks begin
  std::vector<uint32_t> chunks_;
};

Prefetch::Prefetch(std::unique_ptr<ImageReader> image, std::span<const uint32_t> frames, bool all,
                   uint64_t max_bytes)
    : image_(std::move(image)),
      order_(frames.begin(), frames.end()),
      max_bytes_(max_bytes),
      reader_(std::make_unique<IdleReader>()) {
  const std::vector<FrameEntry>& table = image_->source()->frames();
  if (all) {
    std::vector<bool> named(table.size());
    for (const uint32_t frame : frames) named[frame] = true;
    for (uint32_t frame = 0; frame < table.size(); ++frame)
      if (!named[frame]) order_.push_back(frame);
  }
  for (const uint32_t frame : order_) total_bytes_ += table[frame].content_length;
  state_ = order_.empty() ? PrefetchState::kDone : PrefetchState::kRunning;
}

Prefetch::~Prefetch() = default;

PrefetchProgress Prefetch::progress() const { return {state_, done_bytes_, total_bytes_}; }

void Prefetch::Run() {
  if (!order_.empty()) state_ = RunFrames(FrameChunks(*image_, order_));
  reader_->End();
  image_.reset();
}

void Prefetch::Stop() {
  stopped_ = true;
  reader_->Hurry();
}

PrefetchState Prefetch::RunFrames(const FrameChunks& chunks) {
  bool complete = true;
  for (size_t row = 0; row < order_.size(); ++row) {
    if (stopped_) return PrefetchState::kStopped;
    const uint64_t bytes = image_->source()->frames()[order_[row]].content_length;
    if (loaded_bytes_ + bytes > max_bytes_) return PrefetchState::kLimited;
    complete &= LoadFrame(order_[row], chunks.Of(row));
    done_bytes_ += bytes;
  }
  return complete ? PrefetchState::kDone : PrefetchState::kIncomplete;
}

// A reader that never ends reading holds this up for good: he is served first.
void Prefetch::AwaitQuiet() const {
  while (image_->source()->waiting() > 0 && !stopped_) absl::SleepFor(kQuietInterval);
}

bool Prefetch::LoadFrame(uint32_t frame, std::span<const uint32_t> chunks) {
  PackReader& source = *image_->source();
  std::vector<RefPtr<state::Chunk>> wanted;
  for (const uint32_t index : chunks) {
    RefPtr<state::Chunk> chunk = image_->Take(index);
    if (!chunk || chunk->resident() || chunk->HasOneRef()) continue;
    if (source.FindShared(image_->chunk_entries()[index].at, chunk->size()) == nullptr)
      wanted.push_back(std::move(chunk));
    else
      (void)chunk->Bytes();
  }
  if (wanted.empty()) return true;
  FrameContent content = source.PeekFrame(frame);
  if (content == nullptr) {
    AwaitQuiet();
    auto read = source.ReadFrameBy(
        frame, [this](FileOps& ops, int fd, const FrameEntry& entry, const std::string& what) {
          return reader_->Read(ops, fd, entry, what);
        });
    if (!read.ok()) return false;  // its health has heard of it
    content = *std::move(read);
  }
  source.StageFrame(frame, content);
  bool loaded = true;
  for (const RefPtr<state::Chunk>& chunk : wanted) {
    loaded &= chunk->Bytes().has_value();
    loaded_bytes_ += chunk->size();
  }
  source.StageFrame(frame, nullptr);
  return loaded;
}

}  // namespace stasis::image
