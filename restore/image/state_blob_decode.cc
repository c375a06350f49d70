// SPDX-License-Identifier: Apache-2.0

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstring>

#include "restore/image/internal/columns.h"
#include "restore/image/internal/footer.h"
#include "restore/image/internal/status.h"
#include "restore/image/internal/zstd.h"
#include "restore/image/state_blob.capnp.h"
#include "restore/image/state_blob.h"

namespace stasis::image {
namespace {

constexpr int kIndexNesting = 8;
constexpr unsigned kMaxSmallTable = 65536;

std::string TextOf(capnp::Text::Reader text) { return std::string(text.begin(), text.end()); }

std::span<const uint8_t> BytesOf(capnp::Data::Reader data) { return {data.begin(), data.size()}; }

std::span<std::byte> BytesOf(kj::ArrayPtr<capnp::word> words) {
  return {reinterpret_cast<std::byte*>(words.begin()), words.size() * sizeof(capnp::word)};
}

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> blob) : blob_(blob) {}

  absl::StatusOr<DecodedState> Run() {
    IMAGE_ASSIGN_OR_RETURN(footer_, DecodeFooter(blob_));
    IMAGE_ASSIGN_OR_RETURN(kj::Array<capnp::word> words, ReadIndex());
    // Malformed pointers in the index surface as exceptions.
    try {
      capnp::ReaderOptions options;
      options.traversalLimitInWords = 2 * words.size() + 1024;
      options.nestingLimit = kIndexNesting;
      capnp::FlatArrayMessageReader reader(words, options);
      const auto index = reader.getRoot<wire::StateIndex>();
      IMAGE_RETURN_IF_ERROR(DecodeTables(index.getTables()));
      IMAGE_RETURN_IF_ERROR(DecodeRoots(index.getRoots()));
      IMAGE_RETURN_IF_ERROR(DecodeData(index));
    } catch (const kj::Exception& e) {
      return DataLoss("state blob, index: {}", e.getDescription().cStr());
    }
    return std::move(state_);
  }

 private:
  absl::StatusOr<kj::Array<capnp::word>> ReadIndex() {
    const auto stored = blob_.subspan(footer_.index_offset, footer_.index_stored);
    if (Digest::Of(stored) != footer_.index_digest)
      return DataLoss("state blob, index: its bytes do not match the footer, field indexDigest");
    return Decompress(stored, footer_.index_content, "state blob, index");
  }

  absl::StatusOr<kj::Array<capnp::word>> Decompress(std::span<const std::byte> stored,
                                                    uint64_t content, const std::string& what) {
    if (content == 0 || content % sizeof(capnp::word) != 0)
      return DataLoss("{}, field contentLength: {} bytes are not a number of whole words", what,
                      content);
    IMAGE_RETURN_IF_ERROR(FrameDecompressor::CheckHeader(stored, content, what));
    auto words = kj::heapArray<capnp::word>(content / sizeof(capnp::word));
    IMAGE_RETURN_IF_ERROR(decompressor_.Decompress(stored, BytesOf(words), what));
    return words;
  }

  // Messages stand one after the other from the start of the blob to the index: so they cannot
  // overlap, and no byte of the blob is without meaning.
  absl::Status DecodeTables(capnp::List<wire::Table>::Reader tables) {
    IMAGE_RETURN_IF_ERROR(CheckRows("table", tables.size()));
    IMAGE_RETURN_IF_ERROR(CheckTotalContent(tables));
    uint64_t end = 0;
    std::string previous;
    for (const auto table : tables) {
      state::SavedTable& out = state_.graph.tables.emplace_back();
      out.type = TextOf(table.getType());
      out.row_count = table.getRowCount();
      const auto messages = table.getMessages();
      const std::string what = fmt::format("state blob, table \"{}\"", out.type);
      if (out.type <= previous) return DataLoss("{}, field type: not after \"{}\"", what, previous);
      previous = out.type;
      if (out.row_count > uint64_t{messages.size()} * state::kRowsPerMessage)
        return DataLoss("{}, field rowCount: {} rows in {} messages", what, out.row_count,
                        messages.size());
      for (unsigned i = 0; i < messages.size(); ++i) {
        auto message = DecodeMessage(messages[i], fmt::format("{}, message {}", what, i), end);
        if (!message.ok()) return message.status();
        out.messages.push_back(*std::move(message));
      }
    }
    if (end != footer_.index_offset)
      return DataLoss("state blob, footer, field indexOffset: {}, but the last message ends at {}",
                      footer_.index_offset, end);
    return absl::OkStatus();
  }

  static absl::Status CheckRows(const char* table, unsigned rows) {
    if (rows <= kMaxSmallTable) return absl::OkStatus();
    return DataLoss("state blob, {} table: {} rows, more than {}", table, rows, kMaxSmallTable);
  }

  // Before memory is taken for any of them.
  absl::Status CheckTotalContent(capnp::List<wire::Table>::Reader tables) const {
    uint64_t total = 0;
    for (const auto table : tables) {
      for (const auto message : table.getMessages()) total += message.getContentLength();
    }
    if (total > MaxContentFor(blob_.size()))
      return DataLoss("state blob: {} bytes promise {} bytes of messages, more than {}",
                      blob_.size(), total, MaxContentFor(blob_.size()));
    return absl::OkStatus();
  }

  absl::StatusOr<kj::Array<capnp::word>> DecodeMessage(wire::Extent::Reader extent,
                                                       const std::string& what, uint64_t& end) {
    if (extent.getOffset() != end)
      return DataLoss("{}, field offset: {}, but the one before ends at {}", what,
                      extent.getOffset(), end);
    if (extent.getStoredLength() > footer_.index_offset - end)
      return DataLoss("{}, field storedLength: {} bytes reach into the index", what,
                      extent.getStoredLength());
    if (extent.getContentLength() > kMaxMessageContent)
      return DataLoss("{}, field contentLength: {} bytes, more than {}", what,
                      extent.getContentLength(), kMaxMessageContent);
    const auto stored = blob_.subspan(end, extent.getStoredLength());
    end += extent.getStoredLength();
    return Decompress(stored, extent.getContentLength(), what);
  }

  absl::Status DecodeRoots(capnp::List<wire::Root>::Reader roots) {
    IMAGE_RETURN_IF_ERROR(CheckRows("root", roots.size()));
    for (const auto root : roots)
      state_.graph.roots.push_back({TextOf(root.getName()), TextOf(root.getType()), root.getRow()});
    return absl::OkStatus();
  }

  absl::Status DecodeData(wire::StateIndex::Reader index) {
    const auto packs = index.getPacks();
    IMAGE_RETURN_IF_ERROR(CheckRows("pack", packs.size()));
    for (unsigned i = 0; i < packs.size(); ++i) {
      PackEntry& pack = state_.data.packs.emplace_back();
      const auto digest = packs[i].getDigest();
      if (digest.size() != pack.digest.bytes.size())
        return DataLoss("state blob, pack table, row {}, field digest: {} bytes, not 32", i,
                        digest.size());
      std::memcpy(pack.digest.bytes.data(), digest.begin(), digest.size());
      pack.size = packs[i].getSize();
      if (pack.size > INT64_MAX)
        return DataLoss("state blob, pack table, row {}, field size: {} bytes", i, pack.size);
    }
    const auto frames = index.getFrames();
    IMAGE_ASSIGN_OR_RETURN(
        state_.data.frames,
        DecodeFrames(frames.getCount(),
                     {BytesOf(frames.getPacks()), BytesOf(frames.getOffsets()),
                      BytesOf(frames.getStoredLengths()), BytesOf(frames.getContentLengths()),
                      BytesOf(frames.getDigests())},
                     state_.data.packs));
    const auto chunks = index.getChunks();
    IMAGE_ASSIGN_OR_RETURN(state_.data.chunks,
                           DecodeChunks(chunks.getCount(),
                                        {BytesOf(chunks.getFrames()), BytesOf(chunks.getOffsets()),
                                         BytesOf(chunks.getLengths())},
                                        state_.data.frames));
    return absl::OkStatus();
  }

  const std::span<const std::byte> blob_;
  Footer footer_;
  FrameDecompressor decompressor_;
  DecodedState state_;
};

}  // namespace

absl::StatusOr<DecodedState> DecodeStateBlob(std::span<const std::byte> blob) {
  return Decoder(blob).Run();
}

}  // namespace stasis::image
