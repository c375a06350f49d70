// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/format.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace stasis::restore {
namespace {

TEST(FormatTest, DurationsHaveTheirUnit) {
  EXPECT_EQ(FormatDuration(999), "999 ns");
  EXPECT_EQ(FormatDuration(1500), "1.5 us");
  EXPECT_EQ(FormatDuration(12'500'000), "12.5 ms");
  EXPECT_EQ(FormatDuration(1'840'000'000), "1.84 s");
}

TEST(FormatTest, BytesHaveTheirUnit) {
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16.0 EiB");
}

TEST(FormatTest, TimesKeepTheirNanoseconds) {
  EXPECT_EQ(FormatTime(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatTime(1), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(FormatTime(-1), "1969-12-31T23:59:59.999999999Z");
}

TEST(FormatTest, PathsAreShownAsUtf8WithOtherBytesEscaped) {
  EXPECT_EQ(PrintablePath("a/\xc3\xa4"), "a/\xc3\xa4");
  EXPECT_EQ(PrintablePath("a\n\x80\\"), "a\\x0a\\x80\\x5c");
  EXPECT_EQ(PrintablePath("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(PrintablePath("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_FALSE(IsUtf8("\xf4\x90\x80\x80"));
  EXPECT_TRUE(IsUtf8("\xf0\x9f\x8c\xb1"));
}

TEST(FormatTest, ErrnoDecidesTheCode) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(ENOENT, "x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrnoStatus(EIO, "cannot read").message(), "cannot read: Input/output error");
}

TEST(FormatTest, AnnotateKeepsCodeAndPayload) {
  absl::Status status = absl::DataLossError("row 3");
  status.SetPayload("p", absl::Cord("v"));
  const absl::Status annotated = Annotate(status, "image");
  EXPECT_EQ(annotated.message(), "image: row 3");
  EXPECT_EQ(annotated.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(annotated.GetPayload("p").has_value());
}

}  // namespace
}  // namespace stasis::restore
