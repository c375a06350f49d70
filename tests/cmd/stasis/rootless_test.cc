// SPDX-License-Identifier: Apache-2.0
//
// The same without privileges: a user with nothing but a /dev/fuse that everybody may open, as
// distributions have it.

#include <sys/stat.h>

#include <filesystem>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;

constexpr const char kUid[] = "1000";

class RootlessTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    // The build folder may be closed to others.
    std::filesystem::copy_file(binary_, Path("stasis"));
    binary_ = Path("stasis");
    ASSERT_THAT(Shell("chmod 755 . stasis && mkdir -p src && echo text > src/file && "
                      "mknod -m 666 fuse c 10 229 && chown -R 1000:1000 . && chown 0:0 fuse"),
                Succeeded());
    prefix_ = {"unshare",
               "--mount",
               "/bin/sh",
               "-ec",
               "mount --bind " + Path("fuse") + " /dev/fuse; exec setpriv --reuid " + kUid +
                   " --regid " + kUid + " --clear-groups \"$@\"",
               "sh"};
  }
};

TEST_F(RootlessTest, CheckSaysThatItWorks) {
  const Outcome outcome = Stasis({"check"});
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.out, HasSubstr("not root"));
}

TEST_F(RootlessTest, CheckGivesTheRemedyForAHiddenProc) {
  // As in a container: where a part of /proc is hidden, no other can be mounted.
  prefix_[3] = "-ec";
  prefix_[4] = "mount -t tmpfs tmpfs /proc/tty; " + prefix_[4];
  const Outcome outcome = Stasis({"check"});
  EXPECT_THAT(outcome, ExitsWith(1));
  EXPECT_THAT(outcome.out, HasSubstr("--security-opt systempaths=unconfined"));
  EXPECT_THAT(Stasis({"run", "--", "true"}), FailsWith(1, "systempaths=unconfined"));
}

TEST_F(RootlessTest, ADirectoryOfSomebodyElseIsNotLookedInto) {
  StartBox("box");
  const Strings user = std::exchange(prefix_, {});
  ASSERT_THAT(Shell("chown 1001 run"), Succeeded());
  prefix_ = user;
  EXPECT_THAT(Stasis({"ps"}), FailsWith(1, "belongs to somebody else"));
  prefix_.clear();
  ASSERT_THAT(Shell("chown 1000 run"), Succeeded());
}

TEST_F(RootlessTest, TheUserIsRootInside) {
  const Outcome outcome =
      Stasis({"run", "--name", "box", "--import", Path("src") + ":/src", "--", "/bin/sh", "-ec",
              "id -u; stat -c %u /src/file; echo more >> /src/file; "
              "cat /src/file; hostname; test -c /dev/null; echo x > /dev/null"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.out, "0\n0\ntext\nmore\nbox\n");
}

TEST_F(RootlessTest, AnotherDaemonTakesOver) {
  StartBox("box", {"--root", "data=" + Path("src"), "--mount", "data:/data"},
           {"/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >> /log; done"});
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(Stasis({"upgrade", "box"}), Succeeded());
    const std::string lines = In("box", "wc -l < /log").out;
    EXPECT_TRUE(Eventually([&] { return In("box", "wc -l < /log").out != lines; }));
    EXPECT_EQ(In("box", "cat /data/file; stat -c %u /data/file").out, "text\n0\n");
  }
  EXPECT_EQ(In("box", "awk '$1 != NR' /log").out, "");
}

TEST_F(RootlessTest, WritesToADirectoryOfTheHost) {
  ASSERT_THAT(Stasis({"run", "--mount", "data:/data", "--root", "data=" + Path("src"), "--",
                      "/bin/sh", "-ec", "echo more >> /data/file; echo new > /data/other"}),
              Succeeded());
  EXPECT_EQ(ReadFile(Path("src/file")), "text\nmore\n");
  EXPECT_EQ(ReadFile(Path("src/other")), "new\n");
}

TEST_F(RootlessTest, CheckpointsWhileAProgramWritesAndRestores) {
  StartBox("box", {}, {"/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >> /log; done"});
  ASSERT_TRUE(Eventually([this] { return In("box", "test -s /log").exit_code == 0; }));
  ASSERT_THAT(Stasis({"checkpoint", "box", Path("snaps") + ":v1", "--stop"}), Succeeded());
  EXPECT_THAT(Stasis({"restore", Path("snaps") + ":v1", "--", "awk", "$1 != NR {exit 1}", "/log"}),
              Succeeded());
}

// The daemon may look into the processes of a user namespace that it has made.
TEST_F(RootlessTest, SaysWhatProgramsHaveOpen) {
  StartBox("box", {}, {"/bin/sh", "-c", "exec 5>/gone; rm /gone; exec sleep 1000"});
  const auto lists = [this](const std::string& what) {
    return Stasis({"handles", what}).out.find("/gone (deleted)") != std::string::npos;
  };
  ASSERT_TRUE(Eventually([&] { return lists("box"); }));
  ASSERT_THAT(Stasis({"checkpoint", "box", Path("snaps") + ":v1"}), Succeeded());
  EXPECT_TRUE(lists(Path("snaps") + ":v1"));
}

TEST_F(RootlessTest, RootMayLookIntoASandboxOfAUser) {
  StartBox("box");
  prefix_.clear();
  EXPECT_THAT(Stasis({"ps"}).out, HasSubstr("running"));
  EXPECT_EQ(In("box", "id -u").out, "0\n");
}

TEST_F(RootlessTest, ExportGivesTheUserItsFiles) {
  ASSERT_THAT(Stasis({"import", Path("src"), Path("snaps") + ":v1"}), Succeeded());
  ASSERT_THAT(Stasis({"export", Path("snaps") + ":v1", Path("out")}), Succeeded());
  EXPECT_EQ(Shell("stat -c %u out/file").out, std::string(kUid) + "\n");
}

TEST_F(RootlessTest, ASandboxIsRolledBack) {
  StartBox("box", {"--bind", Path("src") + ":/src"});
  ASSERT_THAT(In("box", "echo old > /a"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  for (const char* safety : {"snaps:first", "snaps:second"}) {
    ASSERT_THAT(In("box", "echo new > /a"), Succeeded());
    ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1", "--safety", safety}), Succeeded());
    EXPECT_EQ(In("box", "cat /a /src/file; echo x > /dev/null").out, "old\ntext\n");
  }
}

}  // namespace
}  // namespace stasis::cli
