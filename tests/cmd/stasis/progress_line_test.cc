// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/progress_line.h"

#include <gtest/gtest.h>

namespace stasis::cli {
namespace {

TEST(ProgressLineTest, ShowsTheRateWhenTheTotalIsUnknown) {
  EXPECT_EQ(ProgressLine::Format({"import", 12, 0, 3 * 1024 * 1024}, absl::Seconds(2)),
            "import  12 files  3.0 MiB  1.5 MiB/s");
}

TEST(ProgressLineTest, ShowsTheTimeThatIsLeftWhenTheTotalIsKnown) {
  EXPECT_EQ(ProgressLine::Format({"write", 25, 100, 1024}, absl::Seconds(1)),
            "write   25 %  1.0 KiB  1.0 KiB/s  3 s left");
}

TEST(ProgressLineTest, KnowsNoTimeAtTheStart) {
  EXPECT_EQ(ProgressLine::Format({"write", 0, 100, 0}, absl::Seconds(1)),
            "write    0 %  0 B  0 B/s  0 s left");
}

TEST(ProgressLineTest, APhaseWithoutNumbersIsItsName) {
  EXPECT_EQ(ProgressLine::Format({"freeze", 0, 0, 0}, absl::Seconds(1)), "freeze");
}

TEST(ProgressLineTest, JsonHasTheRateAndTheTimeThatIsLeft) {
  EXPECT_EQ(ProgressLine::ToJson({"write", 25, 100, 1024}, absl::Seconds(2)),
            R"({"phase":"write","done":25,"total":100,"bytes":1024,"rate":512,"eta_ms":6000})");
}

TEST(ProgressLineTest, JsonHasNullForWhatIsNotKnown) {
  EXPECT_EQ(ProgressLine::ToJson({"import", 12, 0, 4096}, absl::Seconds(2)),
            R"({"phase":"import","done":12,"total":null,"bytes":4096,"rate":2048,"eta_ms":null})");
  EXPECT_EQ(ProgressLine::ToJson({"write", 0, 100, 10}, absl::ZeroDuration()),
            R"({"phase":"write","done":0,"total":100,"bytes":10,"rate":0,"eta_ms":null})");
}

}  // namespace
}  // namespace stasis::cli
