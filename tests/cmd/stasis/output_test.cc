// SPDX-License-Identifier: Apache-2.0
//
// What commands print, and nobody reads.

#include <signal.h>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::IsEmpty;

class OutputTest : public CliTest {
 protected:
  // Runs `stasis ARGUMENTS`, whose standard output has no reader any more. With `ignored` it
  // ignores SIGPIPE from the beginning, as what a service manager starts.
  Outcome ForNobody(const Strings& arguments, bool ignored) {
    Strings line = {"python3", "-c",
                    "import os, subprocess, sys\n"
                    "r, w = os.pipe()\n"
                    "os.close(r)\n"
                    "code = subprocess.run(sys.argv[2:], stdout=w, restore_signals="
                    "sys.argv[1] == '0').returncode\n"
                    "sys.exit(code if code >= 0 else 128 - code)",
                    ignored ? "1" : "0", binary_};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return Host(line);
  }
};

TEST_F(OutputTest, WithoutAReaderACommandEndsInSilence) {
  StartBox("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v0"}), Succeeded());
  ASSERT_THAT(In("box", "for i in $(seq 300); do : > /a-file-with-a-long-name-$i; done"),
              Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  const std::vector<Strings> commands = {{"ps"},
                                         {"ps", "--json"},
                                         {"handles", "box"},
                                         {"config", "box"},
                                         {"diff", "snaps:v0", "snaps:v1"},
                                         {"log", "snaps"},
                                         {"inspect", "snaps:v1", "--tree"},
                                         {"restore", "snaps:v1", "--list-handles"},
                                         {"gc", "snaps"},
                                         {"version"},
                                         {"checkpoint", "box", "snaps:v2"}};
  for (const Strings& command : commands)
    for (const bool ignored : {false, true}) {
      const Outcome outcome = ForNobody(command, ignored);
      EXPECT_THAT(outcome, ExitsWith(128 + SIGPIPE)) << command[0] << ignored;
      EXPECT_THAT(outcome.err, IsEmpty()) << command[0] << ignored;
    }
  EXPECT_THAT(Stasis({"verify", "snaps:v2"}), Succeeded());
}

TEST_F(OutputTest, AFullDiskIsAnError) {
  StartBox("box");
  const Outcome outcome = Shell(binary_ + " ps > /dev/full");
  EXPECT_THAT(outcome, FailsWith(9, "cannot write to the standard output: No space left"));
}

TEST_F(OutputTest, EventsEndWithTheirReader) {
  StartBox("box");
  const pid_t events = StartHost(
      {"/bin/sh", "-c", "{ " + binary_ + " events box --follow; echo $? > code; } | head -1"});
  ASSERT_TRUE(Eventually([&] {
    EXPECT_THAT(In("box", "touch /a"), Succeeded());
    return ReadFile(Path("code")) == std::to_string(128 + SIGPIPE) + "\n";
  }));
  const Outcome outcome = Wait(events);
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.err, IsEmpty());
}

}  // namespace
}  // namespace stasis::cli
