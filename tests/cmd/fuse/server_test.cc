// SPDX-License-Identifier: Apache-2.0
//
// The server, through a socket: what it says to messages that the kernel would send and to those
// that it would not.

#include "cmd/fuse/server.h"

#include <absl/strings/match.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/cmd/fuse/fake_kernel.h"
#include "vfs/inotify.h"

namespace stasis::fuse {
namespace {

constexpr uint32_t kLastOpcode = 70;

bool Answers(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

class ServerTest : public testing::Test {
 protected:
  explicit ServerTest(const ServerOptions& options = {},
                      const memfs::MemfsOptions& tree_options = {})
      : kernel_(options, tree_options) {}

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

  // Waits for the file's lock.
  uint64_t SendSlowWrite(uint64_t node, uint64_t handle) {
    fuse_write_in in{};
    in.fh = handle;
    in.size = 1;
    return kernel_.Send(FUSE_WRITE, node, Payload().Struct(in).Raw("x", 1));
  }

  FakeReply SetMode(uint64_t node, uint32_t mode) {
    fuse_setattr_in in{};
    in.valid = FATTR_MODE;
    in.mode = mode;
    return kernel_.Call(FUSE_SETATTR, node, Payload().Struct(in));
  }

  ServerStats Stats() { return kernel_.server().stats(); }

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
  EXPECT_EQ(reply.As<fuse_init_out>().max_pages, MaxPages());
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

TEST_F(ServerTest, AKernelThatOpensUnaskedNeedsNoHandle) {
  kernel_.Init(~0u);
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  EXPECT_EQ(kernel_.Call(FUSE_OPEN, node, Payload().Struct(fuse_open_in{})).error, ENOSYS);
  fuse_write_in write{};
  write.size = 5;
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(write).Raw("hello", 5)).error, 0);
  ASSERT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("a")).error, 0);
  fuse_read_in read{};
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).payload.size(), 5u);
  EXPECT_EQ(kernel_.Call(FUSE_READ, FUSE_ROOT_ID, Payload().Struct(read)).error, EISDIR);
  EXPECT_EQ(kernel_.Call(FUSE_READ, 12345, Payload().Struct(read)).error, ESTALE);
  EXPECT_EQ(kernel_.Call(FUSE_FSYNC, node, Payload().Struct(fuse_fsync_in{})).error, 0);

  // Created before the kernel has learnt not to ask, and released then.
  const FakeReply created =
      kernel_.Call(FUSE_CREATE, FUSE_ROOT_ID, Payload().Struct(fuse_create_in{}).Text("b"));
  EXPECT_EQ(created.error, 0);
  EXPECT_EQ(kernel_.Call(FUSE_RELEASE, node, Payload().Struct(fuse_release_in{})).error, 0);
  EXPECT_EQ(kernel_.server().state()->handles().size(), 0u);
}

TEST_F(ServerTest, WhatIsReadUnaskedIsNotSeenToBeOpened) {
  kernel_.Init(~0u);
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const vfs::VirtualDentry root = kernel_.tree().root();
  auto inotify = MakeRef<vfs::Inotify>(kernel_.tree().vfs());
  ASSERT_TRUE(inotify->AddWatch(kernel_.tree().creds(), {root, root, "a"}, IN_ALL_EVENTS));
  fuse_write_in write{};
  write.size = 5;
  EXPECT_EQ(kernel_.Call(FUSE_WRITE, node, Payload().Struct(write).Raw("hello", 5)).error, 0);
  fuse_read_in read{};
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).payload.size(), 5u);
  std::vector<uint32_t> seen;
  const auto events = inotify->Read(4096);
  for (const vfs::InotifyEvent& event : *events) seen.push_back(event.mask);
  EXPECT_THAT(seen, testing::ElementsAre(IN_MODIFY, IN_ACCESS));
}

TEST_F(ServerTest, ReadingWithoutAccessTimesLeavesThem) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const vfs::VirtualDentry root = kernel_.tree().root();
  const auto atime = [&] {
    return kernel_.tree().vfs()->StatAt(kernel_.tree().creds(), {root, root, "a"})->atime;
  };
  const TimeNs before = atime();
  fuse_open_in open{};
  open.flags = O_RDONLY | O_NOATIME;
  fuse_read_in read{};
  read.fh = kernel_.Call(FUSE_OPEN, node, Payload().Struct(open)).As<fuse_open_out>().fh;
  read.size = 1;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).error, 0);
  EXPECT_EQ(atime(), before);
}

TEST_F(ServerTest, AKernelThatAsksNeedsAHandle) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_read_in read{};
  read.size = 100;
  EXPECT_EQ(kernel_.Call(FUSE_READ, node, Payload().Struct(read)).error, EBADF);
  EXPECT_EQ(kernel_.Call(FUSE_RELEASE, node, Payload().Struct(fuse_release_in{})).error, EBADF);
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

// The kernel may be about to count them down.
TEST_F(ServerTest, ReaddirPlusTellsNothingOfFilesThatHadSeveralLinks) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const Bytes link = Payload().Struct(fuse_link_in{node}).Text("b");
  EXPECT_EQ(kernel_.Call(FUSE_LINK, FUSE_ROOT_ID, link).error, 0);
  EXPECT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("b")).error, 0);
  fuse_read_in in{};
  in.size = 4096;
  in.fh = OpenDir(FUSE_ROOT_ID);
  EXPECT_EQ(kernel_.Call(FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in)).error, 0);
  EXPECT_EQ(kernel_.server().state()->nodes().Find(node)->lookups(), 2u) << "LOOKUP and LINK";
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

TEST_F(ServerTest, AListingGoesOnWithoutAHandleAndEndsWhereItBegan) {
  kernel_.Init(~0u);
  for (const char* name : {"a", "b", "c"}) kernel_.tree().MakeFile(name);
  EXPECT_EQ(kernel_.Call(FUSE_OPENDIR, FUSE_ROOT_ID, Payload().Struct(fuse_open_in{})).error,
            ENOSYS);
  std::vector<std::string> names;
  fuse_read_in in{};
  in.size = 40;  // one entry
  for (int i = 0; i < 10; ++i) {
    const FakeReply reply = kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(in));
    ASSERT_EQ(reply.error, 0);
    if (reply.payload.empty()) break;
    const auto entry = reply.As<fuse_dirent>();
    names.emplace_back(reinterpret_cast<const char*>(reply.payload.data()) + FUSE_NAME_OFFSET,
                       entry.namelen);
    in.offset = entry.off;
    kernel_.tree().MakeFile("new" + std::to_string(i));
  }
  EXPECT_THAT(names, testing::ElementsAre(".", "..", "a", "b", "c"));
}

TEST_F(ServerTest, FilesystemsBelowTheRootHaveNumbersOfTheirOwn) {
  kernel_.Init();
  TestTree& tree = kernel_.tree();
  tree.MakeDirectory("m");
  const vfs::VirtualDentry root = tree.root();
  ASSERT_TRUE(tree.vfs()->MountAt(tree.creds(), tree.mounts(), {root, root, "m"},
                                  memfs::MemFilesystem::Create(*tree.vfs(), {}), {}));
  ASSERT_EQ(tree.Find("m").inode().ino(), root.inode().ino());
  const auto mounted = kernel_.Lookup(FUSE_ROOT_ID, "m").As<fuse_entry_out>();
  EXPECT_NE(mounted.attr.ino, root.inode().ino());
  fuse_read_in in{};
  in.fh = OpenDir(mounted.nodeid);
  in.size = 4096;
  const FakeReply list = kernel_.Call(FUSE_READDIR, mounted.nodeid, Payload().Struct(in));
  EXPECT_EQ(list.As<fuse_dirent>().ino, mounted.attr.ino) << "of \".\"";
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
