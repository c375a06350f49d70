// SPDX-License-Identifier: Apache-2.0
//
// locks.h: the locks that the classes of vfs/ share, in one complete type, because clang checks
// annotations only through complete types.
//
// Lock order of the whole layer, outermost first:
//   OperationGate (entering it is no lock, but whoever is inside must not close it)
//     TreeFilesystem::rename_mu_
//       Directory::mu, a parent's before its child's
//         VfsLocks::mount_mu (whoever holds it neither waits nor drops a last reference)
//           Inode::mu()
//             locks inside filesystems (of an overlay: all of its layers' locks, from Directory::mu
//             on)
//               WatchTable::mu_
//                 Inotify::mu_
//               FileLockTable::mu_
//                 Waiter::mu_
//     FileDescription::offset_mu_ comes before Directory::mu and Inode::mu()

#ifndef STASIS_VFS_INTERNAL_LOCKS_H_
#define STASIS_VFS_INTERNAL_LOCKS_H_

#include <absl/synchronization/mutex.h>

namespace stasis::vfs {

struct VfsLocks {
  // Which mounts exist and what they are attached to.
  absl::Mutex mount_mu;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_INTERNAL_LOCKS_H_
