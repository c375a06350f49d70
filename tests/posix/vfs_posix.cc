// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/vfs_posix.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <sys/inotify.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

namespace stasis::posix {
namespace {

using stasis::testing::AsBytes;
using vfs::FileDescription;

constexpr char kCwd[] = "cwd";

uint32_t Seed() {
  static const uint32_t seed = [] {
    const char* given = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint32_t value = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 0))
                                            : std::random_device()();
    std::cout << "STASIS_SEED=" << value << std::endl;
    return value;
  }();
  return seed;
}

Result<void> CheckLength(const std::string& path) {
  if (path.size() >= PATH_MAX) return Err(ENAMETOOLONG);
  return {};
}

bool Follows(int flags) { return (flags & AT_SYMLINK_NOFOLLOW) == 0; }

size_t RecordLength(std::string_view name) {
  constexpr size_t kNameOffset = 19;  // of struct linux_dirent64
  return (kNameOffset + name.size() + 1 + 7) / 8 * 8;
}

}  // namespace

VfsPosix::VfsPosix(const memfs::MemfsOptions& options, Saves saves)
    : tree_(options), saves_(saves), random_(saves == Saves::kAtRandom ? Seed() : 0) {
  tree_.Hold(kCwd, tree_.Open("/", O_PATH | O_DIRECTORY));
}

VfsPosix::VfsPosix(const testing::TestVfs::MakeRoot& make_root,
                   const std::map<std::string, std::string>& roots, Saves saves)
    : tree_(make_root), saves_(saves), random_(saves == Saves::kAtRandom ? Seed() : 0) {
  tree_.roots() = roots;
  tree_.Hold(kCwd, tree_.Open("/", O_PATH | O_DIRECTORY));
}

void VfsPosix::BeforeCall() {
  const bool save =
      saves_ == Saves::kBeforeEveryCall || (saves_ == Saves::kAtRandom && random_() % 4 == 0);
  if (save) tree_.SaveAndRestore();
}

std::string VfsPosix::FdTable::NameOf(int fd) const {
  return "process" + std::to_string(process) + "fd" + std::to_string(fd);
}

// As in the kernel's implementation, where processes are threads, all have the same number.
vfs::LockOwner VfsPosix::FdTable::owner() const { return {.id = process, .pid = getpid()}; }

int VfsPosix::AddFd(RefPtr<state::Object> file) {
  int fd = 0;
  while (table_.fds.contains(fd)) ++fd;
  table_.fds.insert(fd);
  tree_.Hold(table_.NameOf(fd), std::move(file));
  return fd;
}

Result<RefPtr<FileDescription>> VfsPosix::AnyFileOf(const FdTable& table, int fd) {
  if (!table.fds.contains(fd)) return Err(EBADF);
  auto file = tree_.Held<FileDescription>(table.NameOf(fd));
  if (!file) return Err(EINVAL);  // an Inotify
  return file;
}

Result<RefPtr<vfs::Inotify>> VfsPosix::InotifyOf(int fd) {
  if (!table_.fds.contains(fd)) return Err(EBADF);
  auto inotify = tree_.Held<vfs::Inotify>(table_.NameOf(fd));
  if (!inotify) return Err(EINVAL);
  return inotify;
}

Result<RefPtr<FileDescription>> VfsPosix::FileOf(const FdTable& table, int fd) {
  STASIS_ASSIGN_OR_RETURN(auto file, AnyFileOf(table, fd));
  if ((file->status_flags() & O_PATH) != 0) return Err(EBADF);
  return file;
}

Result<VfsPosix::Place> VfsPosix::PlaceOf(const At& at) {
  if (at.path.empty() && !at.is_file()) return Err(ENOENT);
  STASIS_RETURN_IF_ERROR(CheckLength(at.path));
  if (at.dir == AT_FDCWD || (!at.path.empty() && at.path.front() == '/'))
    return Place{tree_.root(), tree_.Held<FileDescription>(kCwd)->at(), at.path};
  STASIS_ASSIGN_OR_RETURN(auto file, AnyFile(at.dir));
  return Place{tree_.root(), file->at(), at.path};
}

Result<VfsPosix::Place> VfsPosix::NamePlaceOf(const At& at) {
  if (at.path.empty()) return Place{tree_.root(), tree_.root(), ""};
  return PlaceOf(at);
}

Result<VfsPosix::Place> VfsPosix::OpenedPlaceOf(const At& at) {
  if (at.is_file()) STASIS_RETURN_IF_ERROR(File(at.dir));
  return PlaceOf(at);
}

Result<int> VfsPosix::Open(const At& at, int flags, uint32_t mode) {
  BeforeCall();
  if (at.path.empty()) return Err(ENOENT);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  const vfs::OpenOptions options{.flags = flags, .mode = mode, .drop_privileges = Dropped()};
  STASIS_ASSIGN_OR_RETURN(auto file, tree_.vfs().OpenAt(creds_, place.Follow(true), options));
  return AddFd(std::move(file));
}

Result<void> VfsPosix::Close(int fd) { return CloseIn(table_, fd); }

Result<void> VfsPosix::CloseIn(FdTable& table, int fd) {
  BeforeCall();
  if (table.fds.erase(fd) == 0) return Err(EBADF);
  if (const auto file = tree_.Held<FileDescription>(table.NameOf(fd))) file->Flush(table.owner());
  tree_.Release(table.NameOf(fd));
  return {};
}

Result<int> VfsPosix::Dup(int fd) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, AnyFile(fd));
  return AddFd(std::move(file));
}

Result<int> VfsPosix::GetFlags(int fd) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, AnyFile(fd));
  return file->status_flags();
}

Result<void> VfsPosix::SetFlags(int fd, int flags) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  file->SetStatusFlags(flags);
  return {};
}

Result<std::string> VfsPosix::Read(int fd, size_t size) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  std::string bytes(size, '\0');
  STASIS_ASSIGN_OR_RETURN(const size_t n, file->Read(std::as_writable_bytes(std::span(bytes))));
  bytes.resize(n);
  return bytes;
}

Result<std::string> VfsPosix::PRead(int fd, int64_t offset, size_t size) {
  BeforeCall();
  if (offset < 0) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  std::string bytes(size, '\0');
  STASIS_ASSIGN_OR_RETURN(const size_t n, file->PRead(static_cast<uint64_t>(offset),
                                                      std::as_writable_bytes(std::span(bytes))));
  bytes.resize(n);
  return bytes;
}

vfs::DropPrivileges VfsPosix::Dropped() const {
  return {.set_ids = !creds_.Has(vfs::Capability::kFsetid), .capabilities = true};
}

Result<void> VfsPosix::DropPrivilegesOf(FileDescription& file) {
  if (!file.writable()) return {};
  vfs::DropPrivileges drop = Dropped();
  drop.set_gid = drop.set_ids && !creds_.InGroup(file.inode().gid());
  STASIS_RETURN_IF_ERROR(file.inode().Drop(drop, tree_.vfs().clock().Now()));
  return {};
}

Result<size_t> VfsPosix::Write(int fd, std::string_view bytes) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  if (!bytes.empty()) STASIS_RETURN_IF_ERROR(DropPrivilegesOf(*file));
  return file->Write(AsBytes(bytes));
}

Result<size_t> VfsPosix::PWrite(int fd, int64_t offset, std::string_view bytes) {
  BeforeCall();
  if (offset < 0) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  if (!bytes.empty()) STASIS_RETURN_IF_ERROR(DropPrivilegesOf(*file));
  return file->PWrite(static_cast<uint64_t>(offset), AsBytes(bytes));
}

Result<int64_t> VfsPosix::Seek(int fd, int64_t offset, int whence) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  STASIS_ASSIGN_OR_RETURN(const uint64_t now, file->Seek(offset, whence));
  return static_cast<int64_t>(now);
}

Result<void> VfsPosix::Fsync(int fd) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  return file->Sync();
}

Result<void> VfsPosix::FTruncate(int fd, int64_t size) {
  BeforeCall();
  if (size < 0) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  return file->SetAttributes(creds_,
                             {.drop_privileges = Dropped(), .size = static_cast<uint64_t>(size)});
}

Result<void> VfsPosix::Fallocate(int fd, int mode, int64_t offset, int64_t length) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  if (offset < 0 || length <= 0) return Err(EINVAL);
  STASIS_RETURN_IF_ERROR(
      file->Allocate(mode, static_cast<uint64_t>(offset), static_cast<uint64_t>(length)));
  return DropPrivilegesOf(*file);
}

Result<int64_t> VfsPosix::CopyFileRange(int from, int64_t from_offset, int to, int64_t to_offset,
                                        size_t length) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto source, File(from));
  STASIS_ASSIGN_OR_RETURN(auto target, File(to));
  if (from_offset < 0 || to_offset < 0) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(const uint64_t n, FileDescription::CopyRange(
                                                *source, static_cast<uint64_t>(from_offset),
                                                *target, static_cast<uint64_t>(to_offset), length));
  if (n > 0) STASIS_RETURN_IF_ERROR(DropPrivilegesOf(*target));
  return static_cast<int64_t>(n);
}

Result<std::vector<Dirent>> VfsPosix::GetDents(int fd, size_t buffer_size) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, File(fd));
  std::vector<Dirent> entries;
  bool full = false;
  STASIS_RETURN_IF_ERROR(file->ReadDirectory([&](const vfs::DirectoryEntry& entry) {
    full = RecordLength(entry.name) > buffer_size;
    if (full) return false;
    buffer_size -= RecordLength(entry.name);
    entries.push_back({std::string(entry.name), entry.ino, IFTODT(entry.type),
                       static_cast<int64_t>(entry.next_position)});
    return true;
  }));
  if (full && entries.empty()) return Err(EINVAL);
  return entries;
}

Result<void> VfsPosix::Set(const At& at, const vfs::SetStat& set, int flags) {
  BeforeCall();
  if (at.is_file()) {
    STASIS_ASSIGN_OR_RETURN(auto file, File(at.dir));
    return file->SetAttributes(creds_, set);
  }
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().SetAttributesAt(creds_, place.Follow(Follows(flags)), set);
}

Result<void> VfsPosix::Truncate(const At& at, int64_t size) {
  if (size < 0) return Err(EINVAL);
  return Set(at, {.drop_privileges = Dropped(), .size = static_cast<uint64_t>(size)}, 0);
}

Result<void> VfsPosix::Chmod(const At& at, uint32_t mode) { return Set(at, {.mode = mode}, 0); }

Result<void> VfsPosix::Chown(const At& at, uint32_t uid, uint32_t gid, int flags) {
  constexpr uint32_t kKeep = -1;
  vfs::SetStat set;
  set.drop_privileges = {.set_ids = true, .capabilities = true};
  if (uid != kKeep) set.uid = uid;
  if (gid != kKeep) set.gid = gid;
  return Set(at, set, flags);
}

Result<void> VfsPosix::UTimens(const At& at, std::optional<SetTime> atime,
                               std::optional<SetTime> mtime, int flags) {
  if (!atime && !mtime) return {};
  return Set(at, {.atime = atime, .mtime = mtime}, flags);
}

Result<void> VfsPosix::Mkdir(const At& at, uint32_t mode) {
  BeforeCall();
  if (at.path.empty()) return Err(ENOENT);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().MkdirAt(creds_, place.Follow(false), mode);
}

Result<void> VfsPosix::Mknod(const At& at, uint32_t mode, uint64_t rdev) {
  BeforeCall();
  if (at.path.empty()) return Err(ENOENT);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().MknodAt(creds_, place.Follow(false), {mode, rdev});
}

Result<void> VfsPosix::Symlink(const std::string& target, const At& at) {
  BeforeCall();
  STASIS_RETURN_IF_ERROR(CheckLength(target));
  if (target.empty() || at.path.empty()) return Err(ENOENT);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().SymlinkAt(creds_, place.Follow(false), target);
}

Result<std::string> VfsPosix::ReadLink(const At& at) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  auto target = tree_.vfs().ReadLinkAt(creds_, place.Follow(false));
  // Of an open file that is no link the kernel says that the path is missing.
  if (!target && at.is_file() && target.error() == Errno(EINVAL)) return Err(ENOENT);
  return target;
}

Result<void> VfsPosix::Link(const At& from, const At& to, int flags) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place old_place, PlaceOf(from));
  STASIS_ASSIGN_OR_RETURN(const Place place, NamePlaceOf(to));
  const bool follow = (flags & AT_SYMLINK_FOLLOW) != 0;
  return tree_.vfs().LinkAt(creds_, old_place.Follow(follow), place.Follow(false));
}

Result<void> VfsPosix::Unlink(const At& at) {
  BeforeCall();
  if (at.path.empty()) return Err(ENOENT);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().UnlinkAt(creds_, place.Follow(false));
}

Result<void> VfsPosix::Rmdir(const At& at) {
  BeforeCall();
  if (at.path.empty()) return Err(ENOENT);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().RmdirAt(creds_, place.Follow(false));
}

Result<void> VfsPosix::Rename(const At& from, const At& to, uint32_t flags) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place old_place, NamePlaceOf(from));
  STASIS_ASSIGN_OR_RETURN(const Place place, NamePlaceOf(to));
  return tree_.vfs().RenameAt(creds_, old_place.Follow(false), place.Follow(false), flags);
}

Result<vfs::Stat> VfsPosix::Stat(const At& at, int flags) {
  BeforeCall();
  if (at.is_file()) {
    STASIS_ASSIGN_OR_RETURN(auto file, AnyFile(at.dir));
    return file->GetStat();
  }
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().StatAt(creds_, place.Follow(Follows(flags)));
}

Result<void> VfsPosix::SetXattr(const At& at, const std::string& name, std::string_view value,
                                int xattr_flags, int flags) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place place, OpenedPlaceOf(at));
  return tree_.vfs().SetXattrAt(creds_, place.Follow(Follows(flags)), name, value, xattr_flags);
}

Result<std::string> VfsPosix::GetXattr(const At& at, const std::string& name, int flags) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place place, OpenedPlaceOf(at));
  return tree_.vfs().GetXattrAt(creds_, place.Follow(Follows(flags)), name);
}

Result<std::vector<std::string>> VfsPosix::ListXattr(const At& at, int flags) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place place, OpenedPlaceOf(at));
  return tree_.vfs().ListXattrAt(creds_, place.Follow(Follows(flags)));
}

Result<void> VfsPosix::RemoveXattr(const At& at, const std::string& name, int flags) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place place, OpenedPlaceOf(at));
  return tree_.vfs().RemoveXattrAt(creds_, place.Follow(Follows(flags)), name);
}

Result<void> VfsPosix::Access(const At& at, int mode) {
  BeforeCall();
  if ((mode & ~(R_OK | W_OK | X_OK)) != 0) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().AccessAt(creds_, place.Follow(true), static_cast<vfs::Access>(mode));
}

Result<vfs::StatFs> VfsPosix::StatFs(const At& at) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return tree_.vfs().StatFsAt(creds_, place.Follow(true));
}

Result<void> VfsPosix::Chdir(const At& at) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  STASIS_ASSIGN_OR_RETURN(auto directory, tree_.vfs().OpenAt(creds_, place.Follow(true),
                                                             {.flags = O_PATH | O_DIRECTORY}));
  STASIS_RETURN_IF_ERROR(
      tree_.vfs().AccessAt(creds_, {tree_.root(), directory->at(), ""}, vfs::kExecute));
  tree_.Hold(kCwd, std::move(directory));
  return {};
}

Result<void> VfsPosix::SetLock(int fd, int command, const struct flock& lock) {
  return SetLockIn(table_, fd, command, lock);
}

Result<void> VfsPosix::SetLockIn(const FdTable& table, int fd, int command,
                                 const struct flock& lock) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, AnyFileOf(table, fd));
  return command == F_OFD_SETLK ? file->SetOpenFileLock(lock)
                                : file->SetPosixLock(table.owner(), lock);
}

Result<struct flock> VfsPosix::GetLock(int fd, int command, const struct flock& lock) {
  return GetLockIn(table_, fd, command, lock);
}

Result<struct flock> VfsPosix::GetLockIn(const FdTable& table, int fd, int command,
                                         const struct flock& lock) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, AnyFileOf(table, fd));
  return command == F_OFD_GETLK ? file->GetOpenFileLock(lock)
                                : file->GetPosixLock(table.owner(), lock);
}

Result<void> VfsPosix::Flock(int fd, int operation) { return FlockIn(table_, fd, operation); }

Result<void> VfsPosix::FlockIn(const FdTable& table, int fd, int operation) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(auto file, AnyFileOf(table, fd));
  return file->Flock(operation);
}

class VfsPosix::ForkedProcess final : public Process {
 public:
  ForkedProcess(VfsPosix& parent, FdTable table) : parent_(parent), table_(std::move(table)) {}
  ~ForkedProcess() override {
    while (!table_.fds.empty()) EXPECT_TRUE(parent_.CloseIn(table_, *table_.fds.begin()));
  }
  ForkedProcess(const ForkedProcess&) = delete;
  ForkedProcess& operator=(const ForkedProcess&) = delete;

  Result<void> Close(int fd) override { return parent_.CloseIn(table_, fd); }
  Result<void> SetLock(int fd, int command, const struct flock& lock) override {
    return parent_.SetLockIn(table_, fd, command, lock);
  }
  Result<struct flock> GetLock(int fd, int command, const struct flock& lock) override {
    return parent_.GetLockIn(table_, fd, command, lock);
  }
  Result<void> Flock(int fd, int operation) override {
    return parent_.FlockIn(table_, fd, operation);
  }

 private:
  VfsPosix& parent_;
  FdTable table_;
};

std::unique_ptr<Process> VfsPosix::Fork() {
  BeforeCall();
  FdTable copy{.process = ++last_process_, .fds = table_.fds};
  for (const int fd : copy.fds)
    tree_.Hold(copy.NameOf(fd), tree_.Held<state::Object>(table_.NameOf(fd)));
  return std::make_unique<ForkedProcess>(*this, std::move(copy));
}

Result<int> VfsPosix::InotifyInit() {
  BeforeCall();
  return AddFd(MakeRef<vfs::Inotify>(RefPtr<vfs::VirtualFilesystem>(&tree_.vfs())));
}

Result<int> VfsPosix::InotifyAddWatch(int fd, const std::string& path, uint32_t mask) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const auto inotify, InotifyOf(fd));
  const At at(path);
  STASIS_ASSIGN_OR_RETURN(const Place place, PlaceOf(at));
  return inotify->AddWatch(creds_, place.Follow(true), mask);
}

Result<void> VfsPosix::InotifyRmWatch(int fd, int wd) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const auto inotify, InotifyOf(fd));
  return inotify->RemoveWatch(wd);
}

Result<std::vector<InotifyEvent>> VfsPosix::ReadEvents(int fd, size_t buffer_size) {
  BeforeCall();
  STASIS_ASSIGN_OR_RETURN(const auto inotify, InotifyOf(fd));
  return inotify->Read(buffer_size);
}

uint32_t VfsPosix::Umask(uint32_t mask) { return std::exchange(creds_.umask, mask & 0777); }

void VfsPosix::Become(const Identity& identity) {
  const uint32_t umask = creds_.umask;
  creds_ = identity.uid == 0 ? vfs::Credentials::Root()
                             : vfs::Credentials::User(identity.uid, identity.gid);
  creds_.gid = identity.gid;
  creds_.groups = identity.groups;
  creds_.umask = umask;
}

Result<void> VfsPosix::MountAnother(const std::string& directory, vfs::MountFlags flags) {
  STASIS_RETURN_IF_ERROR(tree_.vfs().MountAt(creds_, tree_.ns(), tree_.At(directory, true),
                                             memfs::MemFilesystem::Create(tree_.vfs(), {}), flags));
  return {};
}

Result<void> VfsPosix::SetReadOnly(bool read_only) {
  return tree_.root().mount().SetReadOnly(read_only);
}

void VfsPosix::Tick() { testing::TestVfs::clock().Advance(12'000'000); }

}  // namespace stasis::posix
