// SPDX-License-Identifier: Apache-2.0
//
// Deleted files that stay, saved and loaded.

#include "cmd/sandbox/kept_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "cmd/fuse/gen/types.h"
#include "cmd/sandbox/gen/types.h"
#include "fsimpl/memfs/gen/types.h"
#include "state/graph_reader.h"
#include "state/graph_writer.h"
#include "tests/cmd/fuse/fake_kernel.h"
#include "vfs/gen/types.h"

namespace stasis::sandbox {
struct KeptIntruder {};  // see Access::Type<KeptIntruder>
}  // namespace stasis::sandbox

namespace stasis::state {

// Leaves things as no operation would.
template <>
struct Access::Type<sandbox::KeptIntruder> {
  static std::vector<sandbox::KeptFile>& Files(sandbox::KeptFiles& kept)
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return kept.files_;
  }
  static void SetNext(sandbox::KeptFiles& kept, uint64_t next) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    kept.next_id_ = next;
  }
};

}  // namespace stasis::state

namespace stasis::sandbox {
namespace {

using fuse::FakeKernel;
using fuse::Payload;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Intruder = state::Access::Type<KeptIntruder>;

class AlwaysQuiet final : public state::Quiescence {
 public:
  bool Quiesced() const override { return true; }
};

class NoChunks final : public state::ChunkTable {
 public:
  uint32_t size() const override { return 0; }
  RefPtr<state::Chunk> Get(uint32_t) override { return nullptr; }
};

// A kernel that has a file open and a directory in use which are deleted, and another file.
class KeptFilesTest : public testing::Test {
 protected:
  KeptFilesTest() {
    vfs::gen::RegisterTypes(registry_);
    memfs::gen::RegisterTypes(registry_);
    fuse::gen::RegisterTypes(registry_);
    gen::RegisterTypes(registry_);
    kernel_.Init();
    for (const char* name : {"open", "there"}) kernel_.tree().MakeFile(name);
    kernel_.tree().MakeDirectory("dir");
    for (const char* name : {"open", "there", "dir"}) kernel_.Lookup(FUSE_ROOT_ID, name);
    fuse_open_in open{};
    open.flags = O_RDWR;
    kernel_.Call(FUSE_OPEN, kernel_.Lookup(FUSE_ROOT_ID, "open").As<fuse_entry_out>().nodeid,
                 Payload().Struct(open));
    EXPECT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("open")).error, 0);
    EXPECT_EQ(kernel_.Call(FUSE_RMDIR, FUSE_ROOT_ID, Payload().Text("dir")).error, 0);
    kept_->Take(*kernel_.server().state());
  }

  state::SavedGraph Save() {
    state::GraphWriter writer(registry_, quiet_);
    writer.AddRoot("vfs", kernel_.tree().vfs().get());
    writer.AddRoot(kKeptFiles, kept_.get());
    auto saved = writer.Finish();
    EXPECT_TRUE(saved.ok()) << saved.status();
    return *std::move(saved);
  }
  absl::StatusOr<state::LoadedGraph> Load(const state::SavedGraph& saved) {
    NoChunks chunks;
    state::LoadOptions options;
    options.Provide<const Clock>(&clock_).Provide<Clock>(&clock_);
    return state::LoadGraph(registry_, saved, chunks, options);
  }
  // With what `change` has made of it; put right afterwards.
  void ExpectRefused(const std::function<void(KeptFile&)>& change, const char* why) {
    const KeptFile before = Intruder::Files(*kept_)[0];
    change(Intruder::Files(*kept_)[0]);
    EXPECT_THAT(std::string(Load(Save()).status().message()), HasSubstr(why));
    Intruder::Files(*kept_)[0] = before;
  }

  state::Registry registry_;
  AlwaysQuiet quiet_;
  RealClock clock_;
  FakeKernel kernel_;
  RefPtr<KeptFiles> kept_ = MakeRef<KeptFiles>();
};

TEST_F(KeptFilesTest, AreThoseThatHaveNoNameAnyMore) {
  const std::vector<KeptFile> files = kept_->List();
  ASSERT_THAT(files, SizeIs(2));
  EXPECT_EQ(files[0].at.dentry().Path(), "/open");
  EXPECT_NE(files[0].file, nullptr) << "the server was asked to open it";
  EXPECT_EQ(files[1].at.dentry().Path(), "/dir");
  EXPECT_EQ(files[1].file, nullptr);
  EXPECT_NE(files[0].id, files[1].id);
}

TEST_F(KeptFilesTest, OutliveTheKernelThatKnewThem) {
  const vfs::VirtualDentry at = kept_->List()[0].at;
  kernel_.server().state()->DropKernelState();
  EXPECT_EQ(at.inode().nlink(), 0u);
  EXPECT_THAT(kept_->List(), SizeIs(2));
}

TEST_F(KeptFilesTest, ComeBackFromAnImage) {
  auto loaded = Load(Save());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  auto vfs = loaded->Root<vfs::VirtualFilesystem>("vfs");
  ASSERT_TRUE(vfs.ok());
  {
    auto kept = loaded->Root<KeptFiles>(kKeptFiles);
    ASSERT_TRUE(kept.ok());
    const std::vector<KeptFile> files = (*kept)->List();
    ASSERT_THAT(files, SizeIs(2));
    EXPECT_EQ(files[0].id, kept_->List()[0].id);
    EXPECT_EQ(files[0].at.dentry().Path(), "/open");
    EXPECT_NE(files[0].file, nullptr);
    EXPECT_TRUE(files[1].at.dentry().is_dir());
    // Numbers go on where they were.
    (*kept)->Take(*kernel_.server().state());
    EXPECT_GT((*kept)->List().back().id, files[1].id);
  }
  RefPtr<vfs::VirtualFilesystem> tree = *vfs;
  loaded = absl::CancelledError("done");
  vfs = absl::CancelledError("done");
  tree->Teardown();
}

TEST_F(KeptFilesTest, GoWithTheirFilesystem) {
  const RefPtr<vfs::Filesystem> other = memfs::MemFilesystem::Create(*kernel_.tree().vfs(), {});
  kept_->Drop(*other);
  EXPECT_THAT(kept_->List(), SizeIs(2));
  kept_->Drop(kernel_.tree().root().mount().filesystem());
  EXPECT_THAT(kept_->List(), IsEmpty());
}

TEST_F(KeptFilesTest, AnImageMayNotSayAnything) {
  ExpectRefused([](KeptFile& file) { file.id = 0; }, "numbered 0");
  ExpectRefused([](KeptFile& file) { file.id = 1000; }, "numbered 1000");
  ExpectRefused([](KeptFile& file) { file.id = 2; }, "numbered 2");
  ExpectRefused([](KeptFile& file) { file.at = {}; }, "without a place");
  ExpectRefused([this](KeptFile& file) { file.at = kept_->List()[1].at; }, "another place");
  Intruder::SetNext(*kept_, ~uint64_t{0});
  EXPECT_THAT(std::string(Load(Save()).status().message()), HasSubstr("next_id"));
  Intruder::SetNext(*kept_, 3);
  EXPECT_TRUE(kept_->List().size() == 2);
}

}  // namespace
}  // namespace stasis::sandbox
