// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/runtime_dir.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "cmd/sandbox/cgroup.h"
#include "cmd/sandbox/paths.h"

namespace stasis::sandbox {
namespace {

constexpr size_t kMaxName = 63;
constexpr std::string_view kKeptLogSuffix = ".log";

std::string NonEmptyEnv(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

bool IsNameCharacter(char c) {
  return isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
}

// Errors: kFailedPrecondition unless `path` is a directory of ours or root's to which nobody else
// may write.
absl::Status CheckPrivate(const std::string& path, bool root_sees_all) {
  struct stat st {};
  if (lstat(path.c_str(), &st) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
  const bool trusted =
      st.st_uid == geteuid() || st.st_uid == 0 || (root_sees_all && geteuid() == 0);
  if (S_ISDIR(st.st_mode) && trusted && (st.st_mode & 022) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the runtime directory ", path,
                   " belongs to somebody else or others may write to it; set STASIS_RUNTIME_DIR to "
                   "a directory of your own"));
}

// Makes a directory that only we may enter, or accepts such a one.
absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return absl::Status(absl::ErrnoToStatusCode(errno),
                        absl::StrCat("cannot make the runtime directory ", path, ": ",
                                     strerror(errno), "; set STASIS_RUNTIME_DIR to another place"));
  return CheckPrivate(path, /*root_sees_all=*/false);
}

}  // namespace

std::string RuntimeRoot() {
  if (std::string dir = NonEmptyEnv("STASIS_RUNTIME_DIR"); !dir.empty()) return AbsolutePath(dir);
  if (geteuid() == 0) return "/run/stasis";
  if (std::string dir = NonEmptyEnv("XDG_RUNTIME_DIR"); !dir.empty()) return dir + "/stasis";
  return absl::StrCat("/tmp/stasis-", geteuid());
}

absl::Status CheckName(std::string_view name) {
  const bool ok = !name.empty() && name.size() <= kMaxName &&
                  isalnum(static_cast<unsigned char>(name.front())) != 0 &&
                  std::all_of(name.begin(), name.end(), IsNameCharacter) &&
                  !name.ends_with(kKeptLogSuffix);
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "'", std::string(name), "' cannot be the name of a sandbox: take a letter or digit, then at ",
      "most 62 letters, digits, '_', '.' and '-', but no .log at the end"));
}

std::string RandomName() {
  uint32_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<uint32_t>(getpid());
  return absl::StrCat("box-", absl::Hex(bits & 0xffffff, absl::kZeroPad6));
}

uint64_t StartTimeOf(pid_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  const std::string line{std::istreambuf_iterator<char>(in), {}};
  // "PID (NAME) STATE ...", in which the name may hold anything; the 20th field after it.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int i = 0; i < 20; ++i) fields >> field;
  uint64_t ticks = 0;
  return absl::SimpleAtoi(field, &ticks) ? ticks : 0;
}

absl::StatusOr<UniqueFd> RuntimeDir::TryLock(int flags) const {
  UniqueFd fd(open(lock_path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", lock_path()));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    return absl::UnavailableError(absl::StrCat(
        "a sandbox named '", name_,
        "' is running; choose another --name, or end it with: ", "stasis stop ", name_));
  // Whoever cleared up between open and flock has removed this very file.
  if (!Owns(fd)) return absl::AbortedError("the lock file was replaced");
  return fd;
}

bool RuntimeDir::Owns(const UniqueFd& lock) const {
  struct stat ours {
  }, there{};
  return fstat(lock.get(), &ours) == 0 && lstat(lock_path().c_str(), &there) == 0 &&
         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

absl::Status RuntimeDir::MakeFolders() const {
  if (absl::Status made = MakePrivateDirectory(root_); !made.ok()) return made;
  if (socket_path().size() >= sizeof(sockaddr_un::sun_path))
    return absl::InvalidArgumentError(absl::StrCat(
        "the path ", socket_path(), " is too long for a socket; set STASIS_RUNTIME_DIR to a ",
        "shorter one, or shorten the name"));
  if (mkdir(path().c_str(), 0700) != 0 && errno != EEXIST)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path()));
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> RuntimeDir::Claim() const {
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (absl::Status made = MakeFolders(); !made.ok()) return made;
    absl::StatusOr<UniqueFd> lock = TryLock(O_CREAT);
    if (absl::IsAborted(lock.status()) || absl::IsNotFound(lock.status())) continue;
    if (!lock.ok()) return lock.status();
    struct stat st {};
    const bool leftover = stat(record_path().c_str(), &st) == 0;
    if (!leftover) {
      if (mkdir(mount_path().c_str(), 0700) != 0 && errno != EEXIST)
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", mount_path()));
      return lock;
    }
    KeepLog();
    if (absl::Status clean = CleanUp(*lock); !clean.ok()) return clean;
  }
  return absl::UnavailableError(absl::StrCat("somebody else keeps removing ", path()));
}

bool RuntimeDir::Exists() const {
  struct stat st {};
  return lstat(lock_path().c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

absl::Status RuntimeDir::CheckOwner() const {
  if (absl::Status root = CheckPrivate(root_, /*root_sees_all=*/true); !root.ok()) return root;
  return CheckPrivate(path(), /*root_sees_all=*/true);
}

bool RuntimeDir::Alive() const {
  UniqueFd fd(open(lock_path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  return fd.valid() && flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool RuntimeDir::WaitUntilDead(int timeout_ms) const {
  for (int waited = 0; Alive(); waited += 5) {
    if (waited >= timeout_ms) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

absl::Status RuntimeDir::WriteRecord(const Record& record) const {
  nlohmann::ordered_json cgroups = nlohmann::ordered_json::array();
  for (const Cgroup& group : record.cgroups)
    cgroups.push_back({{"path", group.path()}, {"version", group.version()}});
  const nlohmann::ordered_json json = {{"daemon_pid", record.daemon_pid},
                                       {"daemon_start", record.daemon_start},
                                       {"keeper_pid", record.keeper_pid},
                                       {"keeper_start", record.keeper_start},
                                       {"lost", record.lost},
                                       {"cgroups", cgroups}};
  const std::string temporary = record_path() + ".new";
  std::ofstream(temporary) << json.dump() << "\n";
  if (rename(temporary.c_str(), record_path().c_str()) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", record_path()));
  return absl::OkStatus();
}

absl::StatusOr<Record> RuntimeDir::ReadRecord() const {
  std::ifstream in(record_path());
  if (!in) return absl::NotFoundError(absl::StrCat(record_path(), " is not there"));
  const nlohmann::json json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError(absl::StrCat(record_path(), " is damaged"));
  Record record;
  try {
    record.daemon_pid = json.value("daemon_pid", 0);
    record.daemon_start = json.value("daemon_start", uint64_t{0});
    record.keeper_pid = json.value("keeper_pid", 0);
    record.keeper_start = json.value("keeper_start", uint64_t{0});
    record.lost = json.value("lost", "");
    for (const nlohmann::json& group : json.value("cgroups", nlohmann::json::array()))
      record.cgroups.push_back(Cgroup::Adopt(group.at("path"), group.at("version")));
  } catch (const nlohmann::json::exception& e) {
    return absl::DataLossError(absl::StrCat(record_path(), " is damaged: ", e.what()));
  }
  return record;
}

namespace {

// False if there is no such process any more.
bool SendSignal(pid_t pid, uint64_t start, int signal) {
  if (pid <= 1) return false;
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // The number may be another process's by now. Compared after the open: it cannot change then.
  return process.valid() && StartTimeOf(pid) == start &&
         syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0;
}

}  // namespace

absl::Status RuntimeDir::SignalDaemon(int signal) const {
  // Another user's record could name anything that we may kill.
  const absl::Status ours = CheckPrivate(path(), /*root_sees_all=*/false);
  if (absl::IsNotFound(ours)) return ours;
  if (!ours.ok())
    return absl::PermissionDeniedError(
        absl::StrCat("sandbox '", name_, "' does not answer, and belongs to somebody else"));
  absl::StatusOr<Record> record = ReadRecord();
  if (!record.ok()) return record.status();
  // Whoever kills the daemon wants no other one.
  const bool kept =
      SendSignal(record->keeper_pid, record->keeper_start, signal == SIGKILL ? SIGKILL : 0);
  const bool sent = SendSignal(record->daemon_pid, record->daemon_start, signal);
  if (!sent && kept && signal != SIGKILL)
    return absl::NotFoundError(
        absl::StrCat("the daemon of sandbox '", name_, "' has died, and another one is starting"));
  return absl::OkStatus();
}

void RuntimeDir::KeepLog() const { rename(log_path().c_str(), kept_log_path().c_str()); }

absl::Status RuntimeDir::CleanUp(const UniqueFd& lock) const {
  if (!Owns(lock)) return absl::OkStatus();
  if (absl::StatusOr<Record> record = ReadRecord();
      record.ok() && CheckPrivate(path(), /*root_sees_all=*/false).ok())
    for (const Cgroup& group : record->cgroups) group.Destroy();
  while (umount2(mount_path().c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  // The lock goes last: until then nobody else may take the name.
  for (const std::string& file : {record_path(), record_path() + ".new", socket_path(),
                                  socket_path() + ".new", log_path(), output_path()})
    unlink(file.c_str());
  rmdir(mount_path().c_str());
  unlink(lock_path().c_str());
  if (rmdir(path().c_str()) != 0 && errno != ENOENT)
    return absl::Status(
        absl::ErrnoToStatusCode(errno),
        absl::StrCat("cannot remove ", path(), ": ", strerror(errno), "; look what is in it"));
  return absl::OkStatus();
}

absl::Status RuntimeDir::CleanUpIfDead() const {
  const absl::StatusOr<UniqueFd> lock = TryLock(0);
  if (lock.ok()) {
    KeepLog();
    return CleanUp(*lock);
  }
  const bool nothing_left = absl::IsUnavailable(lock.status()) || absl::IsAborted(lock.status()) ||
                            absl::IsNotFound(lock.status());
  return nothing_left ? absl::OkStatus() : lock.status();
}

absl::StatusOr<std::vector<RuntimeDir>> RuntimeDir::List(const std::string& root) {
  std::vector<RuntimeDir> found;
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::symlink_status(root, error))) return found;
  if (absl::Status ours = CheckPrivate(root, /*root_sees_all=*/true); !ours.ok()) return ours;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    RuntimeDir dir(root, entry.path().filename());
    if (CheckName(dir.name()).ok() && dir.Exists()) found.push_back(std::move(dir));
  }
  std::sort(found.begin(), found.end(),
            [](const RuntimeDir& a, const RuntimeDir& b) { return a.name() < b.name(); });
  return found;
}

}  // namespace stasis::sandbox
