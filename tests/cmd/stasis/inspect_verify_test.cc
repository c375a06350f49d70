// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;

class InspectVerifyTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p src/d && echo text > src/d/file && ln -s d/file src/soft && "
                      "head -c 50000 /dev/urandom > src/random"),
                Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  }
  // Changes a byte in the largest or smallest blob.
  void Damage(const std::string& which) {
    ASSERT_THAT(Shell("f=snaps/blobs/sha256/$(ls -S snaps/blobs/sha256 | " + which +
                      " -1); printf '\\0377' | dd of=$f bs=1 seek=100 conv=notrunc"),
                Succeeded());
  }
};

TEST_F(InspectVerifyTest, InspectSaysWhatIsInIt) {
  const Outcome outcome = Stasis({"inspect", "snaps:base", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.Json().at("digest"), HasSubstr("sha256:"));
  EXPECT_THAT(Stasis({"inspect", "snaps:base"}), Succeeded());
}

TEST_F(InspectVerifyTest, InspectListsTheTree) {
  const Outcome outcome = Stasis({"inspect", "snaps:base", "--tree"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.out, HasSubstr("/d/file\n"));
  EXPECT_THAT(outcome.out, HasSubstr("/soft -> d/file\n"));
  const Outcome json = Stasis({"inspect", "snaps:base", "--tree", "--json"});
  EXPECT_TRUE(nlohmann::json::accept(json.out.substr(0, json.out.find('\n'))));
}

TEST_F(InspectVerifyTest, VerifyFindsNothingInASoundImage) {
  const Outcome outcome = Stasis({"verify", "snaps:base"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.out, HasSubstr("snaps:base: sound"));
  EXPECT_EQ(Stasis({"verify", "snaps:base", "--json"}).Json().at("ok"), true);
}

TEST_F(InspectVerifyTest, VerifyFindsDamagedData) {
  Damage("head");
  EXPECT_THAT(Stasis({"verify", "snaps:base"}), ExitsWith(5));
  const Outcome json = Stasis({"verify", "snaps:base", "--json"});
  EXPECT_THAT(json, ExitsWith(5));
  EXPECT_FALSE(json.Json().at("findings").empty());
}

TEST_F(InspectVerifyTest, VerifyAndInspectFindDamagedDescriptions) {
  Damage("tail");
  EXPECT_THAT(Stasis({"verify", "snaps:base"}), ExitsWith(5));
  EXPECT_THAT(Stasis({"inspect", "snaps:base"}), ExitsWith(5));
}

TEST_F(InspectVerifyTest, SayWhichTagIsMissing) {
  ASSERT_THAT(Stasis({"import", "src", "snaps:other"}), Succeeded());
  for (const char* command : {"inspect", "verify", "restore"})
    EXPECT_THAT(Stasis({command, "snaps:v9"}),
                FailsWith(10, "there is no tag \"v9\"; there are: base, other"));
  EXPECT_THAT(Stasis({"verify", "nowhere:v9"}), FailsWith(10, "nowhere"));
}

}  // namespace
}  // namespace stasis::cli
