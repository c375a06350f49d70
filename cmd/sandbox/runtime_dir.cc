// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/runtime_dir.h"

#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cmd/sandbox/cgroup.h"

namespace stasis::sandbox {
namespace {

constexpr size_t kMaxName = 63;

std::string NonEmptyEnv(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

bool IsNameCharacter(char c) {
  return isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
}

// Makes a directory that only we may enter, or accepts such a one.
absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the runtime directory ", path,
                                                   "; set STASIS_RUNTIME_DIR to another place"));
  struct stat st {};
  if (lstat(path.c_str(), &st) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
  if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
    return absl::FailedPreconditionError(
        absl::StrCat("the runtime directory ", path,
                     " belongs to somebody else or others may write to it; set STASIS_RUNTIME_DIR "
                     "to a directory of your own"));
  return absl::OkStatus();
}

}  // namespace

std::string RuntimeRoot() {
  if (std::string dir = NonEmptyEnv("STASIS_RUNTIME_DIR"); !dir.empty())
    return std::filesystem::absolute(dir).lexically_normal();
  if (geteuid() == 0) return "/run/stasis";
  if (std::string dir = NonEmptyEnv("XDG_RUNTIME_DIR"); !dir.empty()) return dir + "/stasis";
  return absl::StrCat("/tmp/stasis-", geteuid());
}

absl::Status CheckName(std::string_view name) {
  const bool ok = !name.empty() && name.size() <= kMaxName &&
                  isalnum(static_cast<unsigned char>(name.front())) != 0 &&
                  std::all_of(name.begin(), name.end(), IsNameCharacter);
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "'", std::string(name), "' cannot be the name of a sandbox: take a letter or digit, then at ",
      "most 62 letters, digits, '_', '.' and '-'"));
}

std::string RandomName() {
  uint32_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<uint32_t>(getpid());
  return absl::StrCat("box-", absl::Hex(bits & 0xffffff, absl::kZeroPad6));
}

absl::StatusOr<UniqueFd> RuntimeDir::TryLock() const {
  UniqueFd fd(open(lock_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", lock_path()));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    return absl::UnavailableError(absl::StrCat(
        "a sandbox named '", name_,
        "' is running; choose another --name, or end it with: ", "stasis stop ", name_));
  // Whoever cleared up between open and flock has removed this very file.
  struct stat ours {
  }, there{};
  if (fstat(fd.get(), &ours) != 0 || stat(lock_path().c_str(), &there) != 0 ||
      ours.st_ino != there.st_ino)
    return absl::AbortedError("the lock file was replaced");
  return fd;
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
    absl::StatusOr<UniqueFd> lock = TryLock();
    if (absl::IsAborted(lock.status()) || absl::IsNotFound(lock.status())) continue;
    if (!lock.ok()) return lock.status();
    struct stat st {};
    const bool leftover = stat(record_path().c_str(), &st) == 0;
    if (!leftover) {
      if (mkdir(mount_path().c_str(), 0700) != 0 && errno != EEXIST)
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", mount_path()));
      return lock;
    }
    if (absl::Status clean = CleanUp(); !clean.ok()) return clean;
  }
  return absl::UnavailableError(absl::StrCat("somebody else keeps removing ", path()));
}

bool RuntimeDir::Exists() const {
  struct stat st {};
  return stat(path().c_str(), &st) == 0 && S_ISDIR(st.st_mode);
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
  const nlohmann::ordered_json json = {
      {"daemon_pid", record.daemon_pid}, {"init_pid", record.init_pid},
      {"cgroup", record.cgroup},         {"cgroup_version", record.cgroup_version},
      {"created", record.created},
  };
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
    record.init_pid = json.value("init_pid", 0);
    record.cgroup = json.value("cgroup", "");
    record.cgroup_version = json.value("cgroup_version", 0);
    record.created = json.value("created", int64_t{0});
  } catch (const nlohmann::json::exception& e) {
    return absl::DataLossError(absl::StrCat(record_path(), " is damaged: ", e.what()));
  }
  return record;
}

absl::Status RuntimeDir::CleanUp() const {
  if (absl::StatusOr<Record> record = ReadRecord(); record.ok() && !record->cgroup.empty())
    Cgroup::Adopt(record->cgroup, record->cgroup_version).Destroy();
  while (umount2(mount_path().c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  // The lock goes last: until then nobody else may take the name.
  for (const std::string& file :
       {record_path(), record_path() + ".new", socket_path(), log_path(), output_path()})
    unlink(file.c_str());
  rmdir(mount_path().c_str());
  unlink(lock_path().c_str());
  if (rmdir(path().c_str()) != 0 && errno != ENOENT)
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("cannot remove ", path(), "; look what is in it"));
  return absl::OkStatus();
}

absl::Status RuntimeDir::CleanUpIfDead() const {
  const absl::StatusOr<UniqueFd> lock = TryLock();
  if (lock.ok()) return CleanUp();
  const bool nothing_left = absl::IsUnavailable(lock.status()) || absl::IsAborted(lock.status()) ||
                            absl::IsNotFound(lock.status());
  return nothing_left ? absl::OkStatus() : lock.status();
}

std::vector<RuntimeDir> RuntimeDir::List(const std::string& root) {
  std::vector<RuntimeDir> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error))
    if (std::string name = entry.path().filename();
        entry.is_directory(error) && CheckName(name).ok())
      found.emplace_back(root, name);
  std::sort(found.begin(), found.end(),
            [](const RuntimeDir& a, const RuntimeDir& b) { return a.name() < b.name(); });
  return found;
}

}  // namespace stasis::sandbox
