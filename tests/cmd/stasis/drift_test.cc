// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// An image of files that are not the host's.
class DriftTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir src dir; echo text > src/file"), Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:v1"}), Succeeded());
  }
};

TEST_F(DriftTest, NoDriftIsSaid) {
  const Outcome text = Stasis({"drift", "snaps:v1"});
  EXPECT_THAT(text, Succeeded());
  EXPECT_EQ(text.out, "no differences\n");
  const Outcome json = Stasis({"drift", "snaps:v1", "--json", "--validate", "all"});
  EXPECT_THAT(json, Succeeded());
  EXPECT_EQ(json.Json()["drift"], false);
  EXPECT_THAT(json.Json()["findings"], IsEmpty());
}

TEST_F(DriftTest, RootsAreNamesOfDirectories) {
  for (const char* bad : {"dir", "=dir", "data="})
    EXPECT_THAT(Stasis({"drift", "snaps:v1", "--root", bad}), FailsWith(2, "form NAME=DIR"));
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--root", "data=nowhere"}),
              FailsWith(10, "cannot take nowhere for the root data"));
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--root", "data=src/file"}),
              FailsWith(2, "cannot take src/file for the root data: it is not a directory"));
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--root", "data=src", "--root", "data=dir"}),
              FailsWith(2, "--root data is given twice"));
}

TEST_F(DriftTest, RootThatTheImageDoesNotHaveIsRefused) {
  for (const Strings& command : {Strings{"drift", "snaps:v1"}, Strings{"export", "snaps:v1", "out"},
                                 Strings{"mount", "snaps:v1", "dir"}}) {
    Strings arguments = command;
    arguments.insert(arguments.end(), {"--root", "data=src"});
    EXPECT_THAT(Stasis(arguments),
                FailsWith(2, "the image names no host directory data; it needs none at all"));
  }
}

TEST_F(DriftTest, UnknownChecksAndPoliciesAreRefusedWithThoseThereAre) {
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--validate", "size,colour"}),
              FailsWith(2, "--validate: 'colour' is nothing to compare; there are size, mtime,"));
  EXPECT_THAT(Stasis({"export", "snaps:v1", "out", "--on-drift", "hope"}),
              FailsWith(2,
                        "--on-drift: 'hope' is no policy; there are fail, warn, adopt, ignore "
                        "or heal"));
  EXPECT_THAT(Stasis({"mount", "snaps:v1", "dir", "--drift-rule", "/a=hope"}),
              FailsWith(2, "--drift-rule: rule '/a=hope': 'hope' is no policy"));
}

TEST_F(DriftTest, RestoreRefusesBadOptionsBeforeAnythingStarts) {
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--drift-rule", "/[=warn", "--", "true"}),
              FailsWith(2, "'/[' is not a glob: there is a [ without ]"));
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--drift-rule", "/data", "--", "true"}),
              FailsWith(2, "rule '/data' is not of the form GLOB=POLICY"));
  EXPECT_THAT(Shell("ls " + runtime_dir() + " 2>/dev/null || true").out, IsEmpty());
}

TEST_F(DriftTest, RestoreRefusesAnUnknownRootAndLeavesNothing) {
  const Outcome outcome =
      Stasis({"restore", "snaps:v1", "--root", "data=src", "--json", "--", "true"});
  EXPECT_THAT(outcome, FailsWith(2, "the image names no host directory data"));
  EXPECT_EQ(outcome.Json()["error"]["exit_code"], 2);
  EXPECT_THAT(Shell("ls " + runtime_dir()).out, IsEmpty());
}

TEST_F(DriftTest, CompletionKnowsTheOptions) {
  EXPECT_THAT(Stasis({"completion", "bash"}).out,
              HasSubstr("drift) words='--help --layer-cache --root"));
  EXPECT_THAT(Stasis({"drift", "--help"}).out, HasSubstr("NAME=DIR"));
}

}  // namespace
}  // namespace stasis::cli
