// SPDX-License-Identifier: Apache-2.0
//
// Files through a real mount: what is in them. With a kernel that asks at open(2), and one that
// does not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <thread>
#include <vector>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"

namespace stasis::fuse {
namespace {

// The parameter: ServerOptions::ask_at_open.
class MountFilesTest : public testing::TestWithParam<bool> {
 protected:
  uint64_t Requests(uint32_t opcode) { return tree_.Count().stats.by_opcode[opcode]; }

  MountedTree tree_{60, {.ask_at_open = GetParam()}};
};

std::string NameOf(const testing::TestParamInfo<bool>& test) {
  return test.param ? "AskedAtOpen" : "OpenedUnasked";
}

INSTANTIATE_TEST_SUITE_P(, MountFilesTest, testing::Bool(), NameOf);

TEST_P(MountFilesTest, OpenAndCloseAskOnceAtMostIfUnasked) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "hello"));
  const uint64_t opens = Requests(FUSE_OPEN);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(ReadFile(tree_ / "a"), "hello");
  if (GetParam()) {
    EXPECT_EQ(Requests(FUSE_OPEN) - opens, 10u);
  } else {
    EXPECT_LE(Requests(FUSE_OPEN), 1u);
    EXPECT_LE(Requests(FUSE_RELEASE), 1u);
    EXPECT_EQ(tree_.Count().handles, 0u);
  }
}

TEST_P(MountFilesTest, DeletedFileThatIsOpenIsReadAndWritten) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "hello"));
  UniqueFd fd = Open(tree_ / "a", O_RDWR);
  ASSERT_EQ(unlink((tree_ / "a").c_str()), 0);
  ASSERT_EQ(pwrite(fd.get(), "HE", 2, 0), 2);
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  char text[6] = {};
  ASSERT_EQ(pread(fd.get(), text, 5, 0), 5);
  EXPECT_STREQ(text, "HEllo");
  struct stat status;
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_nlink, 0u);
}

TEST_P(MountFilesTest, WhatIsWrittenIsRead) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "hello"));
  EXPECT_EQ(ReadFile(tree_ / "a"), "hello");
  EXPECT_EQ(StatOf(tree_ / "a").st_size, 5);
}

TEST_P(MountFilesTest, LargeFile) {
  std::string content(5'000'000, 0);
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + i / 1000);
  ASSERT_TRUE(WriteFile(tree_ / "a", content));
  UniqueFd fd = Open(tree_ / "a", O_RDONLY);
  posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  EXPECT_TRUE(ReadFile(tree_ / "a") == content);
}

TEST_P(MountFilesTest, Append) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "one"));
  UniqueFd fd = Open(tree_ / "a", O_WRONLY | O_APPEND);
  ASSERT_EQ(write(fd.get(), "two", 3), 3);
  ASSERT_EQ(pwrite(fd.get(), "three", 5, 0), 5) << "appends as well";
  EXPECT_EQ(ReadFile(tree_ / "a"), "onetwothree");
}

TEST_P(MountFilesTest, OpenTruncates) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "long content"));
  UniqueFd fd = Open(tree_ / "a", O_RDWR | O_TRUNC);
  EXPECT_EQ(StatOf(tree_ / "a").st_size, 0);
  ASSERT_EQ(write(fd.get(), "x", 1), 1);
  EXPECT_EQ(ReadFile(tree_ / "a"), "x");
}

TEST_P(MountFilesTest, TruncateCutsAndGrows) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "abcdef"));
  ASSERT_EQ(truncate((tree_ / "a").c_str(), 2), 0);
  ASSERT_EQ(truncate((tree_ / "a").c_str(), 4), 0);
  EXPECT_EQ(ReadFile(tree_ / "a"), std::string("ab\0\0", 4));
}

TEST_P(MountFilesTest, DeletedOpenFile) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "still here"));
  UniqueFd fd = Open(tree_ / "a", O_RDWR);
  ASSERT_EQ(unlink((tree_ / "a").c_str()), 0);
  EXPECT_EQ(ReadFile(tree_ / "a"), "(missing)");
  char buffer[20];
  EXPECT_EQ(pread(fd.get(), buffer, sizeof(buffer), 0), 10);
  EXPECT_EQ(pwrite(fd.get(), "more", 4, 10), 4);
  struct stat status;
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 14);
  EXPECT_EQ(status.st_nlink, 0u);
  ASSERT_EQ(fchmod(fd.get(), 0600), 0);
  // Through /proc a new description of the same file.
  UniqueFd again = Open("/proc/self/fd/" + std::to_string(fd.get()), O_RDONLY);
  ASSERT_TRUE(again.valid());
  EXPECT_EQ(pread(again.get(), buffer, sizeof(buffer), 0), 14);
}

TEST_P(MountFilesTest, SharedMapping) {
  ASSERT_TRUE(WriteFile(tree_ / "a", std::string(8192, 'a')));
  UniqueFd fd = Open(tree_ / "a", O_RDWR);
  auto* memory =
      static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  memory[0] = 'x';
  memory[8191] = 'y';
  ASSERT_EQ(msync(memory, 8192, MS_SYNC), 0);
  EXPECT_EQ(ReadFile(tree_ / "a"), "x" + std::string(8190, 'a') + "y");
  ASSERT_EQ(pwrite(fd.get(), "z", 1, 1), 1);
  EXPECT_EQ(memory[1], 'z');
  munmap(memory, 8192);
}

// Pages written back through a handle that appends go where they belong.
TEST_P(MountFilesTest, SharedMappingOfAnAppendingDescription) {
  ASSERT_TRUE(WriteFile(tree_ / "a", std::string(4096, 'a')));
  UniqueFd fd = Open(tree_ / "a", O_RDWR | O_APPEND);
  auto* memory =
      static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  memory[0] = 'x';
  ASSERT_EQ(msync(memory, 4096, MS_SYNC), 0);
  munmap(memory, 4096);
  fd.reset();
  EXPECT_EQ(StatOf(tree_ / "a").st_size, 4096);
}

TEST_P(MountFilesTest, SparseFile) {
  UniqueFd fd = Open(tree_ / "a", O_RDWR | O_CREAT);
  const off_t far = off_t{1} << 40;
  ASSERT_EQ(pwrite(fd.get(), "data", 4, far), 4);
  struct stat status;
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, far + 4);
  EXPECT_LT(status.st_blocks, 1000);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_DATA), far);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_HOLE), 0);
  EXPECT_EQ(lseek(fd.get(), far, SEEK_HOLE), far + 4);
  EXPECT_EQ(ErrorOf(lseek(fd.get(), far + 4, SEEK_DATA)), ENXIO);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_END), far + 4);
}

TEST_P(MountFilesTest, ErrorsOfFarOffsets) {
  UniqueFd fd = Open(tree_ / "a", O_RDWR | O_CREAT);
  EXPECT_EQ(ErrorOf(pwrite(fd.get(), "x", 1, INT64_MAX)), EINVAL);
  EXPECT_EQ(pwrite(fd.get(), "x", 1, INT64_MAX - 1), 1) << "as on tmpfs";
  EXPECT_EQ(ErrorOf(ftruncate(fd.get(), -1)), EINVAL);
}

TEST_P(MountFilesTest, ParallelCreate) {
  constexpr int kThreads = 8;
  constexpr int kFiles = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kFiles; ++i) {
        const std::string name = std::to_string(t) + "." + std::to_string(i);
        EXPECT_TRUE(WriteFile(tree_ / name, name));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(List(tree_.path()).size(), size_t{kThreads * kFiles});
  for (int i = 0; i < kFiles; i += 17) {
    EXPECT_EQ(ReadFile(tree_ / ("3." + std::to_string(i))), "3." + std::to_string(i));
  }
  // The kernel does not wait for the answer to a RELEASE.
  for (int i = 0; i < 500 && tree_.Count().handles > 0; ++i) usleep(10'000);
  EXPECT_EQ(tree_.Count().handles, 0u);
}

TEST_P(MountFilesTest, SystemCallsThatCopy) {
  const std::string content(3'000'000, 'c');
  ASSERT_TRUE(WriteFile(tree_ / "a", content));
  UniqueFd from = Open(tree_ / "a", O_RDONLY);
  UniqueFd to = Open(tree_ / "b", O_RDWR | O_CREAT);
  size_t copied = 0;
  while (copied < content.size()) {
    const ssize_t n = copy_file_range(from.get(), nullptr, to.get(), nullptr, content.size(), 0);
    ASSERT_GT(n, 0) << errno;
    copied += static_cast<size_t>(n);
  }
  EXPECT_TRUE(ReadFile(tree_ / "b") == content);
  EXPECT_EQ(posix_fallocate(to.get(), 0, 4'000'000), 0) << "the C library writes zeros";
  EXPECT_EQ(StatOf(tree_ / "b").st_size, 4'000'000);
}

TEST_P(MountFilesTest, ForgottenNodesAreFreed) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(WriteFile(tree_ / std::to_string(i), "x"));
  EXPECT_EQ(tree_.Count().nodes, 100u);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(unlink((tree_ / std::to_string(i)).c_str()), 0);
  // FORGET has no answer to wait for.
  for (int i = 0; i < 500 && tree_.Count().nodes > 0; ++i) usleep(10'000);
  EXPECT_EQ(tree_.Count().nodes, 0u);
  EXPECT_EQ(tree_.Count().handles, 0u);
}

}  // namespace
}  // namespace stasis::fuse
