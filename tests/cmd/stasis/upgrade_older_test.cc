// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes and images of an older program, STASIS_OLD_BINARY, with today's: `./dev upgrade-test
// COMMIT` builds it and runs these.

#include <cstdlib>

#include "tests/cmd/stasis/cli_fixture.h"
#include "tests/cmd/stasis/upgrade_programs.h"

namespace stasis::cli {
namespace {

using nlohmann::json;

// Of all that a restore must bring back.
constexpr char kSums[] =
    "cd /t && find . -type f -exec sha256sum {} + | sort && "
    "find . -printf '%p %y %m %n %s %T@ %l\\n' | sort";

class UpgradeOlderTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    const char* older = std::getenv("STASIS_OLD_BINARY");  // NOLINT(concurrency-mt-unsafe)
    ASSERT_NE(older, nullptr) << "STASIS_OLD_BINARY is not set: ./dev upgrade-test sets it";
    older_ = older;
  }

  // The same with the older program.
  Outcome Older(const Strings& arguments) {
    const std::string today = std::exchange(binary_, older_);
    Outcome outcome = Stasis(arguments);
    binary_ = today;
    return outcome;
  }
  // A sandbox of the older program, with one of upgrade_programs.h at work in /t.
  void StartOlder(const char* program, const std::string& count = "") {
    ASSERT_THAT(
        Older({"run", "--detach", "--name", "box", "--", "python3", "-c", program, "/t", count}),
        Succeeded());
  }

  std::string Cat(const std::string& file) { return In("box", "cat " + file).out; }
  void AwaitRounds(const std::string& file = "/t/ROUND") {
    const int from = std::atoi(Cat(file).c_str());
    EXPECT_TRUE(Eventually([&] { return std::atoi(Cat(file).c_str()) >= from + 3; }))
        << Cat("/t/FAILED");
    EXPECT_EQ(Cat("/t/FAILED"), "");
  }
  void EndProgram() {
    EXPECT_THAT(In("box", "touch /t/STOP"), Succeeded());
    EXPECT_TRUE(Eventually([&] { return Cat("/t/ENDED") == "well"; }))
        << Cat("/t/FAILED") << Cat("/t/ENDED");
  }

  // The first thing that a program says when it is to go on in the place of a daemon.
  json Hello(const std::string& binary) {
    WriteFile("listen.py",
              "import socket, subprocess, sys\n"
              "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
              "p = subprocess.Popen([sys.argv[1], 'takeover', '--fd', str(b.fileno())],\n"
              "                     pass_fds=[b.fileno()], stderr=subprocess.DEVNULL)\n"
              "b.close()\nprint(a.recv(1 << 20).decode())\na.close()\np.wait()\n");
    return Host({"python3", Path("listen.py"), binary}).Json().at("hello");
  }
  bool SpeakTheSame() { return Hello(older_).at("protocol") == Hello(binary_).at("protocol"); }

  // Replaces the older daemon by today's. False if they do not understand each other, which leaves
  // everything as it was.
  bool Upgrade() {
    const pid_t daemon = DaemonPid("box");
    const Outcome outcome = Stasis({"upgrade", "box", "--json"});
    if (outcome.exit_code == 0 || SpeakTheSame()) {
      EXPECT_THAT(outcome, Succeeded());
      EXPECT_NE(DaemonPid("box"), daemon);
      return outcome.exit_code == 0;
    }
    EXPECT_THAT(outcome, FailsWith(6, "protocol"));
    EXPECT_EQ(DaemonPid("box"), daemon);
    return false;
  }

  // Of what the sandbox has now: today's program saves and restores it.
  void ExpectACheckpoint() {
    const std::string sums = In("box", kSums).out;
    ASSERT_NE(sums, "");
    ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
    ASSERT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
    ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "again", "--detach"}), Succeeded());
    EXPECT_EQ(In("again", kSums).out, sums);
  }

  std::string older_;
};

TEST_F(UpgradeOlderTest, NothingOfAProgramsIsLost) {
  StartOlder(kHoldsEverything);
  AwaitRounds();
  const bool upgraded = Upgrade();
  AwaitRounds();
  if (upgraded) {
    ASSERT_THAT(Stasis({"upgrade", "box"}), Succeeded()) << "by itself";
    AwaitRounds();
  }
  EndProgram();
  ExpectACheckpoint();
}

TEST_F(UpgradeOlderTest, WhileManyWork) {
  StartOlder(kWorks, "8");
  AwaitRounds("/t/ROUND5");
  Upgrade();
  AwaitRounds("/t/ROUND5");
  EndProgram();
  ExpectACheckpoint();
}

// Whatever comes instead of a daemon, and however today's protocol differs.
TEST_F(UpgradeOlderTest, ARefusalLeavesItAsItWas) {
  StartOlder(kHoldsEverything);
  AwaitRounds();
  const pid_t daemon = DaemonPid("box");
  WriteFile("stranger",
            "#!/usr/bin/env python3\nimport socket, time\n"
            "socket.socket(fileno=3).send(b'{\"hello\": {\"protocol\": 99}}')\ntime.sleep(100)\n");
  ASSERT_THAT(Shell("chmod 755 stranger"), Succeeded());
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", Path("stranger")}), FailsWith(6, "protocol"));
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", "/bin/false"}), ExitsWith(1));
  EXPECT_EQ(DaemonPid("box"), daemon);
  AwaitRounds();
  EndProgram();
  ExpectACheckpoint();
}

// An older one is taken, if it can read the state, or is refused.
TEST_F(UpgradeOlderTest, BackToTheOlderOne) {
  StartBox("box", {}, {"python3", "-c", kHoldsEverything, "/t"});
  AwaitRounds();
  const pid_t daemon = DaemonPid("box");
  const Outcome outcome = Stasis({"upgrade", "box", "--binary", older_});
  if (outcome.exit_code != 0) {
    EXPECT_THAT(outcome, ExitsWith(6));
    EXPECT_EQ(DaemonPid("box"), daemon);
  }
  AwaitRounds();
  EndProgram();
}

TEST_F(UpgradeOlderTest, ItsImagesAreRestored) {
  StartOlder(kWorks, "2");
  AwaitRounds("/t/ROUND1");
  EndProgram();
  const std::string sums = In("box", kSums).out;
  ASSERT_NE(sums, "");
  ASSERT_THAT(Older({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "again", "--detach"}), Succeeded());
  EXPECT_EQ(In("again", kSums).out, sums);
}

// The other way round it may say that it is too old, and nothing else.
TEST_F(UpgradeOlderTest, ItReadsTodaysImagesOrSaysThatItCannot) {
  StartBox("box", {}, {"python3", "-c", kWorks, "/t", "2"});
  AwaitRounds("/t/ROUND1");
  EndProgram();
  const std::string sums = In("box", kSums).out;
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  const Outcome outcome = Older({"restore", "snaps:v1", "--name", "again", "--detach"});
  if (outcome.exit_code != 0) {
    EXPECT_THAT(outcome, ExitsWith(6));
    return;
  }
  EXPECT_EQ(In("again", kSums).out, sums);
}

}  // namespace
}  // namespace stasis::cli
