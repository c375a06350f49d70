// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmd/stasis/output.h"
#include "restore/drift.h"
#include "restore/exit_code.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::cli {
namespace {

using ::testing::HasSubstr;

// More than a pipe holds.
restore::DriftReport LongReport() {
  restore::DriftReport report;
  for (int i = 0; i < 20'000; ++i) {
    restore::DriftFinding finding;
    finding.path = "/data/" + std::to_string(100'000 + i);
    finding.kind = vfs::DriftKind::kSize;
    finding.saved = "1";
    finding.found = "2";
    finding.fails = true;
    report.findings.push_back(finding);
  }
  return report;
}

TEST(LaunchTest, WholeReportOfAnErrorComesThrough) {
  const stasis::testing::ScratchDir scratch;
  const restore::DriftReport report = LongReport();
  const absl::Status sent = restore::ErrorOf(report);
  const auto result = Launch({scratch / "log", {}}, [&](StartupLine line) {
    line.Failed(sent);
    return 1;
  });
  EXPECT_EQ(restore::ExitCodeOf(result.status()), restore::ExitCode::kDrift);
  EXPECT_EQ(result.status(), sent);
}

TEST(FailTest, PrintsTheLinesOfTheReportBeforeTheMessage) {
  const restore::DriftReport report = LongReport();
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Fail(restore::ErrorOf(report)), 4);
  const std::string error = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(error.find(report.ToLines()), 0u);
  EXPECT_THAT(error, HasSubstr("\nstasis: the host is not what the image saw: 20000 differences"));
}

TEST(FailTest, PrintsTheReportAsJson) {
  const restore::DriftReport report = LongReport();
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Fail(restore::ErrorOf(report), true), 4);
  const auto json = nlohmann::json::parse(::testing::internal::GetCapturedStdout());
  const std::string error = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1);
  EXPECT_EQ(json["error"]["exit_code"], 4);
  EXPECT_EQ(json["drift"], nlohmann::json::parse(report.ToJson()));
}

}  // namespace
}  // namespace stasis::cli
