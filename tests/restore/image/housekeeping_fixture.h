// SPDX-License-Identifier: Apache-2.0
//
// housekeeping_fixture.h: layouts with a history, and what is done to them.

#ifndef STASIS_TESTS_RESTORE_IMAGE_HOUSEKEEPING_FIXTURE_H_
#define STASIS_TESTS_RESTORE_IMAGE_HOUSEKEEPING_FIXTURE_H_

#include <absl/time/clock.h>

#include <optional>
#include <utility>

#include "restore/image/copy_image.h"
#include "restore/image/gc.h"
#include "restore/image/history.h"
#include "restore/image/index.h"
#include "restore/image/lease.h"
#include "restore/image/squash.h"
#include "tests/restore/image/image_fixture.h"

namespace stasis::image {

// In memory, if the host can: what is tested here makes many files, and waits for the disk often.
class HousekeepingTest : public ImageTest {
 protected:
  HousekeepingTest() {
    std::string name = "/dev/shm/stasis-image-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return;
    std::filesystem::remove_all(temp_);
    temp_ = name;
    dir_ = temp_ / "snaps";
  }

  // A sandbox: chunks that are saved again and again, and what they hold.
  struct Box {
    std::vector<RefPtr<state::Chunk>> chunks;
    std::vector<Bytes> contents;
    std::optional<Digest> parent;
    int64_t saves = 0;

    // Gives chunk `i` new content.
    void Change(size_t i, uint64_t seed, size_t size = 4000) {
      if (chunks.size() <= i) chunks.resize(i + 1), contents.resize(i + 1);
      contents[i] = seed % 2 == 0 ? TextBytes(size, seed) : RandomBytes(size, seed);
      chunks[i] = NewChunk(contents[i]);
    }
  };

  static Box NewBox(size_t chunks, uint64_t seed = 1) {
    Box box;
    for (size_t i = 0; i < chunks; ++i) box.Change(i, seed * 1000 + i);
    return box;
  }

  absl::StatusOr<WriteResult> TrySave(Box& box, const std::string& tag,
                                      std::shared_ptr<FileOps> ops = nullptr) {
    auto layout = Layout::OpenForWriting(dir_, std::move(ops));
    if (!layout.ok()) return layout.status();
    WriteOptions options = Options(tag);
    options.created += ++box.saves * 1'000'000'000;
    options.parent = box.parent;
    auto written = ImageWriter(**layout).Write(MakeGraph(box.chunks, 1), options);
    if (written.ok()) box.parent = written->manifest_digest;
    return written;
  }

  Digest SaveBox(Box& box, const std::string& tag) {
    const auto written = TrySave(box, tag);
    EXPECT_TRUE(written.ok()) << written.status();
    return written.ok() ? written->manifest_digest : Digest();
  }

  // The image is whole and has these chunks.
  void ExpectTag(const std::string& tag, const std::vector<Bytes>& contents) {
    EXPECT_EQ(Verify(tag), absl::OkStatus()) << tag;
    auto reader = Load(tag);
    ASSERT_TRUE(reader.ok()) << reader.status();
    ExpectChunks(**reader, contents);
  }

  absl::Status Untag(const std::vector<std::string>& tags) {
    auto layout = Layout::OpenForWriting(dir_);
    if (!layout.ok()) return layout.status();
    return (*layout)->RemoveTags(tags);
  }

  absl::StatusOr<GcReport> Gc(TimeNs older_than = kDefaultGrace, bool dry_run = false,
                              std::shared_ptr<FileOps> ops = nullptr) {
    auto layout = Layout::OpenForWriting(dir_, std::move(ops));
    if (!layout.ok()) return layout.status();
    return CollectGarbage(**layout, {dry_run, absl::GetCurrentTimeNanos(), older_than});
  }

  absl::StatusOr<SquashReport> Squash(const std::string& tag, uint32_t depth = 0,
                                      std::shared_ptr<FileOps> ops = nullptr) {
    auto layout = Layout::OpenForWriting(dir_, std::move(ops));
    if (!layout.ok()) return layout.status();
    SquashOptions options;
    options.depth = depth;
    return SquashImage(**layout, tag, options);
  }

  absl::StatusOr<CopyReport> Copy(const std::string& tag, const std::filesystem::path& to,
                                  const std::string& to_tag, std::shared_ptr<FileOps> ops = nullptr,
                                  const CopyOptions& options = {}) {
    auto from = Layout::Open(dir_, ops);
    if (!from.ok()) return from.status();
    auto layout = Layout::OpenForWriting(to, std::move(ops));
    if (!layout.ok()) return layout.status();
    return CopyImage(**from, tag, **layout, to_tag, options);
  }

  History ReadLog() {
    auto layout = Layout::Open(dir_);
    EXPECT_TRUE(layout.ok()) << layout.status();
    auto history = ReadHistory(**layout);
    EXPECT_TRUE(history.ok()) << history.status();
    return history.ok() ? *std::move(history) : History();
  }

  static const HistoryEntry& EntryOf(const History& history, const std::string& tag) {
    for (const HistoryEntry& entry : history.entries)
      if (entry.tag == tag) return entry;
    ADD_FAILURE() << "there is no tag " << tag;
    return history.entries.front();
  }

  Digest AddBlob(const std::string& content) {
    const Digest digest = Digest::Of(std::as_bytes(std::span(content)));
    WriteFile(Blob(digest), content);
    return digest;
  }

  static std::string DescriptorText(const std::string& type, const Digest& digest, size_t size) {
    return R"({"mediaType":")" + type + R"(","digest":")" + digest.ToString() + R"(","size":)" +
           std::to_string(size) + "}";
  }

  void ChangeIndex(const std::function<void(Index&)>& change) {
    auto layout = Layout::OpenForWriting(dir_);
    ASSERT_TRUE(layout.ok()) << layout.status();
    auto index = Index::Parse(*(*layout)->ReadIndex());
    ASSERT_TRUE(index.ok());
    change(*index);
    ASSERT_EQ((*layout)->ReplaceIndex(index->Encode()), absl::OkStatus());
  }

  // A document that refers to `subject`; named by an entry without a tag.
  Descriptor AddReferrer(const Digest& subject, const std::string& type,
                         const std::string& content) {
    const Digest layer = AddBlob(content);
    const Digest config = AddBlob("{}");
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
        R"("artifactType":")" +
        type + R"(","config":)" + DescriptorText("application/vnd.oci.empty.v1+json", config, 2) +
        R"(,"layers":[)" + DescriptorText(type, layer, content.size()) + R"(],"subject":)" +
        DescriptorText(kMediaTypeManifest, subject, 1) + "}";
    Descriptor entry;
    entry.media_type = kMediaTypeManifest;
    entry.digest = AddBlob(manifest);
    entry.size = manifest.size();
    entry.artifact_type = type;
    ChangeIndex([&](Index& index) { index.AddUntagged(entry); });
    return entry;
  }

  static constexpr char kTrace[] = "application/vnd.stasis.trace.v1+zstd";
};

}  // namespace stasis::image

#endif  // STASIS_TESTS_RESTORE_IMAGE_HOUSEKEEPING_FIXTURE_H_
