// SPDX-License-Identifier: Apache-2.0
//
// An image in another layout: all of it, verified, or nothing.

#include "restore/image/copy_image.h"

#include "tests/restore/image/faulty_ops.h"
#include "tests/restore/image/housekeeping_fixture.h"

namespace stasis::image {
namespace {

class CopyImageTest : public HousekeepingTest {
 protected:
  CopyImageTest() : other_(temp_ / "other") {
    Box box = NewBox(6);
    SaveBox(box, "v1");
    box.Change(2, 22);
    SaveBox(box, "v2");
    contents_ = box.contents;
  }

  // Looks at the other layout for a moment.
  template <typename Fn>
  auto There(Fn fn) {
    std::swap(dir_, other_);
    auto result = fn();
    std::swap(dir_, other_);
    return result;
  }
  std::vector<std::string> BlobsThere() {
    return There([this] { return Blobs(); });
  }
  void ExpectThere(const std::string& tag) {
    (void)There([&] {
      ExpectTag(tag, contents_);
      return true;
    });
  }
  ImageInfo InfoOf(const std::string& tag) {
    auto layout = Layout::Open(dir_);
    return *ReadImageInfo(**layout, tag, {});
  }

  std::filesystem::path other_;
  std::vector<Bytes> contents_;
};

TEST_F(CopyImageTest, EverythingArrives) {
  const auto report = Copy("v2", other_, "here");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->digest, InfoOf("v2").manifest_digest);
  EXPECT_EQ(report->blobs_copied, 3 + InfoOf("v2").manifest.packs.size());
  EXPECT_EQ(report->blobs_present, 0u);
  EXPECT_EQ(BlobsThere().size(), report->blobs_copied);
  ExpectThere("here");
}

TEST_F(CopyImageTest, WhatIsThereIsNotCopiedAgain) {
  const auto first = Copy("v1", other_, "v1");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = Copy("v2", other_, "v2");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_GT(second->blobs_present, 0u);
  EXPECT_GT(second->bytes_present, 0u);
  const auto again = Copy("v2", other_, "v2");
  EXPECT_EQ(again->blobs_copied, 0u);
  EXPECT_EQ(again->bytes_copied, 0u);
  EXPECT_EQ(again->bytes_present, second->bytes_present + second->bytes_copied);
  ExpectThere("v2");
}

TEST_F(CopyImageTest, WithinOneLayoutItIsAnotherName) {
  const auto before = Blobs();
  ASSERT_TRUE(Copy("v2", dir_, "same").ok());
  EXPECT_EQ(Blobs(), before);
  ExpectTag("same", contents_);
  ExpectTag("v2", contents_);
}

TEST_F(CopyImageTest, DamageIsNamedAndLeavesNothing) {
  const ImageInfo info = InfoOf("v2");
  for (const Digest& digest : {info.manifest.packs.at(0).digest, info.manifest.state.digest,
                               info.manifest.config.digest, info.manifest_digest}) {
    const std::string good = ReadFile(Blob(digest));
    std::string bad = good;
    bad[bad.size() / 2] ^= 1;
    WriteFile(Blob(digest), bad);
    const auto status = Copy("v2", other_, "v2").status();
    EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss));
    EXPECT_THAT(std::string(status.message()), HasSubstr(digest.ToString()));
    EXPECT_TRUE(BlobsThere().empty());
    EXPECT_TRUE(There([this] { return TempFiles(); }).empty());
    WriteFile(Blob(digest), good);
  }
}

TEST_F(CopyImageTest, WhatIsDamagedThereIsReplaced) {
  ASSERT_TRUE(Copy("v2", other_, "v2").ok());
  const Digest pack = InfoOf("v2").manifest.packs.at(0).digest;
  (void)There([&] {
    std::string bytes = ReadFile(Blob(pack));
    bytes[7] ^= 1;
    WriteFile(Blob(pack), bytes);
    return true;
  });
  const auto report = Copy("v2", other_, "v2");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->blobs_copied, 1u);
  ExpectThere("v2");
}

TEST_F(CopyImageTest, TheTraceComesAlongAndReplacesTheOneThatIsThere) {
  const Digest image = InfoOf("v2").manifest_digest;
  ASSERT_TRUE(Copy("v2", other_, "v2").ok());
  const Descriptor old = There([&] { return AddReferrer(image, kTrace, "old trace"); });
  const Descriptor trace = AddReferrer(image, kTrace, "new trace");
  const Descriptor signature = AddReferrer(image, "application/vnd.example.signature", "signed");
  const auto report = Copy("v2", other_, "v2");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->referrers, 2u);
  const std::string index = ReadFile(other_ / "index.json");
  EXPECT_THAT(index, HasSubstr(trace.digest.ToString()));
  EXPECT_THAT(index, HasSubstr(signature.digest.ToString()));
  EXPECT_THAT(index, ::testing::Not(HasSubstr(old.digest.ToString())));
  ExpectThere("v2");
  EXPECT_TRUE(There([this] { return EntryOf(ReadLog(), "v2").has_trace; }));
}

TEST_F(CopyImageTest, CanBeInterruptedAtAnyTimeAndLeavesNothing) {
  ASSERT_TRUE(Copy("v1", other_, "v1").ok());
  const auto before = BlobsThere();
  for (uint64_t stop = 1;; ++stop) {
    std::atomic<bool> cancel{false};
    uint64_t calls = 0;
    CopyOptions options;
    options.cancel = &cancel;
    options.on_progress = [&](const CopyProgress& progress) {
      EXPECT_LE(progress.bytes_done, progress.bytes_total);
      if (++calls == stop) cancel = true;
    };
    const auto report = Copy("v2", other_, "v2", nullptr, options);
    if (report.ok()) break;
    EXPECT_THAT(report.status(), HasCode(absl::StatusCode::kCancelled));
    EXPECT_EQ(BlobsThere(), before);
    EXPECT_TRUE(There([this] { return TempFiles(); }).empty());
  }
  ExpectThere("v2");
}

TEST_F(CopyImageTest, AFullDiskLeavesNothing) {
  ASSERT_TRUE(Copy("v1", other_, "v1").ok());
  const auto before = BlobsThere();
  auto counting = std::make_shared<FaultyOps>(FaultyOps::Fault::kNone, 0, 0);
  ASSERT_TRUE(Copy("v2", temp_ / "third", "v2", counting).ok());
  auto ops =
      std::make_shared<FaultyOps>(FaultyOps::Fault::kFromThenOn, counting->count() / 2, ENOSPC);
  const auto status = Copy("v2", other_, "v2", ops).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(BlobsThere(), before);
  EXPECT_TRUE(There([this] { return TempFiles(); }).empty());
}

TEST_F(CopyImageTest, WhatIsNoCheckpointIsRefused) {
  EXPECT_THAT(Copy("v9", other_, "v9").status(), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(Copy("v2", other_, "no/tag").status(), HasCode(absl::StatusCode::kInvalidArgument));
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      DescriptorText("application/vnd.oci.image.config.v1+json", AddBlob("{}"), 2) +
      R"(,"layers":[]})";
  Descriptor entry;
  entry.media_type = kMediaTypeManifest;
  entry.digest = AddBlob(manifest);
  entry.size = manifest.size();
  ChangeIndex([&](Index& index) { index.Set("app", entry); });
  EXPECT_THAT(Copy("app", other_, "app").status(), HasCode(absl::StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace stasis::image
