// SPDX-License-Identifier: Apache-2.0
//
// A writer is killed at random moments: earlier tags verify, and the next writer clears up.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

constexpr int kRounds = 50;

class KillTest : public ImageTest {
 protected:
  state::SavedGraph Graph(uint64_t seed) const {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (uint64_t i = 0; i < 150; ++i) {
      const uint64_t s = seed * 1000 + i;
      chunks.push_back(NewChunk(i % 2 == 0 ? TextBytes(state::kChunkSize, s)
                                           : RandomBytes(state::kChunkSize, s)));
    }
    return MakeGraph(std::move(chunks), seed);
  }

  // Saves one tag after the other until it is killed. Never returns.
  [[noreturn]] void SaveForEver(uint64_t round) {
    for (uint64_t i = 0;; ++i) {
      const std::string tag = "r" + std::to_string(round) + "-" + std::to_string(i);
      if (!Save(Graph(round * 100 + i), tag).ok()) ::_exit(1);
    }
  }

  void KillAfter(pid_t child, std::chrono::microseconds delay) {
    std::this_thread::sleep_for(delay);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer gave up by itself";
  }

  // Every blob that is there is one that some tag needs.
  void ExpectNoOrphans() {
    auto layout = Layout::Open(dir_);
    ASSERT_TRUE(layout.ok());
    const auto tags = (*layout)->List();
    ASSERT_TRUE(tags.ok());
    std::vector<std::string> needed;
    for (const TagEntry& entry : *tags) {
      const auto info = ReadImageInfo(**layout, entry.tag, {});
      ASSERT_TRUE(info.ok()) << info.status();
      needed.push_back(info->manifest_digest.Hex());
      needed.push_back(info->manifest.config.digest.Hex());
      needed.push_back(info->manifest.state.digest.Hex());
      for (const Descriptor& pack : info->manifest.packs) needed.push_back(pack.digest.Hex());
    }
    std::sort(needed.begin(), needed.end());
    needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
    EXPECT_EQ(Blobs(), needed);
  }
};

TEST_F(KillTest, EarlierTagsVerifyWheneverTheWriterDies) {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  ASSERT_TRUE(Save(Graph(1'000'000), "base").ok());
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed << ", round " << round);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) SaveForEver(static_cast<uint64_t>(round));
    KillAfter(child, std::chrono::microseconds(random() % 60'000));
    auto layout = Layout::Open(dir_);
    ASSERT_TRUE(layout.ok()) << layout.status();
    const auto tags = (*layout)->List();
    ASSERT_TRUE(tags.ok()) << tags.status();
    for (const TagEntry& entry : *tags)
      ASSERT_EQ(VerifyImage(**layout, entry.tag, {}).status(), absl::OkStatus()) << entry.tag;
    auto writer = Layout::OpenForWriting(dir_);
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(TempFiles().empty());
    ExpectNoOrphans();
    writer->reset();
    if (tags->size() > 8) {  // keep what there is to verify small
      std::filesystem::remove_all(dir_);
      ASSERT_TRUE(Save(Graph(1'000'000), "base").ok());
    }
  }
}

}  // namespace
}  // namespace stasis::image
