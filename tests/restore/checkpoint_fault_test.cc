// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint fails in one phase after the other: the filesystem goes on, nothing is left behind,
// and the next checkpoint succeeds and stores only what is new.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "restore/checkpoint.h"
#include "restore/image/layout.h"
#include "restore/restore.h"
#include "state/base/unique_fd.h"
#include "state/chunk.h"
#include "tests/testing/faulty_file_ops.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::FaultyFileOps;
using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::HasSubstr;

// Does what a test says at each of its steps.
class HookedFreezer final : public Freezer {
 public:
  absl::Status Flush() override { return frozen_ ? Call(late_flush) : Call(early_flush); }
  absl::Status Freeze() override {
    absl::Status status = Call(freeze);
    frozen_ = status.ok();
    return status;
  }
  absl::Status Thaw() override {
    frozen_ = false;
    return Call(thaw);
  }
  bool frozen() const { return frozen_; }

  using Hook = std::function<absl::Status()>;
  Hook early_flush, freeze, late_flush, thaw;

 private:
  static absl::Status Call(const Hook& hook) { return hook ? hook() : absl::OkStatus(); }

  bool frozen_ = false;
};

// The limit of this process, as it was at the end.
class Limit {
 public:
  Limit(__rlimit_resource_t resource, rlim_t value) : resource_(resource) {
    getrlimit(resource_, &before_);
    const rlimit limit{value, before_.rlim_max};
    EXPECT_EQ(setrlimit(resource_, &limit), 0);
  }
  ~Limit() { setrlimit(resource_, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  const __rlimit_resource_t resource_;
  rlimit before_{};
};

class CheckpointFaultTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kFileBytes = 100;

  CheckpointFaultTest() { Fill(200); }

  // So many files, saved as v1, and something that is not saved yet.
  void Fill(int files) {
    for (; files_ < files; ++files_)
      t_.Write(Name(files_), std::string(kFileBytes, static_cast<char>('a' + files_ % 26)));
    EXPECT_TRUE(Checkpoint(Request("v1")).ok());
    Change();
  }

  static std::string Name(int i) { return "/" + std::to_string(i); }
  void Change() {
    ++content_;
    t_.Write(Name(7), std::to_string(content_) + std::string(kFileBytes, 'z'));
    new_bytes_ = std::to_string(content_).size() + kFileBytes;
  }

  CheckpointRequest Request(const std::string& tag) {
    CheckpointRequest request = t_.RequestTo(layout(), tag);
    request.freezer = &freezer_;
    request.file_ops = ops_;
    return request;
  }
  std::string layout() const { return scratch_ / "snaps"; }

  // Has this process run with a limit from one step to another.
  void LimitBetween(HookedFreezer::Hook& begin, HookedFreezer::Hook& end,
                    __rlimit_resource_t resource, rlim_t value) {
    begin = [this, resource, value] {
      limit_.emplace(resource, value);
      return absl::OkStatus();
    };
    end = [this] {
      limit_.reset();
      return absl::OkStatus();
    };
  }

  // Nothing of a checkpoint is left, and the filesystem is in use.
  void ExpectNothingLeft() {
    EXPECT_FALSE(t_.vfs().gate().closed());
    EXPECT_FALSE(freezer_.frozen());
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
    EXPECT_TRUE(std::filesystem::is_empty(layout() + "/.stasis/tmp"));
    // No moment is held any more.
    const RefPtr<state::Chunk> chunk = *state::Chunk::Create({}, 0);
    state::ChunkFreeze::Take().reset();
    EXPECT_TRUE(chunk->MayChange());
    t_.Write("/in use", "x");
    t_.Unlink("/in use");
  }
  std::vector<std::string> Tags() {
    std::vector<std::string> tags;
    const auto layout = image::Layout::Open(this->layout());
    EXPECT_TRUE(layout.ok());
    const auto list = (*layout)->List();
    EXPECT_TRUE(list.ok());
    for (const image::TagEntry& entry : *list) tags.push_back(entry.tag);
    return tags;
  }

  // After a failure: only v1 is there; the next one stores what is new, and has all.
  void ExpectNextOneIsWhole() {
    ExpectNothingLeft();
    EXPECT_THAT(Tags(), ::testing::ElementsAre("v1"));
    freezer_ = HookedFreezer();
    ops_->FailAt(0, 0);
    const auto report = Checkpoint(Request("v2"));
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->warnings, std::vector<std::string>());
    EXPECT_EQ(report->dirty_bytes, new_bytes_);
    EXPECT_EQ(report->reused_bytes, static_cast<uint64_t>(files_ - 1) * kFileBytes);
    ExpectNothingLeft();
    auto image = Restore(TestVfs::RequestFrom(layout(), "v2"));
    ASSERT_TRUE(image.ok()) << image.status();
    TestVfs seen(*std::move(image));
    EXPECT_EQ(seen.Read(Name(7)), t_.Read(Name(7)));
    EXPECT_EQ(seen.Read(Name(8)), t_.Read(Name(8)));
    // As before, for the next failure.
    const auto opened = image::Layout::OpenForWriting(layout());
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE((*opened)->RemoveTag("v2").ok());
    Change();
  }

  // A pidfd of the child of `thread`, once there is one; invalid if `ended` comes first.
  static UniqueFd AwaitChild(pid_t thread, const std::atomic<bool>& ended) {
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/children";
    pid_t child = 0;
    while (child == 0 && !ended) std::ifstream(path) >> child;
    return UniqueFd(child > 0 ? static_cast<int>(syscall(SYS_pidfd_open, child, 0)) : -1);
  }

  // Kills the process that builds the rows `delay` after it was made.
  absl::Status CheckpointWithKilledChild(std::chrono::microseconds delay) {
    std::atomic<bool> ended = false;
    std::thread killer([&, thread = gettid()] {
      const UniqueFd child = AwaitChild(thread, ended);
      std::this_thread::sleep_for(delay);
      if (child.valid()) syscall(SYS_pidfd_send_signal, child.get(), SIGKILL, nullptr, 0);
    });
    const absl::Status status = Checkpoint(Request("killed")).status();
    ended = true;
    killer.join();
    return status;
  }

  TestVfs t_;
  HookedFreezer freezer_;
  std::optional<Limit> limit_;
  std::shared_ptr<FaultyFileOps> ops_ = std::make_shared<FaultyFileOps>();
  ScratchDir scratch_;
  int files_ = 0;
  int content_ = 0;
  uint64_t new_bytes_ = 0;
};

TEST_F(CheckpointFaultTest, EachStepOfTheFreezer) {
  const auto fails = [] { return absl::InternalError("no"); };
  for (HookedFreezer::Hook HookedFreezer::*step :
       {&HookedFreezer::early_flush, &HookedFreezer::freeze, &HookedFreezer::late_flush}) {
    freezer_.*step = fails;
    EXPECT_THAT(std::string(Checkpoint(Request("bad")).status().message()), HasSubstr("no"));
    ExpectNextOneIsWhole();
  }
}

TEST_F(CheckpointFaultTest, ProgramsThatCannotBeWokenAreAnErrorOfAGoodImage) {
  freezer_.thaw = [] { return absl::InternalError("stuck"); };
  EXPECT_THAT(std::string(Checkpoint(Request("v2")).status().message()), HasSubstr("stuck"));
  ExpectNothingLeft();
  EXPECT_THAT(Tags(), ::testing::ElementsAre("v1", "v2"));
  freezer_ = HookedFreezer();
  const auto report = Checkpoint(Request("v3"));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->dirty_bytes, 0u);
}

TEST_F(CheckpointFaultTest, TheRowsProcessIsKilledAtAnyMoment) {
  using std::chrono::microseconds;
  Fill(1000);  // which takes it some milliseconds
  int killed = 0;
  // More often only where none is hit before it is done.
  for (int64_t round = 0; round < 6 || (killed == 0 && round < 1000); ++round) {
    const microseconds delay(round % 6 * 700);
    SCOPED_TRACE(::testing::Message() << delay.count() << " us");
    const absl::Status status = CheckpointWithKilledChild(delay);
    if (status.ok()) {  // it was done by then
      ASSERT_TRUE((*image::Layout::OpenForWriting(layout()))->RemoveTag("killed").ok());
      Change();
      continue;
    }
    ++killed;
    EXPECT_THAT(std::string(status.message()), HasSubstr("was ended by signal 9"));
    ExpectNextOneIsWhole();
  }
  EXPECT_GT(killed, 0);
}

TEST_F(CheckpointFaultTest, TheRowsProcessCannotHandOverWhatItHas) {
  // It inherits the limit, and its signals are blocked.
  LimitBetween(freezer_.freeze, freezer_.thaw, RLIMIT_FSIZE, 4096);
  EXPECT_EQ(Checkpoint(Request("bad")).status(),
            absl::InternalError("the process that writes down the state could not hand it over"));
  ExpectNextOneIsWhole();
}

TEST_F(CheckpointFaultTest, NoDescriptorIsLeftForTheRows) {
  LimitBetween(freezer_.freeze, freezer_.thaw, RLIMIT_NOFILE, 3);
  EXPECT_THAT(std::string(Checkpoint(Request("bad")).status().message()),
              HasSubstr("cannot make a file for the rows: Too many open files"));
  ExpectNextOneIsWhole();
}

// Memory is then gathered without knowing which pages are used: not at all.
TEST_F(CheckpointFaultTest, MemoryCannotBeGathered) {
  LimitBetween(freezer_.early_flush, freezer_.freeze, RLIMIT_NOFILE, 3);
  EXPECT_TRUE(Checkpoint(Request("v2")).ok());
  ExpectNothingLeft();
}

TEST_F(CheckpointFaultTest, EachCallThatWritesTheImage) {
  int failures = 0;
  for (int call = 1;; ++call) {
    SCOPED_TRACE(::testing::Message() << "call " << call);
    CheckpointRequest request = Request("bad");
    request.rows = RowsPlace::kInPause;  // where they come from makes no difference then
    request.on_resumed = [&](const CheckpointReport&) { ops_->FailAt(call, EIO); };
    const auto report = Checkpoint(request);
    if (report.ok()) break;
    if (++failures % 4 == 0)
      ExpectNextOneIsWhole();
    else
      ExpectNothingLeft();
  }
  EXPECT_GT(failures, 10);
  ops_->FailAt(0, 0);
}

TEST_F(CheckpointFaultTest, CancelledWhileTheRowsAreBuilt) {
  std::atomic<bool> cancel = false;
  CheckpointRequest request = Request("bad");
  request.cancel = &cancel;
  request.on_resumed = [&](const CheckpointReport&) { cancel = true; };
  EXPECT_EQ(Checkpoint(request).status(), absl::CancelledError("the checkpoint was cancelled"));
  ExpectNextOneIsWhole();
}

}  // namespace
}  // namespace stasis::restore
