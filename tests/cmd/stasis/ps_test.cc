// SPDX-License-Identifier: Apache-2.0

#include <signal.h>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;

class PsTest : public CliTest {};

TEST_F(PsTest, ListsNothingWithoutSandboxes) {
  const Outcome outcome = Stasis({"ps", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.Json(), nlohmann::json({{"sandboxes", nlohmann::json::array()}}));
}

TEST_F(PsTest, ListsWhatRuns) {
  StartBox("two", {}, {"sleep", "100"});
  StartBox("one");
  const Outcome outcome = Stasis({"ps", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  const nlohmann::json boxes = outcome.Json().at("sandboxes");
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(boxes[0].at("name"), "one");
  EXPECT_EQ(boxes[1].at("name"), "two");
  EXPECT_EQ(boxes[1].at("status"), "running");
  EXPECT_EQ(boxes[1].at("processes"), 1);
  EXPECT_EQ(boxes[1].at("daemon_pid"), DaemonPid("two"));
  EXPECT_THAT(Stasis({"ps"}).out, HasSubstr("two"));
}

TEST_F(PsTest, SaysHowToClearUpAfterADeadDaemon) {
  StartBox("box");
  const pid_t daemon = DaemonPid("box");
  kill(daemon, SIGKILL);
  ASSERT_TRUE(Eventually([=] { return !IsRunning(daemon); }));
  EXPECT_THAT(Stasis({"ps"}).out, HasSubstr("dead          clear up with: stasis stop box"));
  const nlohmann::json box = Stasis({"ps", "--json"}).Json().at("sandboxes")[0];
  EXPECT_EQ(box.at("status"), "dead");
  EXPECT_EQ(box.at("daemon_pid"), nullptr) << "not known";
}

TEST_F(PsTest, DoesNotLookIntoADirectoryThatOthersMayWriteTo) {
  StartBox("box");
  ASSERT_THAT(Shell("chmod 777 run"), Succeeded());
  for (const Strings& arguments : {Strings{"ps"}, Strings{"stop", "--all"}, Strings{"stop", "box"},
                                   Strings{"exec", "box", "--", "true"}})
    EXPECT_THAT(Stasis(arguments), FailsWith(1, "others may write to it"));
  ASSERT_THAT(Shell("chmod 700 run"), Succeeded());
}

}  // namespace
}  // namespace stasis::cli
