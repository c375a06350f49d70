// SPDX-License-Identifier: Apache-2.0
//
// What this process has open on a real mount, as /proc tells it. What programs in a sandbox have is
// in tests/cmd/stasis/handles_test.cc.

#include "cmd/sandbox/open_file_scan.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "cmd/fuse/mount.h"
#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"

namespace stasis::sandbox {
namespace {

using fuse::Open;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class OpenFileScanTest : public testing::Test {
 protected:
  OpenFileScanTest() {
    options_.pids = {getpid()};
    options_.source = fuse::MountOptions().source;
    options_.mounts[tree_.path()] = {7};
    for (const char* name : {"a", "b"}) EXPECT_TRUE(fuse::WriteFile(tree_ / name, "0123456789"));
  }

  // The entry of a descriptor of this process; a fresh one, without a path, if there is none.
  static OpenFile Find(const OpenFiles& files, int fd, pid_t pid = getpid()) {
    for (const OpenFile& file : files.files())
      if (file.fd == fd && file.host_pid == pid) return file;
    return {};
  }

  fuse::MountedTree tree_{30};
  ScanOptions options_;
};

TEST_F(OpenFileScanTest, FindsFilesOfTheMountAndNoOthers) {
  const UniqueFd file = Open(tree_ / "a", O_RDWR | O_APPEND);
  const UniqueFd other = Open("/dev/null", O_RDONLY);
  const RefPtr<OpenFiles> files = ScanOpenFiles(options_);
  EXPECT_EQ(Find(*files, file.get()).path, tree_ / "a");
  EXPECT_EQ(Find(*files, file.get()).dev, 7u);
  EXPECT_EQ(Find(*files, file.get()).flags & (O_ACCMODE | O_APPEND),
            static_cast<uint32_t>(O_RDWR | O_APPEND));
  EXPECT_EQ(Find(*files, other.get()).path, "");
  options_.source = "another";
  EXPECT_THAT(ScanOpenFiles(options_)->files(), IsEmpty());
}

TEST_F(OpenFileScanTest, ASecondLookSeesWhatHasChanged) {
  UniqueFd moved = Open(tree_ / "a", O_RDWR);
  UniqueFd closed = Open(tree_ / "a", O_RDWR);
  UniqueFd replaced = Open(tree_ / "a", O_RDWR);
  ASSERT_TRUE(fuse::WriteFile(tree_ / "c", ""));
  const UniqueFd renamed = Open(tree_ / "c", O_RDONLY);
  HeldInfos held(100);
  options_.hold = &held;
  (void)ScanOpenFiles(options_);
  options_.hold = nullptr;
  options_.held = &held;
  ASSERT_EQ(lseek(moved.get(), 5, SEEK_SET), 5);
  ASSERT_EQ(fcntl(moved.get(), F_SETFL, O_APPEND), 0);
  ASSERT_EQ(rename((tree_ / "c").c_str(), (tree_ / "d").c_str()), 0);
  const int gone = closed.get();
  closed.reset();
  const UniqueFd b = Open(tree_ / "b", O_RDONLY);
  ASSERT_EQ(dup3(b.get(), replaced.get(), O_CLOEXEC), replaced.get());
  const RefPtr<OpenFiles> files = ScanOpenFiles(options_);
  EXPECT_EQ(Find(*files, moved.get()).path, tree_ / "a");
  EXPECT_EQ(Find(*files, moved.get()).offset, 5u);
  EXPECT_NE(Find(*files, moved.get()).flags & O_APPEND, 0u);
  EXPECT_EQ(Find(*files, renamed.get()).path, tree_ / "d");
  EXPECT_EQ(Find(*files, replaced.get()).path, tree_ / "b");
  EXPECT_EQ(Find(*files, replaced.get()).shared, Find(*files, b.get()).shared);
  EXPECT_NE(Find(*files, b.get()).shared, 0u);
  if (gone != b.get()) {
    EXPECT_EQ(Find(*files, gone).path, "");
  }
}

TEST_F(OpenFileScanTest, AnotherProcessOfThatNumberIsLookedAtAfresh) {
  const auto start = [this](const char* name) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    const int fd = open((tree_ / name).c_str(), O_RDONLY);
    dup2(fd, 100);
    pause();
    _exit(0);
  };
  const pid_t child = start("a");
  HeldInfos held(100);
  options_.pids = {child};
  options_.hold = &held;
  while (Find(*ScanOpenFiles(options_), 100, child).path.empty())
    absl::SleepFor(absl::Milliseconds(1));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  options_.hold = nullptr;
  options_.held = &held;
  EXPECT_THAT(ScanOpenFiles(options_)->files(), IsEmpty());
}

TEST_F(OpenFileScanTest, SaysWhenItHadToStop) {
  const UniqueFd one = Open(tree_ / "a", O_RDONLY), other = Open(tree_ / "b", O_RDONLY);
  options_.max_files = 1;
  const RefPtr<OpenFiles> few = ScanOpenFiles(options_);
  EXPECT_EQ(few->files().size(), 1u);
  EXPECT_THAT(few->incomplete(), HasSubstr("more than 1"));
  options_.max_files = 100;
  options_.deadline = absl::Now();
  EXPECT_THAT(ScanOpenFiles(options_)->incomplete(), HasSubstr("no time"));
}

TEST_F(OpenFileScanTest, ListsTheProcessesOfANamespace) {
  // This process is in the namespace of its own init.
  EXPECT_THAT(ProcessesBelow(1), Contains(getpid()));
}

std::string CommandOf(pid_t pid) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
  return name;
}

// A shell is the first process of a namespace; below it there is another one.
TEST_F(OpenFileScanTest, ListsThoseOfNamespacesBelowAndNobodyElse) {
  const pid_t outer = fork();
  if (outer == 0) {
    execlp("unshare", "unshare", "--pid", "--fork", "--kill-child", "sh", "-c",
           "sleep 100 & unshare --pid --fork --kill-child tail -f /dev/null & wait", nullptr);
    _exit(127);
  }
  const std::vector<std::string> expected = {"sleep", "tail", "unshare"};
  std::vector<std::string> names;
  for (int tries = 0; tries < 1000 && names != expected; ++tries) {
    names.clear();
    pid_t init = 0;
    std::ifstream("/proc/" + std::to_string(outer) + "/task/" + std::to_string(outer) +
                  "/children") >>
        init;
    for (const pid_t pid : init == 0 ? std::vector<pid_t>() : ProcessesBelow(init))
      names.push_back(CommandOf(pid));
    std::sort(names.begin(), names.end());
    usleep(10'000);
  }
  EXPECT_EQ(names, expected);
  kill(outer, SIGKILL);
  waitpid(outer, nullptr, 0);
}

}  // namespace
}  // namespace stasis::sandbox
