// SPDX-License-Identifier: Apache-2.0

#include <signal.h>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class RollbackTest : public CliTest {
 protected:
  nlohmann::json Box(const std::string& name) {
    const nlohmann::json boxes = Stasis({"ps", "--json"}).Json().at("sandboxes");
    for (const nlohmann::json& box : boxes)
      if (box.at("name") == name) return box;
    return nlohmann::json::object();
  }

  std::string Cat(const std::string& file) { return In("box", "cat " + file).out; }

  void Checkpoint(const std::string& reference) {
    ASSERT_THAT(Stasis({"checkpoint", "box", reference}), Succeeded());
  }

  // A sandbox whose program has a file open, "v1" as the image in which /a is "old".
  void StartOld(const Strings& options = {}) {
    StartBox("box", options,
             {"/bin/sh", "-c", "exec 3>/open; while :; do date +%s%N >&3; date > /now; done"});
    ASSERT_THAT(In("box", "echo old > /a; mkdir /d; echo deep > /d/deep"), Succeeded());
    Checkpoint("snaps:v1");
    ASSERT_THAT(In("box", "echo new > /a; rm -r /d; echo more > /b"), Succeeded());
  }

  void ExpectOld() {
    EXPECT_EQ(Cat("/a"), "old\n");
    EXPECT_EQ(Cat("/d/deep"), "deep\n");
    EXPECT_THAT(In("box", "cat /b"), ExitsWith(1));
  }

  void ExpectNewAndRunning() {
    EXPECT_EQ(Cat("/a"), "new\n");
    EXPECT_EQ(Cat("/b"), "more\n");
    EXPECT_GE(Box("box").at("processes"), 1);
    const std::string size = In("box", "wc -c < /open").out;
    EXPECT_TRUE(Eventually([&] { return In("box", "wc -c < /open").out != size; }));
  }
};

TEST_F(RollbackTest, FilesGoBackAndProgramsEnd) {
  // With the runtime directory in it, of whose mounts nothing is to be seen.
  WriteFile("file", "host");
  StartOld({"--hostname", "there", "--bind", Path("") + ":/host"});
  const nlohmann::json before = Box("box");
  const Outcome outcome = Stasis({"rollback", "box", "snaps:v1", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  const nlohmann::json report = outcome.Json();
  EXPECT_EQ(report.at("reference"), Path("snaps:v1"));
  EXPECT_GT(report.at("down_ns"), 0);
  ExpectOld();
  // It is the same sandbox.
  const nlohmann::json after = Box("box");
  EXPECT_EQ(after.at("status"), "running");
  EXPECT_EQ(after.at("processes"), 0);
  EXPECT_EQ(after.at("source"), Path("snaps:v1"));
  for (const char* key : {"daemon_pid", "init_pid", "created", "cgroup"})
    EXPECT_EQ(after.at(key), before.at(key)) << key;
  EXPECT_EQ(In("box", "cat /proc/sys/kernel/hostname; ls /host/file; echo x > /dev/null").out,
            "there\n/host/file\n");
  EXPECT_EQ(In("box", "grep -c fuse /proc/self/mountinfo").out, "1\n");
  // What comes next follows the image; what was there is in the safety checkpoint.
  EXPECT_EQ(Stasis({"checkpoint", "box", "snaps:v2", "--json"}).Json().at("parent"),
            report.at("digest"));
  const std::string safety = report.at("safety").at("reference");
  EXPECT_THAT(safety, HasSubstr(":before-rollback-2"));
  EXPECT_THAT(Stasis({"restore", safety, "--", "/bin/cat", "/a", "/b"}).out, "new\nmore\n");
}

TEST_F(RollbackTest, ToAnotherLayoutAndForwardAgain) {
  StartOld();
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--detach", "--name", "other"}), Succeeded());
  ASSERT_THAT(In("other", "echo other > /a"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "other", "elsewhere:v1"}), Succeeded());
  ASSERT_THAT(Stasis({"rollback", "box", "elsewhere:v1", "--safety", "snaps:safe"}), Succeeded());
  EXPECT_EQ(Cat("/a"), "other\n");
  ASSERT_THAT(In("box", "echo third > /a"), Succeeded());
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1", "--safety", "snaps:third"}), Succeeded());
  ExpectOld();
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:safe"}), Succeeded());
  EXPECT_EQ(Cat("/a"), "new\n");
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:third"}), Succeeded());
  EXPECT_EQ(Cat("/a"), "third\n");
  EXPECT_THAT(Stasis({"verify", "snaps:third"}), Succeeded());
}

TEST_F(RollbackTest, StartsItsProgramAgain) {
  StartOld({"--env", "WHO=me"});
  const Outcome outcome = Stasis({"rollback", "box", "snaps:v1", "--start", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_TRUE(IsRunning(outcome.Json().at("command_pid")));
  EXPECT_EQ(Cat("/a"), "old\n");
  const std::string now = Cat("/open");
  EXPECT_TRUE(Eventually([&] { return Cat("/open") != now; }));
  StartBox("empty");
  ASSERT_THAT(Stasis({"checkpoint", "empty", "snaps:e"}), Succeeded());
  EXPECT_THAT(Stasis({"rollback", "empty", "snaps:e", "--start"}),
              FailsWith(2, "was started without a program"));
}

TEST_F(RollbackTest, ASandboxInTheForegroundGoesOnWithoutItsProgram) {
  const pid_t run =
      Start({"run", "--name", "box", "--", "/bin/sh", "-c", "echo 1 > /a; sleep 1000"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /a").exit_code == 0; }));
  Checkpoint("snaps:v1");
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_THAT(Wait(run), FailsWith(128 + SIGTERM, "was rolled back and goes on without CMD"));
  EXPECT_EQ(Cat("/a"), "1\n");
}

TEST_F(RollbackTest, KillsWhoDoesNotListen) {
  StartBox("box", {}, {"/bin/sh", "-c", "trap '' TERM; touch /up; while :; do sleep 1; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -e /up").exit_code == 0; }));
  Checkpoint("snaps:v1");
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1", "--grace", "0.1"}), Succeeded());
  EXPECT_EQ(Box("box").at("processes"), 0);
}

TEST_F(RollbackTest, AnInterruptWhileProgramsEndLeavesTheFiles) {
  StartBox("box", {},
           {"/bin/sh", "-c", "trap 'touch /asked' TERM; touch /up; while :; do sleep 0.1; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -e /up").exit_code == 0; }));
  Checkpoint("snaps:v1");
  ASSERT_THAT(In("box", "echo new > /a"), Succeeded());
  const pid_t pid = Start({"rollback", "box", "snaps:v1", "--grace", "600"});
  ASSERT_TRUE(Eventually([this] { return Box("box").at("status") == "rolling back"; }));
  kill(pid, SIGINT);
  EXPECT_THAT(Wait(pid), ExitsWith(130));
  EXPECT_EQ(Box("box").at("status"), "running");
  EXPECT_EQ(Cat("/a"), "new\n");
}

TEST_F(RollbackTest, TakesMountsAlong) {
  WriteFile("data/file", "host\n");
  StartBox("box", {"--tmpfs", "/scratch", "--root", "data=" + Path("data"), "--mount",
                   "data:/data:interop=shared"});
  ASSERT_THAT(In("box", "echo kept > /scratch/a"), Succeeded());
  Checkpoint("snaps:v1");
  ASSERT_THAT(In("box", "echo gone > /scratch/a; echo two > /scratch/b"), Succeeded());
  ASSERT_THAT(Stasis({"umount", "box", "/data"}), Succeeded());
  // A root that the sandbox does not have any more has to be named.
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:v1"}), FailsWith(2, "data"));
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1", "--root", "data=" + Path("data")}),
              Succeeded());
  EXPECT_EQ(In("box", "cat /scratch/a /data/file; ls /scratch").out, "kept\nhost\na\n");
  // The sandbox has it now.
  ASSERT_THAT(In("box", "echo again > /scratch/a"), Succeeded());
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_EQ(In("box", "cat /scratch/a /data/file").out, "kept\nhost\n");
  EXPECT_THAT(Stasis({"config", "box"}).out,
              AllOf(HasSubstr("data=" + Path("data")), Not(HasSubstr("tmpfs"))));
  EXPECT_THAT(Stasis({"umount", "box", "/data"}), Succeeded());
  EXPECT_THAT(Stasis({"mount-add", "box", "data:/data", "--root", "data=" + Path("data")}),
              Succeeded());
  EXPECT_EQ(Cat("/data/file"), "host\n");
}

TEST_F(RollbackTest, TakesAnOverlayBack) {
  WriteFile("base/etc/motd", "base\n");
  StartBox("box", {"--rootfs", Path("base"), "--system", "host"});
  ASSERT_THAT(In("box", "echo mine > /mine"), Succeeded());
  Checkpoint("snaps:v1");
  ASSERT_THAT(In("box", "echo other > /mine; echo x > /x"), Succeeded());
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_EQ(Cat("/mine"), "mine\n");
  EXPECT_THAT(Stasis({"diff", "box"}).out, AllOf(HasSubstr("/mine"), Not(HasSubstr("/x"))));
}

TEST_F(RollbackTest, AnUpperDirectoryIsComparedLikeAnyOther) {
  WriteFile("base/file", "base\n");
  ASSERT_THAT(Shell("mkdir upper"), Succeeded());
  StartBox("box", {"--rootfs", Path("base"), "--upper", Path("upper")});
  ASSERT_THAT(In("box", "echo mine > /mine"), Succeeded());
  Checkpoint("snaps:v1");
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_EQ(Cat("/mine /file"), "mine\nbase\n");
  ASSERT_THAT(In("box", "echo changed > /mine"), Succeeded());
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:v1"}), FailsWith(4, "mine"));
  EXPECT_EQ(Cat("/mine"), "changed\n");
}

TEST_F(RollbackTest, WithoutAnImageNothingHappens) {
  StartOld();
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:v9"}), FailsWith(10, "v9"));
  EXPECT_THAT(Stasis({"rollback", "box", "nowhere:v1", "--safety", "snaps:s"}), ExitsWith(10));
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:v1", "--safety", "snaps:v1"}), ExitsWith(2));
  EXPECT_THAT(Stasis({"rollback", "nobody", "snaps:v1"}), ExitsWith(10));
  ExpectNewAndRunning();
  EXPECT_THAT(Shell("grep -c before-rollback snaps/index.json || true").out, "0\n");
}

TEST_F(RollbackTest, ADamagedImageLeavesEverything) {
  StartOld();
  ASSERT_THAT(Stasis({"checkpoint", "box", "bad:v1"}), Succeeded());
  // The state blob is the second of the manifest's layers and configs; every blob loses a byte.
  ASSERT_THAT(Shell("for f in bad/blobs/sha256/*; do printf x | dd of=$f bs=1 seek=20 conv=notrunc "
                    "2>/dev/null; done"),
              Succeeded());
  EXPECT_THAT(Stasis({"rollback", "box", "bad:v1", "--safety", "snaps:s"}), ExitsWith(5));
  ExpectNewAndRunning();
}

TEST_F(RollbackTest, DriftLeavesEverythingUnlessTold) {
  WriteFile("data/file", "host\n");
  StartOld({"--root", "data=" + Path("data"), "--mount", "data:/data"});
  ASSERT_THAT(In("box", "cat /data/file"), Succeeded());
  Checkpoint("snaps:v2");
  ASSERT_THAT(In("box", "echo changed > /data/file; echo third > /c"), Succeeded());
  const Outcome outcome = Stasis({"rollback", "box", "snaps:v2", "--json"});
  EXPECT_THAT(outcome, ExitsWith(4));
  EXPECT_THAT(outcome.Json().at("drift").dump(), HasSubstr("/data/file"));
  ExpectNewAndRunning();
  EXPECT_EQ(Cat("/c"), "third\n");
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v2", "--on-drift", "adopt"}), Succeeded());
  EXPECT_EQ(Cat("/data/file"), "changed\n");
  EXPECT_THAT(In("box", "test -e /c"), ExitsWith(1));
}

TEST_F(RollbackTest, ABusyLayoutOrSandboxLeavesEverything) {
  StartOld();
  const pid_t holder =
      StartHost({"/bin/sh", "-c", "exec 9> snaps/.stasis/lock; flock 9; exec sleep 1000"});
  ASSERT_TRUE(Eventually(
      [this] { return Shell("flock -n snaps/.stasis/lock true || echo held").out == "held\n"; }));
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:v1"}), ExitsWith(8));
  ExpectNewAndRunning();
  kill(holder, SIGKILL);
}

TEST_F(RollbackTest, ASafetyCheckpointWithoutSpaceLeavesTheFiles) {
  StartOld();
  ASSERT_THAT(Shell("mkdir small && mount -t tmpfs -o size=1m tmpfs small"), Succeeded());
  ASSERT_THAT(In("box", "head -c 5000000 /dev/urandom > /big"), Succeeded());
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:v1", "--safety", "small/snaps:s"}),
              FailsWith(9, "the files of box are as they were, but its programs were ended"));
  EXPECT_THAT(Shell("umount -l small"), Succeeded());
  EXPECT_EQ(Cat("/a"), "new\n");
  EXPECT_EQ(In("box", "wc -c < /big").out, "5000000\n");
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  ExpectOld();
}

// The image needs the host's programs, which the sandbox never saw.
TEST_F(RollbackTest, ATreeThatCannotBeEnteredLeavesTheOldOne) {
  StartBox("plain");
  ASSERT_THAT(In("plain", "echo plain > /a"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "plain", "snaps:plain"}), Succeeded());
  ASSERT_THAT(Shell("mkdir -p base/bin base/usr; cp /bin/busybox base/bin/busybox 2>/dev/null || "
                    "cp /bin/true base/bin/"),
              Succeeded());
  WriteFile("base/usr/file", "base\n");
  StartBox("box", {"--import", Path("base")});
  const Outcome outcome = Stasis({"rollback", "box", "snaps:plain", "--safety", "snaps:safe"});
  EXPECT_THAT(outcome, FailsWith(1, "which this sandbox did not have from its start"));
  EXPECT_THAT(outcome.err, HasSubstr("saved as " + Path("snaps:safe")));
  EXPECT_EQ(Box("box").at("status"), "running");
  // The old tree is there, can be saved, and rolled back to.
  const auto report = Stasis({"checkpoint", "box", "snaps:still", "--json"}).Json();
  EXPECT_TRUE(report.contains("digest"));
  EXPECT_THAT(Stasis({"inspect", "snaps:still", "--tree"}).out, HasSubstr("/usr/file"));
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:safe"}), Succeeded());
}

TEST_F(RollbackTest, AKilledCommandLeavesOneOfTheTwo) {
  StartOld();
  for (int delay_ms : {5, 40, 120}) {
    SCOPED_TRACE(delay_ms);
    const pid_t pid = Start({"rollback", "box", "snaps:v1"});
    usleep(static_cast<useconds_t>(delay_ms) * 1000);
    kill(pid, SIGKILL);
    Wait(pid);
    ASSERT_TRUE(Eventually([this] { return Box("box").value("status", "") == "running"; }));
    const std::string a = Cat("/a");
    EXPECT_THAT(a, testing::AnyOf("old\n", "new\n"));
    EXPECT_EQ(In("box", "test -e /b && echo yes || echo no").out, a == "new\n" ? "yes\n" : "no\n");
  }
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  ExpectOld();
}

}  // namespace
}  // namespace stasis::cli
