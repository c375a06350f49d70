// SPDX-License-Identifier: Apache-2.0
//
// What remains when processes are killed.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class KillTest : public CliTest {};

TEST_F(KillTest, AKilledCommandLineLeavesTheSandboxRunning) {
  const pid_t cli =
      Start({"run", "--name", "box", "--", "/bin/sh", "-c", "while :; do date +%s%N > /now; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /now").exit_code == 0; }));
  kill(cli, SIGKILL);
  EXPECT_THAT(Wait(cli), ExitsWith(128 + 9));
  const std::string now = In("box", "cat /now").out;
  EXPECT_TRUE(Eventually([&] {
    const Outcome later = In("box", "cat /now");
    return later.exit_code == 0 && !later.out.empty() && later.out != now;
  }));
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
}

TEST_F(KillTest, AKilledDaemonLeavesNoMountAndNoProcess) {
  const pid_t cli =
      Start({"run", "--name", "box", "--", "/bin/sh", "-c", "while :; do echo x >> /log; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /log").exit_code == 0; }));
  const pid_t daemon = DaemonPid("box");
  const pid_t init = InitPid("box");
  kill(daemon, SIGKILL);
  // Its program is killed with everything in the sandbox, and the command line says so.
  EXPECT_THAT(Wait(cli, std::chrono::seconds(20)), FailsWith(128 + 9, "daemon has died"));
  EXPECT_TRUE(Eventually([=] { return !IsRunning(daemon) && !IsRunning(init); }));
  EXPECT_THAT(ReadFile("/proc/mounts"), Not(HasSubstr("stasis:box")));
  EXPECT_THAT(ReadFile(runtime_dir() + "/box.log"), HasSubstr("serving sandbox box"));
}

// In the moments around "ready" above all.
TEST_F(KillTest, ASignalAtAnyMomentOfAStartLeavesNothing) {
  for (int round = 0; round < 60; ++round) {
    const bool attached = round % 2 == 0;
    Strings line = {"run", "--name", "box"};
    if (!attached) line.push_back("--detach");
    line.insert(line.end(), {"--", "sleep", "1000"});
    const pid_t cli = Start(line);
    const std::string moment = round % 4 < 2 ? "/box/control.sock" : "/box/record.json";
    ASSERT_TRUE(Eventually(
        [&] { return access((runtime_dir() + moment).c_str(), F_OK) == 0 || !IsRunning(cli); }));
    std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
    kill(cli, round % 3 == 0 ? SIGTERM : SIGINT);
    const Outcome outcome = Wait(cli);
    if (attached || outcome.exit_code != 0)
      EXPECT_THAT(outcome.exit_code, testing::AnyOf(130, 128 + SIGTERM)) << outcome.err;
    else
      Stasis({"stop", "box"});  // it was faster
    ASSERT_EQ(Shell("ls " + runtime_dir()).out, "") << "round " << round;
  }
}

TEST_F(KillTest, AnInterruptedCheckpointSaysWhatBecameOfIt) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 30000000 /dev/urandom > /data"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v0"}), Succeeded());
  for (const int delay_ms : {1, 20, 80, 320}) {
    SCOPED_TRACE(delay_ms);
    ASSERT_THAT(In("box", "head -c 60000000 /dev/urandom > /data"), Succeeded());
    const std::string tag = "snaps:after-" + std::to_string(delay_ms);
    const pid_t cli = Start({"checkpoint", "box", tag});
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    kill(cli, SIGINT);
    const Outcome outcome = Wait(cli);
    ASSERT_THAT(outcome.exit_code, testing::AnyOf(0, 130));
    EXPECT_THAT(Stasis({"verify", tag}), ExitsWith(outcome.exit_code == 0 ? 0 : 10));
    EXPECT_THAT(Stasis({"verify", "snaps:v0"}), Succeeded());
  }
  // The sandbox goes on, and can be saved at once.
  ASSERT_THAT(In("box", "echo on > /on"), Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:last"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:last"}), Succeeded());
}

// The daemon dies with it until it is ready.
TEST_F(KillTest, AKilledStartLeavesNoCgroup) {
  const std::string name = "killed-" + std::to_string(getpid());
  for (int round = 0; round < 30; ++round) {
    const pid_t cli = Start({"run", "--name", name, "--detach"});
    std::this_thread::sleep_for(std::chrono::milliseconds(round));
    kill(cli, SIGKILL);
    Wait(cli);
    EXPECT_THAT(Stasis({"stop", name}).exit_code, testing::AnyOf(0, 10));
    EXPECT_EQ(Shell("find /sys/fs/cgroup -maxdepth 4 -name '" + name + ".*'").out, "");
  }
}

TEST_F(KillTest, AnInterruptedStartLeavesNothing) {
  ASSERT_THAT(
      Shell("mkdir src; for i in $(seq 300); do head -c 300000 /dev/urandom > src/$i; done"),
      Succeeded());
  const pid_t cli = Start({"run", "--name", "box", "--detach", "--import", "src"});
  ASSERT_TRUE(Eventually([this] { return Shell("test -e run/box/lock").exit_code == 0; }));
  kill(cli, SIGINT);
  const Outcome outcome = Wait(cli);
  ASSERT_THAT(outcome.exit_code, testing::AnyOf(0, 130));
  if (outcome.exit_code == 0) return;  // it was faster
  EXPECT_EQ(Shell("ls " + runtime_dir()).out, "");
}

// The daemon is killed at a random moment of a checkpoint, again and again.
TEST_F(KillTest, AKilledCheckpointLeavesEarlierTags) {
  constexpr int kRounds = 50;
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random(seed);
  StartBox("box");
  ASSERT_THAT(In("box",
                 "mkdir /d; for i in 1 2 3 4 5 6 7 8; do "
                 "head -c 1000000 /dev/urandom > /d/$i; done"),
              Succeeded());
  const auto began = std::chrono::steady_clock::now();
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:good", "--stop"}), Succeeded());
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  std::uniform_int_distribution<int64_t> moment(0, whole.count());
  int complete = 0;
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_THAT(Stasis({"restore", "snaps:good", "--name", "box", "--detach"}), Succeeded());
    ASSERT_THAT(In("box", "head -c 3000000 /dev/urandom > /d/3"), Succeeded());
    const pid_t daemon = DaemonPid("box");
    const pid_t cli = Start({"checkpoint", "box", "snaps:next"});
    std::this_thread::sleep_for(std::chrono::microseconds(moment(random)));
    kill(daemon, SIGKILL);
    complete += Wait(cli).exit_code == 0 ? 1 : 0;
    ASSERT_TRUE(Eventually([=] { return !IsRunning(daemon); }));
    ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
    ASSERT_THAT(Stasis({"verify", "snaps:good"}), Succeeded()) << "round " << round;
    const Outcome next = Stasis({"verify", "snaps:next"});
    ASSERT_THAT(next.exit_code, testing::AnyOf(0, 10)) << "round " << round << next.err;
  }
  RecordProperty("complete", complete);
  // And it can still be written to.
  ASSERT_THAT(Stasis({"restore", "snaps:good", "--name", "box", "--detach"}), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:next", "--stop"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:next"}), Succeeded());
}

}  // namespace
}  // namespace stasis::cli
