// SPDX-License-Identifier: Apache-2.0

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

TEST_F(ExecTest, SaysThatThereIsNoSuchSandbox) {
  EXPECT_THAT(Stasis({"exec", "box", "--", "true"}),
              FailsWith(10, "there is no sandbox named 'box'; `stasis ps` lists those that run"));
}

}  // namespace
}  // namespace stasis::cli
