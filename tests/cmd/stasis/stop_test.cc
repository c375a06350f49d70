// SPDX-License-Identifier: Apache-2.0

#include <signal.h>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::IsEmpty;

class StopTest : public CliTest {
 protected:
  std::string Remains() { return Shell("ls " + runtime_dir()).out; }
};

TEST_F(StopTest, EndsTheSandboxAndItsPrograms) {
  StartBox("box", {}, {"sleep", "1000"});
  const pid_t daemon = DaemonPid("box");
  const pid_t init = InitPid("box");
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_TRUE(Eventually([=] { return !IsRunning(daemon) && !IsRunning(init); }));
  EXPECT_THAT(Remains(), IsEmpty());
}

TEST_F(StopTest, LetsProgramsEndThemselves) {
  WriteFile("out/.keep", "");
  StartBox("box", {"--bind", Path("out") + ":/out"},
           {"/bin/sh", "-c",
            "trap 'echo bye > /out/bye; exit' TERM; touch /out/up; while :; do sleep 0.01; done"});
  ASSERT_TRUE(Eventually([this] {
    return !ReadFile(Path("out/up")).empty() || Shell("test -e out/up").exit_code == 0;
  }));
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_EQ(ReadFile(Path("out/bye")), "bye\n");
}

TEST_F(StopTest, KillsProgramsThatDoNot) {
  StartBox("box", {}, {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.01; done"});
  ASSERT_THAT(Stasis({"stop", "box", "--timeout", "0.2"}), Succeeded());
  EXPECT_THAT(Remains(), IsEmpty());
}

TEST_F(StopTest, StopsAll) {
  StartBox("one");
  StartBox("two");
  const Outcome outcome = Stasis({"stop", "--all", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.Json().at("sandboxes").size(), 2u);
  EXPECT_THAT(Remains(), IsEmpty());
}

TEST_F(StopTest, ClearsUpAfterADeadDaemon) {
  StartBox("box", {}, {"sleep", "1000"});
  const nlohmann::json record = Record("box");
  const pid_t daemon = record.at("daemon_pid");
  const pid_t init = InitPid("box");
  kill(daemon, SIGKILL);
  EXPECT_TRUE(Eventually([=] { return !IsRunning(daemon) && !IsRunning(init); }));
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_EQ(Remains(), "box.log\n");
  for (const nlohmann::json& group : record.at("cgroups")) {
    const std::string path = group.at("path");
    EXPECT_NE(Shell("test -e " + path).exit_code, 0) << path;
  }
}

TEST_F(StopTest, EndsASandboxThatIsStarting) {
  ASSERT_THAT(Shell("mkdir src && cd src && seq 40000 | xargs touch"), Succeeded());
  const pid_t cli = Start({"run", "--name", "box", "--detach", "--import", "src"});
  ASSERT_TRUE(Eventually([this] { return Shell("test -e run/box/lock").exit_code == 0; }));
  EXPECT_THAT(Stasis({"stop", "box", "--timeout", "1"}, std::chrono::seconds(10)), Succeeded());
  EXPECT_THAT(Wait(cli).exit_code, testing::AnyOf(0, 130));
  EXPECT_THAT(Remains(), IsEmpty());
}

TEST_F(StopTest, LeavesForeignFilesAlone) {
  StartBox("box");
  ASSERT_THAT(Shell("mkdir run/foreign && echo mine > run/foreign/log"), Succeeded());
  EXPECT_THAT(Stasis({"stop", "--all"}), Succeeded());
  EXPECT_THAT(Stasis({"stop", "foreign"}), FailsWith(10, "there is no sandbox named 'foreign'"));
  EXPECT_EQ(ReadFile(runtime_dir() + "/foreign/log"), "mine\n");
}

TEST_F(StopTest, EndsAllAtTheSameTime) {
  const Strings stubborn = {"/bin/sh", "-c",
                            "trap '' TERM; touch /up; while :; do sleep 0.01; done"};
  for (const char* name : {"one", "two", "three"}) {
    StartBox(name, {}, stubborn);
    ASSERT_TRUE(Eventually([&] { return In(name, "test -e /up").exit_code == 0; }));
  }
  const auto began = std::chrono::steady_clock::now();
  ASSERT_THAT(Stasis({"stop", "--all", "--timeout", "2"}), Succeeded());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

TEST_F(StopTest, TheNameOfADeadSandboxCanBeUsedAgain) {
  StartBox("box");
  const pid_t daemon = DaemonPid("box");
  kill(daemon, SIGKILL);
  ASSERT_TRUE(Eventually([=] { return !IsRunning(daemon); }));
  StartBox("box");
}

TEST_F(StopTest, SaysThatThereIsNoSuchSandbox) {
  EXPECT_THAT(Stasis({"stop", "box"}), FailsWith(10, "there is no sandbox named 'box'"));
}

TEST_F(StopTest, WantsAName) { EXPECT_THAT(Stasis({"stop"}), FailsWith(2, "name a sandbox")); }

}  // namespace
}  // namespace stasis::cli
