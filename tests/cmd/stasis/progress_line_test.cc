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

}  // namespace
}  // namespace stasis::cli
