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
#include <string>
#include <string_view>

namespace stasis::sandbox {
namespace {

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

// The state letter of /proc/PID/.../stat: "PID (NAME) STATE ..."; '\0' if it is gone.
char StateLetter(int proc, const std::string& path) {
  const UniqueFd fd(openat(proc, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return '\0';
  char text[512];
  const ssize_t size = read(fd.get(), text, sizeof text);
  if (size <= 0) return '\0';
  const std::string_view line(text, static_cast<size_t>(size));
  const size_t name_end = line.rfind(')');
  return name_end == std::string_view::npos || name_end + 2 >= line.size() ? '\0'
                                                                           : line[name_end + 2];
}

}  // namespace

std::vector<pid_t> ProcessTable::List(pid_t except) const {
  std::vector<pid_t> pids;
  for (pid_t pid : Numbers(proc_.get(), "."))
    if (pid != getpid() && pid != except && ActivityOf(pid) != Activity::kGone) pids.push_back(pid);
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

bool ProcessTable::StopOnce(const absl::flat_hash_set<pid_t>& stopped_before, pid_t except) {
  bool all_stopped = true;
  for (pid_t pid : List(except)) {
    if (stopped_before.contains(pid)) continue;
    // A process that was made since the last look may be stopped already, by its parent's signal.
    if (stopped_.insert(pid).second) kill(pid, SIGSTOP);
    if (ActivityOf(pid) != Activity::kRunning) continue;
    kill(pid, SIGSTOP);
    all_stopped = false;
  }
  return all_stopped;
}

absl::Status ProcessTable::StopAll(absl::Duration timeout, pid_t except) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::flat_hash_set<pid_t> stopped_before;
  for (pid_t pid : List(except))
    if (ActivityOf(pid) == Activity::kStopped) stopped_before.insert(pid);
  // Twice in a row: a process may be forked while the first look goes on.
  for (int quiet = 0; quiet < 2;) {
    quiet = StopOnce(stopped_before, except) ? quiet + 1 : 0;
    if (quiet > 0) continue;
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError("some processes did not stop on SIGSTOP");
    absl::SleepFor(absl::Microseconds(200));
  }
  return absl::OkStatus();
}

void ProcessTable::ContinueAll() {
  for (pid_t pid : stopped_) kill(pid, SIGCONT);
  stopped_.clear();
}

}  // namespace stasis::sandbox
