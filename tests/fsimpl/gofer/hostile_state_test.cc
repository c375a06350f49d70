// SPDX-License-Identifier: Apache-2.0
//
// hostile_state_test.cc: saved states of host directories that cannot be.

#include <fcntl.h>
#include <gmock/gmock.h>

#include <atomic>
#include <string>

#include "state/access.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "vfs/inode.h"

namespace stasis::testing {
struct InodeIntruder {};  // see Access::Type<InodeIntruder>
}  // namespace stasis::testing

namespace stasis::state {

// Comes in through the door of generated code.
template <>
struct Access::Type<::stasis::testing::InodeIntruder> {
  static std::atomic<uint32_t>& Links(::stasis::vfs::Inode& inode) { return inode.nlink_; }
};

}  // namespace stasis::state

namespace stasis::gofer {
namespace {

using ::testing::HasSubstr;
using Intruder = state::Access::Type<testing::InodeIntruder>;

class HostileStateTest : public HostTree {
 protected:
  HostileStateTest() : HostTree(testing::ScratchDir::Where::kInMemory) {}
};

// With files that are open, in directories that were listed.
TEST_F(HostileStateTest, WhatWasLoadedOfOneIsTakenApart) {
  MakeDir("d");
  Put("d/f", "content");
  Put("d/g", "content");
  testing::TestVfs& t = Serve();
  t.Hold("f", t.Open("/d/f", O_RDWR));
  const auto file = t.Open("/d/g", O_RDONLY);
  Intruder::Links(file->inode()) = 0;
  t.Hold("g", file);
  ASSERT_TRUE(t.Save().ok());
  Intruder::Links(file->inode()) = 1;
  const absl::Status restored = t.Restore();
  EXPECT_EQ(restored.code(), absl::StatusCode::kDataLoss) << restored;
  EXPECT_THAT(std::string(restored.message()), HasSubstr("field nlink: is 0"));
}

}  // namespace
}  // namespace stasis::gofer
