// SPDX-License-Identifier: Apache-2.0
//
// skopeo copies an image unchanged. Built only where skopeo is installed.

#include <cstdlib>

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

class SkopeoTest : public ImageTest {};

TEST_F(SkopeoTest, CopiesAnImageBitForBit) {
  const Bytes content = TextBytes(9000, 1);
  const auto written = Save(MakeGraph({NewChunk(content)}), "v1");
  ASSERT_TRUE(written.ok());
  const auto copy = temp_ / "copy";
  const std::string command = "skopeo copy --insecure-policy oci:" + dir_.string() +
                              ":v1 oci:" + copy.string() + ":v2 >/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  dir_ = copy;
  EXPECT_EQ(Verify("v2"), absl::OkStatus());
  auto reader = Load("v2");
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->info().manifest_digest, written->manifest_digest);
  ExpectChunks(**reader, {content});
}

}  // namespace
}  // namespace stasis::image
