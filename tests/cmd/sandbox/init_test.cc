// SPDX-License-Identifier: Apache-2.0
//
// Init, the programs started beside it, and how they are held still. Needs root.

#include "cmd/sandbox/init.h"

#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "cmd/sandbox/cgroup.h"
#include "cmd/sandbox/command.h"

namespace stasis::sandbox {
namespace {

// The number of clock ticks that a process has used.
uint64_t Ticks(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/schedstat");
  uint64_t nanoseconds = 0;
  in >> nanoseconds;
  return nanoseconds;
}

class InitTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<Init>> init = Init::Start(/*rootless=*/false);
    ASSERT_TRUE(init.ok()) << init.status();
    init_ = *std::move(init);
  }

  // Starts a shell script in init's namespaces; they still show the host's files.
  pid_t StartScript(const std::string& script, const std::optional<Cgroup>& group = {}) {
    Place place{init_->pid(), false, "", 0};
    if (group.has_value()) place = {init_->pid(), false, group->path(), group->version()};
    Command command;
    command.arguments = {"/bin/sh", "-c", script};
    signals_.Hold();
    absl::StatusOr<pid_t> pid = StartCommand(place, command, signals_);
    EXPECT_TRUE(pid.ok()) << pid.status();
    return pid.value_or(0);
  }

  static bool StandsStill(pid_t pid) {
    const uint64_t before = Ticks(pid);
    absl::SleepFor(absl::Milliseconds(60));
    return Ticks(pid) == before;
  }

  SignalRelay signals_;
  std::unique_ptr<Init> init_;
};

TEST_F(InitTest, TheEndOfInitIsTheEndOfEverything) {
  const pid_t pid = StartScript("sleep 1000");
  init_.reset();
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// Of a daemon of a later version.
TEST_F(InitTest, RefusesWhatItDoesNotUnderstandAndLivesOn) {
  absl::StatusOr<InitLine> line = init_->Lend();
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->protocol, kInitProtocol);
  InitChannel channel(std::move(line->channel));
  for (const nlohmann::json& request :
       {nlohmann::json{{"id", 1000}, {"do", "what is to come"}},
        nlohmann::json{{"id", 1000}, {"do", "umount"}, {"otherwise", true}},
        nlohmann::json{{"id", 1000}, {"do", "stop"}, {"ms", "long"}},
        nlohmann::json{{"id", 1000}, {"do", 3}}}) {
    ASSERT_TRUE(channel.Send(request).ok());
    const absl::StatusOr<Packet> answer = channel.Receive(absl::Seconds(10));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->json.at("id"), 1000);
    EXPECT_TRUE(absl::IsUnimplemented(StatusOf(answer->json))) << request;
  }
  EXPECT_TRUE(init_->CountProcesses().ok());
}

TEST_F(InitTest, EndsWithTheLastCopyOfTheChannel) {
  const pid_t pid = StartScript("sleep 1000");
  absl::StatusOr<InitLine> line = init_->Lend();
  ASSERT_TRUE(line.ok()) << line.status();
  init_->Release();
  const UniqueFd process(dup(init_->process_fd()));
  init_.reset();  // does not end what was released
  pollfd ended{process.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 50), 0);
  line->channel.reset();
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(poll(&ended, 1, 10'000), 1);
}

TEST_F(InitTest, AnotherDaemonGoesOn) {
  EXPECT_TRUE(absl::IsFailedPrecondition(init_->Sync(absl::Seconds(5))));
  absl::StatusOr<InitLine> line = init_->Lend();
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_GT(line->next_id, 1);
  const std::unique_ptr<Init> adopted = Init::Adopt(*std::move(line));
  init_->Release();
  EXPECT_EQ(adopted->pid(), init_->pid());
  EXPECT_TRUE(absl::IsFailedPrecondition(adopted->Sync(absl::Seconds(5))));
  EXPECT_FALSE(adopted->ended());
  adopted->Await();
  EXPECT_TRUE(adopted->ended());
}

// From the moment on when another one knows the next number, until it is clear that it gives up.
TEST_F(InitTest, WhoeverHandsItOverAsksNothing) {
  const int64_t next = init_->HoldRequests();
  EXPECT_TRUE(absl::IsUnavailable(init_->CountProcesses().status()));
  EXPECT_TRUE(absl::IsUnavailable(init_->Sync(absl::Seconds(5))));
  EXPECT_EQ(init_->HoldRequests(), next);
  init_->GoOn();
  EXPECT_TRUE(init_->CountProcesses().ok());
  EXPECT_EQ(init_->HoldRequests(), next + 1);
}

TEST_F(InitTest, CommandsHaveSmallNumbersInside) {
  const pid_t pid = StartScript("test $$ -lt 10 && exit 4");
  EXPECT_EQ(signals_.Wait(pid), 4);
}

TEST_F(InitTest, SyncBeforeTheRootIsThereIsAnError) {
  EXPECT_TRUE(absl::IsFailedPrecondition(init_->Sync(absl::Seconds(5))));
}

TEST_F(InitTest, ACgroupStopsEveryProcess) {
  absl::StatusOr<Cgroup> group = Cgroup::Create("init-test." + std::to_string(getpid()));
  ASSERT_TRUE(group.ok()) << group.status();
  const pid_t pid = StartScript("while :; do :; done", *group);
  EXPECT_EQ(group->Pids(), std::vector<int>{pid});
  ASSERT_TRUE(group->Freeze(absl::Seconds(5)).ok());
  EXPECT_TRUE(StandsStill(pid));
  ASSERT_TRUE(group->Thaw().ok());
  EXPECT_FALSE(StandsStill(pid));
  init_.reset();
  waitpid(pid, nullptr, 0);
  group->Destroy();
  EXPECT_NE(access(group->path().c_str(), F_OK), 0);
}

TEST_F(InitTest, DestroyKillsWhatIsFrozen) {
  absl::StatusOr<Cgroup> group = Cgroup::Create("init-test2." + std::to_string(getpid()));
  ASSERT_TRUE(group.ok()) << group.status();
  const pid_t pid = StartScript("while :; do :; done", *group);
  ASSERT_TRUE(group->Freeze(absl::Seconds(5)).ok());
  group->Destroy();
  EXPECT_EQ(signals_.Wait(pid), 128 + SIGKILL);
}

}  // namespace
}  // namespace stasis::sandbox
