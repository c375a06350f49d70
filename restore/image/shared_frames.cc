// SPDX-License-Identifier: Apache-2.0

#include "restore/image/shared_frames.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

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
  // Nothing if it is not there and not to be made, or cannot be.
  static std::optional<LockedFolder> Lock(const std::string& path, bool make) {
    for (;;) {
      if (make && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return std::nullopt;
      UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
      if (!fd.valid() && make && errno == ENOENT) continue;
      if (!fd.valid()) return std::nullopt;
      if (!TryToLock(fd.get())) return std::nullopt;
      struct stat st;
      if (::fstat(fd.get(), &st) != 0) return std::nullopt;
      if (st.st_nlink > 0) return LockedFolder(path, std::move(fd));
      if (!make) return std::nullopt;  // somebody has removed it
    }
  }

  const std::string& path() const { return path_; }

 private:
  LockedFolder(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;
};

// What is of nobody any more: ours, and what those have left who could not remove it themselves.
void RemoveDangling(const std::string& directory) {
  std::error_code failed;
  for (const fs::directory_entry& pack : fs::directory_iterator(directory, failed)) {
    const auto folder = LockedFolder::Lock(pack.path(), /*make=*/false);
    if (!folder.has_value()) continue;
    struct stat st;
    for (const fs::directory_entry& link : fs::directory_iterator(folder->path(), failed))
      if (::stat(link.path().c_str(), &st) != 0 && errno == ENOENT) ::unlink(link.path().c_str());
    ::rmdir(folder->path().c_str());  // unless there are others
  }
  ::rmdir(directory.c_str());
}

}  // namespace

// A pack, and how others find it.
struct SharedFrames::Open {
  std::unique_ptr<SharedPack> pack;
  std::string link;

  Open(std::unique_ptr<SharedPack> with, const LockedFolder& in)
      : pack(std::move(with)), link(fmt::format("{}/{}.{}", in.path(), ::getpid(), pack->fd())) {
    const std::string to = fmt::format("/proc/{}/fd/{}", ::getpid(), pack->fd());
    ::unlink(link.c_str());  // of a process that had this number before
    if (::symlink(to.c_str(), link.c_str()) != 0) link.clear();  // nobody finds it
  }
  ~Open() {
    if (!link.empty()) ::unlink(link.c_str());
  }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
};

SharedFrames::SharedFrames(std::string directory) : directory_(std::move(directory)) {}

SharedFrames::~SharedFrames() {
  {
    const absl::MutexLock lock(&mu_);
    packs_.clear();
  }
  RemoveDangling(directory_);
}

std::string SharedFrames::FolderOf(const Digest& pack) const {
  return directory_ + "/" + pack.Hex();
}

namespace {

std::unique_ptr<SharedPack> FindIn(const LockedFolder& folder, const Digest& pack) {
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path(), failed)) {
    UniqueFd fd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    if (fd.valid()) {
      auto found = SharedPack::Adopt(std::move(fd), pack);
      if (found) return *std::move(found);
    } else if (errno != ENOENT) {
      continue;  // another user's, say
    }
    ::unlink(entry.path().c_str());  // whoever had it is gone
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<SharedFrames::Open> SharedFrames::Find(const Digest& pack) const {
  const auto folder = LockedFolder::Lock(FolderOf(pack), /*make=*/false);
  if (!folder.has_value()) return nullptr;
  auto found = FindIn(*folder, pack);
  return found == nullptr ? nullptr : std::make_unique<Open>(std::move(found), *folder);
}

std::unique_ptr<SharedFrames::Open> SharedFrames::FindOrMake(const Digest& pack, uint64_t frames,
                                                             uint64_t content) const {
  ::mkdir(directory_.c_str(), 0700);
  const auto folder = LockedFolder::Lock(FolderOf(pack), /*make=*/true);
  if (!folder.has_value()) return nullptr;
  if (auto found = FindIn(*folder, pack); found != nullptr)
    return std::make_unique<Open>(std::move(found), *folder);
  auto made = SharedPack::Create(pack, frames, content);
  return made ? std::make_unique<Open>(*std::move(made), *folder) : nullptr;
}

void SharedFrames::Join(const Digest& pack) {
  const absl::MutexLock lock(&mu_);
  if (packs_.size() >= kMostPacks || packs_.contains(pack)) return;
  if (auto found = Find(pack); found != nullptr) packs_[pack] = std::move(found);
}

SharedPack* SharedFrames::Get(const Digest& pack, uint64_t frames, uint64_t content) {
  const absl::MutexLock lock(&mu_);
  auto known = packs_.find(pack);
  if (known == packs_.end()) {
    if (packs_.size() >= kMostPacks) return nullptr;
    known = packs_.emplace(pack, FindOrMake(pack, frames, content)).first;
  }
  return known->second == nullptr ? nullptr : known->second->pack.get();
}

uint64_t SharedFrames::bytes() const {
  const absl::MutexLock lock(&mu_);
  uint64_t bytes = 0;
  for (const auto& [digest, open] : packs_)
    if (open != nullptr) bytes += open->pack->bytes();
  return bytes;
}

}  // namespace stasis::image
