// SPDX-License-Identifier: Apache-2.0
//
// subject.h: one file operation, done to a memfs or to a directory of the kernel's tmpfs, with what
// came of it as text, so that the two can be compared.

#ifndef STASIS_TESTS_FSIMPL_MEMFS_SUBJECT_H_
#define STASIS_TESTS_FSIMPL_MEMFS_SUBJECT_H_

#include <fcntl.h>

#include <array>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "tests/testing/memfs_tree.h"

namespace stasis::memfs {

inline constexpr size_t kSlots = 4;      // open files that operations name by number
inline constexpr uint32_t kUser = 1000;  // uid and gid of an operation that is not root's

struct Op {
  enum Kind {
    kOpen,
    kClose,
    kMkdir,
    kMknod,
    kSymlink,
    kLink,
    kUnlink,
    kRmdir,
    kRename,
    kChmod,
    kChown,
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
    // On an open file:
    kRead,
    kWrite,
    kPRead,
    kPWrite,
    kSeek,
    kFTruncate,
    kFStat,
    kFChmod,
    kKinds,
  };
  Kind kind = kStat;
  std::string a;       // path, or the target of a link
  std::string b;       // second path; name of an attribute
  int flags = 0;       // of open, rename, link (follow), setxattr; whence
  uint32_t mode = 0;   // also the rights of access, and the new owner of chown
  int64_t offset = 0;  // also a size
  size_t length = 0;
  size_t slot = 0;
  bool as_user = false;

  friend std::ostream& operator<<(std::ostream& os, const Op& op);
};

// What came of an operation. Inode numbers in it are replaced by the order of their appearance.
struct Outcome {
  int error = 0;
  std::string value;

  friend bool operator==(const Outcome&, const Outcome&) = default;
  friend std::ostream& operator<<(std::ostream& os, const Outcome& outcome);
};

class Subject {
 public:
  virtual ~Subject() = default;
  virtual Outcome Do(const Op& op) = 0;

 protected:
  struct Attributes {
    uint64_t ino, nlink, size, rdev;
    uint32_t mode, uid, gid;
  };
  std::string Describe(const Attributes& attributes);
  static std::string Content(const Op& op);  // what a write writes

 private:
  std::map<uint64_t, size_t> inos_;
};

// A memfs of its own.
class MemfsSubject final : public Subject {
 public:
  Outcome Do(const Op& op) override;
  testing::MemfsTree& tree() { return tree_; }

 private:
  Outcome OnPath(const Op& op);
  Outcome OnFile(const Op& op);
  Outcome Open(const Op& op);
  Outcome List(const Op& op);
  Outcome Described(const Result<vfs::Stat>& stat);

  testing::MemfsTree tree_;
  std::array<RefPtr<vfs::FileDescription>, kSlots> files_;
};

// The process's own root directory and working directory: chroot(2) to an empty directory of a
// tmpfs before. Operations as a user need the capabilities to become one.
class HostSubject final : public Subject {
 public:
  ~HostSubject() override;
  Outcome Do(const Op& op) override;

 private:
  Outcome OnPath(const Op& op);
  Outcome OnFile(const Op& op);
  Outcome Open(const Op& op);
  Outcome List(const Op& op);
  Outcome Stat(const char* path, int flags);
  Outcome Described(const struct stat& st);

  std::array<int, kSlots> files_{-1, -1, -1, -1};
};

}  // namespace stasis::memfs

#endif  // STASIS_TESTS_FSIMPL_MEMFS_SUBJECT_H_
