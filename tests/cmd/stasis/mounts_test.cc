// SPDX-License-Identifier: Apache-2.0
//
// The mounts of a sandbox as its programs see them, and as they come and go.

#include <sstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class MountsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir data more; echo one > data/one; echo two > more/two"), Succeeded());
  }
  // The options of what is mounted there, as the kernel prints them; empty if nothing is.
  std::string OptionsOf(const std::string& target) {
    return In("box", "awk '$5 == \"" + target + "\" {print $6}' /proc/self/mountinfo").out;
  }
};

TEST_F(MountsTest, EachFilesystemIsOneOfTheKernels) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/a:ro", "--mount", "data:/b"});
  const Outcome seen = In("box",
                          "stat -c %d / /a /b; df /a | tail -1 | awk '{print $6}';"
                          "findmnt -n -o SOURCE /a 2>/dev/null || echo stasis:box");
  std::istringstream lines(seen.out);
  std::string root, a, b, at, source;
  lines >> root >> a >> b >> at >> source;
  EXPECT_NE(root, a);
  EXPECT_EQ(a, b) << "one directory, seen twice";
  EXPECT_EQ(at, "/a");
  EXPECT_EQ(source, "stasis:box");
  EXPECT_EQ(OptionsOf("/a"), "ro,nodev,relatime\n");
  EXPECT_EQ(OptionsOf("/b"), "rw,nodev,relatime\n");
  ASSERT_THAT(In("box", "echo x > /b/new; cat /a/new"), Succeeded());
  EXPECT_THAT(In("box", "ln /b/new /linked 2>&1 || true").out, HasSubstr("cross-device"));
  EXPECT_THAT(In("box", "rmdir /b 2>&1 || true").out, HasSubstr("busy"));
}

TEST_F(MountsTest, AddedWhileItRunsSavedAndRestored) {
  StartBox("box");
  ASSERT_THAT(In("box", "mkdir -p /m/data"), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data:/m/data", "--root", "data=data"}), Succeeded());
  EXPECT_EQ(In("box", "cat /m/data/one; echo three > /m/data/three").out, "one\n");
  EXPECT_EQ(ReadFile(Path("data/three")), "three\n");
  ASSERT_THAT(In("box", "mkdir /ro"), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data:/ro:ro"}), Succeeded()) << "the root is known";
  EXPECT_EQ(OptionsOf("/ro"), "ro,nodev,relatime\n");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--root", "data=data", "--", "/bin/sh", "-ec",
                    "cat /m/data/one /ro/three; ! echo > /ro/x"})
                .out,
            "one\nthree\n");
}

TEST_F(MountsTest, PartsOfARootWithFlags) {
  ASSERT_THAT(Shell("mkdir -p data/in/deep; echo part > data/in/deep/f"), Succeeded());
  StartBox("box", {"--root", "data=data", "--mount", "data:/all", "--mount",
                   "data/in/deep:/part:noexec:nosuid:nosymfollow"});
  EXPECT_EQ(In("box", "cat /part/f; ls /part; echo more > /part/g; cat /all/in/deep/g").out,
            "part\nf\nmore\n");
  EXPECT_EQ(OptionsOf("/part"), "rw,nosuid,nodev,noexec,relatime,nosymfollow\n");
  ASSERT_THAT(In("box", "mkdir /later"), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data/in:/later:ro:noexec"}), Succeeded());
  EXPECT_EQ(In("box", "cat /later/deep/f").out, "part\n");
  EXPECT_EQ(OptionsOf("/later"), "ro,nodev,noexec,relatime\n");
  EXPECT_THAT(Stasis({"mount-add", "box", "data/none:/later"}),
              FailsWith(10, "there is no such directory in the root data"));
  EXPECT_THAT(Stasis({"mount-add", "box", "data/../etc:/later"}), FailsWith(2, "leads out of it"));
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--root", "data=data", "--", "/bin/sh", "-ec",
                    "cat /part/f /later/deep/g; ! echo > /later/x"})
                .out,
            "part\nmore\n");
}

TEST_F(MountsTest, OverAnotherOfTheSameRoot) {
  ASSERT_THAT(Shell("mkdir data/in; echo in > data/in/f"), Succeeded());
  StartBox("box", {"--root", "data=data", "--mount", "data:/a", "--mount", "data:/b", "--mount",
                   "data:/b:noexec"});
  EXPECT_EQ(OptionsOf("/b"), "rw,nodev,relatime\nrw,nodev,noexec,relatime\n");
  ASSERT_THAT(Stasis({"mount-add", "box", "data:/a:ro"}), Succeeded());
  EXPECT_EQ(OptionsOf("/a"), "rw,nodev,relatime\nro,nodev,relatime\n");
  EXPECT_THAT(In("box", "cat /a/one; ! touch /a/one 2> /dev/null"), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data/in:/a"}), Succeeded());
  EXPECT_EQ(In("box", "cat /a/f").out, "in\n");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--root", "data=data", "--", "/bin/cat", "/a/f"}).out,
            "in\n");
  for (int i = 0; i < 2; ++i) ASSERT_THAT(Stasis({"umount", "box", "/a"}), Succeeded());
  EXPECT_EQ(OptionsOf("/a"), "rw,nodev,relatime\n");
  ASSERT_THAT(In("box", "touch /a/one"), Succeeded());
}

TEST_F(MountsTest, OtherPartsOfARootThatIsSeenInPartsOnly) {
  ASSERT_THAT(Shell("mkdir -p data/x data/y/deep; echo x > data/x/f; echo y > data/y/f"),
              Succeeded());
  StartBox("box", {"--root", "data=data", "--mount", "data/x:/x"});
  ASSERT_THAT(In("box", "mkdir /y /deep /all"), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data/y:/y:ro"}), Succeeded());
  EXPECT_EQ(In("box", "cat /y/f; ls /y; echo n > /x/new").out, "y\ndeep\nf\n");
  EXPECT_EQ(OptionsOf("/y"), "ro,nodev,relatime\n");
  ASSERT_THAT(Stasis({"umount", "box", "/x"}), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data/y/deep:/deep"}), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data:/all"}), Succeeded());
  EXPECT_EQ(In("box", "echo d > /deep/d; cat /y/deep/d /all/y/deep/d /all/x/new").out, "d\nd\nn\n");
  EXPECT_EQ(In("box", "stat -c %d /y /deep /all | sort -u | wc -l").out, "1\n") << "one filesystem";
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--root", "data=data", "--", "/bin/sh", "-ec",
                    "cat /y/f /deep/d /all/x/f; test ! -e /x/f; ! echo > /y/no"})
                .out,
            "y\nd\nx\n");
}

TEST_F(MountsTest, APartThatIsAddedIsNeverSeenWhole) {
  ASSERT_THAT(Shell("mkdir -p data/x data/y; touch data/secret"), Succeeded());
  StartBox("box", {"--root", "data=data", "--mount", "data/x:/x"});
  ASSERT_THAT(In("box", "mkdir /y"), Succeeded());
  const pid_t spy =
      Start({"exec", "box", "--", "/bin/sh", "-c",
             "until test -e /stop; do test -e /y/secret && echo seen; done 2>/dev/null; true"});
  for (int i = 0; i < 5; ++i) {
    ASSERT_THAT(Stasis({"mount-add", "box", "data/y:/y"}), Succeeded());
    ASSERT_THAT(Stasis({"umount", "box", "/y", "--detach"}), Succeeded());
  }
  ASSERT_THAT(In("box", "touch /stop"), Succeeded());
  EXPECT_THAT(Wait(spy).out, IsEmpty());
}

TEST_F(MountsTest, ARestoreHasThemWhereTheyWere) {
  StartBox("old", {"--root", "data=data", "--root", "more=more", "--mount", "data:/a", "--mount",
                   "more:/a/more:ro"});
  EXPECT_THAT(Shell("ls data").out, Not(HasSubstr("more"))) << "a place only we see";
  ASSERT_THAT(Stasis({"checkpoint", "old", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "box", "--root", "data=data", "--root",
                      "more=more", "--detach"}),
              Succeeded());
  EXPECT_EQ(In("box", "cat /a/one /a/more/two").out, "one\ntwo\n");
  EXPECT_EQ(OptionsOf("/a/more"), "ro,nodev,relatime\n");
  EXPECT_EQ(OptionsOf("/a"), "rw,nodev,relatime\n");
}

TEST_F(MountsTest, MountAddRefusesWhatCannotBe) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data"});
  EXPECT_THAT(Stasis({"mount-add", "box", "more:/tmp"}), FailsWith(10, "no root more"));
  EXPECT_THAT(Stasis({"mount-add", "box", "more:/nope", "--root", "more=more"}),
              FailsWith(10, "no such directory"));
  ASSERT_THAT(In("box", "echo > /file"), Succeeded());
  EXPECT_THAT(Stasis({"mount-add", "box", "more:/file", "--root", "more=more"}),
              FailsWith(2, "not a directory"));
  EXPECT_THAT(Stasis({"mount-add", "box", "data:/tmp", "--root", "data=more"}),
              FailsWith(1, "has a root data already"));
  EXPECT_THAT(Stasis({"mount-add", "box", "data:/tmp:interop=shared"}),
              FailsWith(2, "another interop mode"));
  EXPECT_THAT(Stasis({"mount-add", "box", "more:/tmp", "--root", "more=none"}),
              FailsWith(10, "none"));
  EXPECT_THAT(Stasis({"mount-add", "nobox", "data:/tmp"}), ExitsWith(10));
  EXPECT_THAT(Stasis({"mount-add", "box", "rootfs:/tmp", "--root", "rootfs=more"}),
              FailsWith(2, "the tree itself stands on"));
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--root", "data=data"}), Succeeded())
      << "nothing is left of the roots that were refused";
}

// The sandbox's own, the host's and those of programs.
TEST_F(MountsTest, NothingIsMountedWhereTheTreeIsNotSeen) {
  for (const char* place : {"/proc", "/proc/sys", "/dev", "/dev/shm", "/dev/../proc/"}) {
    EXPECT_THAT(Stasis({"run", "--root", "data=data", "--mount", std::string("data:") + place, "--",
                        "/bin/true"}),
                FailsWith(2, "the sandbox has its own"))
        << place;
    EXPECT_THAT(Stasis({"run", "--tmpfs", place, "--", "/bin/true"}),
                FailsWith(2, "the sandbox has its own"));
  }
  const auto run = [this](const Strings& options) {
    Strings arguments = {"run", "--root", "data=data"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--", "/bin/true"});
    return Stasis(arguments);
  };
  EXPECT_THAT(run({"--mount", "data:/usr/local"}), FailsWith(2, "the host's /usr is to be seen"));
  EXPECT_THAT(run({"--mount", "data:/usr", "--system", "host"}), FailsWith(2, "the host's /usr"));
  EXPECT_THAT(run({"--mount", "data:/a", "--tmpfs", "/etc/x"}), FailsWith(2, "the host's /etc"));
  EXPECT_THAT(run({"--mount", "data:/usr", "--mount", "data:/usr/local", "--tmpfs", "/etc/x"}),
              ExitsWith(127))
      << "a system of its own, if an empty one";
  StartBox("box", {"--bind", "more:/bound"});
  ASSERT_THAT(In("box", "mkdir -p /by/m; mount -t tmpfs t /by; mkdir /by/m"), Succeeded());
  for (const char* place : {"/proc", "/dev/shm", "/usr", "/usr/local", "/bound", "/by", "/by/m"})
    EXPECT_THAT(Stasis({"mount-add", "box", std::string("data:") + place, "--root", "data=data"}),
                FailsWith(1, std::string("cannot mount on ") + place + ": what is seen there"));
  ASSERT_THAT(In("box", "umount /by"), Succeeded());
  EXPECT_THAT(Stasis({"mount-add", "box", "data:/by/m", "--root", "data=data"}), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  EXPECT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_EQ(In("box", "cat /by/m/one /bound/two").out, "one\ntwo\n");
}

TEST_F(MountsTest, UmountLetsGo) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data"});
  const pid_t reader = Start(
      {"exec", "box", "--", "/bin/sh", "-c", "exec 3</data/one; echo > /ready; sleep 1; cat <&3"});
  ASSERT_TRUE(Eventually([&] { return In("box", "test -e /ready").exit_code == 0; }));
  EXPECT_THAT(Stasis({"umount", "box", "/data"}), FailsWith(8, "busy"));
  EXPECT_EQ(In("box", "cat /data/one").out, "one\n");
  EXPECT_THAT(Stasis({"umount", "box", "/data", "--detach"}), Succeeded());
  EXPECT_THAT(In("box", "ls /data").out, IsEmpty());
  EXPECT_EQ(Wait(reader).out, "one\n") << "what is open stays open";
  EXPECT_THAT(Stasis({"umount", "box", "/data"}), FailsWith(10, "nothing is mounted on /data"));
  EXPECT_THAT(Stasis({"umount", "box", "/"}), FailsWith(2, "stasis stop"));
  ASSERT_THAT(Stasis({"mount-add", "box", "data:/data", "--root", "data=more"}), Succeeded());
  EXPECT_EQ(In("box", "cat /data/two").out, "two\n");
  ASSERT_THAT(Stasis({"umount", "box", "/data/"}), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--", "/bin/echo", "no roots"}).out, "no roots\n");
}

TEST_F(MountsTest, WhatIsMountedOverAPlaceIsNotMistakenForIt) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data", "--bind", "more:/data"});
  ASSERT_THAT(In("box", "test -e /data/two; mkdir /again"), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "data:/again"}), Succeeded());
  EXPECT_EQ(In("box", "cat /again/one").out, "one\n");
  EXPECT_THAT(Stasis({"umount", "box", "/data"}), FailsWith(8, "something else is mounted over"));
  ASSERT_THAT(In("box", "umount /data; test -e /data/one"), Succeeded());
  ASSERT_THAT(In("box", "umount /data"), Succeeded());
  EXPECT_THAT(Stasis({"umount", "box", "/data"}), Succeeded())
      << "gone inside, not yet in the tree";
  EXPECT_THAT(Stasis({"umount", "box", "/data"}), ExitsWith(10));
}

TEST_F(MountsTest, AConfigurationFollowsTheMounts) {
  StartBox("box", {"--tmpfs", "/t", "--root", "data=data", "--mount", "data:/t/a", "--root",
                   "more=more", "--mount", "more:/t/a/b:ro"});
  ASSERT_THAT(Stasis({"umount", "box", "/t/a", "--detach"}), Succeeded());
  const std::string use = "# stasis run --config FILE\n";
  EXPECT_EQ(Stasis({"config", "box"}).out, use + "name = \"box\"\ntmpfs = [\"/t\"]\n");
  ASSERT_THAT(Stasis({"umount", "box", "/t"}), Succeeded());
  EXPECT_EQ(Stasis({"config", "box"}).out, use + "name = \"box\"\n");
}

TEST_F(MountsTest, TheConfigurationComesBack) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/data:ro", "--env", "X=a \"b\"",
                   "--hostname", "inside", "--fd-limit", "100"});
  ASSERT_THAT(Stasis({"mount-add", "box", "more:/tmp", "--root", "more=more"}), Succeeded());
  const Outcome config = Stasis({"config", "box"});
  EXPECT_EQ(config.out,
            "# stasis run --config FILE\n"
            "name = \"box\"\nenv = [\"X=a \\\"b\\\"\"]\nhostname = \"inside\"\n"
            "fd-limit = 100\nroot = [\"data=" +
                Path("data") + "\",\"more=" + Path("more") +
                "\"]\nmount = [\"data:/data:ro\",\"more:/tmp\"]\n");
  EXPECT_EQ(Stasis({"config", "box", "--json"}).Json()["mount"].size(), 2u);
  WriteFile("box.toml", config.out);
  EXPECT_EQ(Stasis({"run", "--config", "box.toml", "--name", "other", "--", "/bin/sh", "-ec",
                    "echo \"$X\"; hostname; cat /data/one /tmp/two"})
                .out,
            "a \"b\"\ninside\none\ntwo\n");
  ASSERT_THAT(Stasis({"umount", "box", "/tmp"}), Succeeded());
  EXPECT_THAT(Stasis({"config", "box"}).out, Not(HasSubstr("more")));
}

TEST_F(MountsTest, AConfigurationFileIsChecked) {
  const auto run = [this](const std::string& text) {
    WriteFile("box.toml", text);
    return Stasis({"run", "--config", "box.toml"});
  };
  EXPECT_THAT(run("name = \"x\"\nmont = 3\n"),
              FailsWith(2, "box.toml:2: there is no option 'mont'"));
  EXPECT_THAT(run("name =\n"), FailsWith(2, "box.toml:1: "));
  EXPECT_THAT(run("keep = 3\n"), FailsWith(2, "box.toml:1: --keep is true or false"));
  EXPECT_THAT(run("name = [\"a\", \"b\"]\n"), FailsWith(2, "box.toml:1: --name has one value"));
  EXPECT_THAT(run("name = 1.5\n"), FailsWith(2, "box.toml:1: only strings"));
  EXPECT_THAT(run("fd-limit = 0\n"), FailsWith(2, "box.toml:1: "));
  EXPECT_THAT(run("mount = \"x\"\n"), FailsWith(2, "NAME[/PART]:DST"));
  EXPECT_THAT(Stasis({"run", "--config", "none.toml"}), FailsWith(10, "none.toml"));
  EXPECT_EQ(run("command = [\"echo\", \"hi there\"]\n").out, "hi there\n");
  WriteFile("box.toml", "command = [\"echo\", \"hi\"]\nhostname = \"hh\"\n");
  EXPECT_EQ(Stasis({"run", "--config", "box.toml", "--hostname", "cli", "--", "hostname"}).out,
            "cli\n")
      << "the command line counts first";
}

}  // namespace
}  // namespace stasis::cli
