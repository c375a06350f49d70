// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/session.h"

#include <gmock/gmock.h>
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

TEST_F(SessionTest, TellsOfAChangeBeforeItsReplyIfAttributesMayBeUnderWay) {
  Reply look(buffer_);
  ASSERT_TRUE(Run(FUSE_GETATTR, Payload().Struct(fuse_getattr_in{}), look));
  Reply change(other_buffer_);
  ASSERT_TRUE(Run(FUSE_MKDIR, Payload().Struct(fuse_mkdir_in{}).Text("a"), change));
  EXPECT_THAT(change.changed(), testing::ElementsAre(FUSE_ROOT_ID));
  ASSERT_TRUE(Run(FUSE_MKDIR, Payload().Struct(fuse_mkdir_in{}).Text("b"), change));
  EXPECT_THAT(change.changed(), testing::IsEmpty()) << "nobody was told since";

  ASSERT_TRUE(Run(FUSE_GETATTR, Payload().Struct(fuse_getattr_in{}), look));
  EXPECT_FALSE(Run(FUSE_RMDIR, Payload().Text("missing"), change));
  EXPECT_THAT(change.changed(), testing::IsEmpty()) << "nothing was changed";
  ASSERT_TRUE(Run(FUSE_RMDIR, Payload().Text("a"), change));
  EXPECT_THAT(change.changed(), testing::ElementsAre(FUSE_ROOT_ID));
}

TEST_F(SessionTest, TellsOfTheFileThatIsRenamedToo) {
  tree_.MakeFile("a");
  Reply look(buffer_);
  ASSERT_TRUE(Run(FUSE_LOOKUP, Payload().Text("a"), look));
  const uint64_t node = look.looked_up()[0];
  Reply change(other_buffer_);
  ASSERT_TRUE(
      Run(FUSE_RENAME, Payload().Struct(fuse_rename_in{FUSE_ROOT_ID}).Text("a").Text("b"), change));
  EXPECT_THAT(change.changed(), testing::ElementsAre(node)) << "of the root nothing was told";
}

}  // namespace
}  // namespace stasis::fuse
