// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class HostDirectoriesTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p data/sub; echo one > data/one; echo two > data/sub/two"),
                Succeeded());
  }
  // A sandbox that has looked at everything, saved and ended.
  void Save(const Strings& options = {"--root", "data=data", "--mount", "data:/data"}) {
    StartBox("box", options);
    ASSERT_THAT(In("box", "ls -lR /data >/dev/null"), Succeeded());
    ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  }
};

TEST_F(HostDirectoriesTest, ProgramsWorkOnTheHostsFiles) {
  ASSERT_THAT(
      Stasis({"run", "--root", "data=data", "--mount", "data:/srv/data", "--", "/bin/sh", "-ec",
              "cat /srv/data/sub/two; echo more >> /srv/data/one; mkdir /srv/data/new; "
              "mv /srv/data/sub/two /srv/data/new/moved"}),
      Succeeded());
  EXPECT_EQ(ReadFile(Path("data/one")), "one\nmore\n");
  EXPECT_EQ(ReadFile(Path("data/new/moved")), "two\n");
}

TEST_F(HostDirectoriesTest, AReadOnlyMountChangesNothing) {
  const Outcome outcome =
      Stasis({"run", "--root", "data=data", "--mount", "data:/data:ro", "--", "/bin/sh", "-c",
              "cat /data/one; echo x > /data/one; rm /data/one"});
  EXPECT_EQ(outcome.out, "one\n");
  EXPECT_THAT(outcome.err, HasSubstr("Read-only file system"));
  EXPECT_EQ(ReadFile(Path("data/one")), "one\n");
}

TEST_F(HostDirectoriesTest, ASharedMountShowsWhatTheHostDoes) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data:interop=shared"});
  EXPECT_EQ(In("box", "cat /data/one; ls /data").out, "one\none\nsub\n");
  ASSERT_THAT(
      Shell("echo changed > data/other; mv data/other data/one; rm -r data/sub; touch data/x"),
      Succeeded());
  EXPECT_EQ(In("box", "cat /data/one; ls /data").out, "changed\none\nx\n");
}

TEST_F(HostDirectoriesTest, ADirectoryAsTheRootGetsNoPlacesOfMounts) {
  ASSERT_THAT(Shell("mkdir root root/tmp root/work; echo x > root/work/file"), Succeeded());
  const Outcome outcome =
      Stasis({"run", "--rootfs", "root", "--upper", "none", "--root", "data=data", "--mount",
              "data:/mnt/data", "--", "/bin/sh", "-ec",
              "cat /work/file /mnt/data/one; echo y > /work/made; ls /proc/1 >/dev/null"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.out, "x\none\n");
  EXPECT_EQ(Shell("cd root; find . | sort").out, ".\n./tmp\n./work\n./work/file\n./work/made\n");
}

TEST_F(HostDirectoriesTest, ARestoreElsewhereComparesAndReports) {
  Save();
  ASSERT_THAT(Shell("cp -a data copy"), Succeeded());
  EXPECT_EQ(
      Stasis({"restore", "snaps:v1", "--root", "data=copy", "--", "cat", "/data/sub/two"}).out,
      "two\n");
  ASSERT_THAT(Shell("echo changed > copy/one; chmod 600 copy/sub/two; touch copy/sub/new"),
              Succeeded());
  const Outcome drift = Stasis({"drift", "snaps:v1", "--root", "data=copy", "--json"});
  EXPECT_THAT(drift, ExitsWith(4));
  EXPECT_THAT(drift.Json()["findings"], SizeIs(4));  // size, mtime; mode; new
  const Outcome refused = Stasis({"restore", "snaps:v1", "--root", "data=copy", "--", "true"});
  EXPECT_THAT(refused, FailsWith(4, "/data/one"));
  EXPECT_THAT(refused.err, HasSubstr("mode"));
  const Outcome adopted = Stasis({"restore", "snaps:v1", "--root", "data=copy", "--on-drift",
                                  "adopt", "--drift-rule", "/data/sub/**=heal", "--drift-rule",
                                  "/data/sub/new=adopt", "--", "cat", "/data/one"});
  EXPECT_EQ(adopted.out, "changed\n");
  EXPECT_EQ(Shell("stat -c %a copy/sub/two").out, "644\n");
}

TEST_F(HostDirectoriesTest, ADigestFindsBytesThatTimesDoNotTell) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data"});
  ASSERT_THAT(In("box", "ls -lR /data >/dev/null"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--digest", "all", "--stop"}), Succeeded());
  ASSERT_THAT(Shell("cp -a data copy; touch -r data/one ref; printf ONE > x; echo >> x; "
                    "cat x > copy/one; touch -r ref copy/one"),
              Succeeded());
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--root", "data=copy"}), Succeeded());
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--root", "data=copy", "--validate", "content"}),
              ExitsWith(4));
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--digest", "some"}), ExitsWith(2));
}

TEST_F(HostDirectoriesTest, AnInterruptedRestoreLeavesNothing) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data"});
  ASSERT_THAT(In("box", "cat /data/one; ls -lR /data >/dev/null"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--digest", "all", "--stop"}), Succeeded());
  // To read that takes minutes.
  ASSERT_THAT(Shell("chmod 600 data/sub/two; truncate -s 4T data/one; mkdir dir"), Succeeded());
  const std::string looked_at = "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q " + Path("data/one");
  for (const Strings& command :
       {Strings{"drift", "snaps:v1"}, Strings{"export", "snaps:v1", "out", "--on-drift", "heal"},
        Strings{"mount", "snaps:v1", "dir", "--on-drift", "heal"},
        Strings{"mount", "snaps:v1", "dir", "--on-drift", "heal", "--background"},
        Strings{"restore", "snaps:v1", "--on-drift", "heal", "--name", "box2", "--detach"}}) {
    for (const int signal : {SIGINT, SIGTERM}) {
      Strings arguments = command;
      arguments.insert(arguments.end(), {"--root", "data=data", "--validate", "content,mode"});
      const pid_t pid = Start(arguments);
      ASSERT_TRUE(Eventually([&] { return Shell(looked_at).exit_code == 0; })) << command[0];
      kill(pid, signal);
      EXPECT_THAT(Wait(pid), ExitsWith(130)) << command[0] << " " << command.back();
      EXPECT_TRUE(Eventually([&] { return Shell(looked_at).exit_code != 0; })) << command[0];
    }
  }
  EXPECT_EQ(Shell("ls dir; stat -c %a data/sub/two; ls out 2>/dev/null || echo none").out,
            "600\nnone\n");
  EXPECT_EQ(Shell("ls " + runtime_dir()).out, "");
}

TEST_F(HostDirectoriesTest, WhatMayBeMadeOnTheHostIsSaid) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data:specials=socket"});
  EXPECT_THAT(In("box", "mkfifo /data/fifo"), FailsWith(1, "Operation not permitted"));
  EXPECT_THAT(In("box", "mkfifo /fifo"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--root", "data=data", "--", "mkfifo", "/data/fifo"}),
              FailsWith(1, "Operation not permitted"));
  ASSERT_THAT(Shell("mkdir root root/tmp"), Succeeded());
  const auto run = [this](const std::string& options) {
    return Stasis({"run", "--rootfs", "root", "--upper", "none", "--rootfs-options", options, "--",
                   "mkfifo", "/f"});
  };
  EXPECT_THAT(run("specials=none:interop=shared"), FailsWith(1, "Operation not permitted"));
  EXPECT_THAT(run("specials=fifo"), Succeeded());
  EXPECT_EQ(Shell("stat -c %F root/f").out, "fifo\n");
  EXPECT_THAT(run("ro"), FailsWith(2, "--rootfs-options ro: 'ro' is none; there are interop="));
  EXPECT_THAT(Stasis({"run", "--rootfs-options", "specials=all", "--", "true"}),
              FailsWith(2, "--rootfs-options is for a --rootfs"));
}

TEST_F(HostDirectoriesTest, InspectNamesThem) {
  Save();
  const Outcome text = Stasis({"inspect", "snaps:v1"});
  EXPECT_THAT(text.out, HasSubstr(" files of " + Path("data") + " (gofer exclusive, filesystem "));
  const auto json = Stasis({"inspect", "snaps:v1", "--json"}).Json();
  ASSERT_THAT(json["host_directories"], SizeIs(1));
  EXPECT_EQ(json["host_directories"][0]["name"], "data");
  EXPECT_EQ(json["host_directories"][0]["directory"], Path("data"));
  EXPECT_EQ(json["host_directories"][0]["interop"], "exclusive");
}

TEST_F(HostDirectoriesTest, WhatDoesNotFitTogetherIsRefused) {
  const auto run = [this](Strings options) {
    options.insert(options.begin(), "run");
    options.insert(options.end(), {"--", "true"});
    return Stasis(options);
  };
  EXPECT_THAT(run({"--mount", "data:/data"}),
              FailsWith(2, "there is no root data; add --root data=DIR"));
  EXPECT_THAT(run({"--root", "data=data"}), FailsWith(2, "mounted nowhere; add --mount data:DST"));
  EXPECT_THAT(run({"--root", "data=data", "--mount", "data:relative"}),
              FailsWith(2, "absolute DST"));
  EXPECT_THAT(run({"--root", "data=data", "--mount", "data:/"}), FailsWith(2, "--rootfs DIR"));
  EXPECT_THAT(run({"--root", "data=data", "--mount", "data:/d:interop=some"}),
              FailsWith(2, "'interop=some' is no option of a mount"));
  EXPECT_THAT(
      run({"--root", "data=data", "--mount", "data:/a", "--mount", "data:/b:interop=shared"}),
      FailsWith(2, "different interop modes"));
  EXPECT_THAT(run({"--root", "data=data", "--mount", "data:/d:specials=some"}),
              FailsWith(2, "'specials=some' is no option of a mount"));
  EXPECT_THAT(
      run({"--root", "data=data", "--mount", "data:/a", "--mount", "data:/b:specials=none"}),
      FailsWith(2, "different interop modes or specials"));
  EXPECT_THAT(run({"--root", "data=data/one", "--mount", "data:/data"}),
              FailsWith(2, "not a directory"));
  EXPECT_THAT(run({"--rootfs", "nowhere"}), FailsWith(10, "no such directory"));
  EXPECT_THAT(run({"--rootfs", "data", "--upper", "none", "--import", "data"}),
              FailsWith(2, "--upper none"));
  EXPECT_THAT(run({"--root", "rootfs=data", "--mount", "rootfs:/x"}),
              FailsWith(2, "choose another"));
}

TEST_F(HostDirectoriesTest, ARestoreWithoutTheRootSaysWhich) {
  Save();
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--", "true"}), FailsWith(2, "--root data=DIR"));
  EXPECT_THAT(Stasis({"inspect", "snaps:v1", "--tree"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:v1", "out", "--root", "data=data"}), Succeeded());
  EXPECT_EQ(ReadFile(Path("out/data/sub/two")), "two\n");
}

}  // namespace
}  // namespace stasis::cli
