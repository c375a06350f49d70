// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/description.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stasis::cli {
namespace {

restore::Parcel ParcelOfInit(const nlohmann::json& more) {
  restore::Parcel parcel;
  parcel.json["init"] = {{"pid", 5}, {"next_id", 7}};
  parcel.json["init"].update(more);
  for (const char* name : {"process", "channel"})
    parcel.json["init"][name] = parcel.Add(UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)));
  return parcel;
}

TEST(DescriptionTest, AnInitThatSpeaksOtherwiseIsRefused) {
  restore::Parcel parcel = ParcelOfInit({{"protocol", sandbox::kInitProtocol + 1}});
  const absl::StatusOr<sandbox::InitLine> line = TakeInit(parcel);
  EXPECT_TRUE(absl::IsUnimplemented(line.status())) << line.status();
  EXPECT_THAT(std::string(line.status().message()), testing::HasSubstr("process 1 speaks version"));
}

TEST(DescriptionTest, OneWithoutAVersionSpeaksTheFirst) {
  restore::Parcel parcel = ParcelOfInit(nlohmann::json::object());
  const absl::StatusOr<sandbox::InitLine> line = TakeInit(parcel);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->protocol, 1);
  EXPECT_EQ(line->next_id, 7);
}

}  // namespace
}  // namespace stasis::cli
