// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/layer_cache.h"

#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"
#include "restore/internal/format.h"
#include "restore/oci/internal/remove_tree.h"
#include "restore/oci/internal/unpack.h"

namespace stasis::oci {
namespace {

using restore::ErrnoStatus;

constexpr char kTree[] = "tree";
constexpr char kRecord[] = "layer.json";
constexpr uint64_t kMaxRecord = uint64_t{64} << 20;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

UniqueFd OpenDirectory(int dir, const std::string& name) {
  return UniqueFd(::openat(dir, name.c_str(), kDirectoryFlags));
}

// Two layers below each other may be the same as others in another order: all digests count.
std::string ChainName(const LayerBlob& layer, const std::vector<std::string>& lowers) {
  std::string chain;
  for (const std::string& lower : lowers)
    chain += std::filesystem::path(lower).parent_path().filename().string() + "\n";
  const image::Digest digest = image::Digest::Of(image::AsBytes(chain));
  return layer.blob.digest.Hex() + "-" + digest.Hex().substr(0, 32);
}

absl::Status WriteRecord(int dir, const LayerRecord& record) {
  image::PosixFileOps ops;
  const UniqueFd fd(::openat(dir, kRecord, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot make layer.json");
  return image::WriteAll(ops, fd.get(), image::AsBytes(record.Encode()), "layer.json");
}

// A directory in the cache's "tmp" that is ours as long as this lives, and goes with it.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(int parent) : parent_(parent) {}
  ~TemporaryDirectory() {
    if (!name_.empty()) (void)RemoveTree(parent_, name_);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  // Until the lock is held, somebody who clears up may take the directory for a leftover.
  absl::Status Make() {
    while (true) {
      uint64_t random = 0;
      (void)!::getrandom(&random, sizeof(random), 0);
      const std::string name = fmt::format("{:016x}", random);
      if (::mkdirat(parent_, name.c_str(), 0700) != 0) {
        if (errno == EEXIST) continue;
        return ErrnoStatus(errno, "cannot make a temporary directory");
      }
      fd_ = OpenDirectory(parent_, name);
      struct stat st = {};
      const bool locked = fd_.valid() && ::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0;
      if (locked && ::fstatat(parent_, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
        name_ = name;
        return absl::OkStatus();
      }
      if (!fd_.valid() && errno != ENOENT)
        return ErrnoStatus(errno, "cannot open a temporary directory");
    }
  }

  int fd() const { return fd_.get(); }

  // Gives the directory its name for good. False if there is one of that name already.
  absl::StatusOr<bool> MoveTo(int dir, const std::string& name) {
    if (::syncfs(fd_.get()) != 0) return ErrnoStatus(errno, "cannot write to the disk");
    if (::renameat2(parent_, name_.c_str(), dir, name.c_str(), RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST) return false;
      return ErrnoStatus(errno, "cannot give the layer its name");
    }
    name_.clear();
    // Whoever finds it may use it.
    (void)::flock(fd_.get(), LOCK_SH);
    if (::fsync(dir) != 0) return ErrnoStatus(errno, "cannot write to the disk");
    return true;
  }

 private:
  const int parent_;
  std::string name_;  // empty: nothing to remove
  UniqueFd fd_;
};

// Others could change what sandboxes are made of.
absl::Status CheckOwner(int fd, const std::string& directory) {
  struct stat st = {};
  if (::fstat(fd, &st) != 0) return ErrnoStatus(errno, "cannot examine " + directory);
  if (st.st_uid != ::geteuid())
    return absl::PermissionDeniedError(
        fmt::format("the layer cache {} belongs to user {}, not to {}; name another directory",
                    directory, st.st_uid, ::geteuid()));
  if ((st.st_mode & 022) != 0)
    return absl::PermissionDeniedError(
        fmt::format("others can write to the layer cache {}; take that away: chmod 700 {}",
                    directory, directory));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> LayerCache::DefaultDirectory() {
  const char* cache = ::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return std::string(cache) + "/stasis/layers";
  if (::geteuid() == 0) return std::string("/var/cache/stasis/layers");
  const char* home = ::getenv("HOME");
  if (home != nullptr && *home == '/') return std::string(home) + "/.cache/stasis/layers";
  return absl::NotFoundError("there is no place for layers: HOME is not set; name a directory");
}

absl::StatusOr<std::unique_ptr<LayerCache>> LayerCache::Open(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path path(directory);
  std::filesystem::create_directories(path.parent_path(), error);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return ErrnoStatus(errno, "cannot make the layer cache " + directory);
  std::unique_ptr<LayerCache> cache(new LayerCache(directory));
  IMAGE_RETURN_IF_ERROR(cache->MakeFolders());
  cache->RemoveLeftovers();
  return cache;
}

absl::Status LayerCache::MakeFolders() {
  const UniqueFd top(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top.valid()) return ErrnoStatus(errno, "cannot open the layer cache " + directory_);
  IMAGE_RETURN_IF_ERROR(CheckOwner(top.get(), directory_));
  folder_ = ::geteuid() == 0 ? "sha256" : "sha256-rootless";
  for (const auto& [name, fd] : {std::pair{folder_, &layers_}, {std::string("tmp"), &temporary_}}) {
    const std::string what = directory_ + "/" + name;
    if (::mkdirat(top.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
      return ErrnoStatus(errno, "cannot make " + what);
    *fd = OpenDirectory(top.get(), name);
    if (!fd->valid()) return ErrnoStatus(errno, "cannot open " + what);
  }
  return absl::OkStatus();
}

// What nobody has locked belongs to the dead. Somebody else may be doing the same.
void LayerCache::RemoveLeftovers() const {
  image::PosixFileOps ops;
  const auto names = ops.List(temporary_.get());
  if (!names) return;
  for (const std::string& name : *names) {
    const UniqueFd fd = OpenDirectory(temporary_.get(), name);
    if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0)
      (void)RemoveTree(temporary_.get(), name);
  }
}

std::string LayerCache::TreeOf(const std::string& name) const {
  return fmt::format("{}/{}/{}/{}", directory_, folder_, name, kTree);
}

// It waits for who removes the layer, and then it is gone.
LayerLock LayerCache::Lock(const std::string& name) const {
  auto dir = std::make_shared<UniqueFd>(OpenDirectory(layers_.get(), name));
  if (!dir->valid() || ::flock(dir->get(), LOCK_SH) != 0) return nullptr;
  struct stat locked = {};
  struct stat named = {};
  if (::fstat(dir->get(), &locked) != 0 ||
      ::fstatat(layers_.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
      locked.st_ino != named.st_ino)
    return nullptr;
  return dir;
}

std::optional<LayerCache::Tree> LayerCache::FindTree(const std::string& name) const {
  // HEX or HEX-CHAIN, nothing that leads elsewhere.
  constexpr std::string_view kNames = "0123456789abcdef-";
  if (name.empty() || name.find_first_not_of(kNames) != std::string::npos) return std::nullopt;
  LayerLock lock = Lock(name);
  if (lock == nullptr) return std::nullopt;
  return Tree{TreeOf(name), std::move(lock)};
}

// One that is damaged has no numbers.
ListedLayer LayerCache::Describe(int dir, const std::string& name) const {
  ListedLayer layer;
  layer.name = name;
  image::PosixFileOps ops;
  const auto text = image::ReadSmallFile(ops, dir, kRecord, kMaxRecord, kRecord);
  if (!text.ok()) return layer;
  if (const auto record = LayerRecord::Parse(*text); record.ok()) {
    layer.bytes = record->bytes;
    layer.entries = record->entries;
  }
  return layer;
}

absl::StatusOr<std::vector<ListedLayer>> LayerCache::List() const {
  image::PosixFileOps ops;
  auto names = ops.List(layers_.get());
  if (!names) return ErrnoStatus(names.error().value(), "cannot list " + directory_);
  std::sort(names->begin(), names->end());
  std::vector<ListedLayer> layers;
  for (const std::string& name : *names) {
    const UniqueFd dir = OpenDirectory(layers_.get(), name);
    if (!dir.valid()) continue;
    layers.push_back(Describe(dir.get(), name));
    layers.back().in_use = ::flock(dir.get(), LOCK_EX | LOCK_NB) != 0;
  }
  return layers;
}

// First out of the way, so that nobody finds half of it.
absl::StatusOr<std::vector<ListedLayer>> LayerCache::RemoveUnused() const {
  absl::StatusOr<std::vector<ListedLayer>> layers = List();
  if (!layers.ok()) return layers;
  std::vector<ListedLayer> removed;
  for (ListedLayer& layer : *layers) {
    const UniqueFd dir = OpenDirectory(layers_.get(), layer.name);
    if (!dir.valid() || ::flock(dir.get(), LOCK_EX | LOCK_NB) != 0) continue;
    // Another layer may have come under the name before the lock was there.
    struct stat locked, named;
    if (::fstat(dir.get(), &locked) != 0 ||
        ::fstatat(layers_.get(), layer.name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        locked.st_dev != named.st_dev || locked.st_ino != named.st_ino)
      continue;
    const std::string what = "cannot remove " + TreeOf(layer.name);
    if (::renameat(layers_.get(), layer.name.c_str(), temporary_.get(), layer.name.c_str()) != 0)
      return ErrnoStatus(errno, what);
    if (const Result<void> done = RemoveTree(temporary_.get(), layer.name); !done)
      return ErrnoStatus(done.error().value(), what);
    removed.push_back(std::move(layer));
  }
  return removed;
}

// Errors: kNotFound if it is not there or was made for other layers below.
absl::StatusOr<CachedLayer> LayerCache::Find(const std::string& name, const LayerBlob& layer,
                                             const std::vector<std::string>& lowers) const {
  LayerLock dir = Lock(name);
  if (dir == nullptr) return absl::NotFoundError(TreeOf(name) + " is not there");
  image::PosixFileOps ops;
  const std::string what = TreeOf(name) + "/../" + kRecord;
  IMAGE_ASSIGN_OR_RETURN(const std::string text,
                         image::ReadSmallFile(ops, dir->get(), kRecord, kMaxRecord, what));
  auto record = LayerRecord::Parse(text);
  if (!record.ok())
    return absl::InternalError(fmt::format("{} is damaged: {}; remove the directory above it",
                                           TreeOf(name), std::string(record.status().message())));
  if (record->digest != layer.blob.digest)
    return absl::InternalError(
        fmt::format("{} is of another layer, {}; remove the directory above it", TreeOf(name),
                    record->digest.ToString()));
  if (record->diff_id != layer.diff_id)
    return image::DataLoss("its uncompressed content has digest {}, but the config says {}",
                           record->diff_id.ToString(), layer.diff_id.ToString());
  if (!FitsOver(TreeOf(name), *record, lowers)) return absl::NotFoundError("for other layers");
  return CachedLayer{TreeOf(name), std::move(dir), record->bytes, record->entries,
                     record->apparent_bytes};
}

absl::StatusOr<CachedLayer> LayerCache::Unpack(const image::Layout& layout, const LayerBlob& layer,
                                               const std::vector<std::string>& lowers,
                                               const UnpackOptions& options) const {
  TemporaryDirectory temporary(temporary_.get());
  IMAGE_RETURN_IF_ERROR(temporary.Make());
  if (::mkdirat(temporary.fd(), kTree, 0700) != 0)
    return ErrnoStatus(errno, "cannot make its tree");
  UniqueFd root = OpenDirectory(temporary.fd(), kTree);
  if (!root.valid()) return ErrnoStatus(errno, "cannot open its tree");
  std::vector<std::string> warnings;
  IMAGE_ASSIGN_OR_RETURN(const LayerRecord record,
                         UnpackLayer(layout, layer, std::move(root), lowers, options, warnings));
  IMAGE_RETURN_IF_ERROR(WriteRecord(temporary.fd(), record));
  for (const std::string& name : {layer.blob.digest.Hex(), ChainName(layer, lowers)}) {
    IMAGE_ASSIGN_OR_RETURN(const bool moved, temporary.MoveTo(layers_.get(), name));
    auto there = Find(name, layer, lowers);
    if (!moved && absl::IsNotFound(there.status())) continue;
    if (!there.ok()) return there.status();
    there->unpacked = true;
    there->warnings = std::move(warnings);
    return there;
  }
  return absl::InternalError(
      fmt::format("{} holds another layer", TreeOf(ChainName(layer, lowers))));
}

absl::StatusOr<CachedLayer> LayerCache::Get(const image::Layout& layout, const LayerBlob& layer,
                                            const std::vector<std::string>& lowers,
                                            const UnpackOptions& options) const {
  for (const std::string& name : {layer.blob.digest.Hex(), ChainName(layer, lowers)}) {
    auto found = Find(name, layer, lowers);
    if (found.ok() || !absl::IsNotFound(found.status())) return found;
  }
  return Unpack(layout, layer, lowers, options);
}

}  // namespace stasis::oci
