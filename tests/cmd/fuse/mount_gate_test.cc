// SPDX-License-Identifier: Apache-2.0
//
// A real mount while the operation gate is closed, and at its end.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <filesystem>
#include <thread>

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

  void WaitUntilParked(uint64_t count) {
    for (int i = 0; i < 1000 && tree_.Count().stats.parked < count; ++i) usleep(5'000);
    ASSERT_GE(tree_.Count().stats.parked, count);
  }

  MountedTree tree_{30};
};

TEST_F(MountGateTest, RequestsWaitForTheGate) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  EXPECT_EQ(StatOf(tree_ / "a").st_size, 1);
  tree_.CloseGate();
  const pid_t child = CreateInChild("b");
  WaitUntilParked(1);
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0);
  EXPECT_EQ(StatOf(tree_ / "a").st_size, 1) << "the kernel knows it";
  tree_.OpenGate();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(MountGateTest, SignalEndsTheWait) {
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
  EXPECT_EQ(WEXITSTATUS(status), ECONNABORTED);
  EXPECT_FALSE(Open(tree_ / "c", O_CREAT | O_RDWR).valid());
  EXPECT_EQ(errno, ENOTCONN);
}

TEST_F(MountGateTest, ConnectionNumberIsFoundWithoutTheServer) {
  tree_.CloseGate();
  auto number = ConnectionNumber(tree_.path());
  ASSERT_TRUE(number.ok()) << number.status();
  EXPECT_GT(*number, 0u);
  EXPECT_EQ(ConnectionNumber("/proc/nothing-here").status().code(), absl::StatusCode::kNotFound);
  tree_.OpenGate();
}

TEST_F(MountGateTest, AbortedConnectionFails) {
  ASSERT_TRUE(WriteFile(tree_ / "a", "x"));
  auto number = ConnectionNumber(tree_.path());
  ASSERT_TRUE(number.ok()) << number.status();
  if (!std::filesystem::exists("/sys/fs/fuse/connections/" + std::to_string(*number))) {
    ASSERT_EQ(mount("none", "/sys/fs/fuse/connections", "fusectl", 0, nullptr), 0);
  }
  ASSERT_TRUE(AbortConnection(*number).ok());
  EXPECT_FALSE(Open(tree_ / "b", O_CREAT | O_RDWR).valid());
}

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
