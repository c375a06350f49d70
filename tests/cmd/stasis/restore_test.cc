// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Everything that a listing of a tree can show, and the content.
constexpr const char kFingerprint[] =
    "cd /work; find . -printf '%P %y %m %U %G %s %n %l %T@\\n' | sort; "
    "find . -type f -exec sha256sum {} + | sort -k2";

class RestoreTest : public CliTest {
 protected:
  // A sandbox with all kinds of files in /work.
  void StartFullBox(const std::string& name) {
    StartBox(name);
    ASSERT_THAT(In(name,
                   "mkdir -p /work/d/e; cd /work; echo text > d/file; ln d/file hard; "
                   "ln -s d/file soft; mkfifo fifo; head -c 300000 /dev/urandom > d/e/random; "
                   "truncate -s 10M sparse; echo end >> sparse; chmod 4711 hard; "
                   "chown 12:34 d/e; touch -d 2001-02-03T04:05:06.789012345Z d/file"),
                Succeeded());
  }
};

TEST_F(RestoreTest, BringsTheTreeBack) {
  StartFullBox("box");
  const std::string before = In("box", kFingerprint).out;
  ASSERT_THAT(before, HasSubstr("sparse"));
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  // Elsewhere: another path, another process, another name.
  ASSERT_THAT(Shell("mkdir other && cp -r snaps other/moved && rm -r snaps"), Succeeded());
  const Outcome after = Stasis(
      {"restore", "other/moved:v1", "--name", "again", "--", "/bin/sh", "-ec", kFingerprint});
  ASSERT_THAT(after, Succeeded());
  EXPECT_EQ(after.out, before);
}

TEST_F(RestoreTest, GoesOnFromThere) {
  StartFullBox("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "box", "--detach"}), Succeeded());
  ASSERT_THAT(In("box", "echo more >> /work/d/file; rm /work/sparse"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v2", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v2", "--", "cat", "/work/hard"}).out, "text\nmore\n");
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--", "cat", "/work/hard"}).out, "text\n");
}

TEST_F(RestoreTest, TwoSandboxesOfOneImageDoNotSeeEachOther) {
  StartFullBox("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  for (const char* name : {"one", "two"})
    ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", name, "--detach"}), Succeeded());
  ASSERT_THAT(In("one", "echo one > /work/d/file"), Succeeded());
  EXPECT_EQ(In("two", "cat /work/d/file").out, "text\n");
  EXPECT_THAT(Stasis({"ps"}).out, HasSubstr("snaps:v1"));
}

TEST_F(RestoreTest, SaysWhichTagIsMissing) {
  StartBox("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  const Outcome outcome = Stasis({"restore", "snaps:v2", "--name", "two", "--", "true"});
  EXPECT_THAT(outcome, FailsWith(10, "v2"));
  EXPECT_THAT(Stasis({"restore", "nowhere:v1", "--", "true"}), FailsWith(10, "nowhere"));
}

TEST_F(RestoreTest, RefusesADamagedImageAndLeavesNothing) {
  StartFullBox("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  // The smallest blobs are the manifest, the config and the state.
  ASSERT_THAT(Shell("for f in $(ls -rS snaps/blobs/sha256 | head -3); do "
                    "printf X | dd of=snaps/blobs/sha256/$f bs=1 seek=9 conv=notrunc; done"),
              Succeeded());
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--", "true"}), ExitsWith(5));
  EXPECT_THAT(Shell("ls " + runtime_dir()).out, IsEmpty());
}

}  // namespace
}  // namespace stasis::cli
