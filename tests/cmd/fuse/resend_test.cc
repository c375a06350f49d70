// SPDX-License-Identifier: Apache-2.0
//
// Requests that are sent again to the server after one that has died.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "cmd/fuse/replay.h"
#include "tests/cmd/fuse/fake_kernel.h"
#include "tests/cmd/fuse/saved_tree.h"

namespace stasis::fuse {
namespace {

// A server that has died, and one that goes on.
class ResendTest : public ::testing::Test {
 protected:
  ResendTest() : journal_(*Journal::Create()) {
    saved_ = *saver_.Save(*first_.tree().vfs(), *first_.server().state());
    Restart();
  }
  ~ResendTest() override {
    kernel_.reset();
    End();
  }

  void End() {
    if (vfs_ == nullptr) return;
    state_->DropKernelState();
    state_.reset();
    vfs_->Teardown();
    vfs_.reset();
  }

  // The next server, on the first tree and the journal.
  void Restart() {
    const bool is_first = kernel_ == nullptr;
    kernel_.reset();
    End();
    journal_ = *Journal::Open(UniqueFd(dup(journal_->fd())), 0);
    auto loaded = saver_.Load(saved_);
    vfs_ = *loaded->Root<vfs::VirtualFilesystem>("vfs");
    state_ = *loaded->Root<FuseState>("fuse");
    ServerOptions options;
    options.journal = journal_.get();
    options.resend = !is_first;
    kernel_ = std::make_unique<FakeKernel>(vfs_, state_, options, [this](Server& server) {
      const auto report = Replay(*journal_, 0, [&](uint32_t) { return &server; });
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_TRUE(journal_->GoOn(report->end).ok());
    });
    if (is_first) {
      kernel_->Init();
      return;
    }
    const auto notification = kernel_->Receive();
    ASSERT_TRUE(notification.has_value());
    EXPECT_EQ(notification->unique, 0u);
    EXPECT_EQ(notification->error, -kNotifyResend);
  }
  // What was recorded last was not sent.
  void LoseLastReply() {
    uint64_t position = 0;
    uint64_t last = 0;
    for (auto record = journal_->Read(0); record->has_value(); record = journal_->Read(position)) {
      last = position;
      position = (**record).next;
    }
    while (!(*journal_->Read(last))->sent) usleep(100);  // which is noted after the reply
    const uint32_t unsent = 0;
    ASSERT_EQ(pwrite(journal_->fd(), &unsent, 4, static_cast<off_t>(4096 + last + 8)), 4);
  }
  FakeReply Resend(uint64_t unique, uint32_t opcode, uint64_t node, const Bytes& payload) {
    fuse_in_header header{};
    header.len = static_cast<uint32_t>(sizeof(header) + payload.size());
    header.opcode = opcode;
    header.unique = unique | kUniqueResend;
    header.nodeid = node;
    kernel_->SendRaw(Payload().Struct(header).Raw(payload.data(), payload.size()));
    return kernel_->ReceiveReply().value_or(FakeReply{.error = ETIMEDOUT});
  }

  TreeSaver saver_;
  FakeKernel first_;  // its tree is what all begin with
  std::unique_ptr<Journal> journal_;
  state::SavedGraph saved_;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  RefPtr<FuseState> state_;
  std::unique_ptr<FakeKernel> kernel_;
  const Bytes mkdir_ = Payload().Struct(fuse_mkdir_in{0755, 0}).Text("dir");
};

TEST_F(ResendTest, WhatWasDoneIsAnsweredAndNotDoneAgain) {
  const FakeReply first = kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID, mkdir_);
  ASSERT_EQ(first.error, 0);
  LoseLastReply();
  Restart();
  const FakeReply again = Resend(first.unique, FUSE_MKDIR, FUSE_ROOT_ID, mkdir_);
  EXPECT_EQ(again.error, 0);
  EXPECT_EQ(again.unique, first.unique | kUniqueResend);
  EXPECT_EQ(again.payload, first.payload);
  EXPECT_EQ(kernel_->server().state()->nodes().size(), 1u);
}

TEST_F(ResendTest, AnErrorIsAnsweredAsItWas) {
  ASSERT_EQ(kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID, mkdir_).error, 0);
  const FakeReply failed = kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID, mkdir_);
  EXPECT_EQ(failed.error, EEXIST);
  LoseLastReply();
  Restart();
  ASSERT_EQ(kernel_->Call(FUSE_RMDIR, FUSE_ROOT_ID, Payload().Text("dir")).error, 0);
  EXPECT_EQ(Resend(failed.unique, FUSE_MKDIR, FUSE_ROOT_ID, mkdir_).error, EEXIST);
}

TEST_F(ResendTest, WhatWasNotDoneIsDoneOnce) {
  Restart();
  const FakeReply reply = Resend(1000, FUSE_MKDIR, FUSE_ROOT_ID, mkdir_);
  EXPECT_EQ(reply.error, 0);
  LoseLastReply();
  Restart();
  EXPECT_EQ(Resend(1000, FUSE_MKDIR, FUSE_ROOT_ID, mkdir_).payload, reply.payload);
}

TEST_F(ResendTest, ARequestIsAnsweredOnceOnly) {
  const FakeReply first = kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID, mkdir_);
  LoseLastReply();
  Restart();
  EXPECT_EQ(Resend(first.unique, FUSE_MKDIR, FUSE_ROOT_ID, mkdir_).error, 0);
  // Another of that number would be another one.
  EXPECT_EQ(Resend(first.unique, FUSE_MKDIR, FUSE_ROOT_ID, mkdir_).error, EEXIST);
}

TEST_F(ResendTest, AReplyThatACheckpointFindsUnsentIsKept) {
  const FakeReply first = kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID, mkdir_);
  LoseLastReply();
  Restart();
  const uint64_t from = *journal_->Mark(absl::Seconds(10));
  kernel_->server().KeepReplies(*journal_);
  EXPECT_TRUE(journal_->Read(from)->has_value());
  Server server(kernel_->tree().vfs(), kernel_->tree().root(), {});
  const auto report = Replay(*journal_, from, [&](uint32_t) { return &server; });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->unsent, 1u);
  EXPECT_EQ(Resend(first.unique, FUSE_MKDIR, FUSE_ROOT_ID, mkdir_).payload, first.payload);
  while (!(*journal_->Read(from))->sent) usleep(100);
  EXPECT_EQ(Replay(*journal_, from, [&](uint32_t) { return &server; })->unsent, 0u);
}

TEST_F(ResendTest, AListingThatNobodyGotCountsNoLookups) {
  const FakeReply made = kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID, mkdir_);
  const FakeReply open =
      kernel_->Call(FUSE_OPENDIR, FUSE_ROOT_ID, Payload().Struct(fuse_open_in{}));
  fuse_read_in in{};
  in.fh = open.As<fuse_open_out>().fh;
  in.size = 4096;
  const FakeReply listed = kernel_->Call(FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in));
  ASSERT_EQ(listed.error, 0);
  const auto lookups = [&] {
    return kernel_->server().state()->nodes().Find(made.As<fuse_entry_out>().nodeid)->lookups();
  };
  EXPECT_EQ(lookups(), 2u);
  LoseLastReply();
  Restart();
  EXPECT_EQ(Resend(listed.unique, FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in)).error, 0);
  EXPECT_EQ(lookups(), 2u);
}

TEST_F(ResendTest, ASignalFindsARequestThatWasSentAgain) {
  Restart();
  vfs_->gate().Close();
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof(header) + mkdir_.size());
  header.opcode = FUSE_MKDIR;
  header.unique = 1000 | kUniqueResend;
  header.nodeid = FUSE_ROOT_ID;
  kernel_->SendRaw(Payload().Struct(header).Raw(mkdir_.data(), mkdir_.size()));
  kernel_->Send(FUSE_INTERRUPT, 0, Payload().Struct(fuse_interrupt_in{1000}));
  const auto reply = kernel_->ReceiveReply();
  vfs_->gate().Open();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->error, EINTR);
  EXPECT_EQ(reply->unique, 1000 | kUniqueResend);
}

Bytes InitOf(uint64_t flags) {
  fuse_init_in in{};
  in.major = FUSE_KERNEL_VERSION;
  in.minor = kNewestMinorVersion;
  in.flags = static_cast<uint32_t>(flags);
  in.flags2 = static_cast<uint32_t>(flags >> 32);
  return Payload().Struct(in);
}

TEST_F(ResendTest, AKernelThatDoesNotSendAgainIsRefused) {
  TestTree tree;
  ServerOptions options;
  options.resend = true;
  const auto old = Negotiate(InitOf(~kHasResend), {});
  ASSERT_TRUE(old);
  auto state = MakeRef<FuseState>(tree.root());
  state->SetNegotiated(*old);
  Server server(tree.vfs(), state, options);
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd kernel(ends[0]);
  EXPECT_EQ(server.Serve(UniqueFd(ends[1])).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace stasis::fuse
