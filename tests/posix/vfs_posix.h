// SPDX-License-Identifier: Apache-2.0
//
// vfs_posix.h: the system calls on the API of the VFS, with a memfs or another filesystem.
//
// What a front end adds to the API is here: a table of descriptors, the working directory, the
// umask, and the checks that the VFS leaves to it. Between two calls it can save everything, open
// files and working directory included, and go on with what is restored from that.

#ifndef STASIS_TESTS_POSIX_VFS_POSIX_H_
#define STASIS_TESTS_POSIX_VFS_POSIX_H_

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/posix/posix.h"
#include "tests/testing/test_vfs.h"

namespace stasis::posix {

enum class Saves {
  kNever,
  kBeforeEveryCall,
  kAtRandom,  // before one call in four; STASIS_SEED sets the seed, which is printed
};

class VfsPosix : public Posix {
 public:
  VfsPosix(const memfs::MemfsOptions& options, Saves saves);
  // With a root of another kind; `roots` is where restores find the host's directories.
  VfsPosix(const testing::TestVfs::MakeRoot& make_root,
           const std::map<std::string, std::string>& roots, Saves saves);

  Result<void> Close(int fd) override;
  Result<void> SetLock(int fd, int command, const struct flock& lock) override;
  Result<struct flock> GetLock(int fd, int command, const struct flock& lock) override;
  Result<void> Flock(int fd, int operation) override;
#define STASIS_POSIX_CALL override
#include "tests/posix/posix_calls.inc"

 protected:
  // Comes before every call.
  virtual void BeforeCall();

 private:
  // The descriptors of a process. The descriptions are held by tree_, under names.
  struct FdTable {
    uint64_t process = 1;  // whose they are: the owner of POSIX locks
    std::set<int> fds = {};

    std::string NameOf(int fd) const;
    vfs::LockOwner owner() const;
  };
  class ForkedProcess;

  // Where a path starts. Keeps it there for one call.
  struct Place {
    vfs::VirtualDentry root;
    vfs::VirtualDentry start;
    std::string_view path;

    vfs::PathOperation Follow(bool follow) const { return {root, start, path, follow}; }
  };

  int AddFd(RefPtr<state::Object> file);
  // Errors: EBADF, with O_PATH too.
  Result<RefPtr<vfs::FileDescription>> File(int fd) { return FileOf(table_, fd); }
  Result<RefPtr<vfs::FileDescription>> FileOf(const FdTable& table, int fd);
  Result<RefPtr<vfs::FileDescription>> AnyFile(int fd) { return AnyFileOf(table_, fd); }
  Result<RefPtr<vfs::FileDescription>> AnyFileOf(const FdTable& table, int fd);
  // Errors: EBADF, EINVAL of another file.
  Result<RefPtr<vfs::Inotify>> InotifyOf(int fd);
  // The calls of a process.
  Result<void> CloseIn(FdTable& table, int fd);
  Result<void> SetLockIn(const FdTable& table, int fd, int command, const struct flock& lock);
  Result<struct flock> GetLockIn(const FdTable& table, int fd, int command,
                                 const struct flock& lock);
  Result<void> FlockIn(const FdTable& table, int fd, int operation);
  // Errors: EBADF, ENOENT, ENAMETOOLONG.
  Result<Place> PlaceOf(const At& at);
  // Of a name to be made or removed: an empty one too, which the VFS refuses in its turn.
  Result<Place> NamePlaceOf(const At& at);
  // The same for calls that do not take O_PATH instead of a path.
  Result<Place> OpenedPlaceOf(const At& at);
  Result<void> Set(const At& at, const vfs::SetStat& set, int flags);
  vfs::DropPrivileges Dropped() const;
  Result<void> DropPrivilegesOf(vfs::FileDescription& file);

  testing::TestVfs tree_;
  const Saves saves_;
  std::mt19937 random_;
  vfs::Credentials creds_ = vfs::Credentials::Root();
  FdTable table_;
  uint64_t last_process_ = 1;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_VFS_POSIX_H_
