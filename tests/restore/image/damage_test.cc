// SPDX-License-Identifier: Apache-2.0
//
// Bits of every byte of a small image flipped, every file of it cut at every length: each is found.

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

class DamageTest : public ImageTest {
 protected:
  DamageTest() {
    auto graph = MakeGraph({NewChunk(TextBytes(600, 1)), NewChunk(RandomBytes(100, 2))});
    EXPECT_TRUE(Save(graph, "v1").ok());
    EXPECT_EQ(Check(), absl::OkStatus());
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_)) {
      const bool own = entry.path().string().find("/.stasis") != std::string::npos;
      if (entry.is_regular_file() && !own) files_.push_back(entry.path());
    }
    EXPECT_EQ(files_.size(), 6u);  // oci-layout, index.json, manifest, config, state, pack
  }

  // Opens, reads and verifies.
  absl::Status Check() {
    auto reader = Load("v1");
    if (!reader.ok()) return reader.status();
    return Verify("v1");
  }

  // A name that has changed is a tag that is not there; everything else is damage. A type that has
  // changed reads like another kind of image.
  static bool IsFinding(const absl::Status& status, const std::filesystem::path& file) {
    if (absl::IsDataLoss(status)) return true;
    return file.filename() == "index.json" && absl::IsNotFound(status);
  }

  // Rewriting the whole file would wait for the disk each time.
  static void WriteInPlace(const std::filesystem::path& file, size_t offset, char byte) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(byte);
  }

  std::vector<std::filesystem::path> files_;
};

TEST_F(DamageTest, EveryFlippedByteIsFound) {
  for (const auto& file : files_) {
    const std::string good = ReadFile(file);
    // A digest covers blobs, whichever bit it is; the index is compared word by word, so there it
    // matters which.
    const size_t step = file.parent_path().filename() == "sha256" ? 7 : 1;
    for (size_t i = 0; i < 8 * good.size(); i += step) {
      const char flipped = static_cast<char>(good[i / 8] ^ (1 << (i % 8)));
      WriteInPlace(file, i / 8, flipped);
      const absl::Status status = Check();
      ASSERT_TRUE(IsFinding(status, file)) << file << " bit " << i << ": " << status;
      WriteInPlace(file, i / 8, good[i / 8]);
    }
  }
  EXPECT_EQ(Check(), absl::OkStatus());
}

TEST_F(DamageTest, EveryCutIsFound) {
  for (const auto& file : files_) {
    const std::string good = ReadFile(file);
    for (size_t length = good.size(); length-- > 0;) {
      std::filesystem::resize_file(file, length);
      const absl::Status status = Check();
      ASSERT_TRUE(IsFinding(status, file)) << file << " cut to " << length << ": " << status;
    }
    WriteFile(file, good);
  }
}

TEST_F(DamageTest, EveryMissingFileIsFound) {
  for (const auto& file : files_) {
    const std::string good = ReadFile(file);
    std::filesystem::remove(file);
    const absl::Status status = Check();
    if (file.filename() == "oci-layout")
      EXPECT_THAT(status, HasCode(absl::StatusCode::kNotFound));
    else
      EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss)) << file;
    WriteFile(file, good);
  }
}

TEST_F(DamageTest, VerifyReportsEverything) {
  for (const auto& file : files_) {
    if (file.filename() == "oci-layout" || file.filename() == "index.json") continue;
    std::string bytes = ReadFile(file);
    const bool manifest = bytes.find("\"layers\"") != std::string::npos;
    if (!manifest) WriteFile(file, bytes + "x");
  }
  auto layout = Layout::Open(dir_);
  const VerifyReport report = VerifyImage(**layout, "v1", {});
  EXPECT_EQ(report.findings.size(), 3u);  // config, state, pack
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("(and 2 more)"));
}

TEST_F(DamageTest, VerifyCountsWhatItChecked) {
  auto layout = Layout::Open(dir_);
  uint64_t done = 0;
  uint64_t total = 0;
  VerifyOptions options;
  options.on_progress = [&](const VerifyProgress& progress) {
    done = progress.bytes_done;
    total = progress.bytes_total;
  };
  const VerifyReport report = VerifyImage(**layout, "v1", options);
  EXPECT_EQ(report.blobs, 4u);
  EXPECT_EQ(report.frames, 1u);
  EXPECT_EQ(report.chunks, 2u);
  EXPECT_EQ(done, total);
}

}  // namespace
}  // namespace stasis::image
