// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes whose daemon is killed, and that go on.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <utility>

#include "tests/cmd/stasis/cli_fixture.h"
#include "tests/cmd/stasis/upgrade_programs.h"
#include "tests/testing/seed.h"

namespace stasis::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// How often, in tests of many in a row.
int Kills() {
  const char* wanted = std::getenv("STASIS_KILLS");  // NOLINT(concurrency-mt-unsafe)
  return wanted != nullptr ? std::atoi(wanted) : 4;
}

class KeeperTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    setenv("STASIS_KEEPER_LIMIT", "1000", 1);  // NOLINT(concurrency-mt-unsafe)
  }
  void TearDown() override {
    CliTest::TearDown();
    unsetenv("STASIS_KEEPER_LIMIT");  // NOLINT(concurrency-mt-unsafe)
  }

  nlohmann::json Ps(const std::string& box) {
    const nlohmann::json list = Stasis({"ps", "--json"}).Json();
    for (const nlohmann::json& one : list.at("sandboxes"))
      if (one.at("name") == box) return one;
    return nlohmann::json::object();
  }
  std::string Cat(const std::string& box, const std::string& file) {
    return In(box, "cat " + file).out;
  }
  std::string Log(const std::string& box) { return ReadFile(runtime_dir() + "/" + box + "/log"); }
  // Kills the daemon, and waits until there is another one, which answers.
  void KillDaemon(const std::string& box) {
    const pid_t daemon = DaemonPid(box);
    ASSERT_GT(daemon, 1);
    ASSERT_EQ(kill(daemon, SIGKILL), 0);
    ASSERT_TRUE(Eventually([&] {
      const pid_t now = DaemonPid(box);
      return now > 1 && now != daemon && Ps(box)["daemon_pid"] == now;
    })) << Log(box);
  }
  void StartProgram(const std::string& box, const char* program, const std::string& count = "") {
    StartBox(box, {"--keeper"}, {"python3", "-c", program, "/t", count});
  }
  void AwaitRounds(const std::string& box, const std::string& file = "/t/ROUND") {
    const int from = std::atoi(Cat(box, file).c_str());
    EXPECT_TRUE(Eventually([&] { return std::atoi(Cat(box, file).c_str()) >= from + 3; }))
        << Cat(box, "/t/FAILED") << Log(box);
    EXPECT_EQ(Cat(box, "/t/FAILED"), "");
  }
  void EndProgram(const std::string& box) {
    EXPECT_THAT(In(box, "touch /t/STOP"), Succeeded());
    EXPECT_TRUE(Eventually([&] { return Cat(box, "/t/ENDED") == "well"; }))
        << Cat(box, "/t/FAILED") << Cat(box, "/t/ENDED");
  }
};

TEST_F(KeeperTest, ProgramsRunOnWhenTheDaemonIsKilled) {
  StartBox("box", {"--keeper"}, {"/bin/sh", "-c", "while :; do date +%s%N > /now; done"});
  ASSERT_THAT(In("box", "echo one > /a; head -c 300000 /dev/urandom > /large; ln /a /b"),
              Succeeded());
  const std::string sum = In("box", "sha256sum < /large").out;
  EXPECT_EQ(Ps("box").at("recoveries"), 0);
  KillDaemon("box");
  const std::string now = Cat("box", "/now");
  EXPECT_TRUE(Eventually([&] { return Cat("box", "/now") != now; }));
  EXPECT_EQ(Cat("box", "/a"), "one\n");
  EXPECT_EQ(In("box", "sha256sum < /large").out, sum);
  EXPECT_EQ(In("box", "stat -c %h /b").out, "2\n");
  ASSERT_THAT(In("box", "echo two > /a; rm /large; mkdir /d; echo new > /d/f"), Succeeded());
  const nlohmann::json ps = Ps("box");
  EXPECT_EQ(ps.at("recoveries"), 1);
  EXPECT_THAT(ps.at("last_recovery").get<std::string>(), HasSubstr("has died"));
  EXPECT_EQ(ps.at("status"), "running");
  EXPECT_THAT(Stasis({"ps"}).out, HasSubstr("(recovered 1; last: the daemon"));
  KillDaemon("box");
  EXPECT_THAT(Ps("box").at("last_recovery").get<std::string>(),
              HasSubstr("was ended by signal 9 (Killed)"));
  EXPECT_EQ(Cat("box", "/b /d/f"), "two\nnew\n");
  EXPECT_THAT(Log("box"), HasSubstr("goes on"));
  const pid_t keeper = ps.at("keeper_pid");
  EXPECT_TRUE(IsRunning(keeper));
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_TRUE(Eventually([&] { return !IsRunning(keeper); }));
  EXPECT_NE(access((runtime_dir() + "/box").c_str(), F_OK), 0);
}

TEST_F(KeeperTest, NothingThatAProgramHoldsIsLost) {
  StartProgram("box", kHoldsEverything);
  AwaitRounds("box");
  for (int i = 0; i < Kills() && !HasFailure(); ++i) {
    KillDaemon("box");
    if (i % 3 == 1) {
      EXPECT_THAT(Stasis({"checkpoint", "box", Path("images") + ":mid"}), Succeeded());
    }
    AwaitRounds("box");
  }
  EndProgram("box");
}

TEST_F(KeeperTest, WhileManyWork) {
  const uint64_t seed = stasis::testing::NewSeed();
  std::mt19937_64 random(seed);
  StartProgram("box", kWorks, "6");
  AwaitRounds("box", "/t/ROUND3");
  for (int i = 0; i < Kills() && !HasFailure(); ++i) {
    KillDaemon("box");
    usleep(static_cast<useconds_t>(random() % 300'000));
    if (i % 3 == 1) {
      EXPECT_THAT(Stasis({"checkpoint", "box", Path("images") + ":mid"}), Succeeded());
    }
  }
  AwaitRounds("box", "/t/ROUND3");
  EndProgram("box");
}

TEST_F(KeeperTest, ACheckpointAfterARecoveryIsWhole) {
  StartBox("box", {"--keeper"});
  ASSERT_THAT(In("box", "head -c 1000000 /dev/urandom > /a; mkdir /d; cp /a /d/b; rm /a"),
              Succeeded());
  KillDaemon("box");
  ASSERT_THAT(In("box", "echo later > /d/c"), Succeeded());
  const std::string sum = In("box", "sha256sum /d/b /d/c").out;
  ASSERT_THAT(Stasis({"checkpoint", "box", Path("images") + ":after"}), Succeeded());
  ASSERT_THAT(Stasis({"verify", Path("images") + ":after"}), Succeeded());
  ASSERT_THAT(
      Stasis({"restore", Path("images") + ":after", "--name", "again", "--detach", "--keeper"}),
      Succeeded());
  EXPECT_EQ(In("again", "sha256sum /d/b /d/c").out, sum);
  KillDaemon("again");
  EXPECT_EQ(In("again", "sha256sum /d/b /d/c").out, sum);
}

TEST_F(KeeperTest, MountsThatWereAddedAreThere) {
  ASSERT_THAT(Shell("mkdir -p " + Path("host") + "; echo host > " + Path("host/f")), Succeeded());
  StartBox("box", {"--keeper", "--tmpfs", "/m"});
  ASSERT_THAT(In("box", "echo inside > /m/f; mkdir /data"), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "--root", "data=" + Path("host"), "data:/data:ro"}),
              Succeeded());
  KillDaemon("box");
  EXPECT_EQ(Cat("box", "/m/f /data/f"), "inside\nhost\n");
  ASSERT_THAT(In("box", "echo more >> /m/f"), Succeeded());
  KillDaemon("box");
  EXPECT_EQ(Cat("box", "/m/f"), "inside\nmore\n");
}

TEST_F(KeeperTest, AnOverlayOnAHostDirectory) {
  ASSERT_THAT(Shell("mkdir -p " + Path("base/d") + "; echo base > " + Path("base/d/f")),
              Succeeded());
  StartBox("box", {"--keeper", "--rootfs", Path("base")});
  ASSERT_THAT(In("box", "ls -lR /d; echo changed >> /d/f; mv /d/f /d/g; echo new > /d/n"),
              Succeeded());
  KillDaemon("box");
  EXPECT_EQ(In("box", "cd /d; ls; cat g n").out, "g\nn\nbase\nchanged\nnew\n");
  EXPECT_EQ(ReadFile(Path("base/d/f")), "base\n");
}

// Through the kernel's passthrough, where there is one: while nobody serves, a file that is open
// can be read.
TEST_F(KeeperTest, HostFilesThatAreOpen) {
  ASSERT_THAT(Shell("mkdir data; cd data; seq 100000 > held; for i in $(seq 50); do echo $i > $i; "
                    "done"),
              Succeeded());
  StartBox(
      "box",
      {"--keeper", "--root", "data=" + Path("data"), "--mount", "data:/data:ro", "--fd-limit", "4"},
      {"python3", "-c", kReadsOpenFiles});
  AwaitRounds("box");
  for (int i = 0; i < Kills(); ++i) {
    KillDaemon("box");
    AwaitRounds("box");
    if (HasFailure()) return;
  }
  EndProgram("box");
  EXPECT_THAT(Log("box"), Not(HasSubstr("the sandbox ends")));
  EXPECT_EQ(In("box", "cat /data/held").out, ReadFile(Path("data/held")));
}

TEST_F(KeeperTest, AHostDirectoryThatProgramsChangeIsRefused) {
  ASSERT_THAT(Shell("mkdir -p " + Path("host")), Succeeded());
  EXPECT_THAT(Stasis({"run", "--keeper", "--root", "data=" + Path("host"), "--mount", "data:/data",
                      "--", "true"}),
              FailsWith(1, "cannot be done again"));
  EXPECT_THAT(Stasis({"ps"}).out, Not(HasSubstr("running")));
}

TEST_F(KeeperTest, WhatIsRefusedHasMadeNothing) {
  ASSERT_THAT(Shell("mkdir -p host upper"), Succeeded());
  EXPECT_THAT(Stasis({"run", "--keeper", "--rootfs", "host", "--upper", "none", "--", "true"}),
              FailsWith(1, "programs change the host's " + Path("host")));
  EXPECT_THAT(Stasis({"run", "--keeper", "--rootfs", "host", "--upper", "upper", "--", "true"}),
              FailsWith(1, "programs change the host's " + Path("upper")));
  EXPECT_EQ(Shell("ls host upper").out, "host:\n\nupper:\n");
}

TEST_F(KeeperTest, ALimitThatIsNoneIsRefused) {
  for (const char* wrong : {"many", "-1", "3x", "99999999999"}) {
    setenv("STASIS_KEEPER_LIMIT", wrong, 1);  // NOLINT(concurrency-mt-unsafe)
    EXPECT_THAT(Stasis({"run", "--keeper", "--", "echo", "ran"}),
                FailsWith(2, "STASIS_KEEPER_LIMIT=" + std::string(wrong) + " is no number"));
  }
  EXPECT_THAT(Stasis({"run", "--", "true"}), Succeeded());
}

// As when a package is upgraded.
TEST_F(KeeperTest, AProgramThatWasReplacedOnDiskGoesOn) {
  ASSERT_THAT(Shell("cp " + binary_ + " program"), Succeeded());
  const std::string binary = std::exchange(binary_, Path("program"));
  StartBox("box", {"--keeper"});
  binary_ = binary;
  ASSERT_THAT(In("box", "echo one > /f"), Succeeded());
  ASSERT_THAT(Shell("printf '#!/bin/sh\\nexit 1\\n' > other; chmod +x other; mv other program"),
              Succeeded());
  for (int i = 0; i < 2; ++i) {
    KillDaemon("box");
    EXPECT_EQ(Cat("box", "/f"), "one\n");
  }
}

TEST_F(KeeperTest, AKilledKeeperLeavesTheDaemon) {
  StartBox("box", {"--keeper"});
  const pid_t keeper = Ps("box").at("keeper_pid");
  ASSERT_EQ(kill(keeper, SIGKILL), 0);
  EXPECT_TRUE(
      Eventually([&] { return Log("box").find("its keeper has ended") != std::string::npos; }));
  EXPECT_THAT(In("box", "echo still > /a"), Succeeded());
  EXPECT_THAT(Stasis({"upgrade", "box"}), Succeeded());
  EXPECT_EQ(Cat("box", "/a"), "still\n");
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
}

TEST_F(KeeperTest, SuchADirectoryIsNotAddedEither) {
  ASSERT_THAT(Shell("mkdir -p " + Path("host")), Succeeded());
  StartBox("box", {"--keeper"});
  ASSERT_THAT(In("box", "mkdir /data; echo here > /a"), Succeeded());
  EXPECT_THAT(Stasis({"mount-add", "box", "--root", "data=" + Path("host"), "data:/data"}),
              FailsWith(1, "cannot be done again"));
  EXPECT_EQ(In("box", "grep -c /data /proc/self/mountinfo").out, "0\n");
  KillDaemon("box");
  EXPECT_EQ(Cat("box", "/a"), "here\n");
}

TEST_F(KeeperTest, AHostDirectoryThatOthersChangeIsRefused) {
  ASSERT_THAT(Shell("mkdir -p " + Path("host")), Succeeded());
  EXPECT_THAT(Stasis({"run", "--keeper", "--root", "data=" + Path("host"), "--mount",
                      "data:/data:ro:interop=shared", "--", "true"}),
              FailsWith(1, "others change files below /data"));
}

TEST_F(KeeperTest, WhatDiesTooOftenEndsLoudly) {
  setenv("STASIS_KEEPER_LIMIT", "1", 1);  // NOLINT(concurrency-mt-unsafe)
  const pid_t cli = Start({"run", "--name", "box", "--keeper", "--", "/bin/sh", "-c",
                           "while echo x >> /log; do :; done; exit 42"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /log").exit_code == 0; }));
  KillDaemon("box");
  const pid_t init = InitPid("box");
  ASSERT_EQ(kill(DaemonPid("box"), SIGKILL), 0);
  EXPECT_THAT(Wait(cli).err, HasSubstr("daemon has died"));
  EXPECT_TRUE(Eventually([=] { return !IsRunning(init); }));
}

TEST_F(KeeperTest, PsSaysWhyNothingWentOn) {
  setenv("STASIS_KEEPER_LIMIT", "0", 1);  // NOLINT(concurrency-mt-unsafe)
  StartBox("box", {"--keeper"}, {"sleep", "1000"});
  ASSERT_EQ(kill(DaemonPid("box"), SIGKILL), 0);
  EXPECT_TRUE(Eventually([&] { return Ps("box").value("status", "") == "dead"; }));
  EXPECT_THAT(Ps("box").at("lost").get<std::string>(), HasSubstr("time in a minute"));
  EXPECT_THAT(Stasis({"ps"}).out, HasSubstr("time in a minute"));
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
}

// The keeper gets one after the other, as the program writes as fast as it can.
TEST_F(KeeperTest, ACheckpointBesideTheKeepersIsNotWrittenDownInThePause) {
  StartBox("box", {"--keeper"},
           {"/bin/sh", "-c",
            "mkdir /d; for i in $(seq 3000); do : > /d/$i; done; touch /ready; while :; do "
            "dd if=/dev/zero of=/w bs=1M count=64 conv=notrunc 2>/dev/null; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -e /ready").exit_code == 0; }));
  for (int i = 0; i < 6; ++i) {
    const Outcome saved = Stasis({"checkpoint", "box", "snaps:v1", "--json"});
    ASSERT_THAT(saved, Succeeded());
    EXPECT_THAT(saved.Json().at("warnings").dump(), Not(HasSubstr("in the pause")));
  }
}

TEST_F(KeeperTest, AnUpgradeKeepsTheKeeper) {
  StartBox("box", {"--keeper"});
  ASSERT_THAT(In("box", "echo before > /a"), Succeeded());
  ASSERT_THAT(Stasis({"upgrade", "box"}), Succeeded());
  ASSERT_THAT(In("box", "echo after > /b"), Succeeded());
  KillDaemon("box");
  EXPECT_EQ(Cat("box", "/a /b"), "before\nafter\n");
  EXPECT_EQ(Ps("box").at("upgrades"), 1);
  EXPECT_EQ(Ps("box").at("recoveries"), 1);
  ASSERT_THAT(Stasis({"upgrade", "box"}), Succeeded());
  KillDaemon("box");
  EXPECT_EQ(Cat("box", "/a /b"), "before\nafter\n");
}

TEST_F(KeeperTest, AForkHasItsOwn) {
  StartBox("box", {"--keeper"});
  ASSERT_THAT(In("box", "head -c 500000 /dev/urandom > /a"), Succeeded());
  const std::string sum = In("box", "sha256sum < /a").out;
  ASSERT_THAT(Stasis({"fork", "box", "copy"}), Succeeded());
  ASSERT_THAT(In("copy", "echo x > /b"), Succeeded());
  KillDaemon("box");
  EXPECT_EQ(In("copy", "sha256sum < /a").out, sum);
  KillDaemon("copy");
  EXPECT_EQ(In("copy", "sha256sum < /a").out, sum);
  EXPECT_EQ(Cat("copy", "/b"), "x\n");
  EXPECT_EQ(In("box", "sha256sum < /a").out, sum);
}

}  // namespace
}  // namespace stasis::cli
