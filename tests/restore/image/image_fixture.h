// SPDX-License-Identifier: Apache-2.0
//
// image_fixture.h: small images in a temporary directory, and ways to look at and to damage them.

#ifndef STASIS_TESTS_RESTORE_IMAGE_IMAGE_FIXTURE_H_
#define STASIS_TESTS_RESTORE_IMAGE_IMAGE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "restore/image/image_reader.h"
#include "restore/image/image_writer.h"
#include "restore/image/layout.h"
#include "restore/image/verify.h"

namespace stasis::image {

using ::testing::HasSubstr;

MATCHER_P(HasCode, code, "") {
  *result_listener << arg.ToString();
  return arg.code() == code;
}

using Bytes = std::vector<std::byte>;

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteFile(const std::filesystem::path& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << content;
}

// `size` bytes that do not compress, the same for the same seed.
inline Bytes RandomBytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// `size` bytes of words, compressible.
inline Bytes TextBytes(size_t size, uint64_t seed) {
  static constexpr const char* kWords[] = {"inode ", "dentry ", "mount ", "chunk ",
                                           "pack ",  "frame ",  "gate ",  "\n"};
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < size) text += kWords[random() % 8] + std::to_string(random() % 1000);
  Bytes bytes(size);
  std::memcpy(bytes.data(), text.data(), size);
  return bytes;
}

inline kj::Array<capnp::word> Message(size_t words, uint64_t seed) {
  const Bytes bytes = TextBytes(words * sizeof(capnp::word), seed);
  auto message = kj::heapArray<capnp::word>(words);
  std::memcpy(message.begin(), bytes.data(), bytes.size());
  return message;
}

// Two tables, two roots, and the given chunks.
inline state::SavedGraph MakeGraph(std::vector<RefPtr<state::Chunk>> chunks, uint64_t seed = 1) {
  state::SavedGraph graph;
  state::SavedTable dentries;
  dentries.type = "vfs.Dentry";
  dentries.row_count = state::kRowsPerMessage + 3;
  dentries.messages.push_back(Message(100, seed));
  dentries.messages.push_back(Message(5, seed + 1));
  state::SavedTable inodes;
  inodes.type = "vfs.Inode";
  inodes.row_count = 7;
  inodes.messages.push_back(Message(33, seed + 2));
  graph.tables.push_back(std::move(dentries));
  graph.tables.push_back(std::move(inodes));
  graph.roots.push_back({"vfs", "vfs.Dentry", 0});
  graph.roots.push_back({"fuse", "vfs.Inode", 6});
  for (auto& chunk : chunks) graph.chunks.push_back(std::move(chunk));
  return graph;
}

inline void ExpectSameGraph(const state::SavedGraph& got, const state::SavedGraph& want) {
  ASSERT_EQ(got.tables.size(), want.tables.size());
  for (size_t t = 0; t < want.tables.size(); ++t) {
    EXPECT_EQ(got.tables[t].type, want.tables[t].type);
    EXPECT_EQ(got.tables[t].row_count, want.tables[t].row_count);
    ASSERT_EQ(got.tables[t].messages.size(), want.tables[t].messages.size());
    for (size_t m = 0; m < want.tables[t].messages.size(); ++m)
      EXPECT_TRUE(got.tables[t].messages[m].asBytes() == want.tables[t].messages[m].asBytes());
  }
  ASSERT_EQ(got.roots.size(), want.roots.size());
  for (size_t i = 0; i < want.roots.size(); ++i) {
    EXPECT_EQ(got.roots[i].name, want.roots[i].name);
    EXPECT_EQ(got.roots[i].type, want.roots[i].type);
    EXPECT_EQ(got.roots[i].row, want.roots[i].row);
  }
}

class ImageTest : public ::testing::Test {
 protected:
  ImageTest() {
    std::string name = (std::filesystem::temp_directory_path() / "stasis-image-XXXXXX").string();
    temp_ = ::mkdtemp(name.data());
    dir_ = temp_ / "snaps";
  }
  ~ImageTest() override { std::filesystem::remove_all(temp_); }

  static RefPtr<state::Chunk> NewChunk(const Bytes& bytes) {
    return *state::Chunk::Create(bytes, static_cast<uint32_t>(bytes.size()));
  }

  static WriteOptions Options(const std::string& tag) {
    WriteOptions options;
    options.tag = tag;
    options.creator = "stasis 0.1.0";
    options.created = 1'700'000'000'123'456'789;
    options.annotations[kAnnotationContainerName] = "box";
    options.statistics["files"] = 3;
    return options;
  }

  absl::StatusOr<WriteResult> Save(const state::SavedGraph& graph, const std::string& tag,
                                   std::shared_ptr<FileOps> ops = nullptr) {
    auto layout = Layout::OpenForWriting(dir_, std::move(ops));
    if (!layout.ok()) return layout.status();
    return ImageWriter(**layout).Write(graph, Options(tag));
  }

  absl::StatusOr<std::unique_ptr<ImageReader>> Load(const std::string& tag,
                                                    ReadOptions options = {}) {
    auto layout = Layout::Open(dir_);
    if (!layout.ok()) return layout.status();
    return ImageReader::Open(**layout, tag, std::move(options));
  }

  absl::Status Verify(const std::string& tag) {
    auto layout = Layout::Open(dir_);
    if (!layout.ok()) return layout.status();
    return VerifyImage(**layout, tag, {}).status();
  }

  std::filesystem::path Blob(const Digest& digest) const {
    return dir_ / "blobs" / "sha256" / digest.Hex();
  }

  // Names of all blobs.
  std::vector<std::string> Blobs() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / "blobs" / "sha256"))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  // Names of all files in .stasis/tmp.
  std::vector<std::string> TempFiles() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / ".stasis" / "tmp"))
      names.push_back(entry.path().filename());
    return names;
  }

  // Compares every chunk of an image with what it should hold.
  static void ExpectChunks(ImageReader& reader, const std::vector<Bytes>& want) {
    ASSERT_EQ(reader.size(), want.size());
    for (uint32_t i = 0; i < want.size(); ++i) {
      const auto got = reader.Get(i)->Bytes();
      ASSERT_TRUE(got.has_value()) << "chunk " << i << ": " << reader.source()->last_error();
      ASSERT_TRUE(std::equal(got->begin(), got->end(), want[i].begin(), want[i].end()))
          << "chunk " << i;
    }
  }

  std::filesystem::path temp_;
  std::filesystem::path dir_;
};

}  // namespace stasis::image

#endif  // STASIS_TESTS_RESTORE_IMAGE_IMAGE_FIXTURE_H_
