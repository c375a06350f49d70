// SPDX-License-Identifier: Apache-2.0
//
// Mounts that share what is mounted on them: shared, slaves, private, unbindable.

#include <sstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class PropagationTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p data/x data/y data/in more; echo one > data/one;"
                      "echo x > data/x/f; echo y > data/y/f; echo two > more/two"),
                Succeeded());
  }
  void StartWith(const Strings& mounts) {
    Strings options = {"--root", "data=data"};
    for (const std::string& mount : mounts) options.insert(options.end(), {"--mount", mount});
    StartBox("box", options);
  }
  Outcome Add(const std::string& mount, const Strings& more = {}) {
    Strings arguments = {"mount-add", "box", mount};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Stasis(arguments);
  }
  // What /proc/self/mountinfo says of a mount between its options and the hyphen, with letters for
  // the kernel's numbers of groups, in the order in which they come: "/a shared:A /b master:A".
  std::string TagsOf(const std::string& targets) {
    const Outcome seen =
        In("box", "for t in " + targets +
                      "; do echo -n \"$t\"; awk -v t=$t '$5 == t { for (i = 7; $i != "
                      "\"-\"; ++i) printf \" %s\", $i }' /proc/self/mountinfo; echo; done");
    std::istringstream words(seen.out);
    std::map<std::string, char> letters;
    std::string text;
    for (std::string word; words >> word;) {
      if (const size_t colon = word.find(':'); colon != std::string::npos) {
        const auto [it, added] =
            letters.emplace(word.substr(colon + 1), static_cast<char>('A' + letters.size()));
        word = word.substr(0, colon + 1) + it->second;
      }
      text += (text.empty() ? "" : " ") + word;
    }
    return text;
  }
};

TEST_F(PropagationTest, MountsOfOneRootShareWhatIsMountedOnThem) {
  StartWith({"data:/a:shared", "data:/b:rshared:ro", "data:/s:slave", "data:/p:private", "data:/n",
             "data:/u:runbindable", "data/in:/i:shared"});
  EXPECT_EQ(TagsOf("/a /b /s /p /n /u /i"),
            "/a shared:A /b shared:A /s master:A /p /n /u unbindable /i shared:A");
  ASSERT_THAT(In("box", "mount -t tmpfs t /a/in; touch /a/in/there; ls /b/in /s/in /i"),
              Succeeded());
  EXPECT_EQ(In("box",
               "for i in a b s p n u; do test ! -e /$i/in/there || echo $i; done;"
               "test -e /i/there && echo i")
                .out,
            "a\nb\ns\ni\n");
  ASSERT_THAT(In("box", "umount /a/in; mount -t tmpfs t /s/in; touch /s/in/there"), Succeeded());
  EXPECT_EQ(In("box", "for i in a b s i; do test ! -e /$i/in/there || echo $i; done").out, "s\n")
      << "a slave gives nothing back";
  EXPECT_THAT(In("box", "mkdir /v; mount --bind /u /v").exit_code, Not(0));
}

TEST_F(PropagationTest, NamespacesThatProgramsMakeGetWhatIsMounted) {
  StartWith({"data:/a:shared", "data:/p"});
  EXPECT_EQ(In("box",
               "unshare -m --propagation unchanged sh -ec 'mount -t tmpfs t /a/in;"
               " mount -t tmpfs t /p/x; touch /a/in/there /p/x/there'; ls /a/in /p/x")
                .out,
            "/a/in:\nthere\n\n/p/x:\nf\n");
}

TEST_F(PropagationTest, SavedAndRestored) {
  StartWith(
      {"data:/a:shared", "data:/b:shared", "data:/s:slave", "data:/u:unbindable", "data/x:/p"});
  const std::string tags = TagsOf("/a /b /s /u /p");
  EXPECT_EQ(tags, "/a shared:A /b shared:A /s master:A /u unbindable /p");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_EQ(TagsOf("/a /b /s /u /p"), tags) << "after a rollback";
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--root", "data=data", "--name", "box", "-d"}),
              Succeeded());
  EXPECT_EQ(TagsOf("/a /b /s /u /p"), tags) << "after a restore";
  ASSERT_THAT(Stasis({"upgrade", "box"}), Succeeded());
  ASSERT_THAT(In("box", "mkdir /c"), Succeeded());
  ASSERT_THAT(Add("data/y:/c:shared"), Succeeded());
  EXPECT_EQ(TagsOf("/a /s /c"), "/a shared:A /s master:A /c shared:A");
}

TEST_F(PropagationTest, AddedToTheGroupOfItsRootWhateverPartItIs) {
  StartWith({"data/x:/x:shared"});
  ASSERT_THAT(In("box", "mkdir /y /s /p"), Succeeded());
  ASSERT_THAT(Add("data/y:/y:rshared"), Succeeded());
  ASSERT_THAT(Add("data:/s:rslave"), Succeeded());
  ASSERT_THAT(Add("data:/p"), Succeeded());
  EXPECT_EQ(TagsOf("/x /y /s /p"), "/x shared:A /y shared:A /s master:A /p");
  ASSERT_THAT(In("box", "mkdir /y/m; mount -t tmpfs t /y/m; touch /y/m/there"), Succeeded());
  EXPECT_EQ(In("box", "ls /s/y/m /p/y/m").out, "/p/y/m:\n\n/s/y/m:\nthere\n");
}

TEST_F(PropagationTest, MountsOnASharedMountAreSeenOnItsPeers) {
  StartWith({"data:/a:shared", "data:/b:shared", "data:/s:slave"});
  ASSERT_THAT(Add("more:/a/in", {"--root", "more=more"}), Succeeded());
  EXPECT_EQ(In("box", "cat /a/in/two /b/in/two /s/in/two").out, "two\ntwo\ntwo\n");
  const std::string tags = "/a/in shared:A /b/in shared:A /s/in master:A";
  EXPECT_EQ(TagsOf("/a/in /b/in /s/in"), tags);
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--root", "data=data", "--root", "more=more", "--",
                      "/bin/cat", "/a/in/two", "/b/in/two", "/s/in/two"}),
              Succeeded());
  ASSERT_THAT(Stasis({"umount", "box", "/b/in"}), Succeeded());
  EXPECT_EQ(In("box", "ls /a/in /b/in /s/in").out, "/a/in:\n\n/b/in:\n\n/s/in:\n");
  EXPECT_THAT(Stasis({"config", "box"}).out, Not(HasSubstr("more")));
  ASSERT_THAT(Add("more:/a/in:private", {"--root", "more=more"}), Succeeded());
  EXPECT_EQ(TagsOf("/a/in /b/in /s/in"), "/a/in /b/in shared:A /s/in master:A")
      << "as `mount --make-private` after it was mounted";
}

TEST_F(PropagationTest, ASlaveWithoutAMasterIsPrivate) {
  StartWith({"data:/a:shared", "data/x:/s:rslave:ro"});
  ASSERT_THAT(Stasis({"umount", "box", "/a"}), Succeeded());
  EXPECT_EQ(TagsOf("/s"), "/s");
  EXPECT_THAT(Stasis({"config", "box"}).out, HasSubstr("mount = [\"data/x:/s:ro\"]"));
}

// One that lies on the slave comes after it; another one may come before.
TEST_F(PropagationTest, ASlaveFindsAMasterThatDoesNotLieOnIt) {
  StartWith({"data:/a/x:shared", "data:/a:slave", "data:/c:shared"});
  EXPECT_EQ(TagsOf("/a /c"), "/a master:A /c shared:A");
}

TEST_F(PropagationTest, TheConfigurationHasIt) {
  StartWith({"data:/a:shared:ro", "data:/s:rslave"});
  const Outcome config = Stasis({"config", "box"});
  EXPECT_THAT(config.out, HasSubstr("mount = [\"data:/a:shared:ro\",\"data:/s:rslave\"]"));
  WriteFile("box.toml", config.out);
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  ASSERT_THAT(Stasis({"run", "--config", "box.toml", "--detach"}), Succeeded());
  EXPECT_EQ(TagsOf("/a /s"), "/a shared:A /s master:A");
}

TEST_F(PropagationTest, WhatCannotBeIsRefused) {
  const auto run = [this](const Strings& mounts) {
    Strings arguments = {"run", "--root", "data=data"};
    for (const std::string& mount : mounts) arguments.insert(arguments.end(), {"--mount", mount});
    arguments.insert(arguments.end(), {"--", "/bin/true"});
    return Stasis(arguments);
  };
  EXPECT_THAT(run({"data:/a:shared:private"}), FailsWith(2, "'private' contradicts"));
  EXPECT_THAT(run({"data:/a:share"}), FailsWith(2, "'share' is no option of a mount"));
  EXPECT_THAT(run({"data:/a:slave"}), FailsWith(2, "would be a slave of nothing"));
  EXPECT_THAT(run({"data:/a:slave", "data:/b"}), FailsWith(2, "would be a slave of nothing"));
  EXPECT_THAT(run({"data:/a:slave", "data:/b:shared:rshared"}), Succeeded());
  StartWith({"data:/a"});
  ASSERT_THAT(In("box", "mkdir /s"), Succeeded());
  EXPECT_THAT(Add("data:/s:rslave"), FailsWith(2, "would be a slave of nothing"));
  EXPECT_THAT(Add("data:/s:slave:unbindable"), FailsWith(2, "'unbindable' contradicts"));
  EXPECT_THAT(In("box", "ls /s").out, IsEmpty());
}

}  // namespace
}  // namespace stasis::cli
