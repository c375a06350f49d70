// SPDX-License-Identifier: Apache-2.0

#include <signal.h>

#include <thread>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

class ExecTest : public CliTest {};

TEST_F(ExecTest, SeesWhatOthersWrote) {
  StartBox("box", {}, {"/bin/sh", "-c", "echo one > /file; exec sleep 100"});
  EXPECT_TRUE(Eventually([this] { return In("box", "cat /file").out == "one\n"; }));
  ASSERT_THAT(In("box", "echo two >> /file"), Succeeded());
  EXPECT_EQ(In("box", "cat /file").out, "one\ntwo\n");
}

TEST_F(ExecTest, GivesTheExitCodeOfTheProgram) {
  StartBox("box");
  EXPECT_THAT(In("box", "exit 9"), ExitsWith(9));
  EXPECT_THAT(In("box", "kill -TERM $$"), ExitsWith(128 + 15));
}

TEST_F(ExecTest, StartsWhereRunStarted) {
  StartBox("box", {"--workdir", "/tmp"});
  EXPECT_EQ(In("box", "pwd").out, "/tmp\n");
  EXPECT_EQ(Stasis({"exec", "box", "--workdir", "/proc", "--", "pwd"}).out, "/proc\n");
}

TEST_F(ExecTest, PassesSigtermOn) {
  StartBox("box");
  const pid_t pid = Start({"exec", "box", "--", "/bin/sh", "-c",
                           "trap 'exit 3' TERM; touch /ready; while :; do sleep 0.01; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -e /ready").exit_code == 0; }));
  kill(pid, SIGTERM);
  EXPECT_THAT(Wait(pid), ExitsWith(3));
}

TEST_F(ExecTest, PassesOtherSignalsOn) {
  StartBox("box");
  for (const int signal : {SIGINT, SIGQUIT, SIGUSR1, SIGHUP}) {
    const pid_t pid =
        Start({"exec", "box", "--", "/bin/sh", "-c",
               "trap 'exit 3' INT QUIT USR1 HUP; touch /ready; while :; do sleep 0.01; done"});
    ASSERT_TRUE(Eventually([this] { return In("box", "rm /ready").exit_code == 0; }));
    kill(pid, signal);
    EXPECT_THAT(Wait(pid), ExitsWith(3)) << signal;
  }
}

TEST_F(ExecTest, LosesNoSignalAtTheStart) {
  StartBox("box");
  for (int round = 0; round < 20; ++round) {
    const pid_t pid = Start({"exec", "box", "--", "sleep", "1000"});
    std::this_thread::sleep_for(std::chrono::milliseconds(2 * round));
    kill(pid, SIGTERM);
    EXPECT_THAT(Wait(pid), ExitsWith(128 + SIGTERM));
  }
  EXPECT_TRUE(Eventually([this] { return In("box", "! pidof sleep").exit_code == 0; }));
}

TEST_F(ExecTest, ProgramsHaveTheCallersSignals) {
  StartBox("box");
  const std::string exec = binary_ + " exec box -- /bin/sh -c ";
  EXPECT_EQ(Shell("trap '' HUP; " + exec + "'kill -HUP $$; echo on'").out, "on\n");
  EXPECT_THAT(Shell(exec + "'kill -PIPE $$; echo on'"), ExitsWith(128 + SIGPIPE));
}

TEST_F(ExecTest, ProgramsHaveTheStandardDescriptorsOnly) {
  StartBox("box");
  EXPECT_THAT(Shell("exec 9< /etc/passwd; exec " + binary_ +
                    " exec box -- /bin/sh -ec 'test ! -e /proc/self/fd/9'"),
              Succeeded());
}

TEST_F(ExecTest, HasTheEnvironmentOfRun) {
  StartBox("box", {"--env", "COLOUR=blue", "--env", "SHAPE=round"});
  EXPECT_EQ(
      Stasis({"exec", "box", "--env", "SHAPE", "--", "/bin/sh", "-c", "echo $COLOUR ${SHAPE-none}"})
          .out,
      "blue none\n");
}

TEST_F(ExecTest, ClearsTheEnvironment) {
  StartBox("box");
  EXPECT_EQ(Stasis({"exec", "box", "--clear-env", "--env", "A=b", "--", "env"}).out,
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nA=b\n");
}

TEST_F(ExecTest, RefusesABadEnvironment) {
  StartBox("box");
  EXPECT_THAT(Stasis({"exec", "box", "--env", "=b", "--", "true"}),
              FailsWith(2, "is not of the form NAME=VALUE"));
}

TEST_F(ExecTest, SaysThatTheDaemonIsDead) {
  StartBox("box");
  const pid_t daemon = DaemonPid("box");
  kill(daemon, SIGKILL);
  ASSERT_TRUE(Eventually([=] { return !IsRunning(daemon); }));
  EXPECT_THAT(Stasis({"exec", "box", "--", "true"}), FailsWith(10, "is dead"));
}

TEST_F(ExecTest, SaysThatThereIsNoSuchSandbox) {
  EXPECT_THAT(Stasis({"exec", "box", "--", "true"}),
              FailsWith(10, "there is no sandbox named 'box'; `stasis ps` lists those that run"));
}

}  // namespace
}  // namespace stasis::cli
