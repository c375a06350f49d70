// SPDX-License-Identifier: Apache-2.0
//
// What goes, and what stays: for tags, for other programs, for whoever reads.

#include "restore/image/gc.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/restore/image/housekeeping_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class GcTest : public HousekeepingTest {
 protected:
  // Two images that share a pack; nobody uses them.
  void SaveTwo() {
    Box box = NewBox(6);
    first_ = box.contents;
    SaveBox(box, "v1");
    for (size_t i = 0; i < 3; ++i) box.Change(i, 500 + i);
    second_ = box.contents;
    SaveBox(box, "v2");
  }

  std::vector<std::string> BlobsOf(const std::string& tag) {
    auto layout = Layout::Open(dir_);
    const auto info = ReadImageInfo(**layout, tag, {});
    EXPECT_TRUE(info.ok()) << info.status();
    std::vector<std::string> names = {info->manifest_digest.Hex(),
                                      info->manifest.config.digest.Hex(),
                                      info->manifest.state.digest.Hex()};
    for (const Descriptor& pack : info->manifest.packs) names.push_back(pack.digest.Hex());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::vector<Bytes> first_, second_;
};

TEST_F(GcTest, RemovesWhatOnlyRemovedTagsNeeded) {
  SaveTwo();
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  const uint64_t before = ReadLog().total_bytes;
  const auto report = Gc();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Blobs(), BlobsOf("v2"));
  ExpectTag("v2", second_);
  EXPECT_FALSE(report->removed.empty());
  EXPECT_EQ(report->removed_bytes, before - ReadLog().total_bytes);
  EXPECT_EQ(report->kept_blobs, Blobs().size());
  EXPECT_EQ(report->kept_bytes, ReadLog().total_bytes);
}

TEST_F(GcTest, RemovesNothingThatTagsNeed) {
  SaveTwo();
  const auto before = Blobs();
  const auto report = Gc(0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->removed, IsEmpty());
  EXPECT_EQ(Blobs(), before);
  ExpectTag("v1", first_);
  ExpectTag("v2", second_);
}

TEST_F(GcTest, RemovesAnImageWhoseTagHasMovedOn) {
  SaveTwo();
  {
    Box box = NewBox(2, 7);
    SaveBox(box, "v1");
  }
  ASSERT_TRUE(Gc().ok());
  auto want = BlobsOf("v1");
  for (const std::string& name : BlobsOf("v2")) want.push_back(name);
  std::sort(want.begin(), want.end());
  want.erase(std::unique(want.begin(), want.end()), want.end());
  EXPECT_EQ(Blobs(), want);
}

TEST_F(GcTest, ADryRunSaysTheSameAndRemovesNothing) {
  SaveTwo();
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  const auto before = Blobs();
  auto layout = Layout::Open(dir_);
  const auto dry = CollectGarbage(**layout, {true, absl::GetCurrentTimeNanos(), kDefaultGrace});
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_EQ(Blobs(), before);
  const auto report = Gc();
  EXPECT_EQ(dry->removed.size(), report->removed.size());
  EXPECT_EQ(dry->removed_bytes, report->removed_bytes);
}

TEST_F(GcTest, WhatIsReadStaysAndTheReaderIsNamed) {
  SaveTwo();
  auto layout = Layout::Open(dir_);
  auto lease = Lease::TakeOf(**layout, "reader", {(*layout)->Resolve("v1")->digest});
  const auto needed = BlobsOf("v1");
  ASSERT_EQ(Untag({"v1", "v2"}), absl::OkStatus());
  auto report = Gc(0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Blobs(), needed);
  ASSERT_THAT(report->leased, SizeIs(1));
  EXPECT_EQ(report->leased[0].lease.name, "reader");
  EXPECT_EQ(report->leased[0].blobs, needed.size());
  lease.reset();
  report = Gc();
  EXPECT_THAT(report->leased, IsEmpty());
  EXPECT_THAT(Blobs(), IsEmpty());
}

TEST_F(GcTest, ALeaseOfEverythingKeepsEverything) {
  SaveTwo();
  auto layout = Layout::Open(dir_);
  const auto lease = Lease::Take(**layout, "reader");
  ASSERT_EQ(Untag({"v1", "v2"}), absl::OkStatus());
  const auto before = Blobs();
  const auto report = Gc(0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Blobs(), before);
  ASSERT_THAT(report->leased, SizeIs(1));
  EXPECT_TRUE(report->leased[0].lease.everything);
}

TEST_F(GcTest, TheLeaseOfADeadProcessKeepsNothing) {
  SaveTwo();
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  const pid_t child = ::fork();
  if (child == 0) {
    auto layout = Layout::Open(dir_);
    const auto lease = Lease::Take(**layout, "dead");
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto report = Gc();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->dead_leases, 1u);
  EXPECT_THAT(report->leased, IsEmpty());
  EXPECT_EQ(Blobs(), BlobsOf("v2"));
}

TEST_F(GcTest, ASandboxGoesOnSavingAfterItsImagesWereRemoved) {
  Box box = NewBox(6);
  SaveBox(box, "v1");
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  ASSERT_TRUE(Gc(0).ok());
  box.Change(0, 99);
  SaveBox(box, "v2");  // refers to the packs that its lease has kept
  ExpectTag("v2", box.contents);
  std::filesystem::remove_all(dir_ / ".stasis/leases");  // somebody meddles
  ASSERT_EQ(Untag({"v2"}), absl::OkStatus());
  ASSERT_TRUE(Gc(0).ok());
  EXPECT_THAT(Blobs(), IsEmpty());
  SaveBox(box, "v3");  // writes them again
  ExpectTag("v3", box.contents);
}

TEST_F(GcTest, WhatMayBeAnotherProgramsWaits) {
  SaveTwo();
  const Digest theirs = AddBlob("a layer that is about to be named");
  auto report = Gc();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->removed, IsEmpty());
  EXPECT_EQ(report->young_blobs, 1u);
  EXPECT_EQ(report->young_bytes, 33u);
  EXPECT_TRUE(std::filesystem::exists(Blob(theirs)));
  auto layout = Layout::OpenForWriting(dir_);
  report = CollectGarbage(**layout,
                          {false, absl::GetCurrentTimeNanos() + kDefaultGrace + 1, kDefaultGrace});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->removed, SizeIs(1));
  EXPECT_FALSE(std::filesystem::exists(Blob(theirs)));
}

TEST_F(GcTest, ImagesOfOthersStayWithAllThatTheyName) {
  SaveTwo();
  const Digest layer = AddBlob("layer");
  const Digest config = AddBlob("config");
  const std::string manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" +
      DescriptorText("application/vnd.oci.image.config.v1+json", config, 6) + R"(,"layers":[)" +
      DescriptorText("application/vnd.oci.image.layer.v1.tar", layer, 5) + "]}";
  const Digest inner = AddBlob(manifest);
  // Of one of its two platforms nothing is here, as skopeo leaves it.
  const std::string index = R"({"schemaVersion":2,"manifests":[)" +
                            DescriptorText(kMediaTypeManifest, inner, manifest.size()) + "," +
                            DescriptorText(kMediaTypeManifest, Digest(), 77) + "]}";
  Descriptor entry;
  entry.media_type = kMediaTypeIndex;
  entry.digest = AddBlob(index);
  entry.size = index.size();
  ChangeIndex([&](Index& document) { document.AddUntagged(entry); });
  const auto before = Blobs();
  const auto report = Gc(0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Blobs(), before);
}

TEST_F(GcTest, ATraceGoesWithItsImage) {
  SaveTwo();
  auto layout = Layout::Open(dir_);
  AddReferrer((*layout)->Resolve("v1")->digest, kTrace, "trace of v1");
  const Descriptor kept = AddReferrer((*layout)->Resolve("v2")->digest, kTrace, "trace of v2");
  auto report = Gc(0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->removed, IsEmpty());
  EXPECT_THAT(report->removed_entries, IsEmpty());
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  report = Gc();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->removed_entries, SizeIs(1));
  EXPECT_TRUE(std::filesystem::exists(Blob(kept.digest)));
  EXPECT_EQ(Blobs().size(), BlobsOf("v2").size() + 3);
  EXPECT_TRUE(EntryOf(ReadLog(), "v2").has_trace);
}

TEST_F(GcTest, ReferrersOfReferrersGoAlong) {
  SaveTwo();
  auto layout = Layout::Open(dir_);
  const Descriptor signature = AddReferrer((*layout)->Resolve("v1")->digest,
                                           "application/vnd.example.signature", "signature");
  AddReferrer(signature.digest, "application/vnd.example.signature", "signature of it");
  // What this one is about is in another layout.
  const Descriptor alien =
      AddReferrer(Digest::Of({}), "application/vnd.example.signature", "elsewhere");
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  const auto report = Gc(0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->removed_entries, SizeIs(2));
  EXPECT_TRUE(std::filesystem::exists(Blob(alien.digest)));
  EXPECT_EQ(Blobs().size(), BlobsOf("v2").size() + 3);
}

TEST_F(GcTest, ADamagedManifestStopsItByName) {
  SaveTwo();
  auto layout = Layout::Open(dir_);
  const Digest manifest = (*layout)->Resolve("v1")->digest;
  ASSERT_EQ(Untag({"v2"}), absl::OkStatus());
  const std::string text = ReadFile(Blob(manifest));
  for (const bool missing : {false, true}) {
    if (missing)
      std::filesystem::remove(Blob(manifest));
    else
      WriteFile(Blob(manifest), text.substr(1) + " ");
    const auto before = Blobs();
    const auto status = Gc(0).status();
    EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss));
    EXPECT_THAT(std::string(status.message()), HasSubstr("tag \"v1\""));
    EXPECT_THAT(std::string(status.message()), HasSubstr(manifest.ToString()));
    EXPECT_EQ(Blobs(), before);
  }
  ASSERT_EQ(Untag({"v1"}), absl::OkStatus());
  EXPECT_TRUE(Gc(0).ok());
  EXPECT_THAT(Blobs(), IsEmpty());
}

TEST_F(GcTest, AnEntryWithADigestThatIsNotKnownStopsIt) {
  SaveTwo();
  const std::string index = ReadFile(dir_ / "index.json");
  WriteFile(dir_ / "index.json",
            index.substr(0, index.rfind("]}")) +
                R"(,{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha512:)" +
                std::string(128, 'a') + R"(","size":7}]})");
  EXPECT_THAT(Gc(0).status(), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(GcTest, AnIndexInItselfEnds) {
  SaveTwo();
  std::string document = R"({"schemaVersion":2,"manifests":[]})";
  Descriptor entry;
  entry.media_type = kMediaTypeIndex;
  for (int i = 0; i < 12; ++i) {
    entry.digest = AddBlob(document);
    entry.size = document.size();
    document = R"({"schemaVersion":2,"manifests":[)" +
               DescriptorText(kMediaTypeIndex, entry.digest, entry.size) + "]}";
  }
  ChangeIndex([&](Index& index) { index.Set("deep", entry); });
  const auto status = Gc(0).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(std::string(status.message()), HasSubstr("nested deeper"));
}

TEST_F(GcTest, NothingOutsideIsTouchedAndNoLinkFollowed) {
  SaveTwo();
  WriteFile(temp_ / "outside", "precious");
  std::filesystem::create_symlink(temp_ / "outside", dir_ / "blobs/sha256" / std::string(64, 'a'));
  std::filesystem::create_directory(dir_ / "blobs/sha256" / std::string(64, 'b'));
  WriteFile(dir_ / "blobs/sha256/README", "not a blob");
  WriteFile(dir_ / "blobs/sha256" / std::string(64, 'A'), "not a blob either");
  std::filesystem::create_directories(dir_ / "blobs/sha512");
  WriteFile(dir_ / "blobs/sha512" / std::string(128, 'c'), "another algorithm");
  ASSERT_EQ(Untag({"v1", "v2"}), absl::OkStatus());
  const auto report = Gc(0);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->unknown_files, 4u);
  EXPECT_EQ(Blobs().size(), 4u);
  EXPECT_EQ(ReadFile(temp_ / "outside"), "precious");
  EXPECT_TRUE(std::filesystem::exists(dir_ / "blobs/sha512" / std::string(128, 'c')));
}

TEST_F(GcTest, AFolderOfBlobsThatIsALinkIsRefused) {
  SaveTwo();
  std::filesystem::rename(dir_ / "blobs/sha256", temp_ / "elsewhere");
  std::filesystem::create_directory_symlink(temp_ / "elsewhere", dir_ / "blobs/sha256");
  EXPECT_THAT(Gc(0).status(), HasCode(absl::StatusCode::kDataLoss));
}

TEST_F(GcTest, WaitsForNoWriter) {
  SaveTwo();
  auto writer = Layout::OpenForWriting(dir_);
  EXPECT_THAT(Gc().status(), HasCode(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace stasis::image
