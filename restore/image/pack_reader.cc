// SPDX-License-Identifier: Apache-2.0

#include "restore/image/pack_reader.h"

#include <absl/time/clock.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "restore/image/internal/frame_io.h"
#include "restore/image/internal/shared_pack.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

// What stood in the way of sharing a pack may have gone by then.
constexpr absl::Duration kShareAgain = absl::Seconds(1);

}  // namespace

PackReader::PackReader(const Layout& layout, std::string image, std::vector<PackEntry> packs,
                       std::vector<FrameEntry> frames, PackReaderOptions options)
    : directory_(std::filesystem::absolute(layout.directory())),
      layout_id_(layout.id()),
      image_(std::move(image)),
      packs_(std::move(packs)),
      frames_(std::move(frames)),
      on_error_(std::move(options.on_error)),
      manifest_(options.manifest),
      hold_(std::move(options.hold)),
      health_(std::move(options.health)),
      recorder_(std::move(options.recorder)),
      shared_(std::move(options.shared)),
      cache_(options.cache_bytes) {}

absl::StatusOr<RefPtr<PackReader>> PackReader::Open(const Layout& layout, std::string image,
                                                    std::vector<PackEntry> packs,
                                                    std::vector<FrameEntry> frames,
                                                    PackReaderOptions options) {
  IMAGE_ASSIGN_OR_RETURN(auto files, PackFiles::Open(layout, packs, options.max_open_packs));
  auto reader = RefPtr<PackReader>::Adopt(new PackReader(layout, std::move(image), std::move(packs),
                                                         std::move(frames), std::move(options)));
  reader->files_ = std::move(files);
  reader->JoinShared();
  return reader;
}

// What whoever goes on in another process's place wants to find after that has ended.
void PackReader::JoinShared() {
  if (shared_ == nullptr) return;
  const absl::MutexLock lock(&mu_);
  sharings_.resize(packs_.size());
  for (const FrameEntry& frame : frames_) {
    ++sharings_[frame.pack].frames;
    sharings_[frame.pack].bytes += frame.content_length;
  }
  for (size_t i = 0; i < packs_.size(); ++i) sharings_[i].pack = shared_->Join(packs_[i].digest);
}

std::string PackReader::NameOf(uint32_t index) const {
  const uint32_t pack = frames_[index].pack;
  return fmt::format("{}: pack {}, frame {}", image_, packs_[pack].digest.ToString(), index);
}

absl::StatusOr<FrameContent> PackReader::ReadFrameFromAnywhere(uint32_t index,
                                                               FrameReadFn read) const {
  const FrameEntry& frame = frames_[index];
  IMAGE_ASSIGN_OR_RETURN(const PackFiles::File file, files_->Get(frame.pack));
  auto content = read(files_->ops(), file->get(), frame, NameOf(index));
  if (content.ok()) [[likely]]
    return content;
  // The descriptor may be stale, or a good file may have taken the place of a bad one.
  auto named = files_->OpenByName(frame.pack);
  if (!named.ok()) return content;
  auto again = read(files_->ops(), (*named)->get(), frame, NameOf(index));
  if (!again.ok()) return content;
  files_->Keep(frame.pack, *std::move(named));
  return again;
}

absl::StatusOr<FrameContent> PackReader::ReadFrame(uint32_t index) const {
  return ReadFrameBy(index, ReadFrameFrom);
}

absl::StatusOr<FrameContent> PackReader::ReadFrameBy(uint32_t index, FrameReadFn read) const {
  if (index >= frames_.size())
    return DataLoss("{}: there is no frame {}, only {}", image_, index, frames_.size());
  frames_read_.fetch_add(1, std::memory_order_relaxed);
  auto content = ReadFrameFromAnywhere(index, read);
  if (health_ == nullptr) return content;
  if (content.ok())
    health_->Succeeded(*this, index);
  else
    health_->Failed(*this, index, content.status());
  return content;
}

absl::StatusOr<FrameContent> PackReader::GetFrame(uint32_t index) {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  auto content = cache_.Get(index, [&] { return ReadFrame(index); });
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return content;
}

absl::Status PackReader::ReadChunk(state::ChunkLocation at, std::span<std::byte> out) {
  if (out.empty()) return absl::OkStatus();
  IMAGE_ASSIGN_OR_RETURN(const FrameContent content, GetFrame(at.frame));
  if (at.offset > content->size() || out.size() > content->size() - at.offset)
    return DataLoss("{}: {} bytes at {} are not within frame {}", image_, out.size(), at.offset,
                    at.frame);
  std::memcpy(out.data(), content->data() + at.offset, out.size());
  return absl::OkStatus();
}

Result<void> PackReader::Read(state::ChunkLocation at, std::span<std::byte> out) {
  if (recorder_ != nullptr && !out.empty()) recorder_->Add(at.frame);
  const absl::Status status = ReadChunk(at, out);
  if (status.ok()) [[likely]]
    return {};
  return Failed(status);
}

tl::unexpected<Errno> PackReader::Failed(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    last_error_ = status;
  }
  if (on_error_) on_error_(status);
  return Err(EIO);
}

std::shared_ptr<SharedPack> PackReader::SharedPackOf(const FrameEntry& frame) {
  const absl::MutexLock lock(&mu_);
  Sharing& sharing = sharings_[frame.pack];
  if (sharing.pack != nullptr) return sharing.pack;
  const absl::Time now = absl::Now();
  if (now < sharing.again) return nullptr;
  sharing.pack = shared_->Get(packs_[frame.pack].digest, sharing.frames, sharing.bytes);
  sharing.again = now + kShareAgain;
  return sharing.pack;
}

const std::byte* PackReader::FindShared(state::ChunkLocation at, uint32_t size) {
  if (shared_ == nullptr || at.frame >= frames_.size()) return nullptr;
  const std::shared_ptr<SharedPack> pack = SharedPackOf(frames_[at.frame]);
  return pack == nullptr ? nullptr : pack->Find(frames_[at.frame], at.offset, size);
}

Result<const std::byte*> PackReader::InPlace(state::ChunkLocation at, uint32_t size) {
  if (shared_ == nullptr || size == 0 || at.frame >= frames_.size()) return nullptr;
  const FrameEntry& frame = frames_[at.frame];
  const std::shared_ptr<SharedPack> pack = SharedPackOf(frame);
  if (pack == nullptr) return nullptr;
  if (recorder_ != nullptr) recorder_->Add(at.frame);
  if (const std::byte* there = pack->Find(frame, at.offset, size)) return there;
  const absl::StatusOr<FrameContent> content = GetFrame(at.frame);
  if (!content.ok()) return Failed(content.status());
  return pack->Put(frame, **content, at.offset, size);
}

absl::Status PackReader::last_error() const {
  absl::MutexLock lock(&mu_);
  return last_error_;
}

}  // namespace stasis::image
