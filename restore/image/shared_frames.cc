// SPDX-License-Identifier: Apache-2.0

#include "restore/image/shared_frames.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "restore/image/internal/shared_pack.h"
#include "state/base/unique_fd.h"

namespace stasis::image {
namespace {

namespace fs = std::filesystem;

// Each is a descriptor. Data of further packs is unpacked by everybody for himself.
constexpr size_t kMostPacks = 1024;
// Whoever has a folder for longer has been stopped in the middle. Nobody waits for him: this is
// in the way of a program's read.
constexpr int kLockAttempts = 20;
constexpr absl::Duration kLockInterval = absl::Milliseconds(1);

size_t MostPacks() {
  rlimit files;
  ::getrlimit(RLIMIT_NOFILE, &files);
  return std::min<size_t>(kMostPacks, files.rlim_cur / 8);
}

bool TryToLock(int fd) {
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    absl::SleepFor(kLockInterval);
  }
  return false;
}

// The folder of a pack, which nobody else looks for or makes anything in meanwhile.
class LockedFolder {
 public:
  // Nothing if it is not there.
  static std::optional<LockedFolder> Find(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid() || !TryToLock(fd.get())) return std::nullopt;
    struct stat st;
    // Somebody may have removed it.
    if (::fstat(fd.get(), &st) != 0 || st.st_nlink == 0) return std::nullopt;
    return LockedFolder(path, std::move(fd));
  }
  // Others remove what is empty, also what is above.
  static std::optional<LockedFolder> Make(const std::string& path) {
    const std::string above = fs::path(path).parent_path();
    for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
      ::mkdir(above.c_str(), 0700);
      if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST && errno != ENOENT)
        return std::nullopt;
      if (auto found = Find(path)) return found;
    }
    return std::nullopt;
  }

  const std::string& path() const { return path_; }

 private:
  LockedFolder(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;
};

uint64_t OwnNamespace() {
  static const uint64_t own = [] {
    struct stat st;
    return ::stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
  }();
  return own;
}

struct statx Examine(const std::string& path) {
  struct statx found {};
  // A file of a sandbox's own, which a link may lead to by now, is not asked for.
  constexpr int kFlags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
  if (::statx(AT_FDCWD, path.c_str(), kFlags, STATX_TYPE | STATX_INO, &found) != 0) found = {};
  return found;
}

// Of the filesystem that all memory files are of.
std::pair<uint32_t, uint32_t> MemoryDevice() {
  static const std::pair<uint32_t, uint32_t> device = [] {
    const UniqueFd fd(::memfd_create("stasis-device", MFD_CLOEXEC));
    struct stat st;
    if (!fd.valid() || ::fstat(fd.get(), &st) != 0) return std::pair(0U, 0U);
    return std::pair(major(st.st_dev), minor(st.st_dev));
  }();
  return device;
}

enum class LinkState { kAlive, kDead, kForeign };

// Whether it leads to the file still that it was made for.
LinkState StateOf(const fs::path& link) {
  const std::string name = link.filename();
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  uint64_t inode = 0, pid_namespace = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[2], &inode) ||
      !absl::SimpleAtoi(parts[3], &pid_namespace))
    return LinkState::kDead;
  if (pid_namespace != OwnNamespace()) return LinkState::kForeign;
  const struct statx found = Examine(link);
  const bool same = S_ISREG(found.stx_mode) && found.stx_ino == inode &&
                    std::pair(found.stx_dev_major, found.stx_dev_minor) == MemoryDevice();
  return same ? LinkState::kAlive : LinkState::kDead;
}

std::unique_ptr<SharedPack> FindIn(const LockedFolder& folder, const Digest& pack) {
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path(), failed)) {
    const LinkState state = StateOf(entry.path());
    if (state == LinkState::kDead) ::unlink(entry.path().c_str());
    if (state != LinkState::kAlive) continue;
    UniqueFd fd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd.valid()) continue;  // another user's, say
    if (auto found = SharedPack::Adopt(std::move(fd), pack)) return *std::move(found);
  }
  return nullptr;
}

// What is of nobody any more: ours, and what those have left who could not remove it themselves.
void RemoveDead(const std::string& directory) {
  std::error_code failed;
  for (const fs::directory_entry& pack : fs::directory_iterator(directory, failed)) {
    const auto folder = LockedFolder::Find(pack.path());
    if (!folder.has_value()) continue;
    for (const fs::directory_entry& link : fs::directory_iterator(folder->path(), failed))
      if (StateOf(link.path()) == LinkState::kDead) ::unlink(link.path().c_str());
    ::rmdir(folder->path().c_str());  // unless there are others
  }
  ::rmdir(directory.c_str());
}

// A pack, and how others find it.
struct Offered {
  std::unique_ptr<SharedPack> pack;
  std::string link;

  Offered(std::unique_ptr<SharedPack> with, const LockedFolder& in) : pack(std::move(with)) {
    struct stat st;
    if (::fstat(pack->fd(), &st) != 0) return;
    link =
        fmt::format("{}/{}.{}.{}.{}", in.path(), ::getpid(), pack->fd(), st.st_ino, OwnNamespace());
    const std::string to = fmt::format("/proc/{}/fd/{}", ::getpid(), pack->fd());
    if (::symlink(to.c_str(), link.c_str()) != 0) link.clear();  // nobody finds it
  }
  ~Offered() {
    if (!link.empty()) ::unlink(link.c_str());
  }
  Offered(const Offered&) = delete;
  Offered& operator=(const Offered&) = delete;
};

std::shared_ptr<SharedPack> Offer(std::unique_ptr<SharedPack> pack, const LockedFolder& in) {
  auto offered = std::make_shared<Offered>(std::move(pack), in);
  SharedPack* const at = offered->pack.get();
  return {std::move(offered), at};
}

}  // namespace

SharedFrames::SharedFrames(std::string directory)
    : directory_(std::move(directory)), most_packs_(MostPacks()) {}

SharedFrames::~SharedFrames() { RemoveDead(directory_); }

std::string SharedFrames::FolderOf(const Digest& pack) const {
  return directory_ + "/" + pack.Hex();
}

std::shared_ptr<SharedPack> SharedFrames::Known(const Digest& pack) const {
  const auto known = packs_.find(pack);
  return known == packs_.end() ? nullptr : known->second.lock();
}

std::shared_ptr<SharedPack> SharedFrames::Join(const Digest& pack) {
  const absl::MutexLock lock(&mu_);
  if (auto known = Known(pack); known != nullptr || packs_.size() >= most_packs_) return known;
  const auto folder = LockedFolder::Find(FolderOf(pack));
  if (!folder.has_value()) return nullptr;
  auto found = FindIn(*folder, pack);
  if (found == nullptr) return nullptr;
  auto joined = Offer(std::move(found), *folder);
  packs_[pack] = joined;
  return joined;
}

std::shared_ptr<SharedPack> SharedFrames::Get(const Digest& pack, uint64_t frames,
                                              uint64_t content) {
  const absl::MutexLock lock(&mu_);
  if (auto known = Known(pack); known != nullptr) return known;
  absl::erase_if(packs_, [](const auto& entry) { return entry.second.expired(); });
  if (packs_.size() >= most_packs_) return nullptr;
  const auto folder = LockedFolder::Make(FolderOf(pack));
  if (!folder.has_value()) return nullptr;
  auto found = FindIn(*folder, pack);
  if (found == nullptr)
    if (auto made = SharedPack::Create(pack, frames, content)) found = *std::move(made);
  if (found == nullptr) return nullptr;
  auto offered = Offer(std::move(found), *folder);
  packs_[pack] = offered;
  return offered;
}

uint64_t SharedFrames::bytes() const {
  const absl::MutexLock lock(&mu_);
  uint64_t bytes = 0;
  for (const auto& [digest, pack] : packs_)
    if (const auto open = pack.lock()) bytes += open->bytes();
  return bytes;
}

}  // namespace stasis::image
