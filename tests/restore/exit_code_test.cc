// SPDX-License-Identifier: Apache-2.0

#include "restore/exit_code.h"

#include <gtest/gtest.h>

namespace stasis::restore {
namespace {

int Code(const absl::Status& status) { return static_cast<int>(ExitCodeOf(status)); }

TEST(ExitCodeTest, IsTheDocumentedNumberOfEachError) {
  EXPECT_EQ(Code(absl::OkStatus()), 0);
  EXPECT_EQ(Code(absl::InternalError("x")), 1);
  EXPECT_EQ(Code(absl::PermissionDeniedError("x")), 1);
  EXPECT_EQ(Code(absl::InvalidArgumentError("x")), 2);
  EXPECT_EQ(Code(absl::DataLossError("x")), 5);
  EXPECT_EQ(Code(absl::UnimplementedError("x")), 6);
  EXPECT_EQ(Code(absl::UnavailableError("x")), 8);
  EXPECT_EQ(Code(absl::ResourceExhaustedError("x")), 9);
  EXPECT_EQ(Code(absl::NotFoundError("x")), 10);
  EXPECT_EQ(Code(absl::CancelledError("x")), 130);
}

TEST(ExitCodeTest, DriftIsAPayload) {
  absl::Status status = absl::FailedPreconditionError("3 files differ");
  status.SetPayload(kDriftPayload, absl::Cord(""));
  EXPECT_EQ(Code(status), 4);
}

}  // namespace
}  // namespace stasis::restore
