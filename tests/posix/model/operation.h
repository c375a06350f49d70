// SPDX-License-Identifier: Apache-2.0
//
// operation.h: one system call chosen at random, and what came of it as text, so that what two
// filesystems answer can be compared.

#ifndef STASIS_TESTS_POSIX_MODEL_OPERATION_H_
#define STASIS_TESTS_POSIX_MODEL_OPERATION_H_

#include <array>
#include <cstdint>
#include <map>
#include <ostream>
#include <random>
#include <set>
#include <string>

#include "tests/posix/posix.h"

namespace stasis::posix {

inline constexpr size_t kSlots = 5;      // open files that operations name by number
inline constexpr uint32_t kUser = 1000;  // uid and gid of an operation that is not root's

struct Operation {
  enum Kind {
    kOpen,
    kMkdir,
    kMknod,
    kSymlink,
    kLink,
    kUnlink,
    kRmdir,
    kRename,
    kChmod,
    kChown,
    kUTimens,
    kTruncate,
    kStat,
    kLStat,
    kAccess,
    kReadLink,
    kList,
    kSetXattr,
    kGetXattr,
    kRemoveXattr,
    kListXattr,
    kChdir,
    // On an open file:
    kClose,
    kDup,
    kRead,
    kWrite,
    kPRead,
    kPWrite,
    kSeek,
    kFTruncate,
    kFallocate,
    kCopyFileRange,
    kFStat,
    kFChmod,
    kFLink,
    kGetDents,
    kKinds,
  };
  Kind kind = kStat;
  std::string a;       // path, or the target of a link
  std::string b;       // second path; name of an attribute
  int flags = 0;       // of open, rename, link, setxattr; whence; mode of fallocate
  uint32_t mode = 0;   // also the rights of access, and the new owner of chown
  int64_t offset = 0;  // also a size
  int64_t other_offset = 0;
  size_t length = 0;
  size_t slot = 0;
  size_t other_slot = 0;
  uint32_t umask = 0;
  bool as_user = false;

  friend std::ostream& operator<<(std::ostream& os, const Operation& operation);
};

// Chooses operations; the same ones for the same seed.
class Generator {
 public:
  // Without `acls` no access control lists: where they do not count when a user is checked. Without
  // `whiteouts` nothing that an overlay would take for one.
  Generator(uint64_t seed, bool acls, bool whiteouts)
      : random_(seed), acls_(acls), whiteouts_(whiteouts) {}
  Operation Next();

 private:
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  template <typename T, size_t n>
  T OneOf(const T (&items)[n]) {
    return items[Pick(n)];
  }
  std::string Component();
  std::string Path();
  uint32_t Mode();
  void Refine(Operation& operation);
  void RefineOpen(Operation& operation);

  std::mt19937_64 random_;
  const bool acls_;
  const bool whiteouts_;
};

// Does operations to one filesystem, and remembers what they need from one to the next.
class Player {
 public:
  // Without `directory_links` the number of a directory's links is left out.
  Player(Posix& sys, bool directory_links) : sys_(sys), directory_links_(directory_links) {
    fds_.fill(-1);
  }

  // The error's name, or "ok" and what the call returned, in one line. Inode numbers are replaced
  // by the order of their appearance.
  std::string Play(const Operation& operation);

  // A line for each file below `directory`, with attributes and content.
  std::string Describe(const std::string& directory);

 private:
  std::string OnPath(const Operation& operation);
  std::string OnFile(const Operation& operation);
  std::string Open(const Operation& operation);
  std::string List(const std::string& path);
  std::string Text(const Result<vfs::Stat>& stat);
  std::string Seek(const Operation& operation, int fd);
  std::string Fallocate(const Operation& operation, int fd);
  std::string CopyFileRange(const Operation& operation, int from, int to);

  Posix& sys_;
  const bool directory_links_;
  std::array<int, kSlots> fds_;
  std::map<uint64_t, size_t> inos_;
  // Files that were copied to, by ino: a tmpfs fills the holes that it copies.
  std::set<uint64_t> copied_;
  // Calls that reserved space, by ino: a tmpfs takes for data what is reserved a second time.
  std::map<uint64_t, unsigned> reservations_;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_MODEL_OPERATION_H_
