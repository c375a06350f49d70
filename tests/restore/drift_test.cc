// SPDX-License-Identifier: Apache-2.0

#include "restore/drift.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "restore/exit_code.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::TestVfs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using vfs::DriftKind;
using vfs::DriftPolicy;

bool Matches(std::string_view glob, std::string_view path) {
  const auto parsed = PathGlob::Parse(glob);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() && parsed->Matches(path);
}

TEST(PathGlobTest, LettersOfAComponentDoNotCrossSlashes) {
  EXPECT_TRUE(Matches("/data/*.log", "/data/a.log"));
  EXPECT_FALSE(Matches("/data/*.log", "/data/b/a.log"));
  EXPECT_FALSE(Matches("/data/*", "/data"));
  EXPECT_FALSE(Matches("/data?x", "/data/x"));
  EXPECT_TRUE(Matches("/data/?", "/data/x"));
  EXPECT_TRUE(Matches("/data/[a-c]x", "/data/bx"));
  EXPECT_FALSE(Matches("/data/[!a-c]x", "/data/bx"));
  EXPECT_TRUE(Matches("/data/[]]", "/data/]"));
  EXPECT_TRUE(Matches("/*", "/.hidden"));
  EXPECT_TRUE(Matches("/", "/"));
}

TEST(PathGlobTest, TwoStarsAreAnyNumberOfComponents) {
  EXPECT_TRUE(Matches("/data/**", "/data"));
  EXPECT_TRUE(Matches("/data/**", "/data/a/b/c"));
  EXPECT_FALSE(Matches("/data/**", "/database"));
  EXPECT_TRUE(Matches("/**/x/**/y", "/a/x/b/x/c/y"));
  EXPECT_FALSE(Matches("/**/x/**/y", "/a/x/b/x/c/z"));
  EXPECT_TRUE(Matches("/**/a/b", "/a/a/b"));
  EXPECT_TRUE(Matches("/**", "/"));
}

TEST(PathGlobTest, WithoutALeadingSlashItMatchesAtAnyDepth) {
  EXPECT_TRUE(Matches("*.log", "/a.log"));
  EXPECT_TRUE(Matches("*.log", "/x/y/a.log"));
  EXPECT_TRUE(Matches("cache/**", "/x/cache/y"));
  EXPECT_FALSE(Matches("*.log", "/a.log/b"));
}

TEST(PathGlobTest, NamesAreBytes) {
  EXPECT_TRUE(Matches("/\xff*", "/\xff\xfe"));
  EXPECT_TRUE(Matches("/a?b",
                      "/a\xff"
                      "b"));
  EXPECT_TRUE(Matches("/a\nb", "/a\nb"));
  EXPECT_TRUE(Matches("/\\*", "/*"));
  EXPECT_FALSE(Matches("/\\*", "/a"));
}

TEST(PathGlobTest, ManyStarsDoNotTakeForever) {
  std::string glob, path;
  for (int i = 0; i < 200; ++i) {
    glob += "/**/a";
    path += "/a/a/a";
  }
  EXPECT_FALSE(Matches(glob + "/b", path));
}

TEST(PathGlobTest, SaysWhatIsWrong) {
  const auto error = [](std::string_view glob) {
    return std::string(PathGlob::Parse(glob).status().message());
  };
  EXPECT_EQ(error(""), "the glob is empty");
  EXPECT_EQ(error("/a/"), "'/a/' is not a glob: it has an empty component");
  EXPECT_EQ(error("/a**"), "'/a**' is not a glob: ** must stand alone between slashes");
  EXPECT_EQ(error("/[a"), "'/[a' is not a glob: there is a [ without ]");
  EXPECT_EQ(error("/[]"), "'/[]' is not a glob: there is a [ without ]");
  EXPECT_EQ(error("/a\\"), "'/a\\x5c' is not a glob: it ends in a backslash");
}

TEST(DriftRulesTest, TheLastThatMatchesCounts) {
  DriftRules rules(DriftPolicy::kWarn);
  ASSERT_TRUE(rules.Add("/data/**=ignore").ok());
  ASSERT_TRUE(rules.Add("/data/a=b=heal").ok());
  ASSERT_TRUE(rules.Add("*.conf=fail").ok());
  EXPECT_EQ(rules.PolicyFor("/other"), DriftPolicy::kWarn);
  EXPECT_EQ(rules.PolicyFor("/data/x"), DriftPolicy::kIgnore);
  EXPECT_EQ(rules.PolicyFor("/data/a=b"), DriftPolicy::kHeal);
  EXPECT_EQ(rules.PolicyFor("/data/x.conf"), DriftPolicy::kFail);
  EXPECT_EQ(DriftRules().PolicyFor("/x"), DriftPolicy::kFail);
}

TEST(DriftRulesTest, ErrorsNameTheRuleAndThePolicies) {
  DriftRules rules;
  const auto error = [&](std::string_view rule) {
    const absl::Status status = rules.Add(rule);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(error("/data"), "rule '/data' is not of the form GLOB=POLICY, such as '/data/**=warn'");
  EXPECT_EQ(error("/data=keep"),
            "rule '/data=keep': 'keep' is no policy; there are fail, warn, adopt, ignore or heal");
  EXPECT_EQ(error("=warn"), "rule '=warn': the glob is empty");
  EXPECT_EQ(error("/[=warn"), "rule '/[=warn': '/[' is not a glob: there is a [ without ]");
}

TEST(DriftChecksTest, AreAListOrAllOrNone) {
  const auto parse = [](std::string_view list) { return ParseDriftChecks(list).value(); };
  EXPECT_TRUE(parse("size,ctime").ctime);
  EXPECT_TRUE(parse("size,ctime").size);
  EXPECT_FALSE(parse("size,ctime").mtime);
  EXPECT_TRUE(parse("all").content && parse("all").identity && parse("all").owner);
  EXPECT_FALSE(parse("none").size || parse("none").mode);
  EXPECT_FALSE(parse("type").size);
  for (const char* bad : {"", "sizes", "size,", "size,none", "all,size"}) {
    const auto status = ParseDriftChecks(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("identity and content")) << bad;
  }
}

class DriftReportTest : public ::testing::Test {
 protected:
  DriftReportTest() {
    t_.Mkdir("/data");
    t_.Mkdir("/again");
    t_.Mkdir("/part");
    t_.Mkdir("/data2");
    host_ = memfs::MemFilesystem::Create(t_.vfs(), {});
    EXPECT_TRUE(t_.vfs().MountAt(t_.creds(), t_.ns(), t_.At("/data"), host_, {}));
    EXPECT_TRUE(t_.vfs().BindAt(t_.creds(), t_.ns(), t_.At("/data"), t_.At("/again"), {}));
  }

  void Add(DriftKind kind, std::string path, std::string saved = "", std::string found = "",
           std::string not_healable = "") {
    vfs::Drift drift;
    drift.kind = kind;
    drift.filesystem = host_.get();
    drift.root = "src";
    drift.path = std::move(path);
    drift.saved = std::move(saved);
    drift.found = std::move(found);
    drift.not_healable = std::move(not_healable);
    drifts_.push_back(std::move(drift));
  }
  DriftReport Decide(const DriftRules& rules = {}) { return DecideDrift(t_.vfs(), rules, drifts_); }

  TestVfs t_;
  RefPtr<vfs::Filesystem> host_;
  std::vector<vfs::Drift> drifts_;
};

TEST_F(DriftReportTest, PathsAreThoseOfTheSandbox) {
  Add(DriftKind::kMode, "/");
  Add(DriftKind::kSize, "/a/b");
  const DriftReport report = Decide();
  ASSERT_THAT(report.findings, SizeIs(2));
  EXPECT_EQ(report.findings[0].path, "/data");
  EXPECT_EQ(report.findings[1].path, "/data/a/b");
  EXPECT_EQ(report.findings[1].mount, "/data");
  EXPECT_EQ(report.findings[1].root, "src");
}

TEST_F(DriftReportTest, MountOfAPartShowsWhatIsBelow) {
  const auto part = memfs::MemFilesystem::Create(t_.vfs(), {});
  t_.Mkdir("/data/x");
  ASSERT_TRUE(t_.vfs().MountAt(t_.creds(), t_.ns(), t_.At("/data/x"), part, {}));
  t_.Mkdir("/data/x/sub");
  ASSERT_TRUE(t_.vfs().BindAt(t_.creds(), t_.ns(), t_.At("/data/x/sub"), t_.At("/part"), {}));
  ASSERT_TRUE(t_.vfs().UmountAt(t_.creds(), t_.ns(), t_.At("/data/x")));
  host_ = part;
  Add(DriftKind::kSize, "/sub");
  Add(DriftKind::kSize, "/sub/f");
  Add(DriftKind::kSize, "/subway");
  const DriftReport report = Decide();
  ASSERT_THAT(report.findings, SizeIs(3));
  EXPECT_EQ(report.findings[0].path, "/part");
  EXPECT_EQ(report.findings[1].path, "/part/f");
  EXPECT_EQ(report.findings[2].path, "/subway");  // nothing shows it
  EXPECT_EQ(report.findings[2].mount, "");
}

TEST_F(DriftReportTest, MountInAMount) {
  t_.Mkdir("/data/x");
  host_ = memfs::MemFilesystem::Create(t_.vfs(), {});
  ASSERT_TRUE(t_.vfs().MountAt(t_.creds(), t_.ns(), t_.At("/data/x"), host_, {}));
  Add(DriftKind::kNew, "/f");
  EXPECT_EQ(Decide().findings[0].path, "/data/x/f");
}

TEST_F(DriftReportTest, FindingsAreSortedByPathThenKind) {
  Add(DriftKind::kOwner, "/b");
  Add(DriftKind::kNew, "/a/c");
  Add(DriftKind::kSize, "/b");
  Add(DriftKind::kSize, "/a");
  std::string order;
  for (const DriftFinding& f : Decide().findings)
    order += f.path + " " + std::string(vfs::NameOf(f.kind)) + "\n";
  EXPECT_EQ(order, "/data/a size\n/data/a/c new\n/data/b size\n/data/b owner\n");
}

TEST_F(DriftReportTest, PoliciesAreSetOnTheDrifts) {
  Add(DriftKind::kSize, "/fail");
  Add(DriftKind::kSize, "/warn");
  Add(DriftKind::kSize, "/ignore");
  Add(DriftKind::kMode, "/heal");
  DriftRules rules(DriftPolicy::kAdopt);
  for (const char* name : {"fail", "warn", "ignore", "heal"})
    ASSERT_TRUE(rules.Add("/data/" + std::string(name) + "=" + name).ok());
  const DriftReport report = Decide(rules);
  EXPECT_EQ(drifts_[0].policy, DriftPolicy::kFail);
  EXPECT_EQ(drifts_[1].policy, DriftPolicy::kWarn);
  EXPECT_EQ(drifts_[2].policy, DriftPolicy::kIgnore);
  EXPECT_EQ(drifts_[3].policy, DriftPolicy::kHeal);
  EXPECT_EQ(report.failing(), 1u);
  EXPECT_EQ(report.ignored, 1u);
  EXPECT_THAT(report.findings, SizeIs(3));
  EXPECT_EQ(report.Count(DriftPolicy::kIgnore), 1u);
}

TEST_F(DriftReportTest, WhatCannotBeHealedFailsWithTheReason) {
  Add(DriftKind::kContent, "/a", "", "", "the image does not have the content");
  Add(DriftKind::kMode, "/b");
  const DriftReport report = Decide(DriftRules(DriftPolicy::kHeal));
  EXPECT_EQ(drifts_[0].policy, DriftPolicy::kFail);
  EXPECT_EQ(drifts_[1].policy, DriftPolicy::kHeal);
  EXPECT_TRUE(report.findings[0].fails);
  EXPECT_FALSE(report.findings[1].fails);
  EXPECT_THAT(report.ToText(), HasSubstr("the image does not have the content"));
  // Whether it could be healed matters to nobody else.
  EXPECT_EQ(Decide(DriftRules(DriftPolicy::kWarn)).failing(), 0u);
}

TEST_F(DriftReportTest, TextIsALineForEachFindingAndWhatToDo) {
  Add(DriftKind::kSize, "/a", "12", "15");
  Add(DriftKind::kMissing, "/long/name");
  Add(DriftKind::kNew, "/n", "", "regular");
  Add(DriftKind::kMtime, "/z", "2026-01-01T00:00:00Z", "");
  DriftRules rules;
  ASSERT_TRUE(rules.Add("/data/a=warn").ok());
  EXPECT_EQ(Decide(rules).ToText(),
            "warn    size      /data/a          12 -> 15\n"
            "fail    missing   /data/long/name\n"
            "fail    new       /data/n          found regular\n"
            "fail    mtime     /data/z          was 2026-01-01T00:00:00Z\n"
            "4 differences: 1 missing, 1 size, 1 mtime, 1 new; failing a restore: 3; let "
            "--on-drift POLICY or --drift-rule 'GLOB=POLICY' say warn, adopt, ignore or heal\n");
}

TEST_F(DriftReportTest, LongListsAreComplete) {
  for (int i = 0; i < 5000; ++i) Add(DriftKind::kSize, "/" + std::to_string(i), "1", "2");
  const std::string text = Decide().ToText();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5001);
}

TEST_F(DriftReportTest, LettersOfSeveralBytesKeepTheColumns) {
  Add(DriftKind::kSize, "/\xc3\xa4", "1", "2");
  Add(DriftKind::kSize, "/bb", "1", "2");
  EXPECT_THAT(Decide().ToLines(), HasSubstr("/data/\xc3\xa4   1 -> 2\n"));
}

TEST_F(DriftReportTest, NothingToSay) {
  EXPECT_EQ(Decide().ToText(), "no differences\n");
  Add(DriftKind::kSize, "/a", "1", "2");
  EXPECT_EQ(Decide(DriftRules(DriftPolicy::kIgnore)).ToText(), "no differences; 1 more ignored\n");
  EXPECT_TRUE(ErrorOf(Decide(DriftRules(DriftPolicy::kWarn))).ok());
}

TEST_F(DriftReportTest, JsonIsCompleteAndStable) {
  Add(DriftKind::kSize, "/a", "12", "15");
  EXPECT_EQ(Decide().ToJson(),
            R"({"drift":true,"failing":1,"kinds":{"missing":0,"type":0,"replaced":0,"size":1,)"
            R"("mtime":0,"ctime":0,"mode":0,"owner":0,"content":0,"new":0},)"
            R"("policies":{"fail":1,"warn":0,"adopt":0,"ignore":0,"heal":0},)"
            R"("findings":[{"path":"/data/a","root":"src","mount":"/data","kind":"size",)"
            R"("saved":"12","found":"15","policy":"fail","fails":true,"reason":null}]})");
}

TEST_F(DriftReportTest, JsonLosesNoBytes) {
  Add(DriftKind::kContent, "/\xff\n", "to\xfe", "\xc3\xa4");
  const auto json = nlohmann::json::parse(Decide().ToJson())["findings"][0];
  EXPECT_EQ(json["path"], "/data/\\xff\\x0a");
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape(json["path_base64"].get<std::string>(), &bytes));
  EXPECT_EQ(bytes, "/data/\xff\n");
  ASSERT_TRUE(absl::Base64Unescape(json["saved_base64"].get<std::string>(), &bytes));
  EXPECT_EQ(bytes, "to\xfe");
  EXPECT_EQ(json["found"], "\xc3\xa4");
  EXPECT_FALSE(json.contains("found_base64"));
}

TEST_F(DriftReportTest, ErrorCarriesTheWholeReport) {
  Add(DriftKind::kSize, "/a", "12", "15");
  Add(DriftKind::kMissing, "/b");
  const DriftReport report = Decide();
  const absl::Status error = ErrorOf(report);
  EXPECT_EQ(ExitCodeOf(error), ExitCode::kDrift);
  EXPECT_EQ(error.GetPayload(kDriftPayload), absl::Cord(absl::string_view(report.ToJson())));
  EXPECT_EQ(error.GetPayload(kDriftLinesPayload), absl::Cord(absl::string_view(report.ToLines())));
  EXPECT_THAT(std::string(error.message()),
              AllOf(HasSubstr("2 differences: 1 missing, 1 size"), HasSubstr("--on-drift")));
}

}  // namespace
}  // namespace stasis::restore
