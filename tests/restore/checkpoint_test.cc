// SPDX-License-Identifier: Apache-2.0

#include "restore/checkpoint.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "restore/image/verify.h"
#include "restore/restore.h"
#include "state/chunk.h"
#include "state/copy_budget.h"
#include "tests/testing/faulty_file_ops.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::AsBytes;
using stasis::testing::FaultyFileOps;
using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Notes what is called, and fails where told to.
class FakeFreezer final : public Freezer {
 public:
  explicit FakeFreezer(TestVfs& t) : t_(t) {}

  absl::Status Flush() override {
    EXPECT_FALSE(t_.vfs().gate().closed());
    calls.push_back("flush");
    return calls.size() > 1 ? late_flush : early_flush;
  }
  absl::Status Freeze() override {
    calls.push_back("freeze");
    return freeze;
  }
  absl::Status Thaw() override {
    EXPECT_FALSE(t_.vfs().gate().closed());
    calls.push_back("thaw");
    return thaw;
  }

  absl::Status early_flush, late_flush, freeze, thaw;
  std::vector<std::string> calls;

 private:
  TestVfs& t_;
};

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() { t_.Write("/file", "content"); }

  CheckpointRequest Request(const std::string& tag) {
    CheckpointRequest request = t_.RequestTo(layout(), tag);
    request.freezer = &freezer_;
    return request;
  }
  std::string layout() const { return scratch_ / "snaps"; }
  // The filesystem is usable, and the layout holds exactly these tags, all good.
  void ExpectUsable(const std::vector<std::string>& tags) {
    EXPECT_FALSE(t_.vfs().gate().closed());
    t_.Write("/after", "x");
    auto layout = image::Layout::Open(this->layout());
    ASSERT_TRUE(layout.ok()) << layout.status();
    std::vector<std::string> found;
    const auto list = (*layout)->List();
    ASSERT_TRUE(list.ok()) << list.status();
    for (const image::TagEntry& entry : *list) {
      found.push_back(entry.tag);
      EXPECT_TRUE(image::VerifyImage(**layout, entry.tag, {{"filesystem.memfs"}}).status().ok());
    }
    EXPECT_EQ(found, tags);
  }

  TestVfs t_;
  FakeFreezer freezer_{t_};
  ScratchDir scratch_;
};

TEST_F(CheckpointTest, FreezesBetweenTheFlushesAndThawsBeforeWriting) {
  CheckpointRequest request = Request("v1");
  request.on_resumed = [&](const CheckpointReport&) { freezer_.calls.push_back("resumed"); };
  bool written = false;
  request.on_progress = [&](const image::WriteProgress&) {
    if (!std::exchange(written, true)) freezer_.calls.push_back("write");
  };
  const auto report = Checkpoint(request);
  ASSERT_TRUE(report.ok()) << report.status();
  freezer_.calls.resize(5);
  EXPECT_THAT(freezer_.calls, ElementsAre("flush", "freeze", "flush", "thaw", "resumed"));
  ExpectUsable({"v1"});
}

TEST_F(CheckpointTest, WritersAreSlowedWhenCopiesTakeTooMuchMemory) {
  t_.Write("/big", std::string(3 * state::kChunkSize, 'x'));
  CheckpointRequest request = Request("v1");
  request.max_extra_memory = state::kChunkSize;
  std::vector<absl::Duration> took;
  request.on_resumed = [&](const CheckpointReport&) {
    for (uint64_t i = 0; i < 3; ++i) {
      const absl::Time start = absl::Now();
      t_.WriteAt("/big", i * state::kChunkSize + 5, "changed");
      took.push_back(absl::Now() - start);
    }
  };
  const auto report = Checkpoint(request);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->extra_memory_bytes, 3 * state::kChunkSize);
  // The third comes when two have been copied.
  const auto longest = absl::Milliseconds(state::CopyBudget::kLongestWaitMs);
  EXPECT_GE(took.at(2), longest);
  ExpectUsable({"v1"});
}

TEST_F(CheckpointTest, ReportHasEveryNumber) {
  t_.Write("/big", std::string(100'000, 'x'));
  CheckpointRequest request = Request("v1");
  const auto report = Checkpoint(request);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->files, 3u);
  EXPECT_EQ(report->dentries, 3u);
  EXPECT_EQ(report->dirty_bytes, 100'007u);
  EXPECT_GT(report->pause_ns, 0);
  EXPECT_GE(report->wall_ns, report->pause_ns + report->write_ns);
  EXPECT_GT(report->state_bytes, 0u);
  EXPECT_EQ(report->stored_bytes, report->state_bytes + report->pack_bytes);
  const auto json = nlohmann::json::parse(report->ToJson());
  EXPECT_EQ(json["digest"], report->digest.ToString());
  EXPECT_EQ(json["pause"]["rows_ns"], report->rows.rows_ns);
  EXPECT_TRUE(json["parent"].is_null());
  EXPECT_THAT(report->ToText(), HasSubstr("pause "));
}

TEST_F(CheckpointTest, ParentIsNamed) {
  const auto first = Checkpoint(Request("v1"));
  ASSERT_TRUE(first.ok()) << first.status();
  CheckpointRequest request = Request("v2");
  request.parent = first->digest;
  const auto second = Checkpoint(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->parent, first->digest.ToString());
  ExpectUsable({"v1", "v2"});
}

TEST_F(CheckpointTest, FailingFirstFlushNeverFreezes) {
  freezer_.early_flush = absl::InternalError("no");
  EXPECT_FALSE(Checkpoint(Request("v1")).ok());
  EXPECT_THAT(freezer_.calls, ElementsAre("flush"));
  ExpectUsable({});
}

TEST_F(CheckpointTest, FailingFreezeIsNotThawed) {
  freezer_.freeze = absl::DeadlineExceededError("a process would not stop");
  const auto report = Checkpoint(Request("v1"));
  EXPECT_EQ(report.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("cannot freeze"));
  EXPECT_THAT(freezer_.calls, ElementsAre("flush", "freeze"));
  ExpectUsable({});
}

TEST_F(CheckpointTest, FailingSecondFlushThaws) {
  freezer_.late_flush = absl::InternalError("no");
  EXPECT_FALSE(Checkpoint(Request("v1")).ok());
  EXPECT_THAT(freezer_.calls, ElementsAre("flush", "freeze", "flush", "thaw"));
  ExpectUsable({});
}

TEST_F(CheckpointTest, FailingThawIsReportedAndTheImageKept) {
  freezer_.thaw = absl::InternalError("stuck");
  const auto report = Checkpoint(Request("v1"));
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("stuck"));
  ExpectUsable({"v1"});
}

TEST_F(CheckpointTest, StayFrozenDoesNotThawAfterSuccess) {
  CheckpointRequest request = Request("v1");
  request.stay_frozen = true;
  ASSERT_TRUE(Checkpoint(request).ok());
  EXPECT_THAT(freezer_.calls, ElementsAre("flush", "freeze", "flush"));
  ExpectUsable({"v1"});
}

TEST_F(CheckpointTest, StayFrozenThawsAfterFailure) {
  auto ops = std::make_shared<FaultyFileOps>();
  CheckpointRequest request = Request("v1");
  request.stay_frozen = true;
  request.file_ops = ops;
  request.on_resumed = [&](const CheckpointReport&) { ops->FailAt(1, ENOSPC); };
  EXPECT_FALSE(Checkpoint(request).ok());
  EXPECT_EQ(freezer_.calls.back(), "thaw");
}

TEST_F(CheckpointTest, NoSpaceAtAnyPointLeavesEarlierTagsAndTheGateOpen) {
  ASSERT_TRUE(Checkpoint(Request("v1")).ok());
  t_.Write("/more", std::string(300'000, 'm'));
  auto ops = std::make_shared<FaultyFileOps>();
  CheckpointRequest request = Request("v2");
  request.file_ops = ops;
  for (int call = 1;; ++call) {
    ops->FailAt(call, ENOSPC);
    const auto report = Checkpoint(request);
    if (report.ok()) {
      EXPECT_GT(call, 3);
      break;
    }
    EXPECT_EQ(report.status().code(), absl::StatusCode::kResourceExhausted) << report.status();
    ExpectUsable({"v1"});
    ASSERT_LT(call, 1000);
  }
  ExpectUsable({"v1", "v2"});
}

TEST_F(CheckpointTest, AnotherWriterIsNoticedBeforeThePause) {
  const auto layout = image::Layout::OpenForWriting(this->layout());
  ASSERT_TRUE(layout.ok());
  const auto report = Checkpoint(Request("v1"));
  EXPECT_EQ(report.status().code(), absl::StatusCode::kUnavailable) << report.status();
  EXPECT_TRUE(freezer_.calls.empty());
}

TEST_F(CheckpointTest, BadTagIsNoticedBeforeAnythingElse) {
  const auto report = Checkpoint(Request("no/slash"));
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(layout()));
}

TEST_F(CheckpointTest, CancelledBeforeOrWhileWritingLeavesNothing) {
  std::atomic<bool> cancel = true;
  CheckpointRequest request = Request("v1");
  request.cancel = &cancel;
  EXPECT_EQ(Checkpoint(request).status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(freezer_.calls, ElementsAre("flush"));
  cancel = false;
  request.on_resumed = [&](const CheckpointReport&) { cancel = true; };
  EXPECT_EQ(Checkpoint(request).status().code(), absl::StatusCode::kCancelled);
  ExpectUsable({});
}

TEST_F(CheckpointTest, TypeThatIsNotRegisteredIsAnErrorAndOpensTheGate) {
  state::Registry none;
  CheckpointRequest request = Request("v1");
  request.registry = &none;
  EXPECT_FALSE(Checkpoint(request).ok());
  EXPECT_EQ(freezer_.calls.back(), "thaw");
  ExpectUsable({});
}

TEST_F(CheckpointTest, SameStateGivesTheSameImage) {
  const auto first = Checkpoint(Request("v1"));
  const auto second = Checkpoint(Request("v2"));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->digest, second->digest);
  EXPECT_EQ(second->dirty_bytes, 0u);
}

// Writers always write "a" before "b", and rename a file around; every checkpoint must show a
// moment that was: b is at most a, and a at most one ahead.
TEST_F(CheckpointTest, CheckpointsUnderLoadShowOneMoment) {
  std::atomic<bool> stop = false;
  t_.Write("/a", std::string(8, '0'));
  t_.Write("/b", std::string(8, '0'));
  t_.Write("/name0", "wanderer");
  const auto a = t_.Open("/a", O_RDWR);
  const auto b = t_.Open("/b", O_RDWR);
  std::thread pair([&] {
    for (int i = 1; !stop; ++i) {
      char text[16];
      std::snprintf(text, sizeof text, "%08d", i);
      (void)a->PWrite(0, AsBytes(text));
      (void)b->PWrite(0, AsBytes(text));
    }
  });
  std::thread wanderer([&] {
    for (int i = 0; !stop; ++i) {
      const std::string from = "/name" + std::to_string(i % 2);
      const std::string to = "/name" + std::to_string((i + 1) % 2);
      EXPECT_TRUE(t_.vfs().RenameAt(t_.creds(), t_.At(from), t_.At(to)));
    }
  });
  for (int round = 0; round < 12; ++round) {
    const auto report = Checkpoint(t_.RequestTo(layout(), "load"));
    ASSERT_TRUE(report.ok()) << report.status();
    auto image = Restore(TestVfs::RequestFrom(layout(), "load"));
    ASSERT_TRUE(image.ok()) << image.status();
    TestVfs seen(*std::move(image));
    const int first = std::stoi(seen.Read("/a"));
    const int second = std::stoi(seen.Read("/b"));
    EXPECT_LE(second, first);
    EXPECT_LE(first, second + 1);
    EXPECT_NE(seen.Exists("/name0"), seen.Exists("/name1"));
  }
  stop = true;
  pair.join();
  wanderer.join();
}

}  // namespace
}  // namespace stasis::restore
