// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

class ForkTest : public CliTest {
 protected:
  std::string Cat(const std::string& box, const std::string& file) {
    return In(box, "cat " + file).out;
  }
  nlohmann::json Fork(const std::string& of, const std::string& name) {
    const Outcome outcome = Stasis({"fork", of, name, "--json"});
    EXPECT_THAT(outcome, Succeeded());
    return outcome.exit_code == 0 ? outcome.Json() : nlohmann::json();
  }
};

TEST_F(ForkTest, BothGoOnFromTheMoment) {
  StartBox("box", {}, {"/bin/sh", "-c", "while :; do date +%s%N > /now; done"});
  ASSERT_THAT(In("box", "echo one > /a; head -c 300000 /dev/urandom > /large"), Succeeded());
  const std::string sum = In("box", "sha256sum < /large").out;
  const nlohmann::json forked = Fork("box", "other");
  EXPECT_EQ(forked.at("name"), "other");
  EXPECT_GT(forked.at("fork").at("pause_ns"), 0);
  EXPECT_GE(forked.at("fork").at("shared_bytes"), 300000);
  // The first one's program runs on; the second has none.
  const std::string now = Cat("box", "/now");
  EXPECT_TRUE(Eventually([&] { return Cat("box", "/now") != now; }));
  EXPECT_EQ(Cat("other", "/now"), Cat("other", "/now"));
  ASSERT_THAT(In("box", "echo two > /a; rm /large"), Succeeded());
  EXPECT_EQ(Cat("other", "/a"), "one\n");
  EXPECT_EQ(In("other", "sha256sum < /large").out, sum);
  ASSERT_THAT(In("other", "echo three > /a; echo x >> /large"), Succeeded());
  EXPECT_EQ(Cat("box", "/a"), "two\n");
}

TEST_F(ForkTest, OfAForkOutlivesBoth) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 300000 /dev/urandom > /f"), Succeeded());
  const std::string sum = In("box", "sha256sum < /f").out;
  Fork("box", "child");
  ASSERT_THAT(In("child", "echo child > /c"), Succeeded());
  Fork("child", "grandchild");
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  ASSERT_THAT(Stasis({"stop", "child"}), Succeeded());
  EXPECT_EQ(In("grandchild", "sha256sum < /f").out, sum);
  EXPECT_EQ(Cat("grandchild", "/c"), "child\n");
  ASSERT_THAT(Stasis({"checkpoint", "grandchild", "snaps:v1"}), Succeeded());
  EXPECT_EQ(In("grandchild", "sha256sum < /f").out, sum);
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
}

TEST_F(ForkTest, RunsAProgramAndTakesOverOptions) {
  WriteFile("file", "host");
  StartBox("box", {"--bind", Path("file") + ":/bound", "--env", "WHO=box", "--workdir", "/tmp"});
  const Outcome outcome = Stasis({"fork", "box", "other", "--env", "MORE=1", "--json", "--",
                                  "/bin/sh", "-c", "echo $WHO $MORE > /said; cat /bound >> /said"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_GT(outcome.Json().at("command_pid"), 0);
  EXPECT_TRUE(Eventually([&] { return Cat("other", "/said") == "1\nhost"; }))
      << Cat("other", "/said");
  EXPECT_EQ(In("other", "cat /proc/sys/kernel/hostname").out, "other\n");
}

TEST_F(ForkTest, StoredDataStaysStored) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 300000 /dev/urandom > /f"), Succeeded());
  const nlohmann::json first = Stasis({"checkpoint", "box", "snaps:v1", "--json"}).Json();
  Fork("box", "other");
  ASSERT_THAT(In("other", "echo new > /new"), Succeeded());
  const nlohmann::json second = Stasis({"checkpoint", "other", "snaps:v2", "--json"}).Json();
  EXPECT_EQ(second.at("parent"), first.at("digest"));
  EXPECT_EQ(second.at("dirty_bytes"), 4);
}

TEST_F(ForkTest, HostDirectoriesAreBoths) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  WriteFile("data/file", "host");
  StartBox("box", {"--root", "data=" + Path("data"), "--mount", "data:/data:interop=shared"});
  Fork("box", "other");
  ASSERT_THAT(In("other", "echo fork > /data/file"), Succeeded());
  EXPECT_EQ(Cat("box", "/data/file"), "fork\n");
  EXPECT_EQ(ReadFile(Path("data/file")), "fork\n");
}

TEST_F(ForkTest, SaysWhatIsWrong) {
  StartBox("box");
  EXPECT_THAT(Stasis({"fork", "nobody", "other"}), FailsWith(10, "nobody"));
  EXPECT_THAT(Stasis({"fork", "box", "box"}), FailsWith(8, "box"));
  EXPECT_THAT(Stasis({"fork", "box", "../x"}), FailsWith(2, "name"));
  EXPECT_THAT(Stasis({"fork", "box"}), FailsWith(2, "new"));
  EXPECT_THAT(In("box", "echo usable"), Succeeded());
}

TEST_F(ForkTest, ADirectoryOfChangesCannotBeShared) {
  ASSERT_THAT(Shell("mkdir base upper"), Succeeded());
  WriteFile("base/file", "base");
  WriteFile("upper/keep", "");
  StartBox("box", {"--rootfs", Path("base"), "--upper", Path("upper"), "--system", "host"});
  EXPECT_THAT(Stasis({"fork", "box", "other"}), FailsWith(1, "--upper memory"));
}

}  // namespace
}  // namespace stasis::cli
