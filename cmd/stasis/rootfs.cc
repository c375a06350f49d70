// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/rootfs.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/output.h"
#include "fsimpl/memfs/filesystem.h"
#include "fsimpl/overlay/filesystem.h"
#include "restore/oci/layer_cache.h"
#include "restore/oci/reference.h"

namespace stasis::cli {
namespace {

constexpr char kImagePrefix[] = "oci:";
constexpr char kMemory[] = "memory";
constexpr char kNone[] = "none";
// The two directories of an upper layer.
constexpr char kUpperDirectory[] = "upper";
constexpr char kWorkDirectory[] = "work";

absl::Status CheckDirectory(const char* option, const std::string& directory) {
  std::error_code error;
  if (std::filesystem::is_directory(directory, error)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(option, " ", directory, ": there is no such directory"));
}

absl::Status CheckBase(RootfsOptions& options) {
  if (!options.is_image()) {
    options.base = sandbox::AbsolutePath(options.base);
    return CheckDirectory("--rootfs", options.base);
  }
  absl::StatusOr<oci::ImageReference> image = oci::ParseImageReference(options.base);
  if (!image.ok()) return image.status();
  image->directory = sandbox::AbsolutePath(image->directory);
  options.base = kImagePrefix + image->ToString();
  return options.upper != kNone ? absl::OkStatus()
                                : absl::InvalidArgumentError(
                                      "--upper none would change the layers of the image, "
                                      "which others use; leave it out");
}

// One that is not inside of what it is to stand on, nor around it.
absl::Status CheckUpper(RootfsOptions& options) {
  if (options.upper == kMemory || options.upper == kNone) return absl::OkStatus();
  options.upper = sandbox::AbsolutePath(options.upper);
  if (absl::Status found = CheckDirectory("--upper", options.upper); !found.ok()) return found;
  if (options.is_image()) return absl::OkStatus();
  std::error_code error;
  const std::string upper = std::filesystem::canonical(options.upper, error);
  const std::string base = std::filesystem::canonical(options.base, error);
  if (!sandbox::IsBelow(upper, base) && !sandbox::IsBelow(base, upper)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--upper ", options.upper, " and --rootfs ",
                                                 options.base,
                                                 " are within each other; choose another"));
}

RefPtr<memfs::MemFilesystem> NewMemory(vfs::VirtualFilesystem& vfs, const RootfsOptions& options) {
  memfs::MemfsOptions limits;
  limits.size_limit = options.size_limit;
  limits.inode_limit = options.inode_limit;
  return memfs::MemFilesystem::Create(vfs, limits);
}

vfs::VirtualDentry WholeOf(vfs::VirtualFilesystem& vfs, const RefPtr<vfs::Filesystem>& fs) {
  return {vfs.MakePrivateMount(*fs, {}), RefPtr<vfs::Dentry>(&fs->root())};
}

// The directory `name` of `at`, made if need be: `made` says so.
absl::StatusOr<vfs::VirtualDentry> Subdirectory(vfs::VirtualFilesystem& vfs,
                                                const vfs::VirtualDentry& at, const char* name,
                                                bool& made) {
  const vfs::Credentials creds = vfs::Credentials::Root();
  const std::string what = absl::StrCat("cannot make ", name, " for the upper layer");
  const Result<void> mkdir = vfs.MkdirAt(creds, {at, at, name}, 0755);
  made = mkdir.has_value();
  if (!mkdir && mkdir.error() != Errno(EEXIST))
    return absl::ErrnoToStatus(mkdir.error().value(), what);
  const Result<vfs::VirtualDentry> found = vfs.GetDentryAt(creds, {at, at, name});
  if (!found) return absl::ErrnoToStatus(found.error().value(), what);
  return *found;
}

// The upper layer's root looks as that of the base does.
void CopyRootAttributes(vfs::VirtualFilesystem& vfs, const vfs::VirtualDentry& from,
                        const vfs::VirtualDentry& to) {
  const vfs::Credentials creds = vfs::Credentials::Root();
  const Result<vfs::Stat> stat = vfs.StatAt(creds, {from, from, {}});
  if (!stat) return;
  vfs::SetStat set;
  set.mode = stat->mode & 07777;
  set.uid = stat->uid;
  set.gid = stat->gid;
  (void)vfs.SetAttributesAt(creds, {to, to, {}}, set);
}

// Adds the upper layer of `options` to `overlay`, which has its lowers.
absl::Status AddUpper(vfs::VirtualFilesystem& vfs, const RootfsOptions& options,
                      const HostMounts& host, overlay::OverlayOptions& overlay, UniqueFd& lock) {
  vfs::VirtualDentry whole;
  if (options.upper == kMemory) {
    whole = WholeOf(vfs, NewMemory(vfs, options));
    overlay.lazy_data = true;
  } else {
    absl::StatusOr<UniqueFd> locked = LockUpper(options.upper);
    if (!locked.ok()) return locked.status();
    lock = *std::move(locked);
    auto fs = ServeDirectory(vfs, host, kUpperName, options.upper, {});
    if (!fs.ok()) return fs.status();
    whole = WholeOf(vfs, *fs);
    overlay.user_xattrs = geteuid() != 0;
  }
  bool made = false;
  absl::StatusOr<vfs::VirtualDentry> work = Subdirectory(vfs, whole, kWorkDirectory, made);
  if (!work.ok()) return work.status();
  absl::StatusOr<vfs::VirtualDentry> upper = Subdirectory(vfs, whole, kUpperDirectory, made);
  if (!upper.ok()) return upper.status();
  if (made) CopyRootAttributes(vfs, overlay.lowers.front(), *upper);
  overlay.upper = *std::move(upper);
  overlay.work = *std::move(work);
  return absl::OkStatus();
}

absl::StatusOr<oci::BaseImage> OpenImage(const RootfsOptions& options, const StepCallback& on_step,
                                         const std::atomic<bool>* cancel) {
  const absl::StatusOr<oci::ImageReference> reference = oci::ParseImageReference(options.base);
  if (!reference.ok()) return reference.status();
  oci::BaseOptions how;
  how.cache = options.layer_cache;
  how.cancel = cancel;
  how.on_progress = [&on_step](const oci::BaseProgress& progress) {
    if (on_step) on_step({"unpack", progress.layer, progress.layers, progress.bytes});
  };
  return oci::OpenBase(*reference, how);
}

// A directory as a lower layer.
absl::Status AddLower(vfs::VirtualFilesystem& vfs, const HostMounts& host, const std::string& name,
                      const std::string& directory, overlay::OverlayOptions& overlay) {
  auto fs = ServeDirectory(vfs, host, name, directory, {});
  if (!fs.ok()) return fs.status();
  overlay.lowers.push_back(WholeOf(vfs, *fs));
  return absl::OkStatus();
}

// By which a restore asks for a layer: what the cache calls it.
std::string NameOfLayer(const oci::BaseLayer& layer) {
  return kLayerPrefix + std::filesystem::path(layer.directory).parent_path().filename().string();
}

// The image by its digest: the tag may move on.
std::string PinnedReference(const std::string& base, const image::Digest& manifest) {
  absl::StatusOr<oci::ImageReference> reference = oci::ParseImageReference(base);
  if (!reference.ok()) return "";
  reference->tag.clear();
  reference->digest = manifest;
  return reference->ToString();
}

absl::Status OverlayError(Errno error, const overlay::OverlayOptions& options) {
  const std::string what = absl::StrCat("cannot stack ", options.lowers.size(), " layers");
  if (options.lowers.size() > overlay::kMaxLowers)
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": ", overlay::kMaxLowers, " are the most; squash the image"));
  return absl::ErrnoToStatus(error.value(), what);
}

}  // namespace

bool RootfsOptions::is_image() const { return absl::StartsWith(base, kImagePrefix); }

absl::Status CheckRootfs(RootfsOptions& options) {
  if (options.base.empty())
    return options.upper == kMemory ? absl::OkStatus()
                                    : absl::InvalidArgumentError("--upper is for a --rootfs");
  if (absl::Status base = CheckBase(options); !base.ok()) return base;
  if (absl::Status upper = CheckUpper(options); !upper.ok()) return upper;
  if (options.in_memory() || (options.size_limit == 0 && options.inode_limit == 0))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--size-limit and --inode-limit are for what is in memory; leave out --upper");
}

absl::StatusOr<Rootfs> MakeRootfs(vfs::VirtualFilesystem& vfs, const RootfsOptions& options,
                                  const HostMounts& host, const StepCallback& on_step,
                                  const std::atomic<bool>* cancel) {
  if (options.base.empty()) return Rootfs{NewMemory(vfs, options), {}};
  if (options.upper == kNone) {
    auto fs = ServeDirectory(vfs, host, kRootfsName, options.base, options.mode);
    if (!fs.ok()) return fs.status();
    return Rootfs{*std::move(fs), {}};
  }
  Rootfs made;
  overlay::OverlayOptions overlay;
  if (options.is_image()) {
    absl::StatusOr<oci::BaseImage> image = OpenImage(options, on_step, cancel);
    if (!image.ok()) return image.status();
    for (const oci::BaseLayer& layer : image->layers)
      if (absl::Status added = AddLower(vfs, host, NameOfLayer(layer), layer.directory, overlay);
          !added.ok())
        return added;
    made.reference = PinnedReference(options.base, image->manifest);
    made.image = *std::move(image);
  } else if (absl::Status added = AddLower(vfs, host, kRootfsName, options.base, overlay);
             !added.ok()) {
    return added;
  }
  if (absl::Status added = AddUpper(vfs, options, host, overlay, made.lock); !added.ok())
    return added;
  Result<RefPtr<overlay::OverlayFilesystem>> fs = overlay::OverlayFilesystem::Create(vfs, overlay);
  if (!fs) return OverlayError(fs.error(), overlay);
  made.filesystem = *std::move(fs);
  return made;
}

absl::StatusOr<UniqueFd> LockUpper(const std::string& directory) {
  UniqueFd lock(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", directory));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  return absl::UnavailableError(
      absl::StrCat(directory, " is the upper layer of another sandbox; stop that first"));
}

std::optional<oci::LayerCache::Tree> FindLayer(const std::string& name,
                                               const std::string& layer_cache) {
  absl::string_view layer = name;
  if (!absl::ConsumePrefix(&layer, kLayerPrefix)) return std::nullopt;
  std::string directory = layer_cache;
  if (directory.empty()) {
    const absl::StatusOr<std::string> usual = oci::LayerCache::DefaultDirectory();
    if (!usual.ok()) return std::nullopt;
    directory = *usual;
  }
  const auto cache = oci::LayerCache::Open(directory);
  return cache.ok() ? (*cache)->FindTree(std::string(layer)) : std::nullopt;
}

}  // namespace stasis::cli
