// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/runtime_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

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
    ASSERT_TRUE(Dir("box").WriteRecord({.daemon_pid = 1, .created = 7}).ok());
    std::ofstream(Dir("box").log_path()) << "old";
  }
  absl::StatusOr<UniqueFd> lock = Dir("box").Claim();
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_FALSE(std::filesystem::exists(Dir("box").log_path()));
  EXPECT_TRUE(std::filesystem::exists(Dir("box").mount_path()));
}

TEST_F(RuntimeDirTest, ARecordComesBackAsItWas) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  const Record written{
      .daemon_pid = 12, .init_pid = 34, .cgroup = "/c", .cgroup_version = 2, .created = 56};
  ASSERT_TRUE(Dir("box").WriteRecord(written).ok());
  absl::StatusOr<Record> read = Dir("box").ReadRecord();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->daemon_pid, 12);
  EXPECT_EQ(read->init_pid, 34);
  EXPECT_EQ(read->cgroup, "/c");
  EXPECT_EQ(read->cgroup_version, 2);
  EXPECT_EQ(read->created, 56);
}

TEST_F(RuntimeDirTest, ADamagedRecordIsAnError) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  std::ofstream(Dir("box").record_path()) << "{\"daemon_pid\": \"x\"}";
  EXPECT_TRUE(absl::IsDataLoss(Dir("box").ReadRecord().status()));
  std::ofstream(Dir("box").record_path()) << "{";
  EXPECT_TRUE(absl::IsDataLoss(Dir("box").ReadRecord().status()));
}

TEST_F(RuntimeDirTest, CleanUpLeavesNothing) {
  ASSERT_TRUE(Dir("box").Claim().ok());
  ASSERT_TRUE(Dir("box").WriteRecord({}).ok());
  ASSERT_TRUE(Dir("box").CleanUp().ok());
  EXPECT_FALSE(Dir("box").Exists());
}

TEST_F(RuntimeDirTest, ListIsSortedAndTakesValidNamesOnly) {
  ASSERT_TRUE(Dir("b").Claim().ok());
  ASSERT_TRUE(Dir("a").Claim().ok());
  std::filesystem::create_directory(root() + "/.hidden");
  std::vector<std::string> names;
  for (const RuntimeDir& dir : RuntimeDir::List(root())) names.push_back(dir.name());
  EXPECT_THAT(names, testing::ElementsAre("a", "b"));
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
  for (const char* name : {"", ".", "..", "-a", "_a", "a/b", "a b", "a\n", "\xc3\xa4"})
    EXPECT_TRUE(absl::IsInvalidArgument(CheckName(name))) << name;
  EXPECT_FALSE(CheckName(std::string(64, 'a')).ok());
}

TEST(NameTest, RandomNamesAreNames) { EXPECT_TRUE(CheckName(RandomName()).ok()); }

}  // namespace
}  // namespace stasis::sandbox
