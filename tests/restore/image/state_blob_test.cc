// SPDX-License-Identifier: Apache-2.0
//
// The state blob's container, above all with content that nobody should write.

#include "restore/image/state_blob.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <zstd.h>

#include "restore/image/internal/columns.h"
#include "restore/image/internal/footer.h"
#include "restore/image/internal/zstd.h"
#include "restore/image/state_blob.capnp.h"
#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

Bytes Encode(const state::SavedGraph& graph, const DataTables& data) {
  Bytes blob;
  const auto sizes = EncodeStateBlob(graph, data, [&](std::span<const std::byte> bytes) {
    blob.insert(blob.end(), bytes.begin(), bytes.end());
    return absl::OkStatus();
  });
  EXPECT_TRUE(sizes.ok()) << sizes.status();
  return blob;
}

DataTables SomeTables() {
  DataTables data;
  data.packs = {{Digest::Of(RandomBytes(1, 1)), 10'000}, {Digest::Of(RandomBytes(1, 2)), 5'000}};
  const Digest content = Digest::Of(RandomBytes(1, 3));
  data.frames = {{0, 4'000, 0, 9'000, content},
                 {0, 6'000, 4'000, 20'000, content},
                 {1, 100, 4'900, 100, content}};
  data.chunks = {{{0, 0}, 9'000},      {{0, 0}, 0},   {{1, 0}, 16'000},
                 {{1, 16'000}, 4'000}, {{2, 50}, 50}, {{0, 1}, 3}};
  return data;
}

class StateBlobTest : public ::testing::Test {
 protected:
  StateBlobTest() : graph_(MakeGraph({})), data_(SomeTables()), good_(Encode(graph_, data_)) {}

  // The blob with another index. `edit` may change everything in it; messages stay.
  Bytes WithIndex(const std::function<void(wire::StateIndex::Builder)>& edit) const {
    const Footer footer = *DecodeFooter(good_);
    Bytes content(footer.index_content);
    FrameDecompressor decompressor;
    EXPECT_EQ(decompressor.Decompress(
                  std::span(good_).subspan(footer.index_offset, footer.index_stored), content, ""),
              absl::OkStatus());
    auto words = kj::heapArray<capnp::word>(content.size() / sizeof(capnp::word));
    std::memcpy(words.begin(), content.data(), content.size());
    capnp::FlatArrayMessageReader reader(words);
    capnp::MallocMessageBuilder builder;
    builder.setRoot(reader.getRoot<wire::StateIndex>());
    edit(builder.getRoot<wire::StateIndex>());
    const auto changed = capnp::messageToFlatArray(builder);
    return WithRawIndex({reinterpret_cast<const std::byte*>(changed.begin()),
                         changed.size() * sizeof(capnp::word)});
  }

  Bytes WithRawIndex(std::span<const std::byte> content) const {
    Bytes stored;
    FrameCompressor compressor(1);
    EXPECT_EQ(compressor.Compress(content, stored), absl::OkStatus());
    return WithStoredIndex(stored, content.size());
  }

  Bytes WithStoredIndex(const Bytes& stored, uint64_t content_length) const {
    const Footer old = *DecodeFooter(good_);
    Bytes blob(good_.begin(), good_.begin() + static_cast<ptrdiff_t>(old.index_offset));
    const auto footer =
        EncodeFooter({old.index_offset, stored.size(), content_length, Digest::Of(stored)});
    blob.insert(blob.end(), stored.begin(), stored.end());
    blob.insert(blob.end(), footer.begin(), footer.end());
    return blob;
  }

  // The blob is refused, with a message that has `words` in it.
  static void ExpectRefused(const Bytes& blob, const std::string& words) {
    const auto decoded = DecodeStateBlob(blob);
    ASSERT_FALSE(decoded.ok());
    EXPECT_THAT(decoded.status(), HasCode(absl::StatusCode::kDataLoss));
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(words));
  }
  void ExpectIndexRefused(const std::function<void(wire::StateIndex::Builder)>& edit,
                          const std::string& words) const {
    ExpectRefused(WithIndex(edit), words);
  }

  state::SavedGraph graph_;
  DataTables data_;
  Bytes good_;
};

// A zstd frame of `size` zeros, and what its header would say.
Bytes ZeroFrame(size_t size) {
  Bytes stored;
  FrameCompressor compressor(1);
  EXPECT_EQ(compressor.Compress(Bytes(size), stored), absl::OkStatus());
  return stored;
}

TEST_F(StateBlobTest, GivesBackWhatWentIn) {
  const auto decoded = DecodeStateBlob(good_);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ExpectSameGraph(decoded->graph, graph_);
  EXPECT_EQ(decoded->data.packs, data_.packs);
  EXPECT_EQ(decoded->data.frames, data_.frames);
  EXPECT_EQ(decoded->data.chunks, data_.chunks);
  // An unchanged index survives the detour that the tests below take.
  EXPECT_TRUE(DecodeStateBlob(WithIndex([](auto) {})).ok());
}

// Threads share the work of a large one.
TEST_F(StateBlobTest, MessagesOfAllSizesKeepTheirOrder) {
  state::SavedGraph graph;
  for (uint64_t t = 0; t < 5; ++t) {
    state::SavedTable& table = graph.tables.emplace_back();
    table.type = "table" + std::to_string(t);
    for (uint64_t m = 0; m < 4; ++m)
      table.messages.push_back(Message((m + t) % 3 == 0 ? 30'000 : 10, t * 10 + m));
    table.row_count = table.messages.size();
  }
  const Bytes blob = Encode(graph, {});
  const auto decoded = DecodeStateBlob(blob);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ExpectSameGraph(decoded->graph, graph);
  EXPECT_TRUE(Encode(graph, {}) == blob);
  // A write that fails leaves no thread at work.
  int writes = 0;
  const auto failed = EncodeStateBlob(graph, {}, [&](std::span<const std::byte>) {
    return ++writes == 3 ? absl::ResourceExhaustedError("full") : absl::OkStatus();
  });
  EXPECT_EQ(failed.status(), absl::ResourceExhaustedError("full"));
}

TEST_F(StateBlobTest, IsAZstdStream) {
  size_t at = 0;
  while (at < good_.size()) {
    const size_t n = ZSTD_findFrameCompressedSize(good_.data() + at, good_.size() - at);
    ASSERT_FALSE(ZSTD_isError(n));
    at += n;
  }
  EXPECT_EQ(at, good_.size());
}

TEST_F(StateBlobTest, EveryFlippedBitAndEveryCutIsFound) {
  for (size_t i = 0; i < 8 * good_.size(); ++i) {
    Bytes bad = good_;
    bad[i / 8] ^= static_cast<std::byte>(1 << (i % 8));
    const auto decoded = DecodeStateBlob(bad);
    // Some bits of a zstd header mean nothing to the content; what matters here is that nothing
    // else comes out, and that nothing breaks.
    if (decoded.ok()) ExpectSameGraph(decoded->graph, graph_);
  }
  for (size_t length = 0; length < good_.size(); ++length)
    EXPECT_FALSE(DecodeStateBlob(std::span(good_).first(length)).ok()) << length;
}

TEST_F(StateBlobTest, OneKibibyteFilesCostLessThanThreeBytesPerChunk) {
  constexpr uint32_t kFiles = 100'000;
  std::mt19937_64 random(1);
  for (const bool same_size : {true, false}) {
    DataTables data;
    uint64_t stored = 0;
    for (uint32_t i = 0; i < kFiles; ++i) {
      const uint32_t size = same_size ? 1024 : static_cast<uint32_t>(random() % 2048 + 1);
      if (data.frames.empty() || data.frames.back().content_length + size > kMaxFrameContent) {
        if (!data.frames.empty()) stored += data.frames.back().stored_length;
        const auto noise = static_cast<uint32_t>(80'000 + random() % 10'000);
        data.frames.push_back({0, noise, stored, 0, Digest::Of(RandomBytes(8, i))});
      }
      FrameEntry& frame = data.frames.back();
      data.chunks.push_back(
          {{static_cast<uint32_t>(data.frames.size() - 1), frame.content_length}, size});
      frame.content_length += size;
    }
    data.packs = {{Digest(), uint64_t{1} << 40}};
    const Bytes blob = Encode(state::SavedGraph(), data);
    RecordProperty(same_size ? "bytes_same_size" : "bytes_random_size",
                   static_cast<int>(blob.size()));
    std::printf("%u chunks, %s sizes: %zu bytes, %.2f per chunk\n", kFiles,
                same_size ? "equal" : "random", blob.size(),
                static_cast<double>(blob.size()) / kFiles);
    EXPECT_LE(blob.size(), 3 * kFiles);
    const auto decoded = DecodeStateBlob(blob);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->data.chunks, data.chunks);
    EXPECT_EQ(decoded->data.frames, data.frames);
  }
}

TEST_F(StateBlobTest, RefusesMessagesThatAreNotOneAfterTheOther) {
  ExpectIndexRefused([](auto index) { index.getTables()[1].getMessages()[0].setOffset(0); },
                     "table \"vfs.Inode\", message 0, field offset");
  ExpectIndexRefused(
      [](auto index) { index.getTables()[0].getMessages()[1].setOffset(uint64_t{1} << 63); },
      "table \"vfs.Dentry\", message 1, field offset");
  ExpectIndexRefused(
      [](auto index) { index.getTables()[1].getMessages()[0].setStoredLength(UINT32_MAX); },
      "table \"vfs.Inode\", message 0, field storedLength");
  ExpectIndexRefused([](auto index) { index.getTables()[1].initMessages(0); }, "field rowCount");
  ExpectIndexRefused(
      [](auto index) {
        index.getTables()[1].initMessages(0);
        index.getTables()[1].setRowCount(0);
      },
      "field indexOffset");
}

TEST_F(StateBlobTest, RefusesTablesOutOfOrder) {
  ExpectIndexRefused([](auto index) { index.getTables()[1].setType("vfs.Dentry"); }, "field type");
  ExpectIndexRefused([](auto index) { index.getTables()[0].setType(""); }, "field type");
}

TEST_F(StateBlobTest, RefusesPromisesOfTerabytes) {
  ExpectIndexRefused(
      [](auto index) { index.getTables()[1].getMessages()[0].setContentLength(0xfffffff8u); },
      "promise");
  ExpectIndexRefused(
      [](auto index) {
        index.getTables()[1].getMessages()[0].setContentLength(kMaxMessageContent + 8);
      },
      "message 0, field contentLength");
  ExpectIndexRefused(
      [](auto index) { index.getTables()[1].getMessages()[0].setContentLength(272); },
      "table \"vfs.Inode\", message 0: the zstd frame has 264 bytes of content, the table says "
      "272");
  ExpectIndexRefused([](auto index) { index.getTables()[1].setRowCount(uint64_t{1} << 60); },
                     "field rowCount");
  ExpectIndexRefused([](auto index) { index.getChunks().setCount(UINT32_MAX); }, "chunk table");
  ExpectIndexRefused([](auto index) { index.getFrames().setCount(UINT32_MAX); }, "frame table");
  ExpectIndexRefused([](auto index) { index.getPacks()[0].setSize(UINT64_MAX); }, "pack table");
}

TEST_F(StateBlobTest, RefusesAnIndexThatIsABomb) {
  // A few KiB of RLE blocks that make 128 MiB, honestly declared.
  constexpr size_t kSize = 128 * 1024 * 1024;
  ExpectRefused(WithStoredIndex(ZeroFrame(kSize), kSize), "field indexContentLength");
  // The same, declared small: the frame's own header gives it away.
  ExpectRefused(WithStoredIndex(ZeroFrame(kSize), 4096), "zstd frame has 134217728 bytes");
  ExpectRefused(WithStoredIndex(ZeroFrame(4096), uint64_t{1} << 42), "field indexContentLength");
}

TEST_F(StateBlobTest, RefusesAFrameWhoseHeaderLies) {
  // A header that promises 4096 bytes before blocks that make 8192.
  Bytes stored = ZeroFrame(8192);
  const Bytes honest = ZeroFrame(4096);
  ASSERT_EQ(stored.size(), honest.size());
  std::copy(honest.begin(), honest.begin() + 7, stored.begin());
  ExpectRefused(WithStoredIndex(stored, 4096), "state blob, index");
}

TEST_F(StateBlobTest, RefusesGarbageForAnIndex) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    auto content = RandomBytes(512, seed);
    std::fill_n(content.begin(), 8, std::byte{0});
    content[4] = std::byte{63};  // one segment of 63 words
    const auto decoded = DecodeStateBlob(WithRawIndex(content));
    EXPECT_FALSE(decoded.ok());
  }
  ExpectRefused(WithRawIndex(Bytes(13)), "whole words");
}

TEST_F(StateBlobTest, RefusesAWrongIndexDigest) {
  Bytes bad = good_;
  bad[bad.size() - 1] ^= std::byte{1};
  ExpectRefused(bad, "field indexDigest");
}

class ColumnsTest : public StateBlobTest {
 protected:
  void ExpectFrameRefused(size_t row, FrameEntry frame, const std::string& words) {
    DataTables data = data_;
    data.frames[row] = frame;
    ExpectRefused(Encode(graph_, data), words);
  }
  void ExpectChunkRefused(size_t row, ChunkEntry chunk, const std::string& words) {
    DataTables data = data_;
    data.chunks[row] = chunk;
    ExpectRefused(Encode(graph_, data), words);
  }
};

TEST_F(ColumnsTest, RefusesFramesOutsideOfTheirPack) {
  ExpectFrameRefused(1, {2, 100, 0, 100, {}}, "frame table, row 1, field pack");
  ExpectFrameRefused(1, {1, 100, 4'901, 100, {}}, "frame table, row 1, field storedLength");
  ExpectFrameRefused(1, {1, 100, uint64_t{1} << 62, 100, {}}, "frame table, row 1, field offset");
  ExpectFrameRefused(1, {0, 0, 4'000, 100, {}}, "frame table, row 1, field storedLength");
}

TEST_F(ColumnsTest, RefusesOverlappingFrames) {
  ExpectFrameRefused(1, {0, 100, 3'999, 100, {}}, "frame table, row 1, field offset");
  ExpectFrameRefused(1, {0, 4'000, 0, 9'000, {}}, "is inside row");
}

TEST_F(ColumnsTest, RefusesFramesOfTooMuchContent) {
  ExpectFrameRefused(1, {0, 100, 4'000, kMaxFrameContent + 1, {}},
                     "frame table, row 1, field contentLength");
}

TEST_F(ColumnsTest, RefusesChunksOutsideOfTheirFrame) {
  ExpectChunkRefused(2, {{3, 0}, 1}, "chunk table, row 2, field frame");
  ExpectChunkRefused(2, {{2, 101}, 1}, "chunk table, row 2, field offset");
  ExpectChunkRefused(2, {{2, 100}, 1}, "chunk table, row 2, field length");
  ExpectChunkRefused(2, {{1, 0}, state::kChunkSize + 1}, "chunk table, row 2, field length");
}

TEST_F(ColumnsTest, RefusesColumnsOfTheWrongLength) {
  const auto data_of = [](const Column& column) {
    return capnp::Data::Reader(column.data(), column.size());
  };
  ExpectIndexRefused([](auto index) { index.getChunks().setCount(5); }, "bytes after the last row");
  ExpectIndexRefused([](auto index) { index.getChunks().setCount(7); }, "chunk table");
  ExpectIndexRefused([](auto index) { index.getFrames().initDigests(95); },
                     "frame table, field digest");
  ExpectIndexRefused([&](auto index) { index.getChunks().setLengths(data_of(Column(60, 0x80))); },
                     "chunk table, row 0, field length");
  ExpectIndexRefused([](auto index) { index.getPacks()[1].initDigest(31); },
                     "pack table, row 1, field digest");
}

TEST_F(ColumnsTest, VarintsAreInTheirShortestForm) {
  for (const uint64_t value :
       {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 63, UINT64_MAX}) {
    Column column;
    AppendVarint(column, value);
    uint64_t got = 1;
    ColumnReader reader(column);
    ASSERT_TRUE(reader.Next(got));
    EXPECT_EQ(got, value);
    EXPECT_TRUE(reader.AtEnd());
    EXPECT_FALSE(reader.Next(got));
  }
  uint64_t got = 0;
  EXPECT_FALSE(ColumnReader(Column{0x80, 0x00}).Next(got));
  EXPECT_FALSE(ColumnReader(Column{0x80}).Next(got));
  EXPECT_FALSE(ColumnReader(Column(10, 0xff)).Next(got));
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{1}, INT64_MIN, INT64_MAX})
    EXPECT_EQ(UnZigZag(ZigZag(value)), value);
}

}  // namespace
}  // namespace stasis::image
