// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/model/operation.h"

#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <type_traits>

namespace stasis::posix {
namespace {

constexpr std::array<const char*, Operation::kKinds> kNames = {
    "open",      "mkdir",           "mknod",     "symlink",  "link",    "unlink",
    "rmdir",     "rename",          "chmod",     "chown",    "utimens", "truncate",
    "stat",      "lstat",           "access",    "readlink", "list",    "setxattr",
    "getxattr",  "removexattr",     "listxattr", "chdir",    "close",   "dup",
    "read",      "write",           "pread",     "pwrite",   "seek",    "ftruncate",
    "fallocate", "copy_file_range", "fstat",     "fchmod",   "flink",   "getdents"};

constexpr const char* kXattrs[] = {"user.x",
                                   "user.y",
                                   "trusted.z",
                                   "trusted.",
                                   "user.",
                                   "nothing",
                                   "what.ever",
                                   "system.else",
                                   "security.x",
                                   "system.posix_acl_access",
                                   "system.posix_acl_default"};

bool ReadFlag(const char* path) {
  int value = 0;
  return std::ifstream(path) >> value && value != 0;
}

// What the host forbids that is no rule of the filesystem (proc_sys_fs(5)). Read once, before any
// chroot.
struct HostRules {
  bool protected_hardlinks = ReadFlag("/proc/sys/fs/protected_hardlinks");
  bool protected_sticky = ReadFlag("/proc/sys/fs/protected_symlinks") ||
                          ReadFlag("/proc/sys/fs/protected_regular") ||
                          ReadFlag("/proc/sys/fs/protected_fifos");
};
const HostRules kHost;

// Four bytes of version, then entries of tag, permissions and id (acl(5)).
std::string AclXattr(uint32_t bits) {
  std::string acl("\2\0\0\0", 4);
  const auto add = [&](uint16_t tag, uint32_t perm, uint32_t id) {
    const uint16_t half[] = {tag, static_cast<uint16_t>(perm & 7)};
    acl.append(reinterpret_cast<const char*>(half), sizeof(half));
    acl.append(reinterpret_cast<const char*>(&id), sizeof(id));
  };
  constexpr uint32_t kNoId = 0xffffffff;
  const bool extended = (bits & 1) != 0;
  add(0x01, bits >> 1, kNoId);
  if (extended) add(0x02, bits >> 4, kUser);
  add(0x04, bits >> 7, kNoId);
  if (extended) add(0x08, bits >> 10, kUser);
  if (extended && (bits & 2) != 0) add(0x10, bits >> 3, kNoId);  // else it is refused
  add(0x20, bits >> 6, kNoId);
  return acl;
}

std::string Content(const Operation& operation) {
  if (operation.b.starts_with("system.posix_acl"))
    return AclXattr(operation.mode ^ static_cast<uint32_t>(operation.length << 3));
  std::string content(operation.length, '\0');
  for (size_t i = 0; i < content.size(); ++i) {
    content[i] =
        static_cast<char>('a' + (i + static_cast<size_t>(operation.offset) + operation.slot) % 26);
  }
  return content;
}

std::string Error(Errno error) { return ErrnoName(error); }

// Long or binary texts as size and hash.
std::string Quoted(const std::string& text) {
  bool printable = text.size() <= 60;
  for (const char c : text) printable = printable && c >= ' ' && c <= '~';
  if (printable) return "ok \"" + text + "\"";
  return "ok " + std::to_string(text.size()) + " bytes, hash " +
         std::to_string(std::hash<std::string>()(text));
}

template <typename T>
std::string TextOf(const Result<T>& result) {
  if (!result) return Error(result.error());
  if constexpr (std::is_void_v<T>) {
    return "ok";
  } else if constexpr (std::is_same_v<T, std::string>) {
    return Quoted(*result);
  } else {
    return "ok " + std::to_string(*result);
  }
}

std::string Join(const std::set<std::string>& items) {
  std::string all = "ok";
  for (const std::string& item : items) all += " " + item;
  return all;
}

}  // namespace

std::ostream& operator<<(std::ostream& os, const Operation& o) {
  os << kNames[o.kind] << (o.as_user ? " (as user)" : "");
  if (o.kind >= Operation::kClose || o.kind == Operation::kOpen) os << " #" << o.slot;
  if (o.kind == Operation::kDup || o.kind == Operation::kCopyFileRange) os << " #" << o.other_slot;
  if (!o.a.empty()) os << " " << (o.a.size() > 100 ? "(long)" : o.a);
  if (!o.b.empty()) os << " " << (o.b.size() > 100 ? "(long)" : o.b);
  return os << std::oct << " flags=0" << o.flags << " mode=0" << o.mode << " umask=0" << o.umask
            << std::dec << " offset=" << o.offset << "," << o.other_offset
            << " length=" << o.length;
}

Operation Generator::Next() {
  Operation operation;
  operation.kind = static_cast<Operation::Kind>(Pick(Operation::kKinds));
  operation.as_user = Pick(3) == 0;
  operation.slot = Pick(kSlots);
  operation.other_slot = Pick(kSlots);
  operation.a = Path();
  operation.mode = Mode();
  operation.umask = OneOf({0U, 0U, 022U, 077U});
  operation.offset = static_cast<int64_t>(Pick(4) == 0 ? Pick(60000) : Pick(300));
  operation.other_offset = static_cast<int64_t>(Pick(4) == 0 ? Pick(4) * 16384 : Pick(300));
  operation.length = Pick(4) == 0 ? Pick(40000) : Pick(200);
  // Whole pages, often.
  if (Pick(4) == 0) operation.offset = static_cast<int64_t>(Pick(16) * 4096);
  if (Pick(4) == 0) operation.length = Pick(8) * 4096;
  Refine(operation);
  return operation;
}

std::string Generator::Component() {
  const size_t kind = Pick(60);
  if (kind == 0) return std::string(255 + Pick(2), 'n');
  if (kind <= 2) return ".";
  if (kind <= 5) return "..";
  return std::string(1, static_cast<char>('a' + Pick(4)));
}

std::string Generator::Path() {
  std::string path = Pick(4) == 0 ? "/" : "";
  const size_t depth = Pick(20) == 0 ? 0 : 1 + Pick(3);
  for (size_t i = 0; i < depth; ++i) {
    if (i > 0) path += Pick(20) == 0 ? "//" : "/";
    path += Component();
  }
  if (depth > 0 && Pick(16) == 0) path += Pick(2) == 0 ? "/" : "/.";
  return path.empty() && Pick(8) != 0 ? "." : path;
}

uint32_t Generator::Mode() {
  const uint32_t mode = OneOf({0755U, 0777U, 0644U, 0666U, 0700U, 0555U, 0444U, 02775U, 02777U,
                               01777U, 0U, 04755U, 06777U, 02644U});
  return kHost.protected_sticky ? mode & ~01000U : mode;
}

void Generator::RefineOpen(Operation& operation) {
  if (operation.a.empty()) operation.a = ".";  // what is looked at first is up to the front end
  operation.flags = OneOf({O_RDONLY, O_WRONLY, O_RDWR});
  for (const int flag : {O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW}) {
    if (Pick(flag == O_CREAT ? 2 : 6) == 0) operation.flags |= flag;
  }
  if (Pick(20) == 0) operation.flags |= O_PATH;
  if (Pick(20) == 0) operation.flags |= O_NOATIME;
  if (Pick(12) == 0) operation.flags |= O_TMPFILE;
}

void Generator::Refine(Operation& operation) {
  switch (operation.kind) {
    case Operation::kOpen:
      RefineOpen(operation);
      break;
    case Operation::kMkdir:
      if (Pick(4) != 0) operation.mode |= 0700;
      break;
    case Operation::kMknod:
      if (operation.a.empty()) operation.a = ".";
      operation.mode =
          (operation.mode & ~07000U) | OneOf<uint32_t>({S_IFREG, S_IFSOCK, S_IFDIR, S_IFCHR, 0});
      if (!whiteouts_ && S_ISCHR(operation.mode)) operation.mode ^= S_IFCHR ^ S_IFREG;
      break;
    case Operation::kSymlink:
      operation.b = Path();
      break;
    case Operation::kLink:
    case Operation::kFLink:
      operation.b = Path();
      operation.flags = Pick(2) == 0 ? 0 : AT_SYMLINK_FOLLOW;
      if (kHost.protected_hardlinks || operation.kind == Operation::kFLink)
        operation.as_user = false;
      break;
    case Operation::kRename:
      operation.b = Path();
      operation.flags = OneOf<int>({0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE, 3,
                                    RENAME_WHITEOUT, RENAME_WHITEOUT | RENAME_EXCHANGE});
      if (!whiteouts_) operation.flags &= ~RENAME_WHITEOUT;
      break;
    case Operation::kChown:
      operation.mode = OneOf({0U, kUser});
      operation.flags = Pick(2) == 0 ? 0 : AT_SYMLINK_NOFOLLOW;
      break;
    case Operation::kUTimens:
      operation.flags = static_cast<int>(Pick(9));
      break;
    case Operation::kAccess:
      operation.mode = static_cast<uint32_t>(Pick(8));
      break;
    case Operation::kSetXattr:
      operation.length = Pick(50);
      operation.flags = static_cast<int>(Pick(4));
      [[fallthrough]];
    case Operation::kGetXattr:
    case Operation::kRemoveXattr:
      operation.b = OneOf(kXattrs);
      if (!acls_ && operation.b.starts_with("system.posix_acl")) operation.b = kXattrs[0];
      // The kernel takes these flags for lists of no meaning, and filesystems differ in that.
      if (operation.b.starts_with("system.posix_acl")) operation.flags = 0;
      break;
    case Operation::kSeek:
      operation.flags = OneOf({SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 77});
      if (Pick(3) == 0) operation.offset = -operation.offset;
      break;
    case Operation::kFallocate:
      operation.flags = OneOf<int>({0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
                                    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE});
      break;
    case Operation::kChdir:
      if (Pick(4) != 0) operation.a = "/";
      break;
    default:
      break;
  }
}

std::string Player::Text(const Result<vfs::Stat>& stat) {
  if (!stat) return Error(stat.error());
  const size_t number = inos_.emplace(stat->ino, inos_.size()).first->second;
  std::ostringstream text;
  text << "ok file " << number << std::oct << " mode=0" << stat->mode << std::dec
       << " nlink=" << (directory_links_ || !S_ISDIR(stat->mode) ? stat->nlink : 0)
       << " uid=" << stat->uid << " gid=" << stat->gid << " size=" << stat->size
       << " rdev=" << stat->rdev;
  if (!copied_.contains(stat->ino)) text << " blocks=" << stat->blocks;
  return text.str();
}

std::string Player::Seek(const Operation& o, int fd) {
  const auto stat = sys_.Stat(fd);
  // Positions of a directory mean something to its filesystem only.
  if (stat && S_ISDIR(stat->mode)) return "left out";
  const bool to_extent = o.flags == SEEK_DATA || o.flags == SEEK_HOLE;
  if (stat && to_extent && (copied_.contains(stat->ino) || reservations_[stat->ino] > 1))
    return "left out";
  return TextOf(sys_.Seek(fd, o.offset, o.flags));
}

std::string Player::Fallocate(const Operation& o, int fd) {
  const auto done = sys_.Fallocate(fd, o.flags, o.offset, static_cast<int64_t>(o.length));
  if (done && (o.flags & FALLOC_FL_PUNCH_HOLE) == 0) ++reservations_[sys_.Stat(fd)->ino];
  return TextOf(done);
}

std::string Player::CopyFileRange(const Operation& o, int from, int to) {
  if (to < 0) return "no file";
  const auto copied = sys_.CopyFileRange(from, o.offset, to, o.other_offset, o.length);
  if (copied && *copied > 0) copied_.insert(sys_.Stat(to)->ino);
  return TextOf(copied);
}

std::string Player::Open(const Operation& operation) {
  // Of a FIFO or a device the kernel makes something of its own.
  const int no_follow = (operation.flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
  const auto stat = sys_.Stat(operation.a, no_follow);
  if (stat && (operation.flags & O_PATH) == 0 &&
      (S_ISFIFO(stat->mode) || S_ISCHR(stat->mode) || S_ISBLK(stat->mode)))
    return "left out";
  // With O_CREAT the host refuses some kinds in sticky directories, to protect programs.
  if (stat && (operation.flags & O_CREAT) != 0 && !S_ISDIR(stat->mode) && !S_ISREG(stat->mode))
    return "left out";
  const Result<int> fd = sys_.Open(operation.a, operation.flags, operation.mode);
  if (!fd) return Error(fd.error());
  if (fds_[operation.slot] >= 0) (void)sys_.Close(fds_[operation.slot]);
  fds_[operation.slot] = *fd;
  return "ok";
}

std::string Player::List(const std::string& path) {
  const Result<int> fd = sys_.Open(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return Error(fd.error());
  std::set<std::string> names;
  for (;;) {
    const auto entries = sys_.GetDents(*fd, 4096);
    if (!entries) return "while listing, " + Error(entries.error());
    if (entries->empty()) break;
    for (const Dirent& entry : *entries)
      names.insert(entry.name + ":" + std::to_string(entry.type));
  }
  (void)sys_.Close(*fd);
  return Join(names);
}

std::string Player::OnPath(const Operation& o) {
  switch (o.kind) {
    case Operation::kOpen:
      return Open(o);
    case Operation::kMkdir:
      return TextOf(sys_.Mkdir(o.a, o.mode));
    case Operation::kMknod:
      return TextOf(sys_.Mknod(o.a, o.mode));
    case Operation::kSymlink:
      return TextOf(sys_.Symlink(o.a, o.b));
    case Operation::kLink:
      return TextOf(sys_.Link(o.a, o.b, o.flags));
    case Operation::kUnlink:
      return TextOf(sys_.Unlink(o.a));
    case Operation::kRmdir:
      return TextOf(sys_.Rmdir(o.a));
    case Operation::kRename:
      return TextOf(sys_.Rename(o.a, o.b, static_cast<uint32_t>(o.flags)));
    case Operation::kChmod:
      return TextOf(sys_.Chmod(o.a, o.mode));
    case Operation::kChown:
      return TextOf(sys_.Chown(o.a, o.mode, o.mode, o.flags));
    case Operation::kUTimens: {
      const auto time = [&](int how) {
        if (how == 0) return std::optional<SetTime>();
        return std::optional<SetTime>({.value = o.offset * 1'000'000'007, .now = how == 1});
      };
      return TextOf(sys_.UTimens(o.a, time(o.flags % 3), time(o.flags / 3)));
    }
    case Operation::kTruncate:
      return TextOf(sys_.Truncate(o.a, o.offset));
    case Operation::kStat:
      return Text(sys_.Stat(o.a));
    case Operation::kLStat:
      return Text(sys_.LStat(o.a));
    case Operation::kAccess:
      return TextOf(sys_.Access(o.a, static_cast<int>(o.mode)));
    case Operation::kReadLink:
      return TextOf(sys_.ReadLink(o.a));
    case Operation::kList:
      return List(o.a);
    case Operation::kSetXattr:
      return TextOf(sys_.SetXattr(o.a, o.b, Content(o), o.flags, AT_SYMLINK_NOFOLLOW));
    case Operation::kGetXattr:
      return TextOf(sys_.GetXattr(o.a, o.b, AT_SYMLINK_NOFOLLOW));
    case Operation::kRemoveXattr:
      return TextOf(sys_.RemoveXattr(o.a, o.b, AT_SYMLINK_NOFOLLOW));
    case Operation::kListXattr: {
      const auto names = sys_.ListXattr(o.a, AT_SYMLINK_NOFOLLOW);
      if (!names) return Error(names.error());
      return Join({names->begin(), names->end()});
    }
    case Operation::kChdir:
      return TextOf(sys_.Chdir(o.a));
    default:
      std::abort();
  }
}

std::string Player::OnFile(const Operation& o) {
  int& fd = fds_[o.slot];
  if (fd < 0) return "no file";
  switch (o.kind) {
    case Operation::kClose: {
      auto closed = sys_.Close(fd);
      fd = -1;
      return TextOf(closed);
    }
    case Operation::kDup: {
      const Result<int> copy = sys_.Dup(fd);
      if (!copy) return Error(copy.error());
      if (fds_[o.other_slot] >= 0) (void)sys_.Close(fds_[o.other_slot]);
      fds_[o.other_slot] = *copy;
      return "ok";
    }
    case Operation::kRead:
      return TextOf(sys_.Read(fd, o.length));
    case Operation::kPRead:
      return TextOf(sys_.PRead(fd, o.offset, o.length));
    case Operation::kWrite:
      return TextOf(sys_.Write(fd, Content(o)));
    case Operation::kPWrite:
      return TextOf(sys_.PWrite(fd, o.offset, Content(o)));
    case Operation::kSeek:
      return Seek(o, fd);
    case Operation::kFTruncate:
      return TextOf(sys_.FTruncate(fd, o.offset));
    case Operation::kFallocate:
      return Fallocate(o, fd);
    case Operation::kCopyFileRange:
      return CopyFileRange(o, fd, fds_[o.other_slot]);
    case Operation::kFStat:
      return Text(sys_.Stat(fd));
    case Operation::kFChmod:
      return TextOf(sys_.Chmod(fd, o.mode));
    case Operation::kFLink:
      return TextOf(sys_.Link(fd, o.b));
    case Operation::kGetDents: {
      // In which order, and what of a change meanwhile, is up to the filesystem.
      const auto entries = sys_.GetDents(fd);
      if (entries) (void)sys_.Seek(fd, 0, SEEK_SET);  // positions too are its own
      return entries ? "ok" : Error(entries.error());
    }
    default:
      std::abort();
  }
}

std::string Player::Play(const Operation& operation) {
  sys_.Umask(operation.umask);
  if (operation.as_user) sys_.Become({.uid = kUser, .gid = kUser});
  std::string text = operation.kind >= Operation::kClose ? OnFile(operation) : OnPath(operation);
  if (operation.as_user) sys_.Become({});
  return text;
}

std::string Player::Describe(const std::string& directory) {
  std::string text = directory + ": " + List(directory) + "\n";
  std::istringstream names(text.substr(text.find(": ok") + 4));
  for (std::string entry; names >> entry;) {
    const std::string name = entry.substr(0, entry.rfind(':'));
    if (name == "." || name == "..") continue;
    const std::string path = (directory == "/" ? "" : directory) + "/" + name;
    const auto stat = sys_.LStat(path);
    text += path + ": " + Text(stat);
    if (const auto xattrs = sys_.ListXattr(path, AT_SYMLINK_NOFOLLOW)) {
      for (const std::string& xattr : std::set<std::string>(xattrs->begin(), xattrs->end()))
        text += " " + xattr + "=" + TextOf(sys_.GetXattr(path, xattr, AT_SYMLINK_NOFOLLOW));
    }
    if (stat && S_ISREG(stat->mode)) {
      const Result<int> fd = sys_.Open(path, O_RDONLY);
      text += " " + (fd ? TextOf(sys_.PRead(*fd, 0, 300000)) : Error(fd.error()));
      if (fd) (void)sys_.Close(*fd);
    }
    if (stat && S_ISLNK(stat->mode)) text += " " + TextOf(sys_.ReadLink(path));
    text += "\n";
    if (stat && S_ISDIR(stat->mode)) text += Describe(path);
  }
  return text;
}

}  // namespace stasis::posix
