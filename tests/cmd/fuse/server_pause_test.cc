// SPDX-License-Identifier: Apache-2.0
//
// A server that pauses, and one that goes on in its place.

#include <absl/time/clock.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "tests/cmd/fuse/server_fixture.h"

namespace stasis::fuse {
namespace {

constexpr absl::Duration kLong = absl::Seconds(10);

class PauseTest : public ServerTest {
 protected:
  PauseTest() { kernel_.Init(); }

  uint64_t SendMkdir(std::string_view name) {
    return kernel_.Send(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{}).Text(name));
  }
};

TEST_F(PauseTest, RequestsWaitForItsEnd) {
  ASSERT_TRUE(kernel_.server().PauseFor(kLong));
  const uint64_t sent = SendMkdir("a");
  EXPECT_FALSE(kernel_.Receive(50).has_value());
  kernel_.server().Resume();
  const auto reply = kernel_.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->unique, sent);
  EXPECT_EQ(reply->error, 0);
}

TEST_F(PauseTest, ManyInARow) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(kernel_.server().PauseFor(kLong));
    kernel_.server().Resume();
    ASSERT_TRUE(kernel_.Alive());
  }
}

TEST_F(PauseTest, WhatIsParkedHasItsReplyBefore) {
  kernel_.tree().vfs()->gate().Close();
  SendMkdir("a");
  EXPECT_FALSE(kernel_.Receive(20).has_value());
  std::thread opener([this] {
    absl::SleepFor(absl::Milliseconds(20));
    kernel_.tree().vfs()->gate().Open();
  });
  EXPECT_TRUE(kernel_.server().PauseFor(kLong));
  opener.join();
  EXPECT_TRUE(kernel_.Receive(0).has_value());
  kernel_.server().Resume();
}

TEST_F(PauseTest, GoesOnIfThatTakesTooLong) {
  kernel_.tree().vfs()->gate().Close();
  SendMkdir("a");
  EXPECT_FALSE(kernel_.Receive(20).has_value());
  EXPECT_FALSE(kernel_.server().PauseFor(absl::Milliseconds(20)));
  kernel_.tree().vfs()->gate().Open();
  EXPECT_TRUE(kernel_.Receive().has_value());
  EXPECT_TRUE(kernel_.Alive());
}

TEST_F(PauseTest, CanBeStopped) {
  ASSERT_TRUE(kernel_.server().PauseFor(kLong));
  kernel_.server().Stop();
  EXPECT_EQ(kernel_.server().device(), -1);
}

TEST_F(PauseTest, EndsWithThePeer) {
  ASSERT_TRUE(kernel_.server().PauseFor(kLong));
  kernel_.Hangup();
  kernel_.server().Resume();
  kernel_.server().WaitUntilUnmounted();
}

// A socket stands for the device: another server reads on from it, without an INIT.
TEST_F(PauseTest, AnotherServerGoesOn) {
  const uint64_t first = SendMkdir("a");
  ASSERT_EQ(kernel_.Receive()->unique, first);
  ASSERT_TRUE(kernel_.server().PauseFor(kLong));
  const uint64_t second = SendMkdir("b");
  Server other(kernel_.tree().vfs(), kernel_.server().state(), {});
  UniqueFd device(fcntl(kernel_.server().device(), F_DUPFD_CLOEXEC, 3));
  other.Know(kernel_.server().connection());
  ASSERT_TRUE(other.Adopt(std::move(device)).ok());
  EXPECT_FALSE(kernel_.Receive(50).has_value()) << "until it is told to go on";
  other.Resume();
  const auto reply = kernel_.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->unique, second);
  EXPECT_EQ(reply->error, 0);
  kernel_.server().Stop();
  EXPECT_TRUE(kernel_.Alive());
  EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, "b").error, 0);
}

}  // namespace
}  // namespace stasis::fuse
