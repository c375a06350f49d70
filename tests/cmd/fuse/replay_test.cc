// SPDX-License-Identifier: Apache-2.0
//
// A journal's requests, run again on a copy of the tree as it was.

#include "cmd/fuse/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "tests/cmd/fuse/fake_kernel.h"
#include "tests/cmd/fuse/random_requests.h"
#include "tests/cmd/fuse/saved_tree.h"
#include "tests/testing/overlay_layers.h"
#include "tests/testing/seed.h"

namespace stasis::fuse {
namespace {

constexpr uint32_t kId = 3;
constexpr int kSteps = 3000;

ServerOptions WithJournal(Journal* journal) {
  ServerOptions options;
  options.journal = journal;
  options.journal_id = kId;
  return options;
}

// A tree of one kind, served, and the journal of that.
class ReplayTest : public ::testing::TestWithParam<const char*> {
 protected:
  ReplayTest() : journal_(*Journal::Create()) {
    const std::string kind = GetParam();
    if (kind == "memfs") {
      kernel_ = std::make_unique<FakeKernel>(WithJournal(journal_.get()));
    } else {
      MakeOverlay();
      kernel_ = std::make_unique<FakeKernel>(
          tree_.vfs(), MakeRef<FuseState>(overlay_mount_->root()), WithJournal(journal_.get()));
    }
    vfs_ = kind == "memfs" ? kernel_->tree().vfs() : tree_.vfs();
  }
  ~ReplayTest() override {
    End();
    kernel_.reset();
    overlay_mount_.reset();
  }

  // A lower layer with files that a journal has never seen.
  void MakeOverlay() {
    for (int i = 0; i < 12; i += 2) {
      const std::string dir = "/lower/name" + std::to_string(i);
      if (i == 0) tree_.MakeDirectory("/lower");
      tree_.MakeDirectory(dir);
      for (int k = 1; k < 12; k += 2) tree_.MakeFile(dir + "/name" + std::to_string(k));
      tree_.MakeFile("/lower/name" + std::to_string(i + 1));
    }
    vfs::VirtualFilesystem& vfs = *tree_.vfs();
    auto options =
        stasis::testing::OverlayOn(vfs, tree_.root().mount().filesystem(), {tree_.Find("/lower")});
    options.lazy_data = true;
    overlay_mount_ = vfs.NewMountNamespace(stasis::testing::MakeOverlay(vfs, options), {});
  }

  state::SavedGraph Save(vfs::VirtualFilesystem& vfs, FuseState& state) {
    auto saved = saver_.Save(vfs, state);
    EXPECT_TRUE(saved.ok()) << saved.status();
    return *std::move(saved);
  }
  // As a checkpoint in memory does.
  void Snapshot() {
    vfs_->gate().Close();
    const auto from = journal_->Mark(absl::Seconds(10));
    EXPECT_TRUE(from.ok()) << from.status();
    from_ = from.value_or(0);
    saved_ = Save(*vfs_, *kernel_->server().state());
    vfs_->gate().Open();
  }
  // Waits for messages without replies.
  void Settle() { EXPECT_TRUE(kernel_->Alive()); }

  // What a successor does.
  absl::StatusOr<ReplayReport> TryReplay() {
    End();
    auto loaded = saver_.Load(saved_);
    if (!loaded.ok()) return loaded.status();
    again_vfs_ = *loaded->Root<vfs::VirtualFilesystem>("vfs");
    again_state_ = *loaded->Root<FuseState>("fuse");
    again_ = std::make_unique<Server>(again_vfs_, again_state_, ServerOptions());
    return Replay(*journal_, from_,
                  [this](uint32_t id) { return id == kId ? again_.get() : nullptr; });
  }
  void End() {
    again_.reset();
    if (again_vfs_ == nullptr) return;
    again_state_->DropKernelState();
    again_state_.reset();
    again_vfs_->Teardown();
    again_vfs_.reset();
  }
  static std::string BytesOf(const state::SavedTable& table) {
    std::string bytes;
    for (const auto& message : table.messages)
      bytes.append(reinterpret_cast<const char*>(message.begin()), message.asBytes().size());
    return bytes;
  }
  void ExpectSame() {
    const state::SavedGraph then = Save(*vfs_, *kernel_->server().state());
    const state::SavedGraph now = Save(*again_vfs_, *again_state_);
    ASSERT_EQ(now.tables.size(), then.tables.size());
    for (size_t i = 0; i < now.tables.size(); ++i) {
      EXPECT_EQ(now.tables[i].row_count, then.tables[i].row_count) << then.tables[i].type;
      EXPECT_TRUE(BytesOf(now.tables[i]) == BytesOf(then.tables[i])) << then.tables[i].type;
    }
    ASSERT_EQ(now.chunks.size(), then.chunks.size());
    for (size_t i = 0; i < now.chunks.size(); ++i)
      EXPECT_TRUE(std::ranges::equal(*now.chunks[i]->Bytes(), *then.chunks[i]->Bytes())) << i;
  }

  TestTree tree_;  // of the overlay
  RefPtr<vfs::MountNamespace> overlay_mount_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<FakeKernel> kernel_;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  TreeSaver saver_;
  state::SavedGraph saved_;
  uint64_t from_ = 0;
  std::unique_ptr<Server> again_;
  RefPtr<vfs::VirtualFilesystem> again_vfs_;
  RefPtr<FuseState> again_state_;
};

TEST_P(ReplayTest, GivesTheSameTreeAndTables) {
  const uint64_t seed = stasis::testing::NewSeed();
  kernel_->Init();
  RandomRequests requests(*kernel_, seed);
  for (int round = 0; round < 3; ++round) {
    Settle();
    Snapshot();
    requests.Run(kSteps);
    Settle();
    const auto report = TryReplay();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GT(report->records, uint64_t{kSteps} / 4);
    EXPECT_EQ(report->unsent, 0u);
    ExpectSame();
  }
}

TEST_P(ReplayTest, GivesWhatListingsGave) {
  Snapshot();
  kernel_->Init();
  for (int i = 0; i < 40; ++i)
    kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID,
                  Payload().Struct(fuse_mkdir_in{0755, 0}).Text("dir" + std::to_string(i)));
  const FakeReply open =
      kernel_->Call(FUSE_OPENDIR, FUSE_ROOT_ID, Payload().Struct(fuse_open_in{}));
  ASSERT_EQ(open.error, 0);
  for (const uint32_t opcode : {FUSE_READDIR, FUSE_READDIRPLUS, FUSE_READDIRPLUS}) {
    fuse_read_in in{};
    in.fh = open.As<fuse_open_out>().fh;
    in.size = 4096;
    EXPECT_EQ(kernel_->Call(opcode, FUSE_ROOT_ID, Payload().Struct(in)).error, 0);
  }
  Settle();
  const auto report = TryReplay();
  ASSERT_TRUE(report.ok()) << report.status();
  ExpectSame();
}

TEST_P(ReplayTest, StopsWhereSomethingElseComesOfIt) {
  kernel_->Init();
  Snapshot();
  kernel_->Call(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{0755, 0}).Text("a"));
  // As if it had been there before.
  saved_ = Save(*vfs_, *kernel_->server().state());
  const auto report = TryReplay();
  EXPECT_EQ(report.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(report.status().message()),
              ::testing::HasSubstr("gives the error 17, and gave 0"));
}

TEST_P(ReplayTest, StopsAtAChangeThatIsNoRequest) {
  kernel_->Init();
  Snapshot();
  journal_->AppendBarrier("mount-add");
  const auto report = TryReplay();
  EXPECT_EQ(report.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(report.status().message()), ::testing::HasSubstr("mount-add"));
}

TEST_P(ReplayTest, StopsAtAFilesystemThatIsNotThere) {
  kernel_->Init();
  Snapshot();
  {
    absl::MutexLock order(&journal_->order());
    journal_->Append({.server = kId + 1});
  }
  EXPECT_EQ(TryReplay().status().code(), absl::StatusCode::kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(, ReplayTest, ::testing::Values("memfs", "overlay"),
                         [](const auto& kind) { return std::string(kind.param); });

// A journal that anybody could have written.
TEST(ReplayNoiseTest, NeverDoesMoreThanFail) {
  const uint64_t seed = stasis::testing::NewSeed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    TestTree tree;
    auto journal = *Journal::Create(Journal::kMinCapacity);
    for (int i = 0; i < 20; ++i) {
      std::string message(random() % 200, ' ');
      for (char& c : message) c = static_cast<char>(random());
      if (message.size() >= sizeof(fuse_in_header)) {
        fuse_in_header header{};
        header.len = static_cast<uint32_t>(message.size());
        header.opcode = static_cast<uint32_t>(random() % 60);
        header.nodeid = random() % 3;
        std::memcpy(message.data(), &header, sizeof(header));
      }
      absl::MutexLock order(&journal->order());
      journal->Append({.kind = static_cast<JournalRecord::Kind>(random() % 7),
                       .server = static_cast<uint32_t>(random() % 2),
                       .unique = random() % 2,
                       .message = std::as_bytes(std::span(message))});
    }
    Server server(tree.vfs(), tree.root(), {});
    (void)Replay(*journal, 0, [&](uint32_t) { return &server; });
    server.state()->DropKernelState();
  }
}

}  // namespace
}  // namespace stasis::fuse
