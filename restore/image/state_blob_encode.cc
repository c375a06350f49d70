// SPDX-License-Identifier: Apache-2.0

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include "restore/image/internal/columns.h"
#include "restore/image/internal/footer.h"
#include "restore/image/internal/frame_pipeline.h"
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
    FramePipeline pipeline([this](const FinishedFrame& frame) { return TakeMessage(frame); },
                           FramePipeline::Digests::kNone);
    for (const state::SavedTable& table : graph_.tables) {
      for (const kj::Array<capnp::word>& message : table.messages) {
        const auto content = BytesOf(message);
        if (content.empty() || content.size() > kMaxMessageContent)
          return absl::ResourceExhaustedError(
              fmt::format("table {}: a message of {} bytes does not fit into an image", table.type,
                          content.size()));
        IMAGE_RETURN_IF_ERROR(pipeline.Submit(content));
      }
    }
    return pipeline.Drain();
  }

  absl::Status TakeMessage(const FinishedFrame& frame) {
    extents_.push_back({offset_, static_cast<uint32_t>(frame.stored.size()), frame.content_length});
    sizes_.content += frame.content_length;
    return Write(frame.stored);
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
