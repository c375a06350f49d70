// SPDX-License-Identifier: Apache-2.0
//
// Whoever saves, removes, collects, squashes or copies is killed at random moments, or works beside
// others: what is named verifies, and in the end nothing is left over.
//
// STASIS_KILL_ROUNDS says how often (20).

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/restore/image/housekeeping_fixture.h"

namespace stasis::image {
namespace {

class HousekeepingKillTest : public HousekeepingTest {
 protected:
  HousekeepingKillTest() : other_(temp_ / "other") {
    const char* seed = std::getenv("STASIS_SEED");           // NOLINT(concurrency-mt-unsafe)
    const char* rounds = std::getenv("STASIS_KILL_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
    seed_ = seed != nullptr ? std::strtoull(seed, nullptr, 10) : std::random_device()();
    rounds_ = rounds != nullptr ? std::atoi(rounds) : 20;
    std::printf("STASIS_SEED=%llu\n", static_cast<unsigned long long>(seed_));
    Start();
  }

  // "base" is never removed; it is squashed and copied.
  void Start() {
    std::filesystem::remove_all(dir_);
    std::filesystem::remove_all(other_);
    Box box = NewBox(60);
    SaveBox(box, "old");
    for (size_t i = 0; i < 20; ++i) box.Change(i * 3, 900 + i);
    SaveBox(box, "base");
    base_ = box.contents;
    ASSERT_TRUE(Copy("base", other_, "base").ok());
  }

  static std::string Tag(std::mt19937_64& random) { return "t" + std::to_string(random() % 4); }

  // One thing after the other until it is killed. Never returns.
  [[noreturn]] void WorkForEver(uint64_t seed) {
    std::mt19937_64 random(seed);
    Box box = NewBox(40, seed);
    while (true) {
      switch (random() % 6) {
        case 0:
          for (int i = 0; i < 5; ++i) box.Change(random() % 40, random());
          Expect(TrySave(box, Tag(random)).status());
          break;
        case 1:
          Expect(Untag({Tag(random)}));
          break;
        case 2:
          Expect(Gc(0).status());
          break;
        case 3:
          Expect(Squash(random() % 2 == 0 ? "base" : Tag(random), random() % 2).status());
          break;
        case 4:
          Expect(Copy("base", other_, Tag(random)).status());
          break;
        default:
          std::swap(dir_, other_);
          Expect(Untag({Tag(random)}));
          Expect(Gc(0).status());
          std::swap(dir_, other_);
      }
    }
  }

  // Others hold the lock, or have removed the tag.
  static void Expect(const absl::Status& status) {
    if (status.ok() || absl::IsNotFound(status) || absl::IsUnavailable(status)) return;
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    ::_exit(1);
  }

  pid_t StartWorker(uint64_t seed) {
    const pid_t child = ::fork();
    if (child == 0) WorkForEver(seed);
    return child;
  }

  static void Kill(pid_t child) {
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the worker gave up by itself";
  }

  void VerifyAll() {
    auto layout = Layout::Open(dir_);
    ASSERT_TRUE(layout.ok()) << layout.status();
    const auto tags = (*layout)->List();
    ASSERT_TRUE(tags.ok()) << tags.status();
    for (const TagEntry& entry : *tags)
      ASSERT_EQ(VerifyImage(**layout, entry.tag, {}).status(), absl::OkStatus()) << entry.tag;
    ExpectTag("base", base_);
  }

  // After a collection everything that is there is needed.
  void ExpectTidy() {
    ASSERT_TRUE(Gc(0).ok());
    EXPECT_EQ(ReadLog().unnamed_bytes, 0u);
    EXPECT_TRUE(TempFiles().empty());
    VerifyAll();
  }

  std::filesystem::path other_;
  std::vector<Bytes> base_;
  uint64_t seed_ = 0;
  int rounds_ = 0;
};

TEST_F(HousekeepingKillTest, WhatIsNamedVerifiesWheneverSomebodyDies) {
  std::mt19937_64 random(seed_);
  for (int round = 0; round < rounds_; ++round) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed_ << ", round " << round);
    const pid_t child = StartWorker(random());
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    Kill(child);
    if (HasFailure()) return;
    for (int i = 0; i < 2; ++i) {
      VerifyAll();
      if (round % 4 == 3) ExpectTidy();
      std::swap(dir_, other_);
    }
    if (HasFailure()) return;
  }
}

TEST_F(HousekeepingKillTest, SeveralAtOnceAndReaders) {
  std::mt19937_64 random(seed_);
  const std::vector<pid_t> workers = {StartWorker(random()), StartWorker(random()),
                                      StartWorker(random())};
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(50 * rounds_);
  uint64_t reads = 0;
  while (std::chrono::steady_clock::now() < until && !HasFailure()) {
    // As a restore does it: leased first, so that whoever collects leaves it alone.
    auto layout = Layout::Open(dir_);
    ASSERT_TRUE(layout.ok()) << layout.status();
    const auto lease = Lease::Take(**layout, "reader");
    ASSERT_NE(lease, nullptr);
    const std::string tag = random() % 2 == 0 ? "base" : Tag(random);
    auto reader = ImageReader::Open(**layout, tag, {});
    if (absl::IsNotFound(reader.status()) && tag != "base") continue;
    ASSERT_TRUE(reader.ok()) << reader.status();
    lease->Narrow({(*reader)->info().manifest_digest});
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 5));
    // Reopened: what is leased is still there.
    for (const PackEntry& pack : (*reader)->source()->packs())
      EXPECT_TRUE((*layout)->HasBlob(pack.digest, pack.size));
    for (uint32_t i = 0; i < (*reader)->size(); ++i)
      ASSERT_TRUE((*reader)->Get(i)->Bytes().has_value()) << (*reader)->source()->last_error();
    if (tag == "base") ExpectChunks(**reader, base_);
    ++reads;
  }
  for (const pid_t worker : workers) Kill(worker);
  EXPECT_GT(reads, 0u);
  ExpectTidy();
}

}  // namespace
}  // namespace stasis::image
