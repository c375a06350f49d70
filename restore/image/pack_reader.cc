// SPDX-License-Identifier: Apache-2.0

#include "restore/image/pack_reader.h"

#include <cstring>
#include <filesystem>
#include <utility>

#include "restore/image/internal/frame_io.h"
#include "restore/image/internal/status.h"

namespace stasis::image {

PackReader::PackReader(const Layout& layout, std::string image, std::vector<PackEntry> packs,
                       std::vector<FrameEntry> frames, PackReaderOptions options)
    : ops_(layout.shared_ops()),
      directory_(std::filesystem::absolute(layout.directory())),
      layout_id_(layout.id()),
      image_(std::move(image)),
      packs_(std::move(packs)),
      frames_(std::move(frames)),
      on_error_(std::move(options.on_error)),
      hold_(std::move(options.hold)),
      cache_(options.cache_bytes) {}

absl::StatusOr<RefPtr<PackReader>> PackReader::Open(const Layout& layout, std::string image,
                                                    std::vector<PackEntry> packs,
                                                    std::vector<FrameEntry> frames,
                                                    PackReaderOptions options) {
  auto reader = RefPtr<PackReader>::Adopt(new PackReader(layout, std::move(image), std::move(packs),
                                                         std::move(frames), std::move(options)));
  for (const PackEntry& pack : reader->packs_) {
    IMAGE_ASSIGN_OR_RETURN(UniqueFd fd, layout.OpenBlob(pack.digest, pack.size));
    reader->fds_.push_back(std::move(fd));
  }
  return reader;
}

absl::StatusOr<FrameContent> PackReader::ReadFrame(uint32_t index) const {
  if (index >= frames_.size())
    return DataLoss("{}: there is no frame {}, only {}", image_, index, frames_.size());
  const FrameEntry& frame = frames_[index];
  frames_read_.fetch_add(1, std::memory_order_relaxed);
  return ReadFrameFrom(
      *ops_, fds_[frame.pack].get(), frame,
      fmt::format("{}: pack {}, frame {}", image_, packs_[frame.pack].digest.ToString(), index));
}

absl::Status PackReader::ReadChunk(state::ChunkLocation at, std::span<std::byte> out) {
  if (out.empty()) return absl::OkStatus();
  IMAGE_ASSIGN_OR_RETURN(const FrameContent content,
                         cache_.Get(at.frame, [&] { return ReadFrame(at.frame); }));
  if (at.offset > content->size() || out.size() > content->size() - at.offset)
    return DataLoss("{}: {} bytes at {} are not within frame {}", image_, out.size(), at.offset,
                    at.frame);
  std::memcpy(out.data(), content->data() + at.offset, out.size());
  return absl::OkStatus();
}

Result<void> PackReader::Read(state::ChunkLocation at, std::span<std::byte> out) {
  const absl::Status status = ReadChunk(at, out);
  if (status.ok()) [[likely]]
    return {};
  {
    absl::MutexLock lock(&mu_);
    last_error_ = status;
  }
  if (on_error_) on_error_(status);
  return Err(EIO);
}

absl::Status PackReader::last_error() const {
  absl::MutexLock lock(&mu_);
  return last_error_;
}

}  // namespace stasis::image
