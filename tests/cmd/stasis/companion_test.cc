// SPDX-License-Identifier: Apache-2.0
//
// An image and what another program has saved beside it.

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CompanionTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    WriteFile("ps/inventory.img", "what CRIU writes");
    StartBox("box");
    ASSERT_THAT(In("box", "echo one > /f"), Succeeded());
  }
  Outcome Restore(const std::string& reference, const std::string& directory = "ps") {
    return Stasis({"restore", reference, "--companion", directory, "--", "/bin/cat", "/f"});
  }
};

TEST_F(CompanionTest, TheHalvesNameEachOther) {
  const Outcome saved = Stasis({"checkpoint", "box", "snaps:v1", "--companion", "ps", "--json"});
  ASSERT_THAT(saved, Succeeded());
  const json companion = json::parse(ReadFile(Path("ps/stasis.json")));
  EXPECT_EQ(companion.at("digest"), saved.Json().at("digest"));
  EXPECT_EQ(companion.at("reference"), Path("snaps") + ":v1");
  EXPECT_EQ(Restore("snaps:v1").out, "one\n");
}

TEST_F(CompanionTest, AnotherImageIsRefused) {
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--companion", "ps"}), Succeeded());
  ASSERT_THAT(In("box", "echo two > /f"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v2"}), Succeeded());
  const Outcome refused = Restore("snaps:v2");
  EXPECT_THAT(refused, FailsWith(1, "restore the one that it names"));
  EXPECT_EQ(refused.out, "");
}

TEST_F(CompanionTest, ProcessesOfAnotherTimeAreRefused) {
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--companion", "ps"}), Succeeded());
  WriteFile("ps/inventory.img", "another dump");
  EXPECT_THAT(Restore("snaps:v1"), FailsWith(1, "saved at another time"));
}

TEST_F(CompanionTest, SquashedAndCopiedItIsTheSameImage) {
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--companion", "ps"}), Succeeded());
  ASSERT_THAT(Stasis({"copy", "snaps:v1", "other:v1"}), Succeeded());
  EXPECT_EQ(Restore("other:v1").out, "one\n");
  ASSERT_THAT(In("box", "echo two > /f"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v2", "--companion", "ps"}), Succeeded());
  ASSERT_THAT(Stasis({"squash", "snaps:v2"}), Succeeded());
  EXPECT_EQ(Restore("snaps:v2").out, "two\n");
}

TEST_F(CompanionTest, SaysWhatIsMissing) {
  ASSERT_THAT(Shell("mkdir empty"), Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--companion", "empty"}),
              FailsWith(10, "save the processes first"));
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--companion", "ps", "--every", "1s"}),
              FailsWith(2, "choose one"));
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  EXPECT_THAT(Restore("snaps:v1"), FailsWith(10, "stasis.json"));
  WriteFile("ps/stasis.json", "{\"digest\": 7}");
  EXPECT_THAT(Restore("snaps:v1"), FailsWith(1, "is damaged"));
}

// The image is whole: only its own damage has the exit code 5.
TEST_F(CompanionTest, AnInventoryThatCannotBeOneIsNoDamageOfTheImage) {
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--companion", "ps"}), Succeeded());
  WriteFile("ps/inventory.img", std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(Restore("snaps:v1"), FailsWith(1, "ps/inventory.img is larger than it can be"));
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v2", "--companion", "ps"}),
              FailsWith(1, "is larger than it can be"));
}

class CriuCheckTest : public CliTest {
 protected:
  // What `stasis check` says, with a program of that name first in the path.
  json Check(const std::string& criu) {
    WriteFile("bin/criu", "#!/bin/sh\n" + criu + "\n");
    EXPECT_THAT(Shell("chmod 755 bin/criu"), Succeeded());
    prefix_ = {"env", "PATH=" + Path("bin") + ":/usr/bin:/bin"};
    const json report = Stasis({"check", "--json"}).Json();
    for (const json& check : report.at("checks"))
      if (check.at("name") == "criu") return check;
    return report;
  }
};

TEST_F(CriuCheckTest, SaysWhetherCriuIsThere) {
  const json missing = Check("exit 127");
  EXPECT_EQ(missing.at("ok"), false);
  EXPECT_EQ(missing.at("needed"), false);
  EXPECT_EQ(missing.at("detail"), "not installed");
  EXPECT_THAT(missing.at("remedy"), HasSubstr("apt-get install criu"));
  const json there = Check("echo Version: 4.1");
  EXPECT_EQ(there.at("ok"), true);
  EXPECT_EQ(there.at("detail"), "Version: 4.1");
  EXPECT_EQ(there.at("remedy"), "");
}

TEST_F(CriuCheckTest, SaysWhyItCannotRun) {
  const std::string fails = "[ $1 = check ] || exec echo Version: 3.17.1; ";
  const json no_right = Check(fails + "echo 'Error: no right' >&2; exit 1");
  EXPECT_EQ(no_right.at("detail"), "Version: 3.17.1: Error: no right");
  EXPECT_THAT(no_right.at("remedy"), HasSubstr("`criu check`"));
  const json old = Check(
      fails + "echo 'Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds' >&2; exit 1");
  EXPECT_EQ(old.at("ok"), false);
  EXPECT_THAT(old.at("remedy"), HasSubstr("a newer CRIU than 4.0"));
}

}  // namespace
}  // namespace stasis::cli
