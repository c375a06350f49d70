// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/cgroup.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "state/base/unique_fd.h"

namespace stasis::sandbox {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

absl::Status WriteFile(const std::string& path, std::string_view text) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) < 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write to ", path));
  return absl::OkStatus();
}

// The caller's group: lines are "ID:CONTROLLERS:PATH", with "0::" for version 2.
std::string OwnPath(int version) {
  const std::string text = ReadFile("/proc/self/cgroup");
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    const bool freezer =
        std::find(controllers.begin(), controllers.end(), "freezer") != controllers.end();
    if (version == 2 ? parts[0] == "0" : freezer) return parts[2];
  }
  return "/";
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Makes the group's folder and, if needed, the folder it is in.
int MakeGroup(const std::string& path) {
  const std::string parent = ParentOf(path);
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST) return errno;
    if (mkdir(path.c_str(), 0755) == 0) return 0;
    if (errno != ENOENT) return errno;  // else: somebody has just removed the empty parent
  }
  return EBUSY;
}

std::string ParentIn(const Cgroup::Hierarchy& hierarchy) {
  if (geteuid() == 0) return hierarchy.mount + "/stasis";
  const std::string own = hierarchy.own_path == "/" ? "" : hierarchy.own_path;
  return absl::StrCat(hierarchy.mount, own, "/stasis");
}

}  // namespace

std::vector<Cgroup::Hierarchy> Cgroup::Hierarchies() {
  std::vector<Hierarchy> found;
  const std::string text = ReadFile("/proc/self/mounts");
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() < 4) continue;
    const std::vector<std::string> options = absl::StrSplit(fields[3], ',');
    const bool freezer = std::find(options.begin(), options.end(), "freezer") != options.end();
    if (fields[2] == "cgroup2") found.push_back({2, fields[1], OwnPath(2)});
    if (fields[2] == "cgroup" && freezer) found.push_back({1, fields[1], OwnPath(1)});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Hierarchy& a, const Hierarchy& b) { return a.version > b.version; });
  return found;
}

std::vector<Cgroup> Cgroup::Candidates(const std::string& name) {
  std::vector<Cgroup> candidates;
  for (const Hierarchy& hierarchy : Hierarchies())
    candidates.push_back(Adopt(absl::StrCat(ParentIn(hierarchy), "/", name), hierarchy.version));
  return candidates;
}

absl::StatusOr<Cgroup> Cgroup::Create(const std::string& name) {
  std::vector<std::string> reasons;
  for (const Cgroup& group : Candidates(name)) {
    if (int error = MakeGroup(group.path_); error != 0) {
      reasons.push_back(absl::StrCat(group.path_, ": ", strerror(error)));
      continue;
    }
    const std::string knob = group.version_ == 2 ? "/cgroup.freeze" : "/freezer.state";
    if (access((group.path_ + knob).c_str(), W_OK) == 0 &&
        access((group.path_ + "/cgroup.procs").c_str(), W_OK) == 0)
      return group;
    reasons.push_back(absl::StrCat(group.path_, knob, ": ", strerror(errno)));
    group.Destroy();
  }
  if (reasons.empty()) reasons.push_back("no cgroup hierarchy with a freezer is mounted");
  return absl::UnavailableError(absl::StrJoin(reasons, "; "));
}

int Cgroup::Join() const {
  const UniqueFd fd(open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && write(fd.get(), "0", 1) == 1 ? 0 : errno;
}

bool Cgroup::IsFrozen() const {
  if (version_ == 1) return absl::StartsWith(ReadFile(path_ + "/freezer.state"), "FROZEN");
  return absl::StrContains(ReadFile(path_ + "/cgroup.events"), "frozen 1");
}

// Programs in uninterruptible sleep, which is what cannot be frozen.
std::string Cgroup::WhoWaits() const {
  for (int pid : Pids()) {
    const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
    const size_t open = stat.find('('), close = stat.rfind(')');
    if (close == std::string::npos || close + 2 >= stat.size() || stat[close + 2] != 'D') continue;
    return absl::StrCat("; '", stat.substr(open + 1, close - open - 1), "', process ", pid,
                        ", waits for a device or a filesystem (state D)");
  }
  return "; one may be waiting for a device";
}

absl::Status Cgroup::Freeze(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Status written = version_ == 2 ? WriteFile(path_ + "/cgroup.freeze", "1")
                                       : WriteFile(path_ + "/freezer.state", "FROZEN");
  if (!written.ok()) return written;
  for (absl::Duration pause = absl::Microseconds(50); !IsFrozen();
       pause = std::min(pause * 2, absl::Milliseconds(2))) {
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(absl::StrCat("the processes in ", path_,
                                                      " did not stop within ",
                                                      absl::FormatDuration(timeout), WhoWaits()));
    absl::SleepFor(pause);
  }
  return absl::OkStatus();
}

absl::Status Cgroup::Thaw() const {
  return version_ == 2 ? WriteFile(path_ + "/cgroup.freeze", "0")
                       : WriteFile(path_ + "/freezer.state", "THAWED");
}

std::vector<int> Cgroup::Pids() const {
  std::vector<int> pids;
  std::ifstream in(path_ + "/cgroup.procs");
  for (int pid = 0; in >> pid;) pids.push_back(pid);
  return pids;
}

void Cgroup::Kill() const {
  for (int pid : Pids())
    if (pid > 0) kill(pid, SIGKILL);
}

void Cgroup::Destroy() const {
  for (int attempt = 0; attempt < 400; ++attempt) {
    if (rmdir(path_.c_str()) == 0 || errno == ENOENT) break;
    Kill();
    (void)Thaw();
    absl::SleepFor(absl::Milliseconds(5));
  }
  rmdir(ParentOf(path_).c_str());  // refused while others are in it
}

}  // namespace stasis::sandbox
