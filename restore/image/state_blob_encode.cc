// SPDX-License-Identifier: Apache-2.0

#include <absl/synchronization/mutex.h>
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <array>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "restore/image/internal/columns.h"
#include "restore/image/internal/footer.h"
#include "restore/image/internal/status.h"
#include "restore/image/internal/zstd.h"
#include "restore/image/state_blob.capnp.h"
#include "restore/image/state_blob.h"

namespace stasis::image {
namespace {

constexpr int kLevel = 1;

struct MessageExtent {
  uint64_t offset = 0;
  uint32_t stored = 0;
  uint32_t content = 0;
};

std::span<const std::byte> BytesOf(kj::ArrayPtr<const capnp::word> words) {
  const auto bytes = words.asBytes();
  return {reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()};
}

capnp::Data::Reader DataOf(std::span<const uint8_t> bytes) {
  return capnp::Data::Reader(bytes.data(), bytes.size());
}

// Compresses one piece after the other, in their order; the caller's thread and another one share
// the work. At most kAhead pieces are in memory.
class PieceCompressor {
 public:
  explicit PieceCompressor(std::vector<std::span<const std::byte>> pieces)
      : pieces_(std::move(pieces)), compressor_(kLevel) {
    size_t bytes = 0;
    for (const auto& piece : pieces_) bytes += piece.size();
    if (bytes < kWorthAThread || pieces_.size() < 2) return;
    try {
      helper_ = std::thread([this] { Help(); });
    } catch (const std::system_error&) {
      // The caller's does it all.
    }
  }
  ~PieceCompressor() {
    {
      absl::MutexLock lock(&mu_);
      stopping_ = true;
    }
    if (helper_.joinable()) helper_.join();
  }
  PieceCompressor(const PieceCompressor&) = delete;
  PieceCompressor& operator=(const PieceCompressor&) = delete;

  // The next one. Valid until the next call.
  absl::StatusOr<std::span<const std::byte>> Next() {
    size_t wanted = 0;
    {
      absl::MutexLock lock(&mu_);
      wanted = wanted_++;
    }
    const Slot& slot = slots_[wanted % kAhead];
    while (const std::optional<size_t> piece = Take(wanted)) Compress(*piece, compressor_);
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&slot.ready));
    if (!slot.status.ok()) return slot.status;
    return std::span<const std::byte>(slot.stored);
  }

 private:
  static constexpr size_t kAhead = 4;
  static constexpr size_t kWorthAThread = 256 * 1024;

  struct Slot {
    std::vector<std::byte> stored;
    absl::Status status;
    bool ready = false;  // guarded by mu_
  };

  bool MayTakeLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return taken_ < pieces_.size() && taken_ + 1 < wanted_ + kAhead;
  }
  bool HelperMayGoOn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || taken_ == pieces_.size() || MayTakeLocked();
  }
  size_t TakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    slots_[taken_ % kAhead].ready = false;
    return taken_++;
  }

  // One to compress, until piece `wanted` is ready; none if all that may be are being compressed.
  std::optional<size_t> Take(size_t wanted) {
    absl::MutexLock lock(&mu_);
    const bool ready = taken_ > wanted && slots_[wanted % kAhead].ready;
    if (ready || !MayTakeLocked()) return std::nullopt;
    return TakeLocked();
  }

  void Compress(size_t piece, FrameCompressor& compressor) {
    Slot& slot = slots_[piece % kAhead];
    absl::Status status = compressor.Compress(pieces_[piece], slot.stored);
    absl::MutexLock lock(&mu_);
    slot.status = std::move(status);
    slot.ready = true;
  }

  void Help() {
    FrameCompressor compressor(kLevel);
    for (;;) {
      size_t piece = 0;
      {
        absl::MutexLock lock(&mu_);
        mu_.Await(absl::Condition(this, &PieceCompressor::HelperMayGoOn));
        if (stopping_ || taken_ == pieces_.size()) return;
        piece = TakeLocked();
      }
      Compress(piece, compressor);
    }
  }

  const std::vector<std::span<const std::byte>> pieces_;
  FrameCompressor compressor_;  // the caller's
  std::array<Slot, kAhead> slots_;

  absl::Mutex mu_;
  size_t wanted_ ABSL_GUARDED_BY(mu_) = 0;  // pieces asked for; the last of them is in use
  size_t taken_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread helper_;
};

class Encoder {
 public:
  Encoder(const state::SavedGraph& graph, const DataTables& data,
          const std::function<absl::Status(std::span<const std::byte>)>& write)
      : graph_(graph), data_(data), write_(write), compressor_(kLevel) {}

  absl::StatusOr<StateBlobSizes> Run() {
    IMAGE_RETURN_IF_ERROR(WriteMessages());
    IMAGE_RETURN_IF_ERROR(WriteIndex());
    if (sizes_.content > MaxContentFor(offset_) || offset_ > kMaxStateBlob)
      return absl::ResourceExhaustedError(
          fmt::format("the state of {} bytes, {} stored, is larger than an image can hold",
                      sizes_.content, offset_));
    return sizes_;
  }

 private:
  absl::Status Write(std::span<const std::byte> bytes) {
    offset_ += bytes.size();
    return write_(bytes);
  }

  absl::Status WriteMessages() {
    std::vector<std::span<const std::byte>> contents;
    for (const state::SavedTable& table : graph_.tables) {
      for (const kj::Array<capnp::word>& message : table.messages) {
        contents.push_back(BytesOf(message));
        if (contents.back().empty() || contents.back().size() > kMaxMessageContent)
          return absl::ResourceExhaustedError(
              fmt::format("table {}: a message of {} bytes does not fit into an image", table.type,
                          contents.back().size()));
      }
    }
    PieceCompressor compressor(contents);
    for (const auto& content : contents) {
      IMAGE_ASSIGN_OR_RETURN(const auto stored, compressor.Next());
      extents_.push_back(
          {offset_, static_cast<uint32_t>(stored.size()), static_cast<uint32_t>(content.size())});
      sizes_.content += content.size();
      IMAGE_RETURN_IF_ERROR(Write(stored));
    }
    return absl::OkStatus();
  }

  void BuildTables(wire::StateIndex::Builder index) const {
    auto tables = index.initTables(static_cast<unsigned>(graph_.tables.size()));
    size_t next = 0;
    for (unsigned t = 0; t < tables.size(); ++t) {
      const state::SavedTable& table = graph_.tables[t];
      tables[t].setType(table.type);
      tables[t].setRowCount(table.row_count);
      auto messages = tables[t].initMessages(static_cast<unsigned>(table.messages.size()));
      for (auto message : messages) {
        const MessageExtent& extent = extents_[next++];
        message.setOffset(extent.offset);
        message.setStoredLength(extent.stored);
        message.setContentLength(extent.content);
      }
    }
    auto roots = index.initRoots(static_cast<unsigned>(graph_.roots.size()));
    for (unsigned i = 0; i < roots.size(); ++i) {
      roots[i].setName(graph_.roots[i].name);
      roots[i].setType(graph_.roots[i].type);
      roots[i].setRow(graph_.roots[i].row);
    }
  }

  void BuildData(wire::StateIndex::Builder index) const {
    auto packs = index.initPacks(static_cast<unsigned>(data_.packs.size()));
    for (unsigned i = 0; i < packs.size(); ++i) {
      packs[i].setDigest(DataOf(data_.packs[i].digest.bytes));
      packs[i].setSize(data_.packs[i].size);
    }
    const FrameColumns frame_columns = EncodeFrames(data_.frames);
    auto frames = index.initFrames();
    frames.setCount(static_cast<uint32_t>(data_.frames.size()));
    frames.setPacks(DataOf(frame_columns.packs));
    frames.setOffsets(DataOf(frame_columns.offsets));
    frames.setStoredLengths(DataOf(frame_columns.stored_lengths));
    frames.setContentLengths(DataOf(frame_columns.content_lengths));
    frames.setDigests(DataOf(frame_columns.digests));
    const ChunkColumns chunk_columns = EncodeChunks(data_.chunks);
    auto chunks = index.initChunks();
    chunks.setCount(static_cast<uint32_t>(data_.chunks.size()));
    chunks.setFrames(DataOf(chunk_columns.frames));
    chunks.setOffsets(DataOf(chunk_columns.offsets));
    chunks.setLengths(DataOf(chunk_columns.lengths));
  }

  absl::Status WriteIndex() {
    kj::Array<capnp::word> words;
    try {
      capnp::MallocMessageBuilder builder;
      auto index = builder.initRoot<wire::StateIndex>();
      BuildTables(index);
      BuildData(index);
      words = capnp::messageToFlatArray(builder);
    } catch (const kj::Exception& e) {
      return absl::ResourceExhaustedError(
          fmt::format("cannot build the index of the state: {}", e.getDescription().cStr()));
    }
    const auto content = BytesOf(words);
    IMAGE_RETURN_IF_ERROR(compressor_.Compress(content, stored_));
    if (content.size() > kMaxIndexContent || content.size() > MaxContentFor(stored_.size()))
      return absl::ResourceExhaustedError(fmt::format(
          "the index of the state has {} bytes, more than an image can hold", content.size()));
    sizes_.index = stored_.size();
    const Footer footer{offset_, stored_.size(), content.size(), Digest::Of(stored_)};
    IMAGE_RETURN_IF_ERROR(Write(stored_));
    return Write(EncodeFooter(footer));
  }

  const state::SavedGraph& graph_;
  const DataTables& data_;
  const std::function<absl::Status(std::span<const std::byte>)>& write_;
  FrameCompressor compressor_;
  std::vector<std::byte> stored_;
  std::vector<MessageExtent> extents_;  // of all tables, one after the other
  uint64_t offset_ = 0;
  StateBlobSizes sizes_;
};

}  // namespace

absl::StatusOr<StateBlobSizes> EncodeStateBlob(
    const state::SavedGraph& graph, const DataTables& data,
    const std::function<absl::Status(std::span<const std::byte>)>& write) {
  return Encoder(graph, data, write).Run();
}

}  // namespace stasis::image
