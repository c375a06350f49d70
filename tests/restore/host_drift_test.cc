// SPDX-License-Identifier: Apache-2.0
//
// Restores of a filesystem that has files on the host: phases, policies, roots.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>

#include "restore/drift.h"
#include "restore/exit_code.h"
#include "restore/inspect.h"
#include "restore/restore.h"
#include "restore/types.h"
#include "state/base/rcu.h"
#include "state/load_context.h"
#include "tests/testing/test_vfs.h"
#include "vfs/gen/vfs.state.h"
#include "vfs/restore_context.h"
#include "vfs/tree_filesystem.h"

namespace stasis::restore {
namespace {

// What the filesystem below does at its restore, and what was done to it.
struct Script {
  std::vector<std::string> roots = {"src"};  // that are asked for, one in each call
  std::vector<vfs::Drift> drifts;
  absl::Status reopened, completed;
  std::function<void()> on_reopen;

  std::vector<std::string> log;
  std::vector<vfs::DriftPolicy> policies;
  std::optional<vfs::DriftChecks> checks;
  int threads = 0;
  std::string directory;
  std::atomic<int> alive = 0;  // filesystems of loads
};

class EmptyDirectory final : public vfs::Inode {
 public:
  EmptyDirectory() = default;
  EmptyDirectory(vfs::Filesystem& filesystem, const vfs::NewFile& file)
      : Inode(filesystem, 1, file, 2, stasis::testing::kTestTime) {}
};

class HostFilesystem final : public vfs::TreeFilesystem {
 public:
  HostFilesystem() = default;
  explicit HostFilesystem(vfs::VirtualFilesystem& vfs) : TreeFilesystem(vfs) {
    vfs::NewFile file;
    file.mode = S_IFDIR | 0755;
    set_root(vfs::Dentry::MakeRoot(MakeRef<EmptyDirectory>(*this, file)));
  }
  ~HostFilesystem() override {
    if (script_ != nullptr) --script_->alive;
  }

  std::string_view type() const override { return "host"; }
  Result<vfs::StatFs> GetStatFs() const override { return vfs::StatFs(); }

  void Obey(Script* script) {
    script_ = script;
    if (script_ != nullptr) ++script_->alive;
  }

  absl::Status Reopen(vfs::RestoreContext& context) override {
    const size_t calls = script_->log.size();
    script_->log.emplace_back("reopen");
    script_->checks = context.checks;
    script_->threads = context.threads;
    if (script_->on_reopen) script_->on_reopen();
    const absl::StatusOr<std::string> directory =
        context.FindRoot(script_->roots[calls % script_->roots.size()]);
    if (!directory.ok()) return directory.status();
    script_->directory = *directory;
    for (vfs::Drift drift : script_->drifts) {
      drift.filesystem = this;
      drift.dentry = RefPtr<vfs::Dentry>(&root());
      context.Report(std::move(drift));
    }
    return script_->reopened;
  }
  absl::Status CompleteRestore(vfs::RestoreContext& context) override {
    script_->log.emplace_back("complete");
    for (const vfs::Drift& drift : context.drifts()) script_->policies.push_back(drift.policy);
    return script_->completed;
  }

 private:
  Script* script_ = nullptr;
};

// What stateify would write.
void SaveNothing(state::SaveBatch&, capnp::AnyPointer::Builder) {}
absl::Status LoadNothing(state::LoadBatch&, capnp::AnyPointer::Reader) { return absl::OkStatus(); }

template <typename T>
using Saved = state::Access::Type<T>;

const state::TypeDescriptor& FilesystemType() {
  static constexpr state::LevelDescriptor kLevel = {"host.HostFilesystem", &SaveNothing,
                                                    &LoadNothing, nullptr};
  static const state::LevelDescriptor* const kLevels[] = {
      &Saved<vfs::Filesystem>::kLevel, &Saved<vfs::TreeFilesystem>::kLevel, &kLevel};
  static const state::TypeDescriptor type = {
      kLevel.name,
      &typeid(HostFilesystem),
      kLevels,
      []() -> state::Object* { return new HostFilesystem; },
      [](state::GraphWriter& writer, state::Object& object) {
        Saved<vfs::Filesystem>::VisitOwn(writer, static_cast<HostFilesystem&>(object));
        Saved<vfs::TreeFilesystem>::VisitOwn(writer, static_cast<HostFilesystem&>(object));
      },
      [](state::Object& object) {
        Saved<vfs::Filesystem>::ClearOwn(static_cast<HostFilesystem&>(object));
        Saved<vfs::TreeFilesystem>::ClearOwn(static_cast<HostFilesystem&>(object));
      },
      [](state::Object& object, state::LoadContext& context) {
        static_cast<HostFilesystem&>(object).Obey(context.Service<Script>());
        return Saved<vfs::Filesystem>::AfterLoadOwn(static_cast<HostFilesystem&>(object), context);
      },
      nullptr,
      {}};
  return type;
}

const state::TypeDescriptor& DirectoryType() {
  static constexpr state::LevelDescriptor kLevel = {"host.EmptyDirectory", &SaveNothing,
                                                    &LoadNothing, nullptr};
  static const state::LevelDescriptor* const kLevels[] = {&Saved<vfs::Inode>::kLevel, &kLevel};
  static const state::TypeDescriptor type = {
      kLevel.name,
      &typeid(EmptyDirectory),
      kLevels,
      []() -> state::Object* { return new EmptyDirectory; },
      [](state::GraphWriter& writer, state::Object& object) {
        Saved<vfs::Inode>::VisitOwn(writer, static_cast<EmptyDirectory&>(object));
      },
      [](state::Object& object) {
        Saved<vfs::Inode>::ClearOwn(static_cast<EmptyDirectory&>(object));
      },
      [](state::Object& object, state::LoadContext& context) {
        return Saved<vfs::Inode>::AfterLoadOwn(static_cast<EmptyDirectory&>(object), context);
      },
      nullptr,
      {}};
  return type;
}

const state::Registry& Registry() {
  static const auto& registry = *[] {
    auto* r = new state::Registry;
    RegisterTypes(*r);
    r->Add(FilesystemType());
    r->Add(DirectoryType());
    return r;
  }();
  return registry;
}

using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using vfs::DriftKind;
using vfs::DriftPolicy;

// An image with such a filesystem at /data.
class HostDriftTest : public ::testing::Test {
 protected:
  void SetUp() override { Save({"/data"}); }
  void TearDown() override { ExpectNothingLeft(); }

  // Such filesystems at `directories`.
  void Save(const std::vector<std::string>& directories) {
    TestVfs t;
    t.Write("/file", "f");
    for (const std::string& directory : directories) {
      t.Mkdir(directory);
      const auto host = MakeRef<HostFilesystem>(t.vfs());
      t.vfs().AddFilesystem(host);
      ASSERT_TRUE(t.vfs().MountAt(t.creds(), t.ns(), t.At(directory), host, {}));
    }
    CheckpointRequest request = t.RequestTo(scratch_ / "snaps", "v1");
    request.registry = &Registry();
    const auto report = Checkpoint(request);
    ASSERT_TRUE(report.ok()) << report.status();
    request_ = TestVfs::RequestFrom(scratch_ / "snaps", "v1");
    request_.registry = &Registry();
    request_.services.Provide(&script_);
    request_.roots = {{"src", "/somewhere"}};
  }

  void Differs(DriftKind kind, std::string path, std::string not_healable = "") {
    vfs::Drift drift;
    drift.kind = kind;
    drift.root = "src";
    drift.path = std::move(path);
    drift.saved = "1";
    drift.found = "2";
    drift.not_healable = std::move(not_healable);
    script_.drifts.push_back(std::move(drift));
  }
  void ExpectNothingLeft() {
    // What is freed after a grace period drops what needs another: mount, dentry, inode,
    // filesystem.
    constexpr int kMostPeriods = 10;
    for (int i = 0; i < kMostPeriods && script_.alive != 0; ++i) rcu::Barrier();
    EXPECT_EQ(script_.alive, 0);
  }

  ScratchDir scratch_{ScratchDir::Where::kInMemory};
  Script script_;
  RestoreRequest request_;
};

TEST_F(HostDriftTest, WithoutDriftItIsReopenedThenCompleted) {
  request_.checks.ctime = true;
  request_.threads = 3;
  {
    const auto restored = Restore(request_);
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_THAT(restored->report().drift.findings, IsEmpty());
    EXPECT_THAT(restored->report().ToText(), HasSubstr("drift  no differences"));
    EXPECT_GT(restored->report().reopen_ns, 0);
  }
  EXPECT_THAT(script_.log, ElementsAre("reopen", "complete"));
  EXPECT_TRUE(script_.checks->ctime);
  EXPECT_EQ(script_.threads, 3);
  EXPECT_EQ(script_.directory, "/somewhere");
}

TEST_F(HostDriftTest, OneThatFailsMeansThatNothingIsRestoredOrChanged) {
  Differs(DriftKind::kSize, "/b");
  Differs(DriftKind::kMode, "/a");
  Differs(DriftKind::kMtime, "/c");
  request_.rules = DriftRules(DriftPolicy::kHeal);
  ASSERT_TRUE(request_.rules.Add("/data/b=fail").ok());
  const auto restored = Restore(request_);
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(ExitCodeOf(restored.status()), ExitCode::kDrift);
  EXPECT_THAT(std::string(restored.status().message()),
              HasSubstr("snaps:v1: the host is not what the image saw: 3 differences"));
  // All of them, not only the one.
  const std::string lines(*restored.status().GetPayload(kDriftLinesPayload));
  EXPECT_EQ(lines,
            "heal    mode      /data/a  1 -> 2\n"
            "fail    size      /data/b  1 -> 2\n"
            "heal    mtime     /data/c  1 -> 2\n");
  const auto json =
      nlohmann::json::parse(std::string(*restored.status().GetPayload(kDriftPayload)));
  EXPECT_THAT(json["findings"], SizeIs(3));
  EXPECT_THAT(script_.log, ElementsAre("reopen"));
}

TEST_F(HostDriftTest, PoliciesReachTheFilesystemAndTheReport) {
  Differs(DriftKind::kSize, "/warn");
  Differs(DriftKind::kSize, "/adopt");
  Differs(DriftKind::kSize, "/ignore");
  Differs(DriftKind::kSize, "/heal");
  request_.rules = DriftRules(DriftPolicy::kAdopt);
  for (const char* name : {"warn", "ignore", "heal"})
    ASSERT_TRUE(request_.rules.Add("/data/" + std::string(name) + "=" + name).ok());
  const auto restored = Restore(request_);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_THAT(script_.policies, ElementsAre(DriftPolicy::kWarn, DriftPolicy::kAdopt,
                                            DriftPolicy::kIgnore, DriftPolicy::kHeal));
  const RestoreReport& report = restored->report();
  EXPECT_THAT(report.ToText(), HasSubstr("drift  3 differences: 3 size; 1 more ignored\n"
                                         "       /data/warn: size 1 -> 2\n"));
  const auto json = nlohmann::json::parse(report.ToJson());
  EXPECT_EQ(json["drift"]["policies"]["adopt"], 1);
  EXPECT_EQ(json["drift"]["policies"]["ignore"], 1);
  EXPECT_TRUE(json.contains("reopen_ns"));
}

TEST_F(HostDriftTest, WhatCannotBeHealedFails) {
  Differs(DriftKind::kContent, "/a", "the image does not have it");
  request_.rules = DriftRules(DriftPolicy::kHeal);
  const auto restored = Restore(request_);
  EXPECT_EQ(ExitCodeOf(restored.status()), ExitCode::kDrift);
  EXPECT_THAT(script_.log, ElementsAre("reopen"));
}

TEST_F(HostDriftTest, ErrorsOfEitherStepLeaveNothing) {
  script_.reopened = absl::PermissionDeniedError("cannot open /somewhere");
  EXPECT_THAT(std::string(Restore(request_).status().message()),
              HasSubstr("snaps:v1: cannot open /somewhere"));
  EXPECT_THAT(script_.log, ElementsAre("reopen"));
  ExpectNothingLeft();
  script_.reopened = absl::OkStatus();
  script_.completed = absl::InternalError("disk on fire");
  EXPECT_EQ(Restore(request_).status().code(), absl::StatusCode::kInternal);
}

TEST_F(HostDriftTest, ARestoreThatIsCancelledLeavesNothing) {
  Differs(DriftKind::kMtime, "/a");
  std::atomic<bool> cancel{true};
  request_.cancel = &cancel;
  EXPECT_EQ(Restore(request_).status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(script_.log, IsEmpty()) << "no filesystem has looked at the host";
  cancel = false;
  // While the host is looked at.
  script_.on_reopen = [&] { cancel = true; };
  const absl::Status cancelled = Restore(request_).status();
  EXPECT_EQ(cancelled.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(ExitCodeOf(cancelled), ExitCode::kInterrupted);
  EXPECT_THAT(script_.log, ElementsAre("reopen"));
  cancel = false;
  EXPECT_EQ(DriftOf(request_).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(HostDriftTest, RootThatIsNotGivenIsNamed) {
  request_.roots.clear();
  const absl::Status status = Restore(request_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("snaps:v1: some of its files are in host directories; say where: "
                        "--root src=DIR"));
  EXPECT_EQ(DriftOf(request_).status(), status);
}

TEST_F(HostDriftTest, AllRootsThatAreMissingAreNamed) {
  Save({"/one", "/two", "/three"});
  script_.roots = {"b", "c", "a"};
  request_.roots = {{"c", "/somewhere"}};
  EXPECT_THAT(std::string(Restore(request_).status().message()),
              HasSubstr("say where: --root a=DIR --root b=DIR"));
  request_.roots = {{"d", "/somewhere"}};
  EXPECT_THAT(std::string(Restore(request_).status().message()),
              HasSubstr("names no host directory d; it names: a, b, c"));
}

TEST_F(HostDriftTest, RootThatTheImageDoesNotHaveIsRefusedWithThoseItHas) {
  request_.roots = {{"source", "/somewhere"}};
  const absl::Status status = Restore(request_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the image names no host directory source; it names: src"));
  request_.roots = {{"src", "/somewhere"}, {"more", "/x"}};
  EXPECT_THAT(std::string(Restore(request_).status().message()),
              HasSubstr("no host directory more; it names: src"));
  EXPECT_THAT(script_.log, ElementsAre("reopen", "reopen"));
}

TEST_F(HostDriftTest, ImageWithoutHostDirectoriesTakesNoRoot) {
  TestVfs t;
  ASSERT_TRUE(Checkpoint(t.RequestTo(scratch_ / "snaps", "v2")).ok());
  request_.tag = "v2";
  EXPECT_THAT(std::string(Restore(request_).status().message()),
              HasSubstr("the image names no host directory src; it needs none at all"));
}

TEST_F(HostDriftTest, DriftAloneRestoresNothing) {
  Differs(DriftKind::kMissing, "/a");
  const auto report = DriftOf(request_);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_THAT(report->findings, SizeIs(1));
  EXPECT_EQ(report->findings[0].path, "/data/a");
  EXPECT_THAT(script_.log, ElementsAre("reopen"));
}

TEST_F(HostDriftTest, InspectionNeedsNoRoots) {
  request_.roots.clear();
  const auto summary = Inspect(request_);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_THAT(summary->ToText(), HasSubstr("host: 1 names"));
  std::vector<std::string> paths;
  ASSERT_TRUE(ListTree(request_, [&](const TreeEntry& entry) {
                paths.push_back(std::string(entry.path) + " " + std::to_string(entry.stat.dev));
                return true;
              }).ok());
  EXPECT_THAT(paths, ElementsAre("/ 1", "/file 1", "/data 2"));
  EXPECT_THAT(script_.log, IsEmpty());
}

}  // namespace
}  // namespace stasis::restore
