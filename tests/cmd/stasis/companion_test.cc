// SPDX-License-Identifier: Apache-2.0
//
// An image and what another program has saved beside it.

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using nlohmann::json;

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
  EXPECT_THAT(Restore("snaps:v1"), FailsWith(5, "is damaged"));
}

TEST_F(CompanionTest, CheckSaysWhetherCriuIsThere) {
  const json report = Stasis({"check", "--json"}).Json();
  for (const json& check : report.at("checks"))
    if (check.at("name") == "criu") {
      EXPECT_EQ(check.at("needed"), false);
      EXPECT_EQ(check.at("remedy") == "", check.at("ok") == true);
      return;
    }
  FAIL() << report;
}

}  // namespace
}  // namespace stasis::cli
