// SPDX-License-Identifier: Apache-2.0
//
// Messages that the kernel would not send, and what the server says to them.

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>

#include "tests/cmd/fuse/server_fixture.h"

namespace stasis::fuse {
namespace {

constexpr uint32_t kLastOpcode = 70;

bool Answers(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

// Sends a request that may be wrong; exactly one answer must come.
void Poke(FakeKernel& kernel, uint32_t opcode, uint64_t node, const Bytes& payload) {
  const uint64_t unique = kernel.Send(opcode, node, payload);
  if (!Answers(opcode)) return;
  std::optional<FakeReply> reply = kernel.Receive();
  ASSERT_TRUE(reply.has_value()) << "opcode " << opcode << ", " << payload.size() << " bytes";
  EXPECT_EQ(reply->unique, unique);
  EXPECT_GE(reply->error, 0);
}

TEST_F(ServerTest, NothingBeforeInit) {
  EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, "a").error, EIO);
  EXPECT_EQ(kernel_.Init().error, 0);
  EXPECT_TRUE(kernel_.Alive());
  EXPECT_EQ(kernel_.Init().error, EIO) << "twice";
  EXPECT_TRUE(kernel_.Alive());
}

TEST_F(ServerTest, EveryOpcodeOfEveryLength) {
  kernel_.Init();
  for (uint32_t opcode = 0; opcode <= kLastOpcode; ++opcode) {
    for (size_t size = 0; size <= 120; ++size) {
      Poke(kernel_, opcode, FUSE_ROOT_ID, Bytes(size, std::byte{0}));
      Poke(kernel_, opcode, FUSE_ROOT_ID, Bytes(size, std::byte{0xff}));
      Poke(kernel_, opcode, FUSE_ROOT_ID, Bytes(size, std::byte{'a'}));
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
    Poke(kernel_, opcode, nodes[random() % 5], payload);
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
  EXPECT_EQ(Stats().malformed, 5 + sizeof(fuse_in_header) - 1);
  EXPECT_EQ(Stats().errors, 5u);
}

TEST_F(ServerTest, OnlyMessagesAreMalformed) {
  kernel_.Init();
  fuse_read_in in{};
  in.fh = OpenDir(FUSE_ROOT_ID);
  in.size = 8;
  ASSERT_EQ(kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(in)).error, EINVAL);
  EXPECT_EQ(Stats().malformed, 0u) << "the room was too small, the message was right";
  EXPECT_EQ(Stats().errors, 1u);
  ASSERT_EQ(kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Bytes(3)).error, EINVAL);
  EXPECT_EQ(Stats().malformed, 1u);
  EXPECT_EQ(Stats().errors, 2u);
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
  for (const char* name : {"", ".", "..", "a/b", "/", "../x"}) {
    EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, name).error, EINVAL) << name;
    EXPECT_EQ(
        kernel_.Call(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{}).Text(name)).error,
        EINVAL);
  }
  EXPECT_EQ(kernel_.Lookup(FUSE_ROOT_ID, std::string(300, 'a')).error, ENAMETOOLONG);
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

}  // namespace
}  // namespace stasis::fuse
