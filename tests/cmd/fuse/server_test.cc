// SPDX-License-Identifier: Apache-2.0
//
// The server, through a socket: how it starts and ends, and what it says to messages that the
// kernel would send. Beside it are the tests of one thing each, server_*_test.cc.

#include "cmd/fuse/server.h"

#include <absl/strings/match.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/cmd/fuse/server_fixture.h"

namespace stasis::fuse {
namespace {

TEST_F(ServerTest, InitIsRemembered) {
  const FakeReply reply = kernel_.Init();
  ASSERT_EQ(reply.payload.size(), sizeof(fuse_init_out));
  EXPECT_EQ(reply.As<fuse_init_out>().max_pages, MaxPages());
  const Negotiated negotiated = kernel_.server().state()->negotiated();
  EXPECT_EQ(negotiated.minor(), kNewestMinorVersion);
  EXPECT_EQ(negotiated.flags() & 0xffffffff, reply.As<fuse_init_out>().flags);
}

// With nothing to set, SETATTR asks for the privileges to be dropped.
TEST_F(ServerTest, SettingNothingDropsPrivileges) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  kernel_.tree().MakeDirectory("d");
  const vfs::VirtualDentry root = kernel_.tree().root();
  ASSERT_TRUE(kernel_.tree().vfs()->SetXattrAt(kernel_.tree().creds(), {root, root, "a"},
                                               "security.capability", "x", 0));
  for (const char* name : {"a", "d"}) {
    const uint64_t node = NodeOf(name);
    ASSERT_EQ(SetMode(node, 06755).error, 0);
    const FakeReply reply = kernel_.Call(FUSE_SETATTR, node, Payload().Struct(fuse_setattr_in{}));
    ASSERT_EQ(reply.error, 0);
    EXPECT_EQ(reply.As<fuse_attr_out>().attr.mode & 07777, name[0] == 'a' ? 0755u : 06755u);
  }
  EXPECT_FALSE(kernel_.tree().Find("a").inode().GetXattr("security.capability"));
}

TEST_F(ServerTest, TheKernelLearnsOfLostSetIdsBeforeTheReply) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_open_in open{};
  open.flags = O_WRONLY | O_TRUNC;
  open.open_flags = FUSE_OPEN_KILL_SUIDGID;
  fuse_write_in write{};
  write.fh = OpenFile(node);
  write.size = 1;
  write.write_flags = FUSE_WRITE_KILL_SUIDGID;
  for (uint32_t opcode : {FUSE_OPEN, FUSE_WRITE}) {
    ASSERT_EQ(SetMode(node, 04755).error, 0);
    const uint64_t unique = opcode == FUSE_OPEN
                                ? kernel_.Send(opcode, node, Payload().Struct(open))
                                : kernel_.Send(opcode, node, Payload().Struct(write).Raw("x", 1));
    auto first = kernel_.Receive();
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->unique, 0u);
    EXPECT_EQ(-first->error, FUSE_NOTIFY_INVAL_INODE);
    EXPECT_EQ(first->As<fuse_notify_inval_inode_out>().ino, node);
    auto second = kernel_.Receive();
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(second->unique, unique);
    EXPECT_EQ(second->error, 0);
    EXPECT_EQ(kernel_.tree().Find("a").inode().mode() & 07777, 0755u);
  }
}

TEST_F(ServerTest, NamesAndAttributesAreRememberedForEver) {
  kernel_.Init();
  kernel_.tree().MakeDirectory("d");
  const auto dir = kernel_.Lookup(FUSE_ROOT_ID, "d").As<fuse_entry_out>();
  EXPECT_EQ(dir.entry_valid, ServerOptions().cache_seconds);
  EXPECT_EQ(dir.attr_valid, ServerOptions().cache_seconds);
  const FakeReply reply =
      kernel_.Call(FUSE_GETATTR, dir.nodeid, Payload().Struct(fuse_getattr_in{}));
  EXPECT_EQ(reply.As<fuse_attr_out>().attr_valid, ServerOptions().cache_seconds);
}

class SmallTreeTest : public ServerTest {
 protected:
  SmallTreeTest() : ServerTest({}, {.size_limit = 8192}) { kernel_.Init(); }
};

// The kernel would take the rest for written.
TEST_F(SmallTreeTest, PagesThatDoNotFitAreAnError) {
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_write_in in{};
  in.fh = OpenFile(node);
  in.size = 3 * 4096;
  const Bytes pages(in.size, std::byte{'x'});
  const FakeReply call =
      kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw(pages.data(), pages.size()));
  ASSERT_EQ(call.error, 0);
  ASSERT_LT(call.As<fuse_write_out>().size, in.size) << "write(2) may be short";
  EXPECT_EQ(Stats().page_writes, 0u);
  in.write_flags = FUSE_WRITE_CACHE;
  EXPECT_EQ(
      kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw(pages.data(), pages.size())).error,
      ENOSPC);
  EXPECT_EQ(Stats().page_writes, 1u);
}

TEST_F(ServerTest, IsIdleOnceEveryRequestHasItsReply) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const uint64_t handle = OpenFile(node);
  const Server& server = kernel_.server();
  EXPECT_TRUE(server.WaitUntilIdleFor(absl::Seconds(10)));
  const vfs::VirtualDentry file = kernel_.tree().Find("a");
  uint64_t unique = 0;
  {
    absl::MutexLock lock(&file.inode().mu());
    unique = SendSlowWrite(node, handle);
    EXPECT_FALSE(server.WaitUntilIdleFor(absl::Milliseconds(100)));
  }
  EXPECT_TRUE(server.WaitUntilIdleFor(absl::Seconds(10)));
  auto reply = kernel_.Receive(0);
  ASSERT_TRUE(reply.has_value()) << "is there already";
  EXPECT_EQ(reply->unique, unique);
}

TEST_F(ServerTest, EveryStopWaitsForTheEnd) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const uint64_t handle = OpenFile(node);
  const vfs::VirtualDentry file = kernel_.tree().Find("a");
  std::atomic<int> stopped{0};
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&file.inode().mu());
    SendSlowWrite(node, handle);
    while (Stats().by_opcode[FUSE_WRITE] == 0) absl::SleepFor(absl::Milliseconds(1));
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        kernel_.server().Stop();
        ++stopped;
      });
    }
    absl::SleepFor(absl::Milliseconds(100));
    EXPECT_EQ(stopped, 0);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stopped, 2);
}

TEST_F(ServerTest, HangupEndsTheServer) {
  kernel_.Init();
  EXPECT_FALSE(kernel_.server().WaitUntilUnmountedFor(absl::Milliseconds(1)));
  kernel_.Hangup();
  EXPECT_TRUE(kernel_.server().WaitUntilUnmountedFor(absl::Seconds(10)));
  EXPECT_TRUE(kernel_.server().failure().ok()) << "that is the usual end";
}

TEST(ServeTest, SaysWhyItDoesNotRead) {
  TestTree tree;
  Server server(tree.vfs(), tree.root(), {});
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reading(ends[0]);
  ASSERT_TRUE(server.Serve(UniqueFd(ends[1])).ok());
  EXPECT_TRUE(server.WaitUntilUnmountedFor(absl::Seconds(10)));
  EXPECT_EQ(server.failure().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(server.failure().message()), testing::HasSubstr("EBADF"));
}

// Ends with 0 if the server says that it gets no threads.
[[noreturn]] void ServeWithoutThreads() {
  if (geteuid() == 0 && setresuid(1234, 1234, 1234) != 0) _exit(2);
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_NPROC, &none) != 0) _exit(3);
  TestTree tree;
  Server server(tree.vfs(), tree.root(), {});
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) _exit(4);
  const absl::Status status = server.Serve(UniqueFd(ends[0]));
  _exit(absl::IsInternal(status) && absl::StrContains(status.message(), "no thread") ? 0 : 5);
}

TEST(ServeTest, SaysThatThereAreNoThreads) {
  // In a process of its own: this one has threads already.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(ServeWithoutThreads(), testing::ExitedWithCode(0), "");
}

TEST(ServeTest, RefusesWhatIsNoDescriptor) {
  TestTree tree;
  Server server(tree.vfs(), tree.root(), {});
  EXPECT_EQ(server.Serve(UniqueFd()).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace stasis::fuse
