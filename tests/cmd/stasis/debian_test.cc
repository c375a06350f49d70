// SPDX-License-Identifier: Apache-2.0
//
// apt on a Debian root: installs, is saved, and goes on on a copy of the root.

#include <cstdlib>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class DebianTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Host({"/bin/bash", STASIS_TESTING "/debian_root.sh", Path("base")},
                     std::chrono::seconds(900)),
                Succeeded());
  }
  Outcome Install(const std::string& package) {
    return Stasis({"exec", "box", "--env", "DEBIAN_FRONTEND=noninteractive", "--", "/bin/sh", "-ec",
                   "apt-get -q -y install --no-install-recommends /packages/" + package + "_*.deb"},
                  std::chrono::seconds(300));
  }
  std::string Digest(const std::string& directory) {
    return Shell("cd " + directory +
                 "; find . -printf '%p %y %m %U %G %n %s %T@ %l\\n' | sort | sha256sum")
        .out;
  }
};

TEST_F(DebianTest, AptGoesOnOnACopyOfTheBase) {
  const std::string before = Digest("base");
  StartBox("box", {"--rootfs", "base", "--tmpfs", "/tmp:size=256m"});
  ASSERT_THAT(Install("hello"), Succeeded());
  EXPECT_EQ(In("box", "hello").out, "Hello, world!\n");
  EXPECT_EQ(Digest("base"), before);
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());

  ASSERT_THAT(Shell("cp -a base elsewhere; rm -r base"), Succeeded());
  ASSERT_THAT(
      Stasis({"restore", "snaps:v1", "--name", "box", "--root", "rootfs=elsewhere", "--detach"}),
      Succeeded());
  EXPECT_EQ(In("box", "hello").out, "Hello, world!\n");
  ASSERT_THAT(Install("tree"), Succeeded());
  EXPECT_THAT(In("box", "tree /packages").out, HasSubstr("1 directory, 2 files"));
  EXPECT_THAT(In("box", "dpkg --audit; dpkg --verify hello tree").out, IsEmpty());
  ASSERT_THAT(In("box", "apt-get -q -y purge hello >/dev/null; dpkg --audit"), Succeeded());
  EXPECT_THAT(In("box", "test -e /usr/bin/hello"), ExitsWith(1));
  const Outcome diff = Stasis({"diff", "box"});
  EXPECT_THAT(diff.out, HasSubstr("A /usr/bin/tree\n"));
  EXPECT_THAT(diff.out, testing::Not(HasSubstr("/usr/bin/hello")));
}

}  // namespace
}  // namespace stasis::cli
