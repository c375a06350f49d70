// SPDX-License-Identifier: Apache-2.0
//
// log, rm, gc, squash and copy: the history of a layout, beside sandboxes that use it.

#include <signal.h>

#include <fstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;

class HousekeepingTest : public CliTest {
 protected:
  // Two checkpoints of a sandbox "box", which runs on.
  void SaveTwo() {
    StartBox("box");
    ASSERT_THAT(In("box", "head -c 3000000 /dev/urandom > /data; echo one > /file"), Succeeded());
    ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
    ASSERT_THAT(In("box", "echo two > /file"), Succeeded());
    ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v2"}), Succeeded());
  }

  nlohmann::json Log(const std::string& layout = "snaps:") {
    const Outcome outcome = Stasis({"log", layout, "--json"});
    EXPECT_THAT(outcome, Succeeded());
    return outcome.Json();
  }
  nlohmann::json Gc(Strings options = {}) {
    options.insert(options.begin(), {"gc", "snaps:", "--json"});
    const Outcome outcome = Stasis(options);
    EXPECT_THAT(outcome, Succeeded());
    return outcome.Json();
  }
  std::string Cat(const std::string& reference) {
    EXPECT_THAT(Stasis({"export", reference, "out"}), Succeeded());
    const std::string text = ReadFile(Path("out/file"));
    EXPECT_THAT(Shell("rm -r out"), Succeeded());
    return text;
  }
};

TEST_F(HousekeepingTest, LogIsTheHistory) {
  SaveTwo();
  const nlohmann::json log = Log();
  ASSERT_EQ(log.at("tags").size(), 2u);
  const nlohmann::json& newest = log.at("tags")[0];
  EXPECT_EQ(newest.at("tag"), "v2");
  EXPECT_EQ(newest.at("name"), "box");
  EXPECT_EQ(newest.at("parent").at("state"), "tagged");
  EXPECT_EQ(newest.at("parent").at("tags"), nlohmann::json({"v1"}));
  EXPECT_GT(newest.at("shared_bytes"), 3000000);
  EXPECT_LT(newest.at("own_bytes"), 100000);
  EXPECT_GT(newest.at("files"), 2);
  EXPECT_GT(newest.at("content_bytes"), 3000000);
  ASSERT_EQ(newest.at("leases").size(), 1u);
  EXPECT_EQ(newest.at("leases")[0].at("name"), "box");
  EXPECT_EQ(newest.at("leases")[0].at("pid"), DaemonPid("box"));
  EXPECT_EQ(log.at("tags")[1].at("parent"), nullptr);
  for (const char* name : {"snaps:", "snaps"}) {
    const Outcome text = Stasis({"log", name});
    EXPECT_THAT(text, Succeeded());
    EXPECT_THAT(text.out, HasSubstr("in use by box (process"));
    EXPECT_THAT(text.out, HasSubstr("2 tags, "));
  }
}

TEST_F(HousekeepingTest, WhatASandboxNeedsStaysUntilItEnds) {
  SaveTwo();
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--detach", "--name", "old"}), Succeeded());
  const Outcome removed = Stasis({"rm", "snaps:v1", "snaps:v2"});
  EXPECT_THAT(removed, Succeeded());
  EXPECT_THAT(removed.out, HasSubstr("in use by old (process"));
  EXPECT_THAT(removed.out, HasSubstr("in use by box (process"));
  const nlohmann::json gc = Gc({"--older-than", "0"});
  EXPECT_EQ(gc.at("leased").size(), 2u);
  EXPECT_THAT(Stasis({"gc", "snaps:"}).out, HasSubstr("kept for old (process"));
  EXPECT_EQ(In("old", "cat /file; wc -c < /data").out, "one\n3000000\n");
  // An incremental checkpoint refers to what was kept.
  const Outcome next = Stasis({"checkpoint", "box", "snaps:v3", "--json"});
  ASSERT_THAT(next, Succeeded());
  EXPECT_LT(next.Json().at("dirty_bytes"), 100000);
  EXPECT_EQ(Log().at("tags")[0].at("parent").at("state"), "untagged");
  ASSERT_THAT(Stasis({"stop", "--all", "--timeout", "0"}), Succeeded());
  EXPECT_TRUE(Gc().at("leased").empty());
  EXPECT_EQ(Log().at("unnamed_bytes"), 0);
  EXPECT_EQ(Log().at("tags")[0].at("parent").at("state"), "gone");
  EXPECT_EQ(Cat("snaps:v3"), "two\n");
}

TEST_F(HousekeepingTest, AKilledSandboxKeepsNothing) {
  SaveTwo();
  ASSERT_THAT(Stasis({"rm", "snaps:v1", "snaps:v2"}), Succeeded());
  const pid_t daemon = DaemonPid("box");
  ASSERT_EQ(kill(daemon, SIGKILL), 0);
  ASSERT_TRUE(Eventually([daemon] { return !IsRunning(daemon); }));
  const nlohmann::json gc = Gc();
  EXPECT_EQ(gc.at("dead_leases"), 1);
  EXPECT_GT(gc.at("removed_bytes"), 3000000);
  EXPECT_EQ(Log().at("total_bytes"), 0);
}

class HousekeepingFilesTest : public HousekeepingTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir src && echo one > src/file && head -c 500000 /dev/urandom > src/data"),
                Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:v1"}), Succeeded());
    ASSERT_THAT(Shell("echo two > src/file"), Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:v2"}), Succeeded());
  }
};

TEST_F(HousekeepingFilesTest, RemovedTagsGoWithTheirData) {
  const Outcome dry = Stasis({"gc", "snaps:", "--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("would remove 0 blobs"));
  ASSERT_THAT(Stasis({"rm", "snaps:v1"}), Succeeded());
  const uint64_t before = Log().at("total_bytes");
  const nlohmann::json would = Gc({"--dry-run"});
  EXPECT_EQ(Log().at("total_bytes"), before);
  const nlohmann::json did = Gc();
  EXPECT_EQ(did.at("removed"), would.at("removed"));
  EXPECT_EQ(Log().at("total_bytes"), before - did.at("removed_bytes").get<uint64_t>());
  EXPECT_EQ(Cat("snaps:v2"), "two\n");
}

TEST_F(HousekeepingFilesTest, RmRemovesAllOrNone) {
  EXPECT_THAT(Stasis({"rm", "snaps:v1", "snaps:v9"}),
              FailsWith(10, "there is no tag \"v9\"; there are: v1, v2"));
  EXPECT_EQ(Log().at("tags").size(), 2u);
  EXPECT_THAT(Stasis({"rm", "nowhere:v1"}), ExitsWith(10));
  EXPECT_FALSE(std::ifstream(Path("nowhere/oci-layout")).good());
}

TEST_F(HousekeepingFilesTest, WrongUsageIsSaid) {
  EXPECT_THAT(Stasis({"gc", "snaps:", "--older-than", "soon"}), FailsWith(2, "no duration"));
  EXPECT_THAT(Stasis({"gc", "snaps:", "--older-than", "-1h"}), FailsWith(2, "no duration"));
  EXPECT_THAT(Stasis({"gc", "nowhere:"}), ExitsWith(10));
  EXPECT_THAT(Stasis({"log", "snaps:v1"}), FailsWith(10, "name the layout without a tag: snaps:"));
  EXPECT_THAT(Stasis({"log", ":"}), ExitsWith(2));
  EXPECT_THAT(Stasis({"rm", "snaps"}), ExitsWith(2));
  EXPECT_THAT(Stasis({"squash", "snaps:v9"}), FailsWith(10, "there are: v1, v2"));
  EXPECT_THAT(Stasis({"copy", "snaps:v9", "other:v9"}), FailsWith(10, "there are: v1, v2"));
  EXPECT_THAT(Stasis({"copy", "snaps:v1", "no/such:v1"}), FailsWith(10, "make it before"));
  EXPECT_THAT(Stasis({"copy", "snaps:v1", "other"}), ExitsWith(2));
}

TEST_F(HousekeepingFilesTest, ADamagedImageIsListedAndKeepsGcAway) {
  const std::string digest = Log().at("tags")[1].at("digest");
  ASSERT_THAT(Shell("echo rubbish > snaps/blobs/sha256/" + digest.substr(7)), Succeeded());
  const Outcome log = Stasis({"log", "snaps:", "--json"});
  EXPECT_THAT(log, FailsWith(5, digest));
  ASSERT_EQ(log.Json().at("tags").size(), 2u);
  EXPECT_NE(log.Json().at("tags")[1].at("error"), nullptr);
  EXPECT_EQ(log.Json().at("tags")[0].at("error"), nullptr);
  EXPECT_THAT(Stasis({"log", "snaps:"}).out, HasSubstr("DAMAGED"));
  EXPECT_THAT(Stasis({"gc", "snaps:"}), FailsWith(5, "tag \"v1\""));
  ASSERT_THAT(Stasis({"rm", "snaps:v1"}), Succeeded());
  EXPECT_THAT(Stasis({"gc", "snaps:"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:v2"}), Succeeded());
}

TEST_F(HousekeepingFilesTest, SquashFreesTheAncestors) {
  StartBox("box", {"--import", Path("src")});
  for (const char* tag : {"box:a", "box:b", "box:c"}) {
    ASSERT_THAT(In("box", "head -c 100000 /dev/urandom | dd of=/data bs=1000 conv=notrunc"),
                Succeeded());
    ASSERT_THAT(Stasis({"checkpoint", "box", tag}), Succeeded());
  }
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  const std::string parent = Log("box:").at("tags")[0].at("parent").at("digest");
  const Outcome squashed = Stasis({"squash", "box:c", "--json"});
  ASSERT_THAT(squashed, Succeeded());
  EXPECT_EQ(squashed.Json().at("packs_after"), 1);
  EXPECT_EQ(squashed.Json().at("changed"), true);
  EXPECT_EQ(Log("box:").at("tags")[0].at("parent").at("digest"), parent);
  ASSERT_THAT(Stasis({"rm", "box:a", "box:b"}), Succeeded());
  ASSERT_THAT(Stasis({"gc", "box:"}), Succeeded());
  const nlohmann::json log = Log("box:");
  EXPECT_EQ(log.at("unnamed_bytes"), 0);
  EXPECT_EQ(log.at("blobs"), 4);
  EXPECT_THAT(Stasis({"verify", "box:c"}), Succeeded());
  EXPECT_THAT(Stasis({"squash", "box:c"}).out, HasSubstr("nothing to do"));
}

TEST_F(HousekeepingFilesTest, CopyTakesAllOfIt) {
  const Outcome first = Stasis({"copy", "snaps:v1", "other:one", "--json"});
  ASSERT_THAT(first, Succeeded());
  EXPECT_EQ(first.Json().at("blobs_copied"), 4);
  EXPECT_EQ(Cat("other:one"), "one\n");
  EXPECT_EQ(Log("other:").at("tags")[0].at("digest"), first.Json().at("digest"));
  EXPECT_EQ(Stasis({"copy", "snaps:v1", "other:again", "--json"}).Json().at("blobs_copied"), 0);
  EXPECT_THAT(Stasis({"verify", "other:again"}), Succeeded());
}

TEST_F(HousekeepingFilesTest, CopyToAFullDiskLeavesNothing) {
  const Outcome outcome = Host({"unshare", "--mount", "/bin/sh", "-c",
                                "mkdir full && mount -t tmpfs -o size=300k tmpfs full && mkdir "
                                "full/to && \"$0\" copy snaps:v1 full/to:v1; code=$?; "
                                "ls full/to/blobs/sha256 full/to/.stasis/tmp; exit $code",
                                binary_});
  EXPECT_THAT(outcome, ExitsWith(9));
  EXPECT_EQ(outcome.out, "full/to/.stasis/tmp:\n\nfull/to/blobs/sha256:\n");
}

// Twice: what is freed by the first removal is given back to the reserve.
TEST_F(HousekeepingTest, AFullDiskCanBeEmptied) {
  ASSERT_THAT(Shell("mkdir small && mount -t tmpfs -o size=3m tmpfs small"), Succeeded());
  StartBox("box");
  for (const char* tag : {"v1", "v2", "v3"}) {
    ASSERT_THAT(In("box", "head -c 600000 /dev/urandom > /data"), Succeeded());
    ASSERT_THAT(Stasis({"checkpoint", "box", std::string("small/snaps:") + tag}), Succeeded());
  }
  const auto fill = [this] {
    return Host({"/bin/sh", "-c", "cat /dev/zero >> small/full; stat -f -c %f small"}).out;
  };
  ASSERT_EQ(fill(), "0\n");
  ASSERT_THAT(In("box", "head -c 500000 /dev/urandom > /data"), Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "small/snaps:v4"}), ExitsWith(9));
  ASSERT_EQ(fill(), "0\n");
  EXPECT_THAT(Stasis({"rm", "small/snaps:v1"}), Succeeded());
  ASSERT_EQ(fill(), "0\n");
  EXPECT_THAT(Stasis({"rm", "small/snaps:v2"}), Succeeded());
  EXPECT_THAT(Stasis({"gc", "small/snaps:"}), Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "small/snaps:v4"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "small/snaps:v3"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "small/snaps:v4"}), Succeeded());
  EXPECT_EQ(Log("small/snaps:").at("tags").size(), 2u);
  EXPECT_THAT(Shell("umount -l small"), Succeeded());
}

TEST_F(HousekeepingFilesTest, AReadOnlyLayoutIsReadWithoutALease) {
  ASSERT_THAT(Shell("rm -rf snaps/.stasis"), Succeeded());
  prefix_ = {"unshare",
             "--mount",
             "/bin/sh",
             "-c",
             "mount --bind snaps snaps && mount -o remount,bind,ro snaps && exec \"$@\"",
             "sh"};
  const Outcome outcome = Stasis({"export", "snaps:v1", "out"});
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(Stasis({"log", "snaps:"}), Succeeded());
  EXPECT_THAT(Stasis({"gc", "snaps:", "--dry-run"}), Succeeded());
  EXPECT_THAT(Stasis({"gc", "snaps:"}), FailsWith(1, "EROFS"));
  EXPECT_FALSE(std::ifstream(Path("snaps/.stasis/lock")).good());
}

TEST_F(HousekeepingFilesTest, CompletionKnowsThem) {
  const std::string bash = Stasis({"completion", "bash"}).out;
  for (const char* words :
       {" log rm gc squash copy ", "gc) words='--help --dry-run --older-than",
        "squash) case $previous in --progress) values='auto json none' ;; esac; "
        "words='--help --depth --progress --json'"})
    EXPECT_THAT(bash, HasSubstr(words));
}

}  // namespace
}  // namespace stasis::cli
