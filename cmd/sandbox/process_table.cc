// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/process_table.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

namespace stasis::sandbox {
namespace {

// How long to wait for all to stop before everything may run on for a moment, and how much longer
// the next time.
constexpr absl::Duration kFirstAttempt = absl::Milliseconds(20);
constexpr double kGrowth = 1.1;

// Names in a directory of /proc that are numbers.
std::vector<pid_t> Numbers(int proc, const std::string& path) {
  std::vector<pid_t> numbers;
  const int fd = openat(proc, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return numbers;
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) {
    close(fd);
    return numbers;
  }
  const auto closer = absl::MakeCleanup([dir] { closedir(dir); });
  while (const dirent* entry = readdir(dir)) {
    pid_t number = 0;
    if (absl::SimpleAtoi(entry->d_name, &number)) numbers.push_back(number);
  }
  return numbers;
}

// The beginning of a file of /proc; empty if it is gone.
std::string ReadStart(int proc, const std::string& path) {
  const UniqueFd fd(openat(proc, path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[512];
  const ssize_t size = fd.valid() ? read(fd.get(), text, sizeof text) : 0;
  return std::string(text, static_cast<size_t>(std::max<ssize_t>(size, 0)));
}

// The state letter of /proc/PID/.../stat: "PID (NAME) STATE ..."; '\0' if it is gone.
char StateLetter(int proc, const std::string& path) {
  const std::string line = ReadStart(proc, path);
  const size_t name_end = line.rfind(')');
  return name_end == std::string_view::npos || name_end + 2 >= line.size() ? '\0'
                                                                           : line[name_end + 2];
}

}  // namespace

std::vector<pid_t> ProcessTable::List() const {
  std::vector<pid_t> pids;
  for (pid_t pid : Numbers(proc_.get(), "."))
    if (pid != getpid() && ActivityOf(pid) != Activity::kGone) pids.push_back(pid);
  return pids;
}

ProcessTable::Activity ProcessTable::ActivityOf(pid_t pid) const {
  Activity activity = Activity::kGone;
  const std::string tasks = absl::StrCat(pid, "/task");
  for (pid_t thread : Numbers(proc_.get(), tasks)) {
    const char state = StateLetter(proc_.get(), absl::StrCat(tasks, "/", thread, "/stat"));
    if (state == '\0' || state == 'Z' || state == 'X') continue;
    if (state != 'T' && state != 't') return Activity::kRunning;
    activity = Activity::kStopped;
  }
  return activity;
}

std::string ProcessTable::NameOf(pid_t pid) const {
  std::string name = ReadStart(proc_.get(), absl::StrCat(pid, "/comm"));
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

pid_t ProcessTable::StopOnce(const absl::flat_hash_set<pid_t>& stopped_before) {
  pid_t running = 0;
  for (pid_t pid : List()) {
    if (stopped_before.contains(pid)) continue;
    // A process that was made since the last look may be stopped already, by its parent's signal.
    if (stopped_.insert(pid).second) kill(pid, SIGSTOP);
    if (ActivityOf(pid) != Activity::kRunning) continue;
    kill(pid, SIGSTOP);
    running = pid;
  }
  return running;
}

pid_t ProcessTable::StopUntil(absl::Time deadline,
                              const absl::flat_hash_set<pid_t>& stopped_before) {
  // Twice in a row: a process may be forked while the first look goes on.
  for (int quiet = 0; quiet < 2;) {
    const pid_t running = StopOnce(stopped_before);
    quiet = running == 0 ? quiet + 1 : 0;
    if (quiet > 0) continue;
    if (absl::Now() > deadline) return running;
    absl::SleepFor(absl::Microseconds(200));
  }
  return 0;
}

absl::Status ProcessTable::StopAll(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::flat_hash_set<pid_t> stopped_before;
  for (pid_t pid : List())
    if (ActivityOf(pid) == Activity::kStopped) stopped_before.insert(pid);
  // The parent in vfork(2) stops only after its child has called execve, which a child that was
  // stopped before never does. So everything runs on for a moment, of a random length.
  std::minstd_rand random(std::random_device{}());
  std::uniform_int_distribution<int> pause_us(1000, 5000);
  for (absl::Duration attempt = kFirstAttempt;; attempt *= kGrowth) {
    const pid_t running = StopUntil(std::min(deadline, absl::Now() + attempt), stopped_before);
    if (running == 0) return absl::OkStatus();
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(
          absl::StrCat("the program '", NameOf(running), "', process ", running,
                       " of the sandbox, did not stop on SIGSTOP; start the sandbox with "
                       "--freezer cgroup"));
    ContinueAll();
    absl::SleepFor(absl::Microseconds(pause_us(random)));
  }
}

void ProcessTable::ContinueAll() {
  for (pid_t pid : stopped_) kill(pid, SIGCONT);
  stopped_.clear();
}

}  // namespace stasis::sandbox
