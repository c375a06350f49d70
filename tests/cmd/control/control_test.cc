// SPDX-License-Identifier: Apache-2.0
//
// Client and server over a real socket, with a handler that does what the test wants.

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <new>
#include <thread>
#include <utility>

#include "cmd/control/client.h"
#include "cmd/control/server.h"
#include "state/base/unique_fd.h"
#include "tests/cmd/control/null_handler.h"

namespace stasis::control {
namespace {

// What a checkpoint is to do. Set by the test, called by a thread of the server.
class CheckpointFunction {
 public:
  using Function = std::function<absl::StatusOr<Report>(
      const CheckpointParams&, const ProgressCallback&, const std::atomic<bool>*)>;

  CheckpointFunction& operator=(Function function) {
    absl::MutexLock lock(&mu_);
    function_ = std::move(function);
    return *this;
  }
  Function get() {
    absl::MutexLock lock(&mu_);
    return function_;
  }

 private:
  absl::Mutex mu_;
  Function function_ ABSL_GUARDED_BY(mu_);
};

// Gives numbered events, as many as are wanted up to `count`, and says when it ends.
class CountedEvents final : public EventSource {
 public:
  CountedEvents(int64_t count, absl::Notification* ended) : left_(count), ended_(ended) {}
  ~CountedEvents() override { ended_->Notify(); }

  Events Take(size_t limit) override {
    Events events;
    for (; left_ > 0 && events.events.size() < limit; --left_)
      events.events.push_back({left_, 0x100, 7, left_ == 1, std::string("/\xff")});
    events.lost = std::exchange(lost_, 0);
    return events;
  }

 private:
  int64_t left_;
  uint64_t lost_ = 3;
  absl::Notification* const ended_;
};

class FakeHandler : public NullHandler {
 public:
  absl::StatusOr<Info> GetInfo() override { return info; }
  absl::StatusOr<Report> Checkpoint(const CheckpointParams& params,
                                    const ProgressCallback& on_progress,
                                    const std::atomic<bool>* cancel) override {
    return checkpoint.get()(params, on_progress, cancel);
  }
  absl::StatusOr<Report> Diff(const ProgressCallback& on_progress,
                              const std::atomic<bool>* cancel) override {
    while (!*cancel) on_progress({"diff", 7, 0, 70});
    return absl::CancelledError("given up");
  }
  absl::StatusOr<Report> Commit(const CommitParams& params, const ProgressCallback&,
                                const std::atomic<bool>*) override {
    return Report{"", params.directory + ":" + params.tag + " " + params.compression + " " +
                          params.author + " " + params.message};
  }
  absl::StatusOr<Report> Rollback(const RollbackParams& params, const ProgressCallback&,
                                  const std::atomic<bool>*) override {
    absl::Status drift = absl::FailedPreconditionError("differs");
    drift.SetPayload("the/report", absl::Cord(absl::string_view("a\0b", 3)));
    if (params.rules.empty()) return drift;
    return Report{"", absl::StrCat(params.directory, ":", params.tag, " ", params.safety_directory,
                                   ":", params.safety_tag, " ", absl::FormatDuration(params.grace),
                                   " ", absl::StrJoin(params.roots, "+"), " ", params.layer_cache,
                                   " ", params.validate, " ", params.on_drift, " ",
                                   absl::StrJoin(params.rules, "+"))};
  }
  absl::StatusOr<Report> AddMount(const MountParams& params) override {
    if (params.directory.empty()) return absl::NotFoundError("no root " + params.mount);
    return Report{"{}", params.directory + " on " + params.mount};
  }
  absl::StatusOr<Report> RemoveMount(const std::string& target, bool detach) override {
    return Report{"", target + (detach ? " detached" : "")};
  }
  absl::StatusOr<Report> OpenFiles() override { return Report{"{}", "files"}; }
  absl::StatusOr<std::unique_ptr<EventSource>> Events(bool reads) override {
    if (reads) return absl::UnavailableError("no reads");
    return std::make_unique<CountedEvents>(2500, &events_ended);
  }
  absl::StatusOr<Report> GetConfig() override { return Report{"{}", "name = \"box\"\n"}; }
  absl::Status Stop(absl::Duration grace) override {
    stop_grace = grace;
    return absl::OkStatus();
  }

  void OnError(const absl::Status&) override { ++errors; }

  absl::StatusOr<Info> info = Info{};
  std::atomic<int> errors{0};
  absl::Duration stop_grace;
  absl::Notification events_ended;
  CheckpointFunction checkpoint;
};

class ControlTest : public testing::Test {
 protected:
  void SetUp() override {
    char scratch[] = "/tmp/stasis-test-XXXXXX";
    ASSERT_NE(mkdtemp(scratch), nullptr);
    scratch_ = scratch;
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(path(), handler_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(scratch_);
  }

  std::string path() const { return scratch_ + "/control.sock"; }
  std::unique_ptr<Client> Connect() { return *Client::Connect(path()); }

  std::string scratch_;
  FakeHandler handler_;
  std::unique_ptr<Server> server_;
};

TEST_F(ControlTest, OnlyTheOwnerMayOpenTheSocket) {
  struct stat st {};
  ASSERT_EQ(stat(path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(ControlTest, InfoComesOver) {
  handler_.info = Info{"box", "1.2", 3,         4,        5,  6,  "snaps:v1", true,  "/c",
                       2,     "/w",  "running", 7,        8,  9,  10,         11,    {"A=b", "C"},
                       0,     3,     5,         "killed", 77, {}, "no pack",  "all", "done",
                       9,     10};
  const absl::StatusOr<Info> info = Connect()->GetInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, "box");
  EXPECT_EQ(info->version, "1.2");
  EXPECT_EQ(info->daemon_pid, 3);
  EXPECT_EQ(info->init_pid, 4);
  EXPECT_EQ(info->processes, 5u);
  EXPECT_EQ(info->created_ns, 6);
  EXPECT_EQ(info->source, "snaps:v1");
  EXPECT_TRUE(info->rootless);
  EXPECT_EQ(info->cgroup, "/c");
  EXPECT_EQ(info->cgroup_version, 2);
  EXPECT_EQ(info->workdir, "/w");
  EXPECT_EQ(info->activity, "running");
  EXPECT_EQ(info->files, 7u);
  EXPECT_EQ(info->bytes, 8u);
  EXPECT_EQ(info->memory_bytes, 9u);
  EXPECT_EQ(info->memory_limit, 10u);
  EXPECT_EQ(info->shared_memory_bytes, 11u);
  EXPECT_EQ(info->upgrades, 3u);
  EXPECT_EQ(info->recoveries, 5u);
  EXPECT_EQ(info->last_recovery, "killed");
  EXPECT_EQ(info->keeper_pid, 77);
  EXPECT_THAT(info->environment, testing::ElementsAre("A=b", "C"));
  EXPECT_EQ(info->degraded, "no pack");
  EXPECT_EQ(info->prefetch_mode, "all");
  EXPECT_EQ(info->prefetch_state, "done");
  EXPECT_EQ(info->prefetch_done, 9u);
  EXPECT_EQ(info->prefetch_total, 10u);
}

TEST_F(ControlTest, ErrorsKeepCodeAndMessage) {
  handler_.info = absl::DataLossError("table x row 3");
  EXPECT_EQ(Connect()->GetInfo().status(), absl::DataLossError("table x row 3"));
}

TEST_F(ControlTest, StopHandsTheGraceOver) {
  ASSERT_TRUE(Connect()->Stop(absl::Milliseconds(1500)).ok());
  EXPECT_EQ(handler_.stop_grace, absl::Milliseconds(1500));
}

TEST_F(ControlTest, MountsAndTheConfigurationGoOverTheSocket) {
  auto client = Connect();
  EXPECT_EQ(client->AddMount({"data:/data", "/srv"})->text, "/srv on data:/data");
  EXPECT_EQ(client->AddMount({"data:/data", ""}).status(),
            absl::NotFoundError("no root data:/data"));
  EXPECT_EQ(client->RemoveMount("/data", true)->text, "/data detached");
  EXPECT_EQ(client->RemoveMount("/data", false)->text, "/data");
  EXPECT_EQ(client->GetConfig()->text, "name = \"box\"\n");
}

TEST_F(ControlTest, OpenFilesComeOver) { EXPECT_EQ(Connect()->OpenFiles()->text, "files"); }

TEST_F(ControlTest, EventsComeOverInTheirOrderUntilThereAreEnough) {
  std::vector<Event> events;
  uint64_t lost = 0;
  const auto collect = [&](const Events& some) {
    events.insert(events.end(), some.events.begin(), some.events.end());
    lost += some.lost;
    return events.size() < 2500;
  };
  ASSERT_TRUE(Connect()->FollowEvents(false, collect).ok());
  ASSERT_EQ(events.size(), 2500u);
  for (size_t i = 0; i < events.size(); ++i)
    ASSERT_EQ(events[i].time_ns, 2500 - static_cast<int64_t>(i));
  EXPECT_EQ(events[0].events, 0x100u);
  EXPECT_EQ(events[0].cookie, 7u);
  EXPECT_EQ(events[0].path, "/\xff");
  EXPECT_FALSE(events[0].removed);
  EXPECT_TRUE(events.back().removed);
  EXPECT_EQ(lost, 3u);
  handler_.events_ended.WaitForNotification();
}

TEST_F(ControlTest, EventsThatCannotBeHadAreAnError) {
  EXPECT_EQ(Connect()->FollowEvents(true, [](const Events&) { return true; }),
            absl::UnavailableError("no reads"));
}

TEST_F(ControlTest, TheEndOfTheServerIsTheEndOfTheEvents) {
  absl::Notification began;
  std::thread follower([&] {
    const absl::Status followed = Connect()->FollowEvents(false, [&](const Events&) {
      if (!began.HasBeenNotified()) began.Notify();
      return true;
    });
    EXPECT_FALSE(followed.ok());
  });
  began.WaitForNotification();
  server_.reset();
  follower.join();
  handler_.events_ended.WaitForNotification();
}

TEST_F(ControlTest, ADiffReportsProgressAndCanBeGivenUp) {
  std::atomic<bool> cancel{false};
  const auto on_progress = [&cancel](const Progress& progress) {
    if (progress.done == 7) cancel = true;
  };
  EXPECT_EQ(Connect()->Diff(on_progress, &cancel).status(), absl::CancelledError("given up"));
}

TEST_F(ControlTest, ACommitGetsItsParameters) {
  EXPECT_EQ(Connect()->Commit({"/dir", "tag", "zstd", "me", "why"}, {}, nullptr)->text,
            "/dir:tag zstd me why");
}

TEST_F(ControlTest, ACheckpointReportsProgressAndResult) {
  absl::Notification seen;
  handler_.checkpoint = [&](const CheckpointParams& params, const ProgressCallback& on_progress,
                            const std::atomic<bool>*) -> absl::StatusOr<Report> {
    EXPECT_EQ(params.directory, "/snaps");
    EXPECT_EQ(params.tag, "v1");
    EXPECT_TRUE(params.stop);
    EXPECT_EQ(params.digest, "open");
    EXPECT_EQ(params.max_extra_memory, 5u);
    on_progress({"write", 1, 2, 3});
    EXPECT_TRUE(seen.WaitForNotificationWithTimeout(absl::Seconds(10)));
    return Report{"{}", "done"};
  };
  const absl::StatusOr<Report> report = Connect()->Checkpoint(
      {"/snaps", "v1", true, "open", 5},
      [&seen](const Progress& progress) {
        if (progress.phase == "write" && progress.done == 1 && progress.total == 2 &&
            progress.bytes == 3 && !seen.HasBeenNotified())
          seen.Notify();
      },
      nullptr);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->json, "{}");
  EXPECT_EQ(report->text, "done");
}

// Waits until it is cancelled.
absl::StatusOr<Report> AwaitCancel(const std::atomic<bool>* cancel) {
  while (!*cancel) absl::SleepFor(absl::Milliseconds(1));
  return absl::CancelledError("cancelled");
}

TEST_F(ControlTest, ACheckpointIsCancelledByTheCaller) {
  absl::Notification ended;
  std::atomic<bool> cancel{false};
  handler_.checkpoint = [&](const CheckpointParams&, const ProgressCallback&,
                            const std::atomic<bool>* cancelled) {
    cancel = true;
    auto result = AwaitCancel(cancelled);
    ended.Notify();
    return result;
  };
  EXPECT_TRUE(absl::IsCancelled(Connect()->Checkpoint({"/s", "t", false}, {}, &cancel).status()));
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ControlTest, ACancelThatComesTooLateIsASuccess) {
  std::atomic<bool> cancel{false};
  handler_.checkpoint = [&](const CheckpointParams&, const ProgressCallback&,
                            const std::atomic<bool>* cancelled) -> absl::StatusOr<Report> {
    cancel = true;
    (void)AwaitCancel(cancelled);
    return Report{"{}", "committed"};
  };
  const auto report = Connect()->Checkpoint({"/s", "t", false}, {}, &cancel);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->text, "committed");
}

TEST_F(ControlTest, AnExceptionInACheckpointIsAnError) {
  handler_.checkpoint = [](const CheckpointParams&, const ProgressCallback&,
                           const std::atomic<bool>*) -> absl::StatusOr<Report> {
    throw std::bad_alloc();
  };
  EXPECT_TRUE(absl::IsInternal(Connect()->Checkpoint({"/s", "t", false}, {}, nullptr).status()));
  EXPECT_TRUE(Connect()->GetInfo().ok());
}

TEST_F(ControlTest, TheEndOfACallerDuringACheckpointIsNoTrouble) {
  absl::Notification began, ended;
  handler_.checkpoint = [&](const CheckpointParams&, const ProgressCallback&,
                            const std::atomic<bool>* cancel) {
    began.Notify();
    auto result = AwaitCancel(cancel);
    ended.Notify();
    return result;
  };
  const pid_t caller = fork();
  if (caller == 0) {
    (void)Connect()->Checkpoint({"/s", "t", false}, {}, nullptr);
    _exit(0);
  }
  began.WaitForNotification();
  kill(caller, SIGKILL);
  waitpid(caller, nullptr, 0);
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(absl::Seconds(10)));
  EXPECT_TRUE(Connect()->GetInfo().ok());
}

// Without a descriptor left UndefinedBehaviorSanitizer cannot look at objects.
#ifndef __SANITIZE_ADDRESS__
TEST_F(ControlTest, TheSocketOutlivesALackOfDescriptors) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path().c_str());
  const UniqueFd caller(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  {
    std::vector<UniqueFd> all;
    rlimit old{};
    getrlimit(RLIMIT_NOFILE, &old);
    const rlimit few{64, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = 0; (fd = dup(caller.get())) >= 0;) all.emplace_back(fd);
    ASSERT_EQ(connect(caller.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    for (int i = 0; i < 1000 && handler_.errors == 0; ++i) absl::SleepFor(absl::Milliseconds(10));
    setrlimit(RLIMIT_NOFILE, &old);
  }
  EXPECT_GT(handler_.errors, 0);
  EXPECT_TRUE(Connect()->GetInfo().ok());
}
#endif

TEST_F(ControlTest, OthersAreAnsweredDuringACheckpoint) {
  absl::Notification began;
  handler_.checkpoint = [&](const CheckpointParams&, const ProgressCallback&,
                            const std::atomic<bool>* cancel) {
    began.Notify();
    return AwaitCancel(cancel);
  };
  std::thread saver([this] { (void)Connect()->Checkpoint({"/s", "t", false}, {}, nullptr); });
  began.WaitForNotification();
  EXPECT_TRUE(Connect()->GetInfo().ok());
  server_.reset();  // cancels
  saver.join();
}

TEST_F(ControlTest, TheEndOfTheServerIsAnErrorForItsClients) {
  std::unique_ptr<Client> client = Connect();
  server_.reset();
  EXPECT_TRUE(absl::IsNotFound(client->GetInfo().status()));
  EXPECT_TRUE(absl::IsUnavailable(Client::Connect(path()).status()));
}

TEST_F(ControlTest, ACheckpointHasItsTimes) {
  handler_.checkpoint = [](const CheckpointParams& params, const ProgressCallback&,
                           const std::atomic<bool>*) -> absl::StatusOr<Report> {
    return Report{"",
                  absl::StrCat(absl::FormatDuration(params.timeout), " ",
                               absl::FormatDuration(params.freeze_timeout), " ", params.series)};
  };
  CheckpointParams params{
      "/snaps", "v1", false, "none", 0, absl::Seconds(90), absl::Milliseconds(20), "auto"};
  EXPECT_EQ(Connect()->Checkpoint(params, nullptr, nullptr)->text, "1m30s 20ms auto");
  params.timeout = -absl::Seconds(1);
  EXPECT_EQ(Connect()->Checkpoint(params, nullptr, nullptr)->text, "0 20ms auto");
}

TEST_F(ControlTest, ARollbackIsAskedForWithAllOfIt) {
  const RollbackParams params{"/snaps",         "v1",     "/safe", "s",    absl::Seconds(2),
                              {"a=/a", "b=/b"}, "/cache", "size",  "heal", {"/x=warn", "/y=fail"}};
  EXPECT_EQ(Connect()->Rollback(params, nullptr, nullptr)->text,
            "/snaps:v1 /safe:s 2s a=/a+b=/b /cache size heal /x=warn+/y=fail");
}

TEST_F(ControlTest, AnErrorComesWithItsPayloads) {
  const absl::Status error = Connect()->Rollback({}, nullptr, nullptr).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(error));
  EXPECT_EQ(std::string(error.GetPayload("the/report").value_or(absl::Cord())),
            std::string("a\0b", 3));
}

}  // namespace
}  // namespace stasis::control
