// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes of one image, which have its data in memory once.

#include <signal.h>

#include <filesystem>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

constexpr int64_t kData = 8 << 20;

class SiblingsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    StartBox("box");
    ASSERT_THAT(In("box", "head -c 8388608 /dev/urandom > /f"), Succeeded());
    sum_ = Sum("box");
    ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
    ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  }
  void Restore(const std::string& name, std::vector<std::string> options = {}) {
    std::vector<std::string> command = {"restore", "snaps:v1", "--name", name, "--detach"};
    command.insert(command.end(), options.begin(), options.end());
    ASSERT_THAT(Stasis(command), Succeeded());
  }
  std::string Sum(const std::string& box) { return In(box, "sha256sum < /f").out; }
  nlohmann::json Info(const std::string& box) {
    const nlohmann::json all = Stasis({"ps", "--json"}).Json();
    for (const auto& info : all.at("sandboxes"))
      if (info.at("name") == box) return info;
    return {};
  }
  int64_t Shared(const std::string& box) { return Info(box).at("shared_memory_bytes"); }
  int64_t Own(const std::string& box) { return Info(box).at("memory_bytes"); }
  bool NothingIsLeft() const { return !std::filesystem::exists(runtime_dir() + "/.frames"); }

  std::string sum_;
};

TEST_F(SiblingsTest, HaveStoredDataInMemoryOnce) {
  Restore("a");
  EXPECT_EQ(Sum("a"), sum_);
  Restore("b");
  EXPECT_EQ(Sum("b"), sum_);
  EXPECT_GE(Shared("a"), kData);
  EXPECT_EQ(Shared("b"), Shared("a"));
  EXPECT_LT(Own("a"), kData / 8);
  EXPECT_LT(Own("b"), kData / 8);
}

TEST_F(SiblingsTest, DoNotSeeWhatTheOtherWrites) {
  Restore("a");
  Restore("b");
  EXPECT_EQ(Sum("a"), sum_);
  ASSERT_THAT(In("a", "printf changed | dd of=/f bs=1 seek=100 conv=notrunc"), Succeeded());
  EXPECT_NE(Sum("a"), sum_);
  EXPECT_EQ(Sum("b"), sum_);
}

// What it has had stays: by the checkpoint it is in another image, of the same packs.
TEST_F(SiblingsTest, CheckpointsForksAndUpgradesGoOnSharing) {
  Restore("a");
  EXPECT_EQ(Sum("a"), sum_);
  const int64_t shared = Shared("a");
  ASSERT_THAT(Stasis({"checkpoint", "a", "snaps:v2"}), Succeeded());
  EXPECT_EQ(Sum("a"), sum_);
  ASSERT_THAT(Stasis({"upgrade", "a"}), Succeeded());
  EXPECT_EQ(Shared("a"), shared);
  ASSERT_THAT(Stasis({"fork", "a", "b"}), Succeeded());
  EXPECT_EQ(Sum("a"), sum_);
  EXPECT_EQ(Sum("b"), sum_);
  EXPECT_EQ(Shared("b"), shared);
  EXPECT_LT(Own("b"), kData / 8);
}

TEST_F(SiblingsTest, OneThatIsKilledTakesNothingWithIt) {
  Restore("a");
  EXPECT_EQ(Sum("a"), sum_);
  Restore("b");
  ASSERT_EQ(::kill(Info("a").at("daemon_pid"), SIGKILL), 0);
  EXPECT_EQ(Sum("b"), sum_);
  ASSERT_THAT(Stasis({"stop", "a"}), Succeeded());
  Restore("c", {"--prefetch", "all"});
  EXPECT_TRUE(Eventually([&] { return Info("c").at("prefetch").at("state") == "done"; }));
  EXPECT_EQ(Sum("c"), sum_);
  EXPECT_EQ(Shared("c"), Shared("b"));
  ASSERT_THAT(Stasis({"stop", "b"}), Succeeded());
  ASSERT_THAT(Stasis({"stop", "c"}), Succeeded());
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(SiblingsTest, ALimitIsKeptByReadingForOneself) {
  Restore("a", {"--memory-limit", "4M"});
  EXPECT_EQ(Sum("a"), sum_);
  EXPECT_EQ(Shared("a"), 0);
  EXPECT_LE(Own("a"), 5 << 20);
}

}  // namespace
}  // namespace stasis::cli
