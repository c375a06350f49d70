// SPDX-License-Identifier: Apache-2.0
//
// What `stasis config` prints, given to the command that its first line names, makes a sandbox with
// the same mounts.

#include <algorithm>
#include <sstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ConfigTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p data/in data/x more; echo one > data/one; echo two > more/two"),
                Succeeded());
  }
  // The tree's mounts as the kernel has them in the sandbox, sorted: what of the filesystem, where,
  // options and propagation, with letters for the kernel's numbers of groups.
  Strings MountsOf(const std::string& box) {
    const Outcome seen =
        In(box,
           "awk '/ - fuse[.a-z]* / { printf \"%s %s %s\", $4, $5, $6; for (i = 7; $i != \"-\"; "
           "++i) printf \" %s\", $i; print \"\" }' /proc/self/mountinfo | sort");
    EXPECT_THAT(seen, Succeeded());
    std::map<std::string, char> letters;
    Strings mounts;
    std::istringstream lines(seen.out);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string text;
      for (std::string word; words >> word;) {
        const size_t colon = word.find(':');
        if (colon != std::string::npos)
          word = word.substr(0, colon + 1) +
                 letters.emplace(word.substr(colon + 1), 'A' + letters.size()).first->second;
        text += (text.empty() ? "" : " ") + word;
      }
      mounts.push_back(text);
    }
    return mounts;
  }
  void AddMount(const std::string& mount, const Strings& root = {}) {
    Strings arguments = {"mount-add", "box", mount};
    arguments.insert(arguments.end(), root.begin(), root.end());
    ASSERT_THAT(Stasis(arguments), Succeeded());
  }
  // Does with the output of `config` what its first line says.
  void ExpectComesBack() {
    const Strings mounts = MountsOf("box");
    const Outcome config = Stasis({"config", "box"});
    ASSERT_THAT(config, Succeeded());
    WriteFile("box.toml", config.out);
    Strings again = {"run"};
    if (config.out.find("stasis restore") != std::string::npos) {
      ASSERT_THAT(config.out, StartsWith("# stasis restore DIR:TAG --config FILE"));
      EXPECT_THAT(config.out, Not(HasSubstr("\nimage")));  // the command line's
      ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:now"}), Succeeded());
      again = {"restore", "snaps:now"};
    } else {
      ASSERT_THAT(config.out, StartsWith("# stasis run --config FILE"));
    }
    again.insert(again.end(), {"--config", "box.toml", "--name", "again", "--detach"});
    ASSERT_THAT(Stasis(again), Succeeded()) << config.out;
    EXPECT_EQ(MountsOf("again"), mounts) << config.out;
    EXPECT_EQ(In("again", "hostname").out,
              In("box", "hostname").out == "box\n" ? "again\n" : In("box", "hostname").out);
    ASSERT_THAT(Stasis({"stop", "again"}), Succeeded());
  }
};

TEST_F(ConfigTest, OfANewSandbox) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/deep/down:ro", "--mount",
                   "data/in:/deep", "--tmpfs", "/t:size=1m", "--hostname", "inside"});
  ExpectComesBack();
  ASSERT_THAT(In("box", "mkdir -p /m /t/m"), Succeeded());
  AddMount("more:/m:nosuid", {"--root", "more=more"});
  AddMount("more:/t/m");
  ExpectComesBack();
  AddMount("data/x:/t");
  EXPECT_THAT(In("box", "ls /t/m"), ExitsWith(2)) << "hidden";
  ASSERT_THAT(Stasis({"umount", "box", "/t"}), Succeeded());
  EXPECT_THAT(Stasis({"config", "box"}).out, HasSubstr("tmpfs = [\"/t:size=1m\"]"))
      << "it was below";
  ASSERT_THAT(Stasis({"umount", "box", "/m"}), Succeeded());
  ExpectComesBack();
}

TEST_F(ConfigTest, OfASandboxWhoseMountsShare) {
  StartBox("box", {"--root", "data=data", "--mount", "data:/deep/a:shared"});
  ASSERT_THAT(In("box", "mkdir /s /b /n"), Succeeded());
  AddMount("data:/s:slave");
  AddMount("more:/deep/a/in", {"--root", "more=more"});
  AddMount("data:/b:shared");
  AddMount("more:/n:slave:ro");
  EXPECT_THAT(In("box", "test -e /s/in/two; test ! -e /b/in/two"), Succeeded());
  ExpectComesBack();
  ASSERT_THAT(Stasis({"umount", "box", "/deep/a/in"}), Succeeded());
  ExpectComesBack();
}

TEST_F(ConfigTest, OfARestoredOne) {
  StartBox("old", {"--root", "data=data", "--mount", "data:/a:shared", "--tmpfs", "/t"});
  ASSERT_THAT(Stasis({"checkpoint", "old", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--root", "data=data", "--name", "box", "--hostname",
                      "inside", "--detach"}),
              Succeeded());
  ExpectComesBack();
  AddMount("data:/t:slave");
  AddMount("more:/a/in", {"--root", "more=more"});
  EXPECT_THAT(Stasis({"config", "box"}).out, Not(HasSubstr("mount")));
  ExpectComesBack();
  ASSERT_THAT(Stasis({"umount", "box", "/a/in"}), Succeeded());
  ExpectComesBack();
  ASSERT_THAT(Stasis({"upgrade", "box"}), Succeeded());
  ExpectComesBack();
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  AddMount("more:/t", {"--root", "more=more"});
  ExpectComesBack();
}

TEST_F(ConfigTest, OfAFork) {
  ASSERT_THAT(Shell("mkdir base; echo > base/f"), Succeeded());
  StartBox("old", {"--rootfs", "base", "--system", "host", "--root", "data=data", "--mount",
                   "data:/a:shared", "--env", "X=1"});
  ASSERT_THAT(Stasis({"fork", "old", "box"}), Succeeded());
  const std::string config = Stasis({"config", "box"}).out;
  EXPECT_THAT(config, HasSubstr("name = \"box\"\n"));
  EXPECT_THAT(config, HasSubstr("env = [\"X=1\"]\n"));
  ExpectComesBack();
  ASSERT_THAT(In("box", "mkdir /m"), Succeeded());
  AddMount("more:/m", {"--root", "more=more"});
  ExpectComesBack();
  ASSERT_THAT(Stasis({"upgrade", "box"}), Succeeded());
  ASSERT_THAT(Stasis({"umount", "box", "/a"}), Succeeded());
  EXPECT_THAT(Stasis({"config", "box"}).out, Not(HasSubstr("data=")));
  ExpectComesBack();
}

}  // namespace
}  // namespace stasis::cli
