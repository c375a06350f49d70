// SPDX-License-Identifier: Apache-2.0

#include "restore/image/pack_writer.h"

#include <algorithm>

#include "restore/image/internal/status.h"
#include "state/base/rcu.h"

namespace stasis::image {
namespace {

constexpr uint32_t kUnknown = UINT32_MAX;
constexpr uint64_t kReportStep = 4 * 1024 * 1024;

}  // namespace

PackWriter::PackWriter(Layout& layout, Transaction& transaction,
                       std::function<void(const WriteProgress&)> on_progress,
                       const std::atomic<bool>* cancel)
    : layout_(layout),
      transaction_(transaction),
      on_progress_(std::move(on_progress)),
      cancel_(cancel) {}

absl::StatusOr<PackedData> PackWriter::Write(std::span<const ChunkRef> chunks) {
  Classify(chunks);
  IMAGE_RETURN_IF_ERROR(WriteDirty(chunks));
  Report(/*force=*/true);
  return Finish();
}

PackWriter::Source& PackWriter::SourceOf(const state::ChunkSource* source) {
  if (source == last_source_) return *last_;
  std::unique_ptr<Source>& entry = sources_[source];
  if (entry == nullptr) {
    entry = std::make_unique<Source>();
    const auto* reader = dynamic_cast<const PackReader*>(source);
    if (reader != nullptr && reader->layout_id() == layout_.id()) {
      entry->reader = reader;
      entry->frames.assign(reader->frames().size(), kUnknown);
      entry->present.resize(reader->packs().size());
    }
  }
  last_source_ = source;
  last_ = entry.get();
  return *last_;
}

bool PackWriter::PackPresent(Source& source, uint32_t pack) {
  std::optional<bool>& present = source.present[pack];
  if (!present.has_value()) {
    const PackEntry& entry = source.reader->packs()[pack];
    present = (!may_refer_.has_value() || may_refer_->contains(entry.digest)) &&
              layout_.HasBlob(entry.digest, entry.size);
  }
  return *present;
}

uint32_t PackWriter::AddPack(const PackEntry& pack) {
  const auto [it, added] = pack_rows_.try_emplace(pack.digest, packs_.size());
  if (added) packs_.push_back(pack);
  return it->second;
}

// The same frame may come from several images that share its pack, or be written again into a pack
// that turns out to exist: it gets one row.
uint32_t PackWriter::AddFrame(const FrameEntry& frame) {
  const auto [it, added] =
      frame_rows_.try_emplace(std::pair(frame.pack, frame.offset), frames_.size());
  if (added) frames_.push_back(frame);
  return it->second;
}

std::optional<state::ChunkLocation> PackWriter::FindStored(const state::Chunk& chunk) {
  const state::Chunk::StoredCopy stored = chunk.stored();
  if (!stored.source) return std::nullopt;
  Source& source = SourceOf(stored.source.get());
  if (source.reader == nullptr || stored.at.frame >= source.frames.size()) return std::nullopt;
  uint32_t& row = source.frames[stored.at.frame];
  if (row == kUnknown) {
    FrameEntry frame = source.reader->frames()[stored.at.frame];
    if (!PackPresent(source, frame.pack)) return std::nullopt;
    frame.pack = AddPack(source.reader->packs()[frame.pack]);
    row = AddFrame(frame);
  }
  return state::ChunkLocation{row, stored.at.offset};
}

void PackWriter::Classify(std::span<const ChunkRef> chunks) {
  chunks_.resize(chunks.size());
  dirty_.resize(chunks.size());
  for (size_t i = 0; i < chunks.size(); ++i) {
    const uint32_t size = chunks[i]->size();
    chunks_[i].length = size;
    if (size == 0) continue;
    if (const auto at = FindStored(*chunks[i]); at.has_value()) {
      chunks_[i].at = *at;
      result_.reused_bytes += size;
    } else {
      dirty_[i] = true;
      result_.dirty_bytes += size;
    }
  }
  dirty_left_ = result_.dirty_bytes;
  progress_.chunks_total = chunks.size();
}

absl::Status PackWriter::WriteDirty(std::span<const ChunkRef> chunks) {
  FramePipeline pipeline([this](const FinishedFrame& frame) { return TakeFrame(frame); });
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed))
      return absl::CancelledError("writing the image was cancelled");
    ++progress_.chunks_done;
    if (!dirty_[i]) continue;
    if (pipeline.Content().size() + chunks_[i].length > kMaxFrameContent)
      IMAGE_RETURN_IF_ERROR(pipeline.Submit());
    std::vector<std::byte>& content = pipeline.Content();
    chunks_[i].at = {pipeline.current(), static_cast<uint32_t>(content.size())};
    IMAGE_RETURN_IF_ERROR(AppendChunk(i, *chunks[i], content));
    progress_.content_bytes += chunks_[i].length;
    Report(/*force=*/false);
  }
  if (!pipeline.Content().empty()) IMAGE_RETURN_IF_ERROR(pipeline.Submit());
  IMAGE_RETURN_IF_ERROR(pipeline.Drain());
  return ClosePack();
}

absl::Status PackWriter::AppendChunk(size_t index, const state::Chunk& chunk,
                                     std::vector<std::byte>& content) {
  const auto failed = [index](const std::string& why) {
    return DataLoss("cannot load file data (chunk {}) from the image that it is stored in: {}",
                    index, why);
  };
  // A chunk of another image is copied past its memory: saving must not load everything. Nor is it
  // somebody's read: no trace records it, no prefetch gives way to it.
  const state::Chunk::StoredCopy stored = chunk.stored();
  auto* reader = dynamic_cast<PackReader*>(stored.source.get());
  if (!chunk.resident() && reader != nullptr) {
    const size_t start = content.size();
    content.resize(start + chunk.size());
    const absl::Status read = reader->ReadChunk(stored.at, std::span(content).subspan(start));
    return read.ok() ? read : failed(std::string(read.message()));
  }
  const rcu::ReadLock reading;  // it may be dropped from memory
  const auto bytes = chunk.Bytes();
  if (!bytes) return failed(ErrnoName(bytes.error()));
  content.insert(content.end(), bytes->begin(), bytes->end());
  return absl::OkStatus();
}

absl::Status PackWriter::TakeFrame(const FinishedFrame& frame) {
  const auto known = by_content_.find(frame.content_digest);
  if (known != by_content_.end()) {
    places_.push_back(known->second);
    return absl::OkStatus();
  }
  if (pack_.has_value() && pack_->size() + frame.stored.size() > kPackTarget)
    IMAGE_RETURN_IF_ERROR(ClosePack());
  if (!pack_.has_value()) {
    auto pack = BlobWriter::Create(layout_, std::min(kPackTarget, dirty_left_));
    if (!pack.ok()) return pack.status();
    pack_.emplace(*std::move(pack));
  }
  const auto place =
      std::pair(static_cast<uint32_t>(written_.size()), static_cast<uint32_t>(pack_frames_.size()));
  places_.push_back(place);
  by_content_[frame.content_digest] = place;
  FrameEntry& entry = pack_frames_.emplace_back();
  entry.offset = pack_->size();
  entry.stored_length = static_cast<uint32_t>(frame.stored.size());
  entry.content_length = frame.content_length;
  entry.content_digest = frame.content_digest;
  dirty_left_ -= std::min<uint64_t>(dirty_left_, frame.content_length);
  progress_.stored_bytes += frame.stored.size();
  ++result_.frames_written;
  return pack_->Append(frame.stored);
}

absl::Status PackWriter::ClosePack() {
  if (!pack_.has_value()) return absl::OkStatus();
  IMAGE_ASSIGN_OR_RETURN(const StoredBlob blob, transaction_.Add(*std::move(pack_)));
  pack_.reset();
  const uint32_t row = AddPack({blob.digest, blob.size});
  std::vector<uint32_t>& rows = written_.emplace_back();
  for (FrameEntry& frame : pack_frames_) {
    frame.pack = row;
    rows.push_back(AddFrame(frame));
  }
  pack_frames_.clear();
  result_.stored_bytes += blob.size;
  ++result_.packs_written;
  return absl::OkStatus();
}

void PackWriter::Report(bool force) {
  if (!on_progress_) return;
  if (!force && progress_.content_bytes - reported_ < kReportStep) return;
  reported_ = progress_.content_bytes;
  on_progress_(progress_);
}

// Numbers frames and packs by first use, so that the chunk table is mostly zeros and nothing
// depends on which thread was faster.
PackedData PackWriter::Finish() {
  std::vector<uint32_t> new_frame(frames_.size(), kUnknown);
  std::vector<uint32_t> new_pack(packs_.size(), kUnknown);
  DataTables& tables = result_.tables;
  for (size_t i = 0; i < chunks_.size(); ++i) {
    if (chunks_[i].length == 0) continue;
    uint32_t row = chunks_[i].at.frame;
    if (dirty_[i]) row = written_[places_[row].first][places_[row].second];
    if (new_frame[row] == kUnknown) {
      FrameEntry frame = frames_[row];
      if (new_pack[frame.pack] == kUnknown) {
        new_pack[frame.pack] = static_cast<uint32_t>(tables.packs.size());
        tables.packs.push_back(packs_[frame.pack]);
      }
      frame.pack = new_pack[frame.pack];
      new_frame[row] = static_cast<uint32_t>(tables.frames.size());
      tables.frames.push_back(frame);
    }
    chunks_[i].at.frame = new_frame[row];
  }
  tables.chunks = std::move(chunks_);
  return std::move(result_);
}

}  // namespace stasis::image
