// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char kFingerprint[] =
    "find . -printf '%P %y %m %U %G %s %l %T@\\n' | sort; "
    "find . -type f -exec sha256sum {} + | sort -k2";

class ImportExportTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p src/d && cd src && echo text > d/file && ln -s d/file soft && "
                      "ln d/file hard && mkfifo fifo && head -c 70000 /dev/urandom > random && "
                      "truncate -s 3M sparse && chmod 1751 d && setfattr -n user.x -v y d/file "
                      "2>/dev/null || true"),
                Succeeded());
  }
  std::string Fingerprint(const std::string& dir) {
    return Shell("cd " + dir + "; " + kFingerprint).out;
  }
};

TEST_F(ImportExportTest, ADirectoryComesBackAsItWas) {
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:base", "out"}), Succeeded());
  EXPECT_EQ(Fingerprint("out"), Fingerprint("src"));
}

TEST_F(ImportExportTest, ATarFileComesBackAsItWas) {
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:base", "out.tar"}), Succeeded());
  ASSERT_THAT(Shell("mkdir out && tar xpf out.tar -C out"), Succeeded());
  EXPECT_EQ(Fingerprint("out"), Fingerprint("src"));
}

TEST_F(ImportExportTest, ExportsASubtreeToTheStandardOutput) {
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  const Outcome outcome = Stasis({"export", "snaps:base", "--path", "/d", "-"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.out, HasSubstr("ustar"));
  EXPECT_THAT(outcome.out, HasSubstr("text\n"));
}

TEST_F(ImportExportTest, AnImportedImageCanBeRun) {
  ASSERT_THAT(Stasis({"import", "src:/data", "snaps:base"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:base", "--", "cat", "/data/hard"}).out, "text\n");
}

TEST_F(ImportExportTest, ReportsAsJson) {
  const Outcome imported = Stasis({"import", "src", "snaps:base", "--json"});
  ASSERT_THAT(imported, Succeeded());
  EXPECT_TRUE(imported.Json().at("image").contains("digest"));
  EXPECT_TRUE(imported.Json().at("import").contains("files"));
  // Nobody waited.
  EXPECT_FALSE(imported.Json().at("image").contains("pause_ns"));
  EXPECT_THAT(Stasis({"import", "src", "snaps:base"}).out, Not(HasSubstr("pause")));
  const Outcome exported = Stasis({"export", "snaps:base", "out", "--json"});
  ASSERT_THAT(exported, Succeeded());
  EXPECT_TRUE(exported.Json().contains("files"));
}

TEST_F(ImportExportTest, SaysWhatIsMissing) {
  EXPECT_THAT(Stasis({"import", "nowhere", "snaps:base"}),
              FailsWith(10, "nowhere: No such file or directory; name an existing directory"));
  EXPECT_THAT(Stasis({"export", "snaps:base", "out"}), FailsWith(10, "snaps"));
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  EXPECT_THAT(Stasis({"export", "snaps:base", "no/where"}), FailsWith(10, "mkdir -p "));
  EXPECT_THAT(Stasis({"export", "snaps:base", "--path", "/nope", "out"}), FailsWith(10, "/nope"));
}

TEST_F(ImportExportTest, TheTargetMayEndInASlash) {
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:base", "out/"}), Succeeded());
  EXPECT_EQ(Fingerprint("out"), Fingerprint("src"));
}

TEST_F(ImportExportTest, RefusesAPathThatIsNoDirectory) {
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  EXPECT_THAT(Stasis({"export", "snaps:base", "--path", "/random", "out"}),
              FailsWith(2, "--path /random is not a directory"));
}

TEST_F(ImportExportTest, RefusesADirectoryThatIsNotEmpty) {
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  EXPECT_THAT(Stasis({"export", "snaps:base", "src"}), ExitsWith(1));
}

}  // namespace
}  // namespace stasis::cli
