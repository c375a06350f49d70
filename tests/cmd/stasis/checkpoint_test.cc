// SPDX-License-Identifier: Apache-2.0

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class CheckpointTest : public CliTest {};

TEST_F(CheckpointTest, ReportsWhatItSaved) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 100000 /dev/urandom > /data"), Succeeded());
  const Outcome outcome = Stasis({"checkpoint", "box", "snaps:v1", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  const nlohmann::json report = outcome.Json();
  EXPECT_THAT(report.at("digest"), HasSubstr("sha256:"));
  EXPECT_GE(report.at("dirty_bytes"), 100000);
  EXPECT_GT(report.at("pause_ns"), 0);
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
}

TEST_F(CheckpointTest, SavesWhileAProgramWrites) {
  StartBox(
      "box", {},
      {"/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >> /log; echo $i > /last; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /log").exit_code == 0; }));
  for (const char* tag : {"snaps:v1", "snaps:v2", "snaps:v3"})
    ASSERT_THAT(Stasis({"checkpoint", "box", tag}), Succeeded());
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /log").exit_code == 0; }));
  for (const char* tag : {"snaps:v1", "snaps:v2", "snaps:v3"}) {
    // The log is complete, and what was written after it is not there without it.
    const Outcome outcome =
        Stasis({"restore", tag, "--", "/bin/sh", "-ec",
                "awk '$1 != NR {exit 1}' /log; lines=$(wc -l < /log); last=$(cat /last); "
                "test -z \"$last\" || test $last -eq $lines || test $((last + 1)) -eq $lines"});
    EXPECT_THAT(outcome, Succeeded()) << tag;
  }
}

TEST_F(CheckpointTest, ProgramsRunOnAfterwards) {
  StartBox("box", {}, {"/bin/sh", "-c", "while :; do date +%s%N > /new; mv /new /now; done"});
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  const std::string now = In("box", "cat /now").out;
  EXPECT_TRUE(Eventually([&] {
    const std::string later = In("box", "cat /now").out;
    return !later.empty() && later != now;
  }));
}

TEST_F(CheckpointTest, HoldsProgramsStillBySignalsToo) {
  StartBox("box", {"--freezer", "signal"},
           {"/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >> /log; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /log").exit_code == 0; }));
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  const std::string lines = In("box", "wc -l < /log").out;
  EXPECT_TRUE(Eventually([&] { return In("box", "wc -l < /log").out != lines; }));
}

TEST_F(CheckpointTest, StopEndsTheSandbox) {
  StartBox("box", {}, {"sleep", "1000"});
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_THAT(Shell("ls " + runtime_dir()).out, IsEmpty());
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
}

TEST_F(CheckpointTest, NothingRunsOnAfterWhatStopSaves) {
  // Each line goes to the tree first. What the host has more of was written after the save.
  for (const char* freezer : {"cgroup", "signal"}) {
    SCOPED_TRACE(freezer);
    ASSERT_THAT(Shell("rm -rf out snaps && mkdir out"), Succeeded());
    StartBox("box", {"--freezer", freezer, "--bind", Path("out") + ":/out"},
             {"/bin/sh", "-c",
              "for i in 1 2 3 4 5 6 7 8; do "
              "while :; do echo x >> /log.$i; echo x >> /out/log.$i; done & done; wait"});
    ASSERT_TRUE(Eventually([this] { return In("box", "test -s /log.8").exit_code == 0; }));
    ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
    const std::string count = "for i in 1 2 3 4 5 6 7 8; do wc -l < ";
    std::istringstream host(Shell(count + "out/log.$i; done").out);
    std::istringstream tree(
        Stasis({"restore", "snaps:v1", "--", "/bin/sh", "-ec", count + "/log.$i; done"}).out);
    for (int i = 0, on_host = 0, in_tree = 0; i < 8; ++i) {
      ASSERT_TRUE(host >> on_host && tree >> in_tree);
      EXPECT_LE(on_host, in_tree);
    }
  }
}

TEST_F(CheckpointTest, HoldsProgramsStillThatMakeOthersByVfork) {
  StartBox("box", {"--freezer", "signal"},
           {"/bin/sh", "-c", "touch /up; while :; do /bin/true; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -e /up").exit_code == 0; }));
  for (const char* tag : {"snaps:v1", "snaps:v2", "snaps:v3", "snaps:v4"})
    EXPECT_THAT(Stasis({"checkpoint", "box", tag}), Succeeded());
}

TEST_F(CheckpointTest, SaysThatTheDaemonIsDead) {
  StartBox("box");
  const pid_t daemon = DaemonPid("box");
  kill(daemon, SIGKILL);
  ASSERT_TRUE(Eventually([=] { return !IsRunning(daemon); }));
  const Outcome outcome = Stasis({"checkpoint", "box", "snaps:v1"});
  EXPECT_THAT(outcome, FailsWith(10, "is dead; clear up with: stasis stop box"));
  EXPECT_THAT(outcome.err, HasSubstr("serving sandbox box"));
}

TEST_F(CheckpointTest, TheSecondStoresWhatChanged) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 4000000 /dev/urandom > /data"), Succeeded());
  const nlohmann::json first = Stasis({"checkpoint", "box", "snaps:v1", "--json"}).Json();
  ASSERT_THAT(In("box", "echo more > /more"), Succeeded());
  const nlohmann::json second = Stasis({"checkpoint", "box", "snaps:v2", "--json"}).Json();
  EXPECT_LT(second.at("stored_bytes"), first.at("stored_bytes").get<uint64_t>() / 10);
  EXPECT_EQ(second.at("parent"), first.at("digest"));
}

// The process that writes down the state, once it is there; 0 if `ended` says so first.
pid_t AwaitRowsProcess(pid_t daemon, const std::function<bool()>& ended) {
  const std::string tasks = "/proc/" + std::to_string(daemon) + "/task";
  while (!ended()) {
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
      std::ifstream children(task.path() / "children");
      for (pid_t child = 0; children >> child;) {
        std::string name;
        std::ifstream("/proc/" + std::to_string(child) + "/comm") >> name;
        if (name == "stasis-rows") return child;
      }
    }
  }
  return 0;
}

TEST_F(CheckpointTest, GoesOnWhenTheProcessThatWritesDownTheStateIsKilled) {
  StartBox("box", {}, {"/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /last; done"});
  ASSERT_THAT(
      In("box", "mkdir /d; cd /d; seq 4000 | xargs touch; head -c 1000000 /dev/urandom > big"),
      Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  Outcome outcome;
  int attempts = 0;
  do {  // until it is hit before it is done
    const pid_t cli = Start({"checkpoint", "box", "snaps:bad"});
    const pid_t rows = AwaitRowsProcess(DaemonPid("box"), [cli] { return !IsRunning(cli); });
    if (rows > 0) kill(rows, SIGKILL);
    outcome = Wait(cli);
  } while (outcome.exit_code == 0 && ++attempts < 50);
  EXPECT_THAT(outcome, FailsWith(1, "was ended by signal 9"));
  // Nothing is frozen, and nothing left.
  const std::string last = In("box", "cat /last").out;
  EXPECT_TRUE(Eventually([&] { return In("box", "cat /last").out != last; }));
  EXPECT_THAT(Shell("ls snaps/.stasis/tmp").out, IsEmpty());
  EXPECT_EQ(Stasis({"ps", "--json"}).Json().at("sandboxes").at(0).at("status"), "running");
  const Outcome next = Stasis({"checkpoint", "box", "snaps:v2", "--json"});
  ASSERT_THAT(next, Succeeded());
  EXPECT_LT(next.Json().at("dirty_bytes"), 1000);
  EXPECT_THAT(Stasis({"verify", "snaps:v2"}), Succeeded());
}

TEST_F(CheckpointTest, SaysThatThereIsNoSuchSandbox) {
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}),
              FailsWith(10, "there is no sandbox named 'box'"));
}

TEST_F(CheckpointTest, SaysThatTheDirectoryIsMissing) {
  StartBox("box");
  EXPECT_THAT(Stasis({"checkpoint", "box", "no/such/snaps:v1"}), FailsWith(10, "mkdir -p "));
}

TEST_F(CheckpointTest, RefusesABadReference) {
  StartBox("box");
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps"}), ExitsWith(2));
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:../v1"}), ExitsWith(2));
}

TEST_F(CheckpointTest, AFullDiskLeavesEarlierTags) {
  ASSERT_THAT(Shell("mkdir small && mount -t tmpfs -o size=3m tmpfs small"), Succeeded());
  StartBox("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "small/snaps:v1"}), Succeeded());
  const std::string files = Shell("find small | wc -l").out;
  ASSERT_THAT(In("box", "head -c 9000000 /dev/urandom > /data"), Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "small/snaps:v2"}), ExitsWith(9));
  EXPECT_EQ(Shell("find small | wc -l").out, files);
  EXPECT_THAT(Stasis({"verify", "small/snaps:v1"}), Succeeded());
  // The sandbox goes on, and there is room elsewhere.
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v2"}), Succeeded());
  EXPECT_THAT(Shell("umount -l small"), Succeeded());
}

TEST_F(CheckpointTest, PrintsErrorsAsJsonToo) {
  const Outcome outcome = Stasis({"checkpoint", "box", "snaps:v1", "--json"});
  EXPECT_EQ(outcome.Json().at("error").at("code"), "not_found");
  EXPECT_EQ(outcome.Json().at("error").at("exit_code"), 10);
}

}  // namespace
}  // namespace stasis::cli
