// SPDX-License-Identifier: Apache-2.0

#include "tests/fsimpl/memfs/subject.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

namespace stasis::memfs {
namespace {

constexpr std::array<const char*, Op::kKinds> kNames = {
    "open",   "close",    "mkdir",     "mknod",       "symlink",   "link",  "unlink", "rmdir",
    "rename", "chmod",    "chown",     "truncate",    "stat",      "lstat", "access", "readlink",
    "list",   "setxattr", "getxattr",  "removexattr", "listxattr", "read",  "write",  "pread",
    "pwrite", "seek",     "ftruncate", "fstat",       "fchmod"};

std::string Join(const std::set<std::string>& items) {
  std::string all;
  for (const std::string& item : items) all += item + " ";
  return all;
}

Outcome Error(int error) { return {error, ""}; }
Outcome FromErrno() { return Error(errno); }

template <typename T>
Outcome From(const Result<T>& result) {
  return result ? Outcome() : Error(result.error().value());
}
template <>
Outcome From(const Result<std::string>& result) {
  return result ? Outcome{0, *result} : Error(result.error().value());
}
template <>
Outcome From(const Result<size_t>& result) {
  return result ? Outcome{0, std::to_string(*result)} : Error(result.error().value());
}

// The calling thread's identity for one operation.
class Identity {
 public:
  explicit Identity(bool user) : user_(user) {
    if (!user_) return;
    Set(kUser);
  }
  ~Identity() {
    const int saved = errno;
    if (user_) {
      ::syscall(SYS_setresuid, -1, 0, -1);
      ::syscall(SYS_setresgid, -1, 0, -1);
    }
    errno = saved;
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

 private:
  static void Set(uint32_t id) {
    if (::syscall(SYS_setresgid, -1, id, -1) != 0 || ::syscall(SYS_setresuid, -1, id, -1) != 0)
      std::abort();
  }
  bool user_;
};

}  // namespace

std::ostream& operator<<(std::ostream& os, const Op& op) {
  os << kNames[op.kind] << (op.as_user ? " (as user)" : "");
  if (op.kind >= Op::kRead || op.kind == Op::kOpen || op.kind == Op::kClose) os << " #" << op.slot;
  if (!op.a.empty()) os << " " << op.a;
  if (!op.b.empty()) os << " " << op.b;
  return os << std::oct << " flags=0" << op.flags << " mode=0" << op.mode << std::dec
            << " offset=" << op.offset << " length=" << op.length;
}

std::ostream& operator<<(std::ostream& os, const Outcome& outcome) {
  if (outcome.error != 0) return os << ErrnoName(Errno(outcome.error));
  os << "ok";
  if (outcome.value.size() > 400) return os << " (" << outcome.value.size() << " bytes)";
  return os << " \"" << outcome.value << "\"";
}

std::string Subject::Describe(const Attributes& a) {
  const size_t number = inos_.emplace(a.ino, inos_.size()).first->second;
  std::ostringstream text;
  text << "file " << number << std::oct << " mode=0" << a.mode << std::dec << " nlink=" << a.nlink
       << " uid=" << a.uid << " gid=" << a.gid << " size=" << a.size << " rdev=" << a.rdev;
  return text.str();
}

std::string Subject::Content(const Op& op) {
  std::string content(op.length, '\0');
  for (size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>('a' + (i + static_cast<size_t>(op.offset) + op.slot) % 26);
  return content;
}

Outcome MemfsSubject::Described(const Result<vfs::Stat>& stat) {
  if (!stat) return Error(stat.error().value());
  return {0, Describe({stat->ino, stat->nlink, stat->size, stat->rdev, stat->mode, stat->uid,
                       stat->gid})};
}

Outcome MemfsSubject::Open(const Op& op) {
  auto file = tree_.Open(op.a, op.flags, op.mode);
  if (!file) return From(file);
  files_[op.slot] = *file;
  return {};
}

Outcome MemfsSubject::List(const Op& op) {
  auto dir = tree_.Open(op.a, O_RDONLY | O_DIRECTORY);
  if (!dir) return From(dir);
  std::set<std::string> names;
  auto done = (*dir)->IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
    names.insert(std::string(entry.name) + ":" + std::to_string(entry.type >> 12));
    return true;
  });
  if (!done) return From(done);
  return {0, Join(names)};
}

Outcome MemfsSubject::OnPath(const Op& op) {
  switch (op.kind) {
    case Op::kOpen:
      return Open(op);
    case Op::kMkdir:
      return From(tree_.Mkdir(op.a, op.mode));
    case Op::kMknod:
      return From(tree_.Mknod(op.a, op.mode));
    case Op::kSymlink:
      return From(tree_.Symlink(op.a, op.b));
    case Op::kLink:
      return From(tree_.Link(op.a, op.b, op.flags != 0));
    case Op::kUnlink:
      return From(tree_.Unlink(op.a));
    case Op::kRmdir:
      return From(tree_.Rmdir(op.a));
    case Op::kRename:
      return From(tree_.Rename(op.a, op.b, static_cast<uint32_t>(op.flags)));
    case Op::kChmod:
      return From(tree_.Chmod(op.a, op.mode));
    case Op::kChown:
      return From(tree_.Chown(op.a, op.mode, op.mode));
    case Op::kTruncate:
      return From(tree_.Truncate(op.a, static_cast<uint64_t>(op.offset)));
    case Op::kStat:
      return Described(tree_.Stat(op.a));
    case Op::kLStat:
      return Described(tree_.LStat(op.a));
    case Op::kAccess:
      return From(tree_.Access(op.a, op.mode));
    case Op::kReadLink:
      return From(tree_.ReadLink(op.a));
    case Op::kList:
      return List(op);
    case Op::kSetXattr:
      return From(tree_.SetXattr(op.a, op.b, Content(op), op.flags));
    case Op::kGetXattr:
      return From(tree_.GetXattr(op.a, op.b));
    case Op::kRemoveXattr:
      return From(tree_.RemoveXattr(op.a, op.b));
    case Op::kListXattr: {
      auto names = tree_.ListXattr(op.a);
      if (!names) return From(names);
      return {0, Join({names->begin(), names->end()})};
    }
    default:
      std::abort();
  }
}

Outcome MemfsSubject::OnFile(const Op& op) {
  if (!files_[op.slot]) return Error(EBADF);
  vfs::FileDescription& file = *files_[op.slot];
  const auto offset = static_cast<uint64_t>(op.offset);
  switch (op.kind) {
    case Op::kClose:
      files_[op.slot].reset();
      return {};
    case Op::kRead:
      return From(testing::ReadSome(file, op.length));
    case Op::kPRead:
      return From(testing::PReadSome(file, offset, op.length));
    case Op::kWrite:
      return From(file.Write(testing::BytesOf(Content(op))));
    case Op::kPWrite:
      return From(file.PWrite(offset, testing::BytesOf(Content(op))));
    case Op::kSeek:
      return From(Result<size_t>(file.Seek(op.offset, op.flags)));
    case Op::kFTruncate:
      return From(file.SetAttributes(tree_.creds, {.size = offset}));
    case Op::kFStat:
      return Described(file.GetStat());
    case Op::kFChmod:
      return From(file.SetAttributes(tree_.creds, {.mode = op.mode}));
    default:
      std::abort();
  }
}

Outcome MemfsSubject::Do(const Op& op) {
  tree_.creds = op.as_user ? vfs::Credentials::User(kUser, kUser) : vfs::Credentials::Root();
  return op.kind >= Op::kRead || op.kind == Op::kClose ? OnFile(op) : OnPath(op);
}

HostSubject::~HostSubject() {
  for (const int fd : files_) {
    if (fd >= 0) ::close(fd);
  }
}

Outcome HostSubject::Open(const Op& op) {
  const int fd = ::open(op.a.c_str(), op.flags | O_CLOEXEC, op.mode);
  if (fd < 0) return FromErrno();
  if (files_[op.slot] >= 0) ::close(files_[op.slot]);
  files_[op.slot] = fd;
  return {};
}

Outcome HostSubject::List(const Op& op) {
  const int fd = ::open(op.a.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FromErrno();
  DIR* dir = ::fdopendir(fd);
  std::set<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir))  // NOLINT(concurrency-mt-unsafe)
    names.insert(std::string(entry->d_name) + ":" + std::to_string(entry->d_type));
  const int error = errno;
  ::closedir(dir);
  if (error != 0) return Error(error);
  return {0, Join(names)};
}

Outcome HostSubject::Stat(const char* path, int flags) {
  struct stat st;
  return ::fstatat(AT_FDCWD, path, &st, flags) != 0 ? FromErrno() : Described(st);
}

Outcome HostSubject::Described(const struct stat& st) {
  return {0, Describe({st.st_ino, st.st_nlink, static_cast<uint64_t>(st.st_size), st.st_rdev,
                       st.st_mode, st.st_uid, st.st_gid})};
}

Outcome HostSubject::OnPath(const Op& op) {
  const char* a = op.a.c_str();
  const char* b = op.b.c_str();
  std::string buffer(70000, '\0');
  ssize_t n = 0;
  switch (op.kind) {
    case Op::kOpen:
      return Open(op);
    case Op::kStat:
      return Stat(a, 0);
    case Op::kLStat:
      return Stat(a, AT_SYMLINK_NOFOLLOW);
    case Op::kList:
      return List(op);
    case Op::kMkdir:
      n = ::mkdir(a, op.mode);
      break;
    case Op::kMknod:
      n = ::mknod(a, op.mode, 0);
      break;
    case Op::kSymlink:
      n = ::symlink(a, b);
      break;
    case Op::kLink:
      n = ::linkat(AT_FDCWD, a, AT_FDCWD, b, op.flags != 0 ? AT_SYMLINK_FOLLOW : 0);
      break;
    case Op::kUnlink:
      n = ::unlink(a);
      break;
    case Op::kRmdir:
      n = ::rmdir(a);
      break;
    case Op::kRename:
      n = ::syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, op.flags);
      break;
    case Op::kChmod:
      n = ::chmod(a, op.mode);
      break;
    case Op::kChown:
      n = ::chown(a, op.mode, op.mode);
      break;
    case Op::kTruncate:
      n = ::truncate(a, op.offset);
      break;
    case Op::kAccess:
      n = ::syscall(SYS_faccessat2, AT_FDCWD, a, op.mode, AT_EACCESS);
      break;
    case Op::kReadLink:
      n = ::readlink(a, buffer.data(), buffer.size());
      if (n >= 0) return {0, buffer.substr(0, static_cast<size_t>(n))};
      break;
    case Op::kSetXattr: {
      const std::string content = Content(op);
      n = ::lsetxattr(a, b, content.data(), content.size(), op.flags);
      break;
    }
    case Op::kGetXattr:
      n = ::lgetxattr(a, b, buffer.data(), buffer.size());
      if (n >= 0) return {0, buffer.substr(0, static_cast<size_t>(n))};
      break;
    case Op::kRemoveXattr:
      n = ::lremovexattr(a, b);
      break;
    case Op::kListXattr: {
      n = ::llistxattr(a, buffer.data(), buffer.size());
      if (n < 0) break;
      std::set<std::string> names;
      std::istringstream list(buffer.substr(0, static_cast<size_t>(n)));
      for (std::string name; std::getline(list, name, '\0');) names.insert(name);
      return {0, Join(names)};
    }
    default:
      std::abort();
  }
  return n < 0 ? FromErrno() : Outcome();
}

Outcome HostSubject::OnFile(const Op& op) {
  const int fd = files_[op.slot];
  if (fd < 0) return Error(EBADF);
  std::string buffer(op.length, '\0');
  const std::string content = Content(op);
  ssize_t n = 0;
  switch (op.kind) {
    case Op::kClose:
      ::close(fd);
      files_[op.slot] = -1;
      return {};
    case Op::kRead:
      n = ::read(fd, buffer.data(), op.length);
      break;
    case Op::kPRead:
      n = ::pread(fd, buffer.data(), op.length, op.offset);
      break;
    case Op::kWrite:
      n = ::write(fd, content.data(), content.size());
      break;
    case Op::kPWrite:
      n = ::pwrite(fd, content.data(), content.size(), op.offset);
      break;
    case Op::kSeek:
      n = ::lseek(fd, op.offset, op.flags);
      break;
    case Op::kFTruncate:
      n = ::ftruncate(fd, op.offset);
      break;
    case Op::kFChmod:
      n = ::fchmod(fd, op.mode);
      break;
    case Op::kFStat: {
      struct stat st;
      return ::fstat(fd, &st) != 0 ? FromErrno() : Described(st);
    }
    default:
      std::abort();
  }
  if (n < 0) return FromErrno();
  if (op.kind == Op::kRead || op.kind == Op::kPRead)
    return {0, buffer.substr(0, static_cast<size_t>(n))};
  if (op.kind == Op::kFTruncate || op.kind == Op::kFChmod) return {};
  return {0, std::to_string(n)};
}

Outcome HostSubject::Do(const Op& op) {
  const Identity identity(op.as_user);
  return op.kind >= Op::kRead || op.kind == Op::kClose ? OnFile(op) : OnPath(op);
}

}  // namespace stasis::memfs
