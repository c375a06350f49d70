// SPDX-License-Identifier: Apache-2.0
//
// In a pid namespace of its own, of which the test is process 1. Needs root.

#include "cmd/sandbox/process_table.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace stasis::sandbox {
namespace {

using testing::HasSubstr;

// Runs `body` as process 1 with its /proc; what it returns, empty for success.
std::string AsProcessOne(const std::function<std::string(ProcessTable&)>& body) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t outer = fork();
  if (outer == 0) {
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) _exit(1);
    const pid_t one = fork();
    if (one != 0) {
      waitpid(one, nullptr, 0);
      _exit(0);
    }
    mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    mount("proc", "/proc", "proc", 0, nullptr);
    ProcessTable table(UniqueFd(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    const std::string said = "said: " + body(table);
    (void)!write(ends[1], said.data(), said.size());
    _exit(0);
  }
  close(ends[1]);
  std::string said(4096, '\0');
  said.resize(static_cast<size_t>(std::max<ssize_t>(0, read(ends[0], said.data(), said.size()))));
  close(ends[0]);
  waitpid(outer, nullptr, 0);
  return said;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// A program that spends half of its time in vfork(2).
[[noreturn]] void SpawnForEver() {
  for (;;) {
    if (vfork() == 0) {
      usleep(3000);
      _exit(0);
    }
    waitpid(-1, nullptr, 0);
    usleep(3000);
  }
}

TEST(ProcessTableTest, StopsAProgramThatMakesOthersByVfork) {
  EXPECT_EQ(AsProcessOne([](ProcessTable& table) {
              if (fork() == 0) SpawnForEver();
              absl::SleepFor(absl::Milliseconds(20));
              for (int round = 0; round < 20; ++round) {
                const absl::Status stopped = table.StopAll(absl::Seconds(10));
                table.ContinueAll();
                if (!stopped.ok()) return Message(stopped);
                absl::SleepFor(absl::Milliseconds(2));
              }
              return std::string();
            }),
            "said: ");
}

TEST(ProcessTableTest, NamesWhatDoesNotStop) {
  EXPECT_THAT(AsProcessOne([](ProcessTable& table) {
                if (fork() == 0 && vfork() == 0)
                  for (;;) pause();
                absl::SleepFor(absl::Milliseconds(100));
                return Message(table.StopAll(absl::Seconds(1)));
              }),
              testing::AllOf(HasSubstr("the program 'cmd.sandbox"),
                             HasSubstr("process 2 of the sandbox"), HasSubstr("--freezer cgroup")));
}

}  // namespace
}  // namespace stasis::sandbox
