// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/session.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/cmd/fuse/fake_kernel.h"

namespace stasis::fuse {
namespace {

class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    fuse_init_in in{};
    in.major = FUSE_KERNEL_VERSION;
    in.minor = kNewestMinorVersion;
    Reply reply(buffer_);
    EXPECT_TRUE(Run(FUSE_INIT, Payload().Struct(in), reply));
  }

  bool Run(uint32_t opcode, const Bytes& payload, Reply& reply) {
    Request request;
    request.header.opcode = opcode;
    request.header.nodeid = FUSE_ROOT_ID;
    request.payload = payload;
    reply.Reset();
    vfs::Operation operation(tree_.vfs()->gate());
    return static_cast<bool>(session_.Run(request, reply));
  }

  TestTree tree_;
  Session session_{tree_.vfs(), MakeRef<FuseState>(tree_.root()), 1000, {}};
  Bytes buffer_ = Bytes(1 << 16);
  Bytes other_buffer_ = Bytes(1 << 16);
};

TEST_F(SessionTest, KnowsWhichAttributesAChangeMayHaveOvertaken) {
  Reply look(buffer_);
  ASSERT_TRUE(Run(FUSE_GETATTR, Payload().Struct(fuse_getattr_in{}), look));
  EXPECT_EQ(look.told(), uint64_t{FUSE_ROOT_ID});
  EXPECT_FALSE(session_.ChangedSince(look));

  Reply change(other_buffer_);
  ASSERT_TRUE(Run(FUSE_MKDIR, Payload().Struct(fuse_mkdir_in{}).Text("a"), change));
  EXPECT_TRUE(session_.ChangedSince(look));
  EXPECT_FALSE(session_.ChangedSince(change)) << "by itself";

  ASSERT_TRUE(Run(FUSE_LOOKUP, Payload().Text("a"), look));
  EXPECT_EQ(look.looked_up().size(), 1u);
  EXPECT_FALSE(Run(FUSE_RMDIR, Payload().Text("missing"), change));
  EXPECT_FALSE(session_.ChangedSince(look)) << "nothing was";
  EXPECT_TRUE(Run(FUSE_RMDIR, Payload().Text("a"), change));
  EXPECT_TRUE(session_.ChangedSince(look));
}

}  // namespace
}  // namespace stasis::fuse
