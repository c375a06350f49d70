// SPDX-License-Identifier: Apache-2.0
//
// A real mount while the operation gate is closed, and at its end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "cmd/fuse/init.h"
#include "cmd/fuse/mount.h"
#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"

namespace stasis::fuse {
namespace {

class MountGateTest : public testing::Test {
 protected:
  // A process that makes the file and exits with errno.
  pid_t CreateInChild(const std::string& name) {
    const pid_t child = fork();
    if (child != 0) return child;
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    _exit(Open(tree_ / name, O_CREAT | O_RDWR).valid() ? 0 : errno);
  }

  // The kernel will not ask for it (LOOKUP is not interrupted) before it is made.
  void KnowAsMissing(const std::string& name) { EXPECT_EQ(StatOf(tree_ / name).st_mode, 0u); }

  void WaitUntilParked(uint64_t count) {
    for (int i = 0; i < 1000 && tree_.Count().stats.parked < count; ++i) usleep(5'000);
    ASSERT_GE(tree_.Count().stats.parked, count);
  }

  MountedTree tree_{30};
};

TEST_F(MountGateTest, RequestsWaitForTheGate) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  UniqueFd known = Open(tree_ / "a", O_RDONLY);
  struct stat status_of_a {};
  ASSERT_EQ(fstat(known.get(), &status_of_a), 0);
  tree_.CloseGate();
  const pid_t child = CreateInChild("b");
  WaitUntilParked(1);
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0);
  EXPECT_EQ(fstat(known.get(), &status_of_a), 0);
  EXPECT_EQ(status_of_a.st_size, 1) << "the kernel knows it";
  tree_.OpenGate();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// A checkpoint is over by then: only a longer wait is one that a program can break off.
TEST_F(MountGateTest, SignalEndsALongWait) {
  KnowAsMissing("b");
  tree_.CloseGate();
  const pid_t child = CreateInChild("b");
  WaitUntilParked(1);
  kill(child, SIGUSR1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), EINTR);
  EXPECT_EQ(tree_.Count().stats.interrupted, 1u);
  tree_.OpenGate();
}

TEST_F(MountGateTest, KilledProcessEnds) {
  KnowAsMissing("b");
  tree_.CloseGate();
  const pid_t child = CreateInChild("b");
  WaitUntilParked(1);
  kill(child, SIGKILL);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  tree_.OpenGate();
}

TEST_F(MountGateTest, ManyWaitAtOnce) {
  tree_.CloseGate();
  std::vector<pid_t> children;
  for (int i = 0; i < 20; ++i) children.push_back(CreateInChild(std::to_string(i)));
  WaitUntilParked(1);
  tree_.OpenGate();
  for (pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(List(tree_.path()).size(), 20u);
}

TEST_F(MountGateTest, StoppedServerFailsWhatWaits) {
  tree_.CloseGate();
  const pid_t child = CreateInChild("b");
  WaitUntilParked(1);
  tree_.StopServer();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  // Or its next request came too late to be answered.
  EXPECT_THAT(WEXITSTATUS(status), testing::AnyOf(ECONNABORTED, ENOTCONN));
  EXPECT_FALSE(Open(tree_ / "c", O_CREAT | O_RDWR).valid());
  EXPECT_EQ(errno, ENOTCONN);
}

TEST_F(MountGateTest, AbortedConnectionFails) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  const std::string number = std::to_string(minor(StatOf(tree_.path()).st_dev));
  const std::string connection = "/sys/fs/fuse/connections/" + number;
  if (!std::filesystem::exists(connection)) {
    ASSERT_EQ(mount("none", "/sys/fs/fuse/connections", "fusectl", 0, nullptr), 0);
  }
  ASSERT_TRUE(WriteFile(connection + "/abort", "1"));
  EXPECT_FALSE(Open(tree_ / "b", O_CREAT | O_RDWR).valid());
}

TEST(MountTest, TheKernelChecksAndKeepsToOurSizes) {
  MountedTree tree;
  std::ifstream mounts("/proc/self/mounts");
  std::string found;
  for (std::string line; std::getline(mounts, line);)
    if (line.find(tree.path()) != std::string::npos) found = line;
  EXPECT_THAT(found, testing::HasSubstr("default_permissions"));
  EXPECT_THAT(found, testing::HasSubstr("max_read=" + std::to_string(kMaxData)));
}

// Without a descriptor left UndefinedBehaviorSanitizer cannot look at objects.
#ifndef __SANITIZE_ADDRESS__
TEST(MountTest, ServesWithTheDescriptorsThereAre) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{40, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  MountedTree tree(60, {.reader_threads = 100});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(WriteFile(tree / "a", "x"));
  EXPECT_EQ(ReadFile(tree / "a"), "x");
}
#endif

TEST(MountTest, ErrorsSayWhatToDo) {
  auto fd = OpenAndMount("/nonexistent/directory", {});
  EXPECT_EQ(fd.status().code(), absl::StatusCode::kNotFound) << fd.status();
  fd = OpenAndMount("/dev/null", {});
  EXPECT_EQ(fd.status().code(), absl::StatusCode::kFailedPrecondition) << fd.status();
  EXPECT_EQ(UnmountLazily("/usr").code(), absl::StatusCode::kNotFound);
}

TEST(MountTest, UnmountLazilyTakesTheMountAway) {
  MountedTree tree;
  EXPECT_TRUE(UnmountLazily(tree.path()).ok());
  EXPECT_TRUE(List(tree.path()).empty());
}

}  // namespace
}  // namespace stasis::fuse
