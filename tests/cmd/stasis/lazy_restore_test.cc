// SPDX-License-Identifier: Apache-2.0
//
// Data that is read after the restore: ahead of its use, and from an image that changes meanwhile.

#include <signal.h>

#include <filesystem>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class LazyRestoreTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    // One pack, in which the files stand in any order: at 650,000 it is large's in each.
    ASSERT_THAT(Shell("mkdir -p src mnt && head -c 1000000 /dev/urandom > src/large && "
                      "head -c 300000 /dev/urandom > src/other && echo text > src/small"),
                Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:v1"}), Succeeded());
  }
  void TearDown() override {
    Host({"umount", "-l", Path("mnt")});
    CliTest::TearDown();
  }

  void Restore(const std::string& name, const std::string& prefetch) {
    ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", name, "--prefetch", prefetch, "--detach"}),
                Succeeded());
  }

  std::string Pack() {
    return Shell("echo -n snaps/blobs/sha256/$(ls -S snaps/blobs/sha256 | head -1)").out;
  }
  // Changes a byte that only /large has, and back.
  void FlipByte() {
    const std::string path = Path(Pack());
    std::string bytes = ReadFile(path);
    ASSERT_GT(bytes.size(), 1'000'000u);
    bytes[650'000] ^= 1;
    WriteFile(Pack(), bytes);
  }
  bool Same(const std::string& box, const std::string& file) {
    const std::string inside = In(box, "sha256sum < /" + file).out;
    return !inside.empty() && inside == Shell("sha256sum < src/" + file).out;
  }
  nlohmann::json Ps() { return Stasis({"ps", "--json"}).Json().at("sandboxes").at(0); }
  bool Becomes(const std::string& status) {
    return Eventually([&] { return Ps().at("status") == status; });
  }
  bool PrefetchEnds(const std::string& state) {
    return Eventually([&] { return Ps().at("prefetch").at("state") == state; });
  }
  bool HasTrace() {
    return ReadFile(Path("snaps/index.json")).find("vnd.stasis.trace") != std::string::npos;
  }
};

TEST_F(LazyRestoreTest, AFlippedBitIsAnErrorUntilItIsMended) {
  Restore("box", "none");
  EXPECT_EQ(Ps().at("degraded"), nullptr);
  FlipByte();
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(In("box", "cat /large > /dev/null"), FailsWith(1, "Input/output error"));
  const nlohmann::json row = Ps();
  EXPECT_EQ(row.at("status"), "degraded");
  const std::string reason = row.at("degraded");
  EXPECT_THAT(reason, HasSubstr("snaps:v1: pack sha256:" + Pack().substr(19) + ", frame "));
  const std::string text = Stasis({"ps"}).out;
  EXPECT_THAT(text, HasSubstr("degraded"));
  EXPECT_THAT(text, HasSubstr("(" + reason + ")\n"));
  // The rest goes on, and what is wrong is said once.
  EXPECT_TRUE(Same("box", "other"));
  EXPECT_EQ(In("box", "echo more >> /small; cat /small").out, "text\nmore\n");
  EXPECT_EQ(Shell("grep -c 'frame' run/box/log").out, "1\n");
  EXPECT_THAT(Shell("grep 'frame' run/box/log").out, HasSubstr("; wanted for /large (inode "));
  FlipByte();
  EXPECT_TRUE(Becomes("running"));
  EXPECT_TRUE(Same("box", "large"));
  EXPECT_THAT(ReadFile(Path("run/box/log")), HasSubstr("can be read again"));
}

TEST_F(LazyRestoreTest, ACutOffPackIsReplacedByAnotherDirectory) {
  Restore("box", "none");
  ASSERT_THAT(Shell("cp -r snaps copy"), Succeeded());
  std::filesystem::resize_file(Path(Pack()), 1000);
  EXPECT_THAT(In("box", "cat /large"), FailsWith(1, "Input/output error"));
  EXPECT_TRUE(Becomes("degraded"));
  ASSERT_THAT(Shell("mv snaps bad && mv copy snaps"), Succeeded());
  EXPECT_TRUE(Becomes("running"));
  EXPECT_TRUE(Same("box", "large"));
}

TEST_F(LazyRestoreTest, ARemovedImageStaysReadable) {
  Restore("box", "none");
  std::filesystem::remove_all(Path("snaps"));
  EXPECT_TRUE(Same("box", "large"));
  EXPECT_EQ(Ps().at("status"), "running");
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_FALSE(std::filesystem::exists(Path("snaps")));
}

TEST_F(LazyRestoreTest, AfterPrefetchAllTheImageIsNotNeeded) {
  Restore("box", "all");
  ASSERT_TRUE(PrefetchEnds("done"));
  const nlohmann::json prefetch = Ps().at("prefetch");
  EXPECT_EQ(prefetch.at("mode"), "all");
  EXPECT_EQ(prefetch.at("done_bytes"), 1'300'005);
  EXPECT_EQ(prefetch.at("total_bytes"), 1'300'005);
  std::filesystem::resize_file(Path(Pack()), 0);
  std::filesystem::remove_all(Path("snaps"));
  for (const char* file : {"large", "other", "small"}) EXPECT_TRUE(Same("box", file)) << file;
  EXPECT_EQ(Ps().at("status"), "running");
}

TEST_F(LazyRestoreTest, WhatOneRestoreReadsTheNextOneReadsAhead) {
  Restore("one", "trace");
  ASSERT_TRUE(Same("one", "large"));
  EXPECT_EQ(Ps().at("prefetch").at("state"), "none");
  ASSERT_THAT(Stasis({"stop", "one"}), Succeeded());
  ASSERT_TRUE(HasTrace());
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
  Restore("two", "trace");
  ASSERT_TRUE(PrefetchEnds("done"));
  EXPECT_GE(Ps().at("prefetch").at("done_bytes"), 1'000'000);
  EXPECT_LT(Ps().at("prefetch").at("done_bytes"), 1'300'005);
  std::filesystem::resize_file(Path(Pack()), 0);
  EXPECT_TRUE(Same("two", "large"));
}

TEST_F(LazyRestoreTest, ABusyLayoutGetsNoTraceAndNobodyHearsOfIt) {
  ASSERT_THAT(Shell("mkdir -p snaps/.stasis; touch snaps/.stasis/lock"), Succeeded());
  const pid_t writer = StartHost({"flock", Path("snaps/.stasis/lock"), "sleep", "100"});
  ASSERT_TRUE(Eventually([&] {
    return Host({"flock", "-n", Path("snaps/.stasis/lock"), "true"}).exit_code != 0;
  }));
  const Outcome outcome = Stasis({"restore", "snaps:v1", "--", "cat", "/small"});
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.err, "");
  EXPECT_FALSE(HasTrace());
  kill(writer, SIGKILL);
}

TEST_F(LazyRestoreTest, AMountRecordsAndFollowsATraceToo) {
  ASSERT_THAT(Stasis({"mount", "snaps:v1", "mnt", "--background"}), Succeeded());
  EXPECT_EQ(Shell("cat mnt/small; umount mnt").out, "text\n");
  EXPECT_TRUE(Eventually([this] { return HasTrace(); }));
  ASSERT_THAT(Stasis({"mount", "snaps:v1", "mnt", "--background", "--prefetch", "all"}),
              Succeeded());
  EXPECT_THAT(Shell("cmp src/large mnt/large; umount mnt"), Succeeded());
}

TEST_F(LazyRestoreTest, AnUnknownModeIsRefused) {
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--prefetch", "some", "--", "true"}),
              FailsWith(2, "--prefetch"));
}

}  // namespace
}  // namespace stasis::cli
