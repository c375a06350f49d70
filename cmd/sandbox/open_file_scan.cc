// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/open_file_scan.h"

#include <absl/cleanup/cleanup.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>

#include "cmd/sandbox/fdinfo.h"
#include "cmd/sandbox/mount_devices.h"
#include "cmd/sandbox/shared_descriptions.h"
#include "state/base/unique_fd.h"

namespace stasis::sandbox {
namespace {

// The texts of /proc are read whole, but for those that somebody has made enormous.
constexpr size_t kMaxText = size_t{64} << 20;
constexpr size_t kPathSize = 4096 + 16;  // with " (deleted)"

std::string ReadText(int fd) {
  std::string text;
  char buffer[8192];
  for (ssize_t size = 0; text.size() < kMaxText && (size = read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(size));
  return text;
}

std::string ReadText(int dir, const char* name) {
  const UniqueFd fd(openat(dir, name, O_RDONLY | O_CLOEXEC));
  return fd.valid() ? ReadText(fd.get()) : std::string();
}

// Empty if it cannot be read; errno says why.
std::string ReadLink(int dir, const char* name) {
  char buffer[kPathSize];
  const ssize_t size = readlinkat(dir, name, buffer, sizeof buffer);
  return size < 0 ? std::string() : std::string(buffer, static_cast<size_t>(size));
}

UniqueFd OpenDirectory(int dir, const char* name) {
  return UniqueFd(openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

// The names in a directory of /proc that are numbers, ascending.
std::vector<int32_t> Numbers(int dir, const char* name) {
  std::vector<int32_t> numbers;
  UniqueFd fd = OpenDirectory(dir, name);
  if (!fd.valid()) return numbers;
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return numbers;
  (void)fd.release();
  const auto closer = absl::MakeCleanup([stream] { closedir(stream); });
  while (const dirent* entry = readdir(stream))
    if (int32_t number = 0; absl::SimpleAtoi(entry->d_name, &number)) numbers.push_back(number);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// The value behind "KEY:" in /proc/PID/status.
absl::string_view StatusField(absl::string_view status, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(status, '\n'))
    if (absl::ConsumePrefix(&line, key) && absl::ConsumePrefix(&line, ":"))
      return absl::StripAsciiWhitespace(line);
  return {};
}

// A process as the sandbox numbers it: one level below the caller's own numbers.
int32_t InnerPid(absl::string_view status, pid_t outer) {
  const std::vector<absl::string_view> levels =
      absl::StrSplit(StatusField(status, "NSpid"), absl::ByAnyChar("\t "), absl::SkipEmpty());
  int32_t pid = outer;
  if (levels.size() > 1) (void)absl::SimpleAtoi(levels[1], &pid);
  return pid;
}

class Scan {
 public:
  explicit Scan(const ScanOptions& options) : options_(options) {}

  RefPtr<OpenFiles> Run();

 private:
  void ScanProcess(pid_t pid);
  void ScanDirectory(const char* link, OpenKind kind);
  void ScanDescriptors();
  void ScanDescriptor(int fds, int infos, int32_t fd);
  FdInfo ReadInfo(int infos, const char* name, int32_t fd);
  void ScanMappings();
  void FindShared();
  void AddWatches(OpenFile file, const FdInfo& info);
  OpenFile Make(OpenKind kind, std::string path) const;
  void Add(OpenFile file) { files_->files().push_back(std::move(file)); }
  // Whether to go on.
  bool Within();
  void Incomplete(std::string why) {
    if (files_->incomplete().empty()) files_->set_incomplete(std::move(why));
  }

  const ScanOptions& options_;
  RefPtr<OpenFiles> files_ = MakeRef<OpenFiles>();
  std::map<std::string, MountDevices> namespaces_;  // by what /proc/PID/ns/mnt says

  // Of the process that is looked at.
  UniqueFd dir_;
  pid_t host_pid_ = 0;
  int32_t pid_ = 0;
  std::string command_;
  const MountDevices* devices_ = nullptr;
};

bool Scan::Within() {
  if (files_->files().size() >= options_.max_files) {
    Incomplete(absl::StrCat("there are more than ", options_.max_files, " open files"));
    return false;
  }
  if (absl::Now() <= options_.deadline) return true;
  Incomplete("there was no time to look at all of them");
  return false;
}

OpenFile Scan::Make(OpenKind kind, std::string path) const {
  OpenFile file;
  file.kind = kind;
  file.pid = pid_;
  file.host_pid = host_pid_;
  file.command = command_;
  file.deleted = StripDeleted(path);
  file.path = std::move(path);
  return file;
}

void Scan::ScanProcess(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid);
  dir_ = UniqueFd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir_.valid()) return;
  const std::string status = ReadText(dir_.get(), "status");
  if (status.empty()) return;
  host_pid_ = pid;
  pid_ = InnerPid(status, pid);
  command_ = std::string(StatusField(status, "Name"));
  const std::string mounts = ReadLink(dir_.get(), "ns/mnt");
  if (mounts.empty()) {
    // One that has ended and was not waited for yet has none.
    if (errno == EACCES || errno == EPERM)
      Incomplete(absl::StrCat("process ", pid_, " (", command_, ") cannot be looked into"));
    return;
  }
  const auto [known, added] = namespaces_.try_emplace(mounts);
  if (added)
    known->second =
        MountDevices(ReadText(dir_.get(), "mountinfo"), options_.source, options_.mounts);
  devices_ = &known->second;
  ScanDirectory("cwd", OpenKind::kWorkingDirectory);
  ScanDirectory("root", OpenKind::kRootDirectory);
  ScanDescriptors();
  ScanMappings();
}

// Opened as O_PATH through the link the directory is not asked for anything, and its fdinfo tells
// where it is.
void Scan::ScanDirectory(const char* link, OpenKind kind) {
  std::string path = ReadLink(dir_.get(), link);
  if (!absl::StartsWith(path, "/")) return;
  if (kind == OpenKind::kRootDirectory && path == "/") return;  // everybody has that
  const UniqueFd fd(openat(dir_.get(), link, O_PATH | O_CLOEXEC));
  if (!fd.valid()) return;
  const FdInfo info =
      FdInfo::Parse(ReadText(AT_FDCWD, absl::StrCat("/proc/self/fdinfo/", fd.get()).c_str()));
  const std::optional<uint32_t> dev = devices_->OfMount(info.mount_id);
  if (!dev.has_value()) return;
  OpenFile file = Make(kind, std::move(path));
  file.dev = *dev;
  file.ino = info.ino;
  Add(std::move(file));
}

void Scan::ScanDescriptors() {
  const UniqueFd fds = OpenDirectory(dir_.get(), "fd");
  const UniqueFd infos = OpenDirectory(dir_.get(), "fdinfo");
  if (!fds.valid() || !infos.valid()) return;
  for (const int32_t fd : Numbers(fds.get(), ".")) {
    if (!Within()) return;
    ScanDescriptor(fds.get(), infos.get(), fd);
  }
}

// Of a process that has ended nothing is held, and its number may be another's.
FdInfo Scan::ReadInfo(int infos, const char* name, int32_t fd) {
  if (options_.held != nullptr) {
    char text[4096];
    const ssize_t size = pread(options_.held->Find(host_pid_, fd), text, sizeof text, 0);
    // What does not fit is read in whole.
    if (size > 0 && static_cast<size_t>(size) < sizeof text)
      return FdInfo::Parse({text, static_cast<size_t>(size)});
  }
  UniqueFd file(openat(infos, name, O_RDONLY | O_CLOEXEC));
  FdInfo info = FdInfo::Parse(ReadText(file.get()));
  if (options_.hold != nullptr) options_.hold->Add(host_pid_, fd, std::move(file));
  return info;
}

void Scan::ScanDescriptor(int fds, int infos, int32_t fd) {
  char name[16];
  *std::to_chars(name, name + sizeof name - 1, fd).ptr = '\0';
  std::string path = ReadLink(fds, name);
  const bool inotify = path == "anon_inode:inotify";
  if (!inotify && !absl::StartsWith(path, "/")) return;
  FdInfo info = ReadInfo(infos, name, fd);
  OpenFile file = Make(inotify ? OpenKind::kInotify : OpenKind::kDescriptor, std::move(path));
  file.fd = fd;
  file.flags = info.flags;
  if (inotify) return AddWatches(std::move(file), info);
  const std::optional<uint32_t> dev = devices_->OfMount(info.mount_id);
  if (!dev.has_value()) return;
  file.dev = *dev;
  file.ino = info.ino;
  file.offset = info.offset;
  file.locks = std::move(info.locks);
  Add(std::move(file));
}

void Scan::AddWatches(OpenFile file, const FdInfo& info) {
  file.path.clear();
  for (const FdInfo::Watch& watch : info.watches)
    if (const std::optional<uint32_t> dev = devices_->OfDevice(watch.device); dev.has_value())
      file.watches.push_back({watch.wd, watch.mask, *dev, watch.ino});
  if (!file.watches.empty()) Add(std::move(file));
}

// One entry for each file.
void Scan::ScanMappings() {
  if (!Within()) return;
  std::map<std::tuple<uint64_t, uint64_t, std::string>, OpenFile> files;
  const std::string maps = ReadText(dir_.get(), "maps");
  for (const absl::string_view line : absl::StrSplit(maps, '\n')) {
    const std::optional<MapsLine> map = MapsLine::Parse({line.data(), line.size()});
    if (!map.has_value()) continue;
    const std::optional<uint32_t> dev = devices_->OfDevice(map->device);
    if (!dev.has_value()) continue;
    const auto [it, added] = files.try_emplace({map->device, map->ino, map->path});
    OpenFile& file = it->second;
    if (added) {
      file = Make(OpenKind::kMapping, map->path);
      file.dev = *dev;
      file.ino = map->ino;
      file.access = map->access;
    }
    file.length += map->length;
    for (size_t i = 0; i < file.access.size() && i < map->access.size(); ++i)
      if (file.access[i] == '-' || map->access[i] == 's') file.access[i] = map->access[i];
  }
  for (auto& [key, file] : files) Add(std::move(file));
}

// Only those that look alike can be one.
void Scan::FindShared() {
  std::map<std::tuple<uint32_t, uint64_t, uint32_t, uint64_t>, std::vector<OpenFile*>> alike;
  for (OpenFile& file : files_->files())
    if (file.kind == OpenKind::kDescriptor)
      alike[{file.dev, file.ino, file.flags & ~static_cast<uint32_t>(O_CLOEXEC), file.offset}]
          .push_back(&file);
  uint32_t last = 0;
  for (const auto& [key, files] : alike) {
    if (files.size() < 2) continue;
    SharedDescriptions shared(options_.deadline);
    for (OpenFile* file : files)
      if (!shared.Add(*file)) {
        Incomplete("which descriptors are shared could not be found out");
        break;
      }
    shared.Number(last);
  }
}

RefPtr<OpenFiles> Scan::Run() {
  for (const pid_t pid : options_.pids) {
    if (!Within()) break;
    ScanProcess(pid);
  }
  if (options_.hold == nullptr) FindShared();  // otherwise another look follows
  return std::move(files_);
}

}  // namespace

void HeldInfos::Add(pid_t pid, int32_t fd, UniqueFd info) {
  if (info.valid() && infos_.size() < limit_) infos_.insert_or_assign({pid, fd}, std::move(info));
}

int HeldInfos::Find(pid_t pid, int32_t fd) const {
  const auto it = infos_.find({pid, fd});
  return it == infos_.end() ? -1 : it->second.get();
}

RefPtr<OpenFiles> ScanOpenFiles(const ScanOptions& options) { return Scan(options).Run(); }

std::vector<pid_t> ProcessesBelow(pid_t init) {
  const UniqueFd proc = OpenDirectory(AT_FDCWD, "/proc");
  const auto read_link = [&proc](pid_t pid) {
    return ReadLink(proc.get(), absl::StrCat(pid, "/ns/pid").c_str());
  };
  // Init's own link is that of the namespace that it is the first process of.
  const std::string own = read_link(init);
  const std::string callers = ReadLink(proc.get(), "self/ns/pid");
  absl::flat_hash_map<pid_t, pid_t> parents;  // of those that may be of a namespace below
  absl::flat_hash_set<pid_t> inside = {init};
  for (const pid_t pid : Numbers(proc.get(), ".")) {
    const std::string of = read_link(pid);
    if (!own.empty() && of == own) {
      inside.insert(pid);
      continue;
    }
    // Nobody gets back to the caller's from one below it: so most of a host's are not asked more.
    if (!own.empty() && of == callers) continue;
    const std::string status = ReadText(proc.get(), absl::StrCat(pid, "/status").c_str());
    pid_t parent = 0;
    if (absl::SimpleAtoi(StatusField(status, "PPid"), &parent)) parents[pid] = parent;
  }
  std::vector<pid_t> pids(inside.begin(), inside.end());
  std::erase(pids, init);
  for (const auto& [pid, parent] : parents) {
    // Through its parents, who are fewer than all.
    pid_t at = parent;
    for (size_t steps = 0; steps < parents.size() && !inside.contains(at); ++steps) {
      const auto up = parents.find(at);
      if (up == parents.end()) break;
      at = up->second;
    }
    if (pid != init && inside.contains(at)) pids.push_back(pid);
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

}  // namespace stasis::sandbox
