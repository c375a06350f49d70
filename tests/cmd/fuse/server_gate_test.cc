// SPDX-License-Identifier: Apache-2.0
//
// The server while the operation gate is closed, and before it can close.

#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/cmd/fuse/server_fixture.h"

namespace stasis::fuse {
namespace {

class ClosedGateTest : public ServerTest {
 protected:
  explicit ClosedGateTest(const ServerOptions& options = {}) : ServerTest(options) {
    kernel_.Init();
    kernel_.tree().MakeFile("file");
    file_ = NodeOf("file");
    handle_ = OpenFile(file_);
    kernel_.tree().vfs()->gate().Close();
  }
  ~ClosedGateTest() override { OpenGate(); }

  void OpenGate() {
    if (kernel_.tree().vfs()->gate().closed()) kernel_.tree().vfs()->gate().Open();
  }
  uint64_t SendMkdir(std::string_view name) {
    return kernel_.Send(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{}).Text(name));
  }
  uint64_t SendInterrupt(uint64_t unique) {
    return kernel_.Send(FUSE_INTERRUPT, 0, Payload().Struct(fuse_interrupt_in{unique}));
  }

  uint64_t file_ = 0;
  uint64_t handle_ = 0;
};

TEST_F(ClosedGateTest, RequestsWaitAndThenRun) {
  std::vector<uint64_t> sent;
  for (int i = 0; i < 100; ++i) sent.push_back(SendMkdir(std::to_string(i)));
  EXPECT_FALSE(kernel_.Receive(50).has_value());
  OpenGate();
  for (uint64_t unique : sent) {
    auto reply = kernel_.Receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->unique, unique);
    EXPECT_EQ(reply->error, 0);
  }
  EXPECT_EQ(Stats().parked, 100u);
}

TEST_F(ClosedGateTest, IsNotIdleWhileRequestsWait) {
  EXPECT_TRUE(kernel_.server().WaitUntilIdleFor(absl::Seconds(10)));
  SendMkdir("a");
  EXPECT_FALSE(kernel_.server().WaitUntilIdleFor(absl::Milliseconds(100)));
  OpenGate();
  EXPECT_TRUE(kernel_.server().WaitUntilIdleFor(absl::Seconds(10)));
  EXPECT_TRUE(kernel_.Receive(0).has_value());
}

TEST_F(ClosedGateTest, AShortPauseIsNotNoticed) {
  const uint64_t unique = SendMkdir("a");
  SendInterrupt(unique);
  EXPECT_FALSE(kernel_.Receive(100).has_value());
  OpenGate();
  auto reply = kernel_.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->unique, unique);
  EXPECT_EQ(reply->error, 0);
  EXPECT_EQ(Stats().interrupted, 0u);
}

TEST_F(ClosedGateTest, StopDoesNotWait) {
  SendMkdir("a");
  kernel_.server().Stop();
  EXPECT_TRUE(kernel_.server().WaitUntilUnmountedFor(absl::Seconds(10)));
}

class ImpatientTest : public ClosedGateTest {
 protected:
  ImpatientTest() : ClosedGateTest({.signal_patience = std::chrono::milliseconds(1)}) {}
};

TEST_F(ImpatientTest, InterruptEndsTheWait) {
  const uint64_t first = SendMkdir("a");
  const uint64_t second = SendMkdir("b");
  SendInterrupt(first);
  auto reply = kernel_.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->unique, first);
  EXPECT_EQ(reply->error, EINTR);
  OpenGate();
  reply = kernel_.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->unique, second);
  EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, "a").As<fuse_entry_out>().nodeid, 0u);
  EXPECT_EQ(Stats().interrupted, 1u);
}

// It may be read by another thread than its request, and sooner.
TEST_F(ImpatientTest, InterruptMayComeBeforeItsRequest) {
  const uint64_t next = SendInterrupt(1000) + 2;
  const uint64_t unique = SendInterrupt(next + 2) + 2;
  ASSERT_EQ(unique, next + 2);
  EXPECT_FALSE(kernel_.Receive(50).has_value()) << "nothing to answer";
  ASSERT_EQ(SendMkdir("a"), unique);
  auto reply = kernel_.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->unique, unique);
  EXPECT_EQ(reply->error, EINTR);
}

TEST_F(ImpatientTest, SomeRequestsAreNeverInterrupted) {
  fuse_read_in read{};
  read.fh = handle_;
  read.size = 10;
  fuse_write_in pages{};
  pages.fh = handle_;
  pages.size = 1;
  pages.write_flags = FUSE_WRITE_CACHE;
  const uint64_t sent[] = {
      kernel_.Send(FUSE_LOOKUP, FUSE_ROOT_ID, Payload().Text("file")),
      kernel_.Send(FUSE_GETATTR, file_, Payload().Struct(fuse_getattr_in{})),
      kernel_.Send(kOpStatx, file_, Payload().Struct(StatxIn{})),
      kernel_.Send(FUSE_READ, file_, Payload().Struct(read)),
      kernel_.Send(FUSE_WRITE, file_, Payload().Struct(pages).Raw("x", 1)),
  };
  for (uint64_t unique : sent) SendInterrupt(unique);
  EXPECT_FALSE(kernel_.Receive(100).has_value());
  OpenGate();
  for (uint64_t unique : sent) {
    auto reply = kernel_.ReceiveReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->unique, unique);
    EXPECT_EQ(reply->error, 0);
  }
}

// A peer that does not read must not keep the gate from closing, whichever message it does not
// take.
TEST(ServerNotificationTest, ASlowPeerDoesNotHoldTheGate) {
  for (int shift = 0; shift < 3; ++shift) {
    FakeKernel kernel;
    kernel.Init();
    kernel.tree().MakeFile("a");
    const uint64_t node = kernel.Lookup(FUSE_ROOT_ID, "a").As<fuse_entry_out>().nodeid;
    fuse_open_in open{};
    open.flags = O_RDWR;
    fuse_setattr_in set{};
    set.valid = FATTR_MODE;
    set.mode = 04755;
    fuse_write_in write{};
    write.fh = kernel.Call(FUSE_OPEN, node, Payload().Struct(open)).As<fuse_open_out>().fh;
    write.size = 1;
    write.write_flags = FUSE_WRITE_KILL_SUIDGID;
    for (int i = 0; i < shift; ++i)
      kernel.Send(FUSE_GETATTR, node, Payload().Struct(fuse_getattr_in{}));
    // Each round has three messages for the peer.
    uint64_t seen = 0;
    do {
      seen = kernel.server().stats().requests;
      for (int i = 0; i < 50; ++i) {
        kernel.Send(FUSE_SETATTR, node, Payload().Struct(set));
        kernel.Send(FUSE_WRITE, node, Payload().Struct(write).Raw("x", 1));
      }
      absl::SleepFor(absl::Milliseconds(5));
    } while (kernel.server().stats().requests - seen >= 100);
    vfs::OperationGate& gate = kernel.tree().vfs()->gate();
    absl::Notification closed;
    std::thread closer([&] {
      gate.Close();
      closed.Notify();
    });
    EXPECT_TRUE(closed.WaitForNotificationWithTimeout(absl::Seconds(5))) << shift;
    kernel.Hangup();
    closer.join();
    gate.Open();
  }
}

}  // namespace
}  // namespace stasis::fuse
