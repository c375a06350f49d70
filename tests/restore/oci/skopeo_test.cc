// SPDX-License-Identifier: Apache-2.0
//
// skopeo copies what a commit wrote, and what it copied is a base. Built only where it is
// installed.

#include "tests/restore/oci/commit_fixture.h"

namespace stasis::oci {
namespace {

class SkopeoCommitTest : public CommitTest {};

TEST_F(SkopeoCommitTest, CopyOfACommitIsTheSameImage) {
  AddBase();
  Mount("base");
  Change(kEverything);
  ASSERT_TRUE(CommitTo(layout_, "new").ok());
  const std::string copy = scratch_ / "copy";
  ASSERT_EQ(Shell("skopeo copy --insecure-policy oci:" + layout_ + ":new oci:" + copy +
                  ":copied >/dev/null && skopeo inspect oci:" + copy + ":copied >/dev/null"),
            0);
  ExpectSame(copy, "copied");
}

}  // namespace
}  // namespace stasis::oci
