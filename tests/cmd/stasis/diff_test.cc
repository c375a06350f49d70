// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;

class DiffTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p src/d src/gone && cd src && echo abc > f && ln -s f l && "
                      "echo x > d/x && echo y > gone/y && touch -d @1 f"),
                Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:v1"}), Succeeded());
  }
  // Changes the directory and saves it as another image.
  void SaveChanged(const std::string& script) {
    ASSERT_THAT(Shell("cd src; " + script), Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:v2"}), Succeeded());
  }
};

TEST_F(DiffTest, EqualImagesGiveNothing) {
  const Outcome outcome = Stasis({"diff", "snaps:v1", "snaps:v1"});
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.out, "");
}

TEST_F(DiffTest, EveryChangeIsALine) {
  SaveChanged(
      "echo abcde > f; chmod 755 f; rm -r gone; mkdir new; echo n > new/n; ln -sf d l;"
      "echo z > d/x; ln new/n new/o");
  const Outcome outcome = Stasis({"diff", "snaps:v1", "snaps:v2"});
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.out,
            "M /d/x (content)\nM /f (size 4 -> 6, mode 644 -> 755)\nD /gone\n"
            "M /l (target f -> d)\nA /new\nA /new/n\nA /new/o (link /new/n)\n");
}

TEST_F(DiffTest, JsonHasTheSameChanges) {
  SaveChanged("echo abcde > f; rm -r gone");
  const Outcome outcome = Stasis({"diff", "snaps:v1", "snaps:v2", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  const auto json = outcome.Json();
  EXPECT_EQ(json["modified"], 1);
  EXPECT_EQ(json["removed"], 1);
  EXPECT_EQ(json["changes"][0]["path"], "/f");
  EXPECT_EQ(json["changes"][0]["changed"], nlohmann::json({"size"}));
  EXPECT_EQ(json["changes"][1]["kind"], "removed");
}

TEST_F(DiffTest, TimesAndContentsOnlyOnRequest) {
  SaveChanged("touch -d @2 f; echo z > d/x");
  EXPECT_EQ(Stasis({"diff", "snaps:v1", "snaps:v2", "--sizes-only"}).out, "");
  EXPECT_THAT(Stasis({"diff", "snaps:v1", "snaps:v2", "--times"}).out,
              HasSubstr("M /f (mtime 1970-01-01T00:00:01Z -> 1970-01-01T00:00:02Z)\n"));
}

TEST_F(DiffTest, OneImageHasNoBase) {
  const Outcome outcome = Stasis({"diff", "snaps:v1", "--json"});
  EXPECT_THAT(outcome,
              FailsWith(2, "there is no base to compare snaps:v1 with: its root is memfs"));
  EXPECT_EQ(outcome.Json()["error"]["exit_code"], 2);
}

TEST_F(DiffTest, MissingTagsAreNamed) {
  EXPECT_THAT(Stasis({"diff", "snaps:v1", "snaps:v9"}), FailsWith(10, "there are: v1"));
  EXPECT_THAT(Stasis({"diff", "snaps:v9"}), FailsWith(10, "there are: v1"));
  EXPECT_THAT(Stasis({"diff"}), FailsWith(2, "name"));
}

TEST_F(DiffTest, CompletionKnowsIt) {
  EXPECT_THAT(Stasis({"completion", "bash"}).out,
              HasSubstr("diff) case $previous in --progress) values='auto json none' ;; esac; "
                        "words='--help --layer-cache --root"));
}

}  // namespace
}  // namespace stasis::cli
