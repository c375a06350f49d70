// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/runtime_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace stasis::sandbox {
namespace {

class RuntimeDirTest : public testing::Test {
 protected:
  void SetUp() override {
    char scratch[] = "/tmp/stasis-test-XXXXXX";
    ASSERT_NE(mkdtemp(scratch), nullptr);
    scratch_ = scratch;
  }
  void TearDown() override { std::filesystem::remove_all(scratch_); }

  std::string root() const { return scratch_ + "/run"; }
  RuntimeDir Dir(const std::string& name) const { return RuntimeDir(root(), name); }

  std::string scratch_;
};

TEST_F(RuntimeDirTest, ClaimMakesAPrivateFolder) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  struct stat st {};
  ASSERT_EQ(stat(Dir("box").path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
}

TEST_F(RuntimeDirTest, IsAliveWhileTheLockIsHeld) {
  absl::StatusOr<UniqueFd> lock = Dir("box").Claim();
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(Dir("box").Alive());
  lock->reset();
  EXPECT_FALSE(Dir("box").Alive());
}

TEST_F(RuntimeDirTest, ANameIsClaimedOnce) {
  absl::StatusOr<UniqueFd> lock = Dir("box").Claim();
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsUnavailable(Dir("box").Claim().status()));
  EXPECT_TRUE(Dir("other").Claim().ok());
}

TEST_F(RuntimeDirTest, WhatADeadOneLeftIsClearedUp) {
  {
    absl::StatusOr<UniqueFd> lock = Dir("box").Claim();
    ASSERT_TRUE(lock.ok());
    ASSERT_TRUE(Dir("box").WriteRecord({.daemon_pid = 1}).ok());
    std::ofstream(Dir("box").log_path()) << "old";
  }
  absl::StatusOr<UniqueFd> lock = Dir("box").Claim();
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_FALSE(std::filesystem::exists(Dir("box").log_path()));
  EXPECT_TRUE(std::filesystem::exists(Dir("box").kept_log_path()));
  EXPECT_TRUE(std::filesystem::exists(Dir("box").mount_path()));
}

TEST_F(RuntimeDirTest, ARecordComesBackAsItWas) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  const Record written{.daemon_pid = 12,
                       .daemon_start = 34,
                       .cgroups = {Cgroup::Adopt("/c", 2), Cgroup::Adopt("/d", 1)}};
  ASSERT_TRUE(Dir("box").WriteRecord(written).ok());
  absl::StatusOr<Record> read = Dir("box").ReadRecord();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->daemon_pid, 12);
  EXPECT_EQ(read->daemon_start, 34u);
  ASSERT_EQ(read->cgroups.size(), 2u);
  EXPECT_EQ(read->cgroups[0].path(), "/c");
  EXPECT_EQ(read->cgroups[1].version(), 1);
}

TEST_F(RuntimeDirTest, ADamagedRecordIsAnError) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  std::ofstream(Dir("box").record_path()) << "{\"daemon_pid\": \"x\"}";
  EXPECT_TRUE(absl::IsDataLoss(Dir("box").ReadRecord().status()));
  std::ofstream(Dir("box").record_path()) << "{";
  EXPECT_TRUE(absl::IsDataLoss(Dir("box").ReadRecord().status()));
}

TEST_F(RuntimeDirTest, CleanUpLeavesNothing) {
  absl::StatusOr<UniqueFd> lock = Dir("box").Claim();
  ASSERT_TRUE(lock.ok());
  ASSERT_TRUE(Dir("box").WriteRecord({}).ok());
  ASSERT_TRUE(Dir("box").CleanUp(*lock).ok());
  EXPECT_FALSE(std::filesystem::exists(Dir("box").path()));
}

TEST_F(RuntimeDirTest, CleanUpLeavesTheNextOneOfTheName) {
  absl::StatusOr<UniqueFd> first = Dir("box").Claim();
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(Dir("box").CleanUp(*first).ok());
  absl::StatusOr<UniqueFd> second = Dir("box").Claim();
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(Dir("box").CleanUp(*first).ok());
  EXPECT_TRUE(Dir("box").Alive());
}

TEST_F(RuntimeDirTest, ListIsSortedAndTakesSandboxesOnly) {
  ASSERT_TRUE(Dir("b").Claim().ok());
  ASSERT_TRUE(Dir("a").Claim().ok());
  std::filesystem::create_directory(root() + "/.hidden");
  std::filesystem::create_directory(root() + "/foreign");
  std::ofstream(root() + "/foreign/log") << "mine";
  std::vector<std::string> names;
  const auto listed = RuntimeDir::List(root());
  ASSERT_TRUE(listed.ok());
  for (const RuntimeDir& dir : *listed) names.push_back(dir.name());
  EXPECT_THAT(names, testing::ElementsAre("a", "b"));
  EXPECT_FALSE(Dir("foreign").Exists());
  ASSERT_TRUE(Dir("foreign").CleanUpIfDead().ok());
  EXPECT_TRUE(std::filesystem::exists(root() + "/foreign/log"));
}

TEST_F(RuntimeDirTest, WhatOthersMayWriteToIsNotLookedInto) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  chmod(root().c_str(), 0777);
  EXPECT_TRUE(absl::IsFailedPrecondition(RuntimeDir::List(root()).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Dir("box").CheckOwner()));
  chmod(root().c_str(), 0700);
  EXPECT_TRUE(Dir("box").CheckOwner().ok());
  chmod(Dir("box").path().c_str(), 0777);
  EXPECT_TRUE(absl::IsFailedPrecondition(Dir("box").CheckOwner()));
}

TEST_F(RuntimeDirTest, OnlyTheDaemonItselfIsSignalled) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  const pid_t child = fork();
  if (child == 0)
    for (;;) pause();
  const uint64_t start = StartTimeOf(child);
  ASSERT_GT(start, 0u);
  // Another process had the number.
  ASSERT_TRUE(Dir("box").WriteRecord({.daemon_pid = child, .daemon_start = start - 1}).ok());
  ASSERT_TRUE(Dir("box").SignalDaemon(SIGKILL).ok());
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0);
  ASSERT_TRUE(Dir("box").WriteRecord({.daemon_pid = child, .daemon_start = start}).ok());
  ASSERT_TRUE(Dir("box").SignalDaemon(SIGKILL).ok());
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

TEST_F(RuntimeDirTest, ADaemonThatHasGoneIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(Dir("box").SignalDaemon(SIGTERM)));
  auto lock = Dir("box").Claim();
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsNotFound(Dir("box").SignalDaemon(SIGTERM))) << "no record yet";
}

TEST_F(RuntimeDirTest, ARootThatOthersMayWriteToIsRefused) {
  std::filesystem::create_directory(root());
  chmod(root().c_str(), 0777);
  EXPECT_TRUE(absl::IsFailedPrecondition(Dir("box").Claim().status()));
}

TEST_F(RuntimeDirTest, APathTooLongForASocketIsRefused) {
  const RuntimeDir dir(scratch_ + "/" + std::string(90, 'x'), "box");
  EXPECT_TRUE(absl::IsInvalidArgument(dir.Claim().status()));
}

TEST(NameTest, TakesLettersDigitsAndAFewSigns) {
  for (const char* name : {"a", "9", "box-1_2.3", "Box"}) EXPECT_TRUE(CheckName(name).ok()) << name;
  EXPECT_TRUE(CheckName(std::string(63, 'a')).ok());
}

TEST(NameTest, RefusesTheRest) {
  for (const char* name : {"", ".", "..", "-a", "_a", "a/b", "a b", "a\n", "\xc3\xa4", "a.log"})
    EXPECT_TRUE(absl::IsInvalidArgument(CheckName(name))) << name;
  EXPECT_FALSE(CheckName(std::string(64, 'a')).ok());
}

TEST(NameTest, RandomNamesAreNames) { EXPECT_TRUE(CheckName(RandomName()).ok()); }

}  // namespace
}  // namespace stasis::sandbox
