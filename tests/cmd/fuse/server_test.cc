// SPDX-License-Identifier: Apache-2.0
//
// The server, through a socket: what it says to messages that the kernel would send and to those
// that it would not.

#include "cmd/fuse/server.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/cmd/fuse/fake_kernel.h"

namespace stasis::fuse {
namespace {

constexpr uint32_t kLastOpcode = 70;

bool Answers(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

class ServerTest : public testing::Test {
 protected:
  // Sends a request that may be wrong; exactly one answer must come.
  void Poke(uint32_t opcode, uint64_t node, const Bytes& payload) {
    const uint64_t unique = kernel_.Send(opcode, node, payload);
    if (!Answers(opcode)) return;
    std::optional<FakeReply> reply = kernel_.Receive();
    ASSERT_TRUE(reply.has_value()) << "opcode " << opcode << ", " << payload.size() << " bytes";
    EXPECT_EQ(reply->unique, unique);
    EXPECT_GE(reply->error, 0);
  }

  uint64_t NodeOf(std::string_view name) {
    return kernel_.Lookup(FUSE_ROOT_ID, name).As<fuse_entry_out>().nodeid;
  }

  uint64_t OpenDir(uint64_t node) {
    const FakeReply reply = kernel_.Call(FUSE_OPENDIR, node, Payload().Struct(fuse_open_in{}));
    EXPECT_EQ(reply.error, 0);
    return reply.As<fuse_open_out>().fh;
  }

  uint64_t OpenFile(uint64_t node) {
    fuse_open_in in{};
    in.flags = O_RDWR;
    return kernel_.Call(FUSE_OPEN, node, Payload().Struct(in)).As<fuse_open_out>().fh;
  }

  FakeKernel kernel_;
};

TEST_F(ServerTest, NothingBeforeInit) {
  EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, "a").error, EIO);
  EXPECT_EQ(kernel_.Init().error, 0);
  EXPECT_TRUE(kernel_.Alive());
  EXPECT_EQ(kernel_.Init().error, EIO) << "twice";
  EXPECT_TRUE(kernel_.Alive());
}

TEST_F(ServerTest, InitIsRemembered) {
  const FakeReply reply = kernel_.Init();
  ASSERT_EQ(reply.payload.size(), sizeof(fuse_init_out));
  EXPECT_EQ(reply.As<fuse_init_out>().max_pages, kMaxPages);
  const Negotiated negotiated = kernel_.server().state()->negotiated();
  EXPECT_EQ(negotiated.minor(), kNewestMinorVersion);
  EXPECT_EQ(negotiated.flags() & 0xffffffff, reply.As<fuse_init_out>().flags);
}

TEST_F(ServerTest, EveryOpcodeOfEveryLength) {
  kernel_.Init();
  for (uint32_t opcode = 0; opcode <= kLastOpcode; ++opcode) {
    for (size_t size = 0; size <= 120; ++size) {
      Poke(opcode, FUSE_ROOT_ID, Bytes(size, std::byte{0}));
      Poke(opcode, FUSE_ROOT_ID, Bytes(size, std::byte{0xff}));
      Poke(opcode, FUSE_ROOT_ID, Bytes(size, std::byte{'a'}));
    }
    ASSERT_TRUE(kernel_.Alive()) << "after opcode " << opcode;
  }
}

TEST_F(ServerTest, EveryOpcodeWithGarbage) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t nodes[] = {0, FUSE_ROOT_ID, NodeOf("a"), 2, ~uint64_t{0}};
  const uint64_t seed = 20240607;
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    const uint32_t opcode = static_cast<uint32_t>(random() % (kLastOpcode + 1));
    Bytes payload(random() % 300);
    // Small numbers in the first words, so that some are handles, flags and sizes that exist.
    for (size_t i = 0; i < payload.size(); ++i) {
      payload[i] = static_cast<std::byte>(i % 8 == 0 || i > 64 ? random() % 128 : 0);
    }
    Poke(opcode, nodes[random() % 5], payload);
  }
  EXPECT_TRUE(kernel_.Alive());
}

TEST_F(ServerTest, UnknownOpcode) {
  kernel_.Init();
  for (uint32_t opcode : {0u, 7u, 63u, 64u, 4096u, 0xffffffffu}) {
    EXPECT_EQ(kernel_.Call(opcode, FUSE_ROOT_ID, {}).error, ENOSYS) << opcode;
  }
}

TEST_F(ServerTest, HeaderLengthMustBeTheMessages) {
  kernel_.Init();
  for (uint32_t length : {0u, 39u, 41u, 1u << 30, ~0u}) {
    fuse_in_header header{};
    header.len = length;
    header.opcode = FUSE_GETATTR;
    header.unique = 77;
    kernel_.SendRaw(Payload().Struct(header));
    auto reply = kernel_.Receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->error, EINVAL);
    EXPECT_EQ(reply->unique, 77u);
  }
  for (size_t size = 1; size < sizeof(fuse_in_header); ++size) kernel_.SendRaw(Bytes(size));
  EXPECT_TRUE(kernel_.Alive());
  EXPECT_GE(kernel_.server().stats().malformed, 5 + sizeof(fuse_in_header) - 1);
}

TEST_F(ServerTest, MessageLargerThanTheBuffer) {
  kernel_.Init();
  kernel_.Send(FUSE_WRITE, FUSE_ROOT_ID, Bytes((1 << 20) + 8192));
  EXPECT_EQ(kernel_.Receive()->error, EINVAL);
  EXPECT_TRUE(kernel_.Alive());
}

TEST_F(ServerTest, UnknownNodeIsStale) {
  kernel_.Init();
  for (uint64_t node : {uint64_t{0}, uint64_t{2}, uint64_t{1000}, ~uint64_t{0}}) {
    EXPECT_EQ(kernel_.Lookup(node, "a").error, ESTALE);
    EXPECT_EQ(kernel_.Call(FUSE_GETATTR, node, Payload().Struct(fuse_getattr_in{})).error, ESTALE);
    EXPECT_EQ(kernel_.Call(FUSE_OPEN, node, Payload().Struct(fuse_open_in{})).error, ESTALE);
    EXPECT_EQ(kernel_.Call(FUSE_READLINK, node, {}).error, ESTALE);
    EXPECT_EQ(kernel_.Call(FUSE_UNLINK, node, Payload().Text("a")).error, ESTALE);
  }
  fuse_rename_in rename{};
  rename.newdir = 99;
  EXPECT_EQ(
      kernel_.Call(FUSE_RENAME, FUSE_ROOT_ID, Payload().Struct(rename).Text("a").Text("b")).error,
      ESTALE);
}

TEST_F(ServerTest, UnknownHandle) {
  kernel_.Init();
  EXPECT_EQ(kernel_.Call(FUSE_READ, FUSE_ROOT_ID, Payload().Struct(fuse_read_in{})).error, EBADF);
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, FUSE_ROOT_ID, Payload().Struct(fuse_write_in{})).error, EBADF);
  EXPECT_EQ(kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(fuse_read_in{})).error,
            EBADF);
  EXPECT_EQ(kernel_.Call(FUSE_RELEASE, FUSE_ROOT_ID, Payload().Struct(fuse_release_in{})).error,
            EBADF);
  EXPECT_EQ(kernel_.Call(FUSE_FSYNC, FUSE_ROOT_ID, Payload().Struct(fuse_fsync_in{})).error, EBADF);
  EXPECT_EQ(kernel_.Call(FUSE_LSEEK, FUSE_ROOT_ID, Payload().Struct(fuse_lseek_in{})).error, EBADF);
}

TEST_F(ServerTest, BadNames) {
  kernel_.Init();
  for (const char* name : {"", "a/b", "/", "../x"}) {
    EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, name).error, EINVAL) << name;
    EXPECT_EQ(
        kernel_.Call(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{}).Text(name)).error,
        EINVAL);
  }
  EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, std::string(300, 'a')).error, ENAMETOOLONG);
  EXPECT_EQ(
      kernel_.Call(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{}).Text("..")).error,
      EINVAL);
  // The root's parent is the root.
  EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, "..").As<fuse_entry_out>().nodeid, uint64_t{FUSE_ROOT_ID});
}

TEST_F(ServerTest, WriteMustCarryItsBytes) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_write_in in{};
  in.fh = OpenFile(node);
  in.size = 4;
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw("abc", 3)).error, EINVAL);
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw("abcde", 5)).error, EINVAL);
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw("abcd", 4)).error, 0);
  in.size = ~0u;
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw("abcd", 4)).error, EINVAL);
  in.size = 4;
  in.offset = ~uint64_t{0} - 1;
  EXPECT_NE(kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw("abcd", 4)).error, 0);
}

TEST_F(ServerTest, HugeReadGetsWhatFits) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_setattr_in set{};
  set.valid = FATTR_SIZE;
  set.size = 64 << 20;
  ASSERT_EQ(kernel_.Call(FUSE_SETATTR, node, Payload().Struct(set)).error, 0);
  fuse_read_in in{};
  in.fh = OpenFile(node);
  in.size = ~0u;
  const FakeReply reply = kernel_.Call(FUSE_READ, node, Payload().Struct(in));
  EXPECT_EQ(reply.error, 0);
  EXPECT_GE(reply.payload.size(), size_t{1} << 20);
  in.offset = ~uint64_t{0};
  EXPECT_TRUE(kernel_.Call(FUSE_READ, node, Payload().Struct(in)).payload.empty());
}

TEST_F(ServerTest, BatchForgetCountsItsEntries) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_batch_forget_in in{};
  in.count = ~0u;
  kernel_.Send(FUSE_BATCH_FORGET, 0, Payload().Struct(in).Struct(fuse_forget_one{node, 1}));
  EXPECT_TRUE(kernel_.Alive());
  EXPECT_EQ(kernel_.server().state()->nodes().size(), 1u);
  in.count = 1;
  kernel_.Send(FUSE_BATCH_FORGET, 0, Payload().Struct(in).Struct(fuse_forget_one{node, 1}));
  EXPECT_TRUE(kernel_.Alive());
  EXPECT_EQ(kernel_.server().state()->nodes().size(), 0u);
}

TEST_F(ServerTest, DeletedOpenFileLivesUntilRelease) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_write_in write{};
  write.fh = OpenFile(node);
  write.size = 5;
  ASSERT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("a")).error, 0);
  ASSERT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(write).Raw("hello", 5)).error, 0);
  fuse_read_in read{};
  read.fh = write.fh;
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).payload.size(), 5u);
  fuse_release_in release{};
  release.fh = write.fh;
  EXPECT_EQ(kernel_.Call(FUSE_RELEASE, node, Payload().Struct(release)).error, 0);
  EXPECT_EQ(kernel_.server().state()->handles().size(), 0u);
}

TEST_F(ServerTest, ReaddirOfTooLittleRoom) {
  kernel_.Init();
  fuse_read_in in{};
  in.fh = OpenDir(FUSE_ROOT_ID);
  in.size = 8;
  EXPECT_EQ(kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(in)).error, EINVAL);
  EXPECT_EQ(kernel_.Call(FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in)).error, EINVAL);
  in.offset = ~uint64_t{0};
  in.size = 4096;
  EXPECT_TRUE(kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(in)).payload.empty());
}

TEST_F(ServerTest, ReaddirPlusCountsLookups) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_read_in in{};
  in.size = 4096;
  in.fh = OpenDir(FUSE_ROOT_ID);
  EXPECT_EQ(kernel_.Call(FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in)).error, 0);
  EXPECT_EQ(kernel_.server().state()->nodes().Find(node)->lookups(), 2u);
}

class ClosedGateTest : public ServerTest {
 protected:
  ClosedGateTest() {
    kernel_.Init();
    kernel_.tree().vfs()->gate().Close();
  }
  ~ClosedGateTest() override { OpenGate(); }

  void OpenGate() {
    if (kernel_.tree().vfs()->gate().closed()) kernel_.tree().vfs()->gate().Open();
  }
  uint64_t SendMkdir(std::string_view name) {
    return kernel_.Send(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{}).Text(name));
  }
  void SendInterrupt(uint64_t unique) {
    kernel_.Send(FUSE_INTERRUPT, 0, Payload().Struct(fuse_interrupt_in{unique}));
  }
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
  EXPECT_EQ(kernel_.server().stats().parked, 100u);
}

TEST_F(ClosedGateTest, InterruptEndsTheWait) {
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
  EXPECT_EQ(kernel_.server().stats().interrupted, 1u);
}

// The kernel is asked to repeat an INTERRUPT that came before its request.
TEST_F(ClosedGateTest, InterruptOfAnUnknownRequestIsSentAgain) {
  SendInterrupt(1000);
  auto reply = kernel_.Receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->unique, 1001u);
  EXPECT_EQ(reply->error, EAGAIN);
}

TEST_F(ClosedGateTest, StopDoesNotWait) {
  SendMkdir("a");
  kernel_.server().Stop();
  EXPECT_TRUE(kernel_.server().WaitUntilUnmountedFor(absl::Seconds(10)));
}

TEST_F(ServerTest, HangupEndsTheServer) {
  kernel_.Init();
  EXPECT_FALSE(kernel_.server().WaitUntilUnmountedFor(absl::Milliseconds(1)));
  kernel_.Hangup();
  EXPECT_TRUE(kernel_.server().WaitUntilUnmountedFor(absl::Seconds(10)));
}

TEST(ServeTest, RefusesWhatIsNoDescriptor) {
  TestTree tree;
  Server server(tree.vfs(), tree.root(), {});
  EXPECT_EQ(server.Serve(UniqueFd()).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace stasis::fuse
