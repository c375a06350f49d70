// SPDX-License-Identifier: Apache-2.0

#include <unistd.h>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class RunTest : public CliTest {};

TEST_F(RunTest, ShowsTheImportedTree) {
  WriteFile("src/a/hello.txt", "hello\n");
  const Outcome outcome =
      Stasis({"run", "--import", Path("src") + ":/work", "--", "cat", "/work/a/hello.txt"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.out, "hello\n");
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(RunTest, GivesTheExitCodeOfTheProgram) {
  EXPECT_THAT(Stasis({"run", "--", "/bin/sh", "-c", "exit 7"}), ExitsWith(7));
}

TEST_F(RunTest, GivesTheSignalOfTheProgram) {
  EXPECT_THAT(Stasis({"run", "--", "/bin/sh", "-c", "kill -KILL $$"}), ExitsWith(128 + 9));
}

TEST_F(RunTest, SaysWhichProgramIsMissing) {
  EXPECT_THAT(Stasis({"run", "--", "no-such-program"}),
              FailsWith(127, "cannot run 'no-such-program' in the sandbox"));
}

TEST_F(RunTest, SaysWhichWorkdirIsMissing) {
  EXPECT_THAT(Stasis({"run", "--workdir", "/nowhere", "--", "true"}),
              FailsWith(127, "No such file or directory; choose another --workdir"));
  EXPECT_THAT(Stasis({"run", "--workdir", "/etc/passwd", "--", "true"}),
              FailsWith(127, "Not a directory; choose another --workdir"));
}

TEST_F(RunTest, SaysWhatCannotBeRun) {
  EXPECT_THAT(Stasis({"run", "--", "/etc/passwd"}), FailsWith(126, "Permission denied"));
  EXPECT_THAT(Stasis({"run", "--", "/etc/passwd/x"}), FailsWith(127, "Not a directory"));
  ASSERT_THAT(Shell("mkdir src && ln -s loop src/loop"), Succeeded());
  EXPECT_THAT(Stasis({"run", "--import", "src", "--", "/loop"}),
              FailsWith(126, "Too many levels of symbolic links"));
}

TEST_F(RunTest, ClosedStandardDescriptorsAreNoTrouble) {
  ASSERT_THAT(Shell(binary_ + " run --detach --name box -- sleep 1000 <&- >&- 2>&-"), Succeeded());
  EXPECT_THAT(In("box", "pidof sleep"), Succeeded());
  EXPECT_THAT(Shell(binary_ + " exec box -- /bin/sh -c 'exit 4' <&- >&- 2>&-"), ExitsWith(4));
}

TEST_F(RunTest, ProgramsHaveTheCallersLimitOfOpenFiles) {
  prefix_ = {"/bin/sh", "-c", "ulimit -Sn 100; exec \"$@\"", "sh"};
  StartBox("box");
  EXPECT_EQ(In("box", "ulimit -Sn").out, "100\n");
  const std::string limits = "/proc/" + std::to_string(DaemonPid("box")) + "/limits";
  EXPECT_THAT(Host({"awk", "/open files/ {exit $4 != $5}", limits}), Succeeded());
}

TEST_F(RunTest, SaysThatThereAreTooFewOpenFiles) {
  prefix_ = {"/bin/sh", "-c", "exec 3>&- 4>&- 5>&-; ulimit -n 6; exec \"$@\"", "sh"};
  EXPECT_THAT(Stasis({"run", "--", "true"}), FailsWith(1, "ulimit -n"));
}

TEST_F(RunTest, BindsDevices) {
  EXPECT_THAT(Stasis({"run", "--bind", "/dev/fuse:/dev/fuse", "--bind", "/dev/null:/dev/d/null:rw",
                      "--", "/bin/sh", "-ec", "test -c /dev/fuse; test -c /dev/d/null"}),
              Succeeded());
}

TEST_F(RunTest, ABindInABindIsSeenInAnyOrder) {
  WriteFile("outer/inner/file", "outer\n");
  WriteFile("inner/file", "inner\n");
  EXPECT_EQ(Stasis({"run", "--bind", Path("inner") + ":/m/inner", "--bind", Path("outer") + ":/m",
                    "--", "cat", "/m/inner/file"})
                .out,
            "inner\n");
}

TEST_F(RunTest, BindsNamesOfAnyBytes) {
  WriteFile("\xff/file", "text\n");
  EXPECT_EQ(Stasis({"run", "--bind", Path("\xff") + ":/m", "--", "cat", "/m/file"}).out, "text\n");
}

TEST_F(RunTest, ABindBelowASystemDirectoryIsNotInTheImage) {
  WriteFile("own", "own\n");
  StartBox("box", {"--bind", Path("own") + ":/etc/passwd"});
  EXPECT_EQ(In("box", "cat /etc/passwd").out, "own\n");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--", "/bin/sh", "-ec", "grep root: /etc/passwd"}),
              Succeeded());
}

TEST_F(RunTest, SaysThatTheHostHasNoSuchPlace) {
  EXPECT_THAT(Stasis({"run", "--bind", Path(".") + ":/usr/no-such", "--", "true"}),
              FailsWith(1, "has no such place; choose one outside of it"));
}

TEST_F(RunTest, ShowsWhatTheHostsResolvConfLeadsTo) {
  WriteFile("resolved", "nameserver 192.0.2.1\n");
  ASSERT_THAT(Shell("cp -a /etc etc && rm etc/resolv.conf && ln -s " + Path("resolved") +
                    " etc/resolv.conf"),
              Succeeded());
  prefix_ = {
      "unshare", "--mount", "/bin/sh", "-ec", "mount --bind " + Path("etc") + " /etc; exec \"$@\"",
      "sh"};
  EXPECT_EQ(Stasis({"run", "--", "cat", "/etc/resolv.conf"}).out, "nameserver 192.0.2.1\n");
}

TEST_F(RunTest, RefusesABadEnvironment) {
  for (const char* entry : {"", "=value"})
    EXPECT_THAT(Stasis({"run", "--env", entry, "--", "true"}),
                FailsWith(2, "is not of the form NAME=VALUE or NAME"));
}

TEST_F(RunTest, HasNamespacesOfItsOwn) {
  const Outcome outcome =
      Stasis({"run", "--name", "box", "--", "/bin/sh", "-c",
              "hostname; ls /proc | grep -c '^[0-9]'; awk '$2 == \"/\" {print $3}' /proc/mounts"});
  ASSERT_THAT(outcome, Succeeded());
  // The shell, grep, ls and init; what remains of the host's mounts is nothing.
  EXPECT_THAT(outcome.out, testing::MatchesRegex("box\n[2-5]\nfuse.stasis\n"));
}

TEST_F(RunTest, HasAMinimalDev) {
  const Outcome outcome =
      Stasis({"run", "--", "/bin/sh", "-ec",
              "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 9 /dev/urandom | wc -c; "
              "test -c /dev/full; test -c /dev/tty; test -d /dev/pts; test -c /dev/ptmx; "
              "echo s > /dev/shm/f; cat /dev/shm/f; echo out | cat /dev/stdin"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.out, "3\n9\ns\nout\n");
}

TEST_F(RunTest, ShowsTheHostsProgramsReadOnly) {
  EXPECT_THAT(Stasis({"run", "--", "/bin/sh", "-c", "touch /usr/x"}),
              FailsWith(1, "Read-only file system"));
}

TEST_F(RunTest, ShowsNothingOfTheHostWithSystemNone) {
  EXPECT_THAT(Stasis({"run", "--system", "none", "--", "/bin/sh", "-c", "true"}),
              FailsWith(127, "No such file or directory"));
}

TEST_F(RunTest, BindsHostDirectories) {
  WriteFile("shared/in", "in\n");
  WriteFile("fixed/file", "fixed\n");
  const Outcome outcome = Stasis({"run", "--bind", Path("shared") + ":/mnt/shared", "--bind",
                                  Path("fixed") + ":/mnt/fixed:ro", "--", "/bin/sh", "-c",
                                  "cat /mnt/shared/in; echo out > /mnt/shared/out; "
                                  "echo no > /mnt/fixed/no"});
  EXPECT_THAT(outcome, FailsWith(2, "Read-only file system"));
  EXPECT_EQ(outcome.out, "in\n");
  EXPECT_EQ(ReadFile(Path("shared/out")), "out\n");
}

TEST_F(RunTest, SetsEnvironmentAndWorkdir) {
  const Outcome outcome = Stasis({"run", "--env", "COLOUR=blue", "--env", "HOME", "--workdir",
                                  "/tmp", "--", "/bin/sh", "-c", "echo $COLOUR ${HOME-none}; pwd"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.out, "blue none\n/tmp\n");
}

TEST_F(RunTest, LimitsTheFiles) {
  EXPECT_THAT(Stasis({"run", "--inode-limit", "1", "--", "true"}),
              FailsWith(9, "No space left on device"));
}

TEST_F(RunTest, LimitsTheData) {
  EXPECT_THAT(Stasis({"run", "--size-limit", "1M", "--", "/bin/sh", "-c",
                      "head -c 2000000 /dev/zero > /file"}),
              FailsWith(1, "No space left on device"));
}

TEST_F(RunTest, ALinkInTheTreeLeadsNowhereElse) {
  // The mount of /dev must go to the sandbox's /elsewhere, not to the host's.
  ASSERT_THAT(Shell("mkdir -p src elsewhere && ln -s " + Path("elsewhere") + " src/dev"),
              Succeeded());
  const Outcome outcome = Stasis({"run", "--import", Path("src"), "--", "true"});
  EXPECT_THAT(outcome, Not(Succeeded()));
  EXPECT_THAT(outcome.err, HasSubstr("/dev"));
  EXPECT_THAT(Shell("ls " + Path("elsewhere")).out, IsEmpty());
}

TEST_F(RunTest, LeavesNothingBehind) {
  ASSERT_THAT(Stasis({"run", "--name", "box", "--", "/bin/sh", "-c", "sleep 100 & true"}),
              Succeeded());
  EXPECT_THAT(Shell("ls " + runtime_dir()).out, IsEmpty());
  EXPECT_THAT(ReadFile("/proc/mounts"), Not(HasSubstr(runtime_dir())));
}

TEST_F(RunTest, KeepLeavesTheSandboxRunning) {
  ASSERT_THAT(Stasis({"run", "--name", "box", "--keep", "--", "touch", "/mark"}), Succeeded());
  EXPECT_THAT(In("box", "test -e /mark"), Succeeded());
}

TEST_F(RunTest, DetachLeavesTheProgramRunning) {
  StartBox("box", {}, {"/bin/sh", "-c", "echo started; touch /up; exec sleep 100"});
  EXPECT_TRUE(Eventually([this] { return In("box", "test -e /up").exit_code == 0; }));
  EXPECT_EQ(ReadFile(runtime_dir() + "/box/output"), "started\n");
}

TEST_F(RunTest, SaysThatTheNameIsInUse) {
  StartBox("box");
  EXPECT_THAT(Stasis({"run", "--name", "box", "--", "true"}),
              FailsWith(8,
                        "a sandbox named 'box' is running; choose another --name, or end it "
                        "with: stasis stop box"));
}

TEST_F(RunTest, SaysThatTheDirectoryToImportIsMissing) {
  EXPECT_THAT(Stasis({"run", "--import", Path("nowhere"), "--", "true"}),
              FailsWith(10, "nowhere: No such file or directory; name an existing directory"));
  EXPECT_THAT(Shell("ls " + runtime_dir() + " || true").out, IsEmpty());
}

TEST_F(RunTest, RefusesABadName) {
  EXPECT_THAT(Stasis({"run", "--name", "../box", "--", "true"}),
              FailsWith(2, "'../box' cannot be the name of a sandbox"));
}

TEST_F(RunTest, RefusesABadSize) {
  EXPECT_THAT(Stasis({"run", "--size-limit", "5 apples", "--", "true"}),
              FailsWith(2, "is not a size"));
}

TEST_F(RunTest, SaysThatThereIsNoFuseDevice) {
  // In a mount namespace of its own, where the device is missing.
  prefix_ = {"unshare", "--mount", "/bin/sh", "-c", "mount -t tmpfs tmpfs /dev && exec \"$@\"",
             "sh"};
  const Outcome outcome = Stasis({"run", "--name", "box", "--", "true"});
  EXPECT_THAT(outcome, ExitsWith(1));
  EXPECT_THAT(outcome.err, HasSubstr("/dev/fuse"));
  EXPECT_THAT(Shell("ls " + runtime_dir()).out, IsEmpty());
}

}  // namespace
}  // namespace stasis::cli
