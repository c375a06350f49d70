// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/operations.h"

#include "cmd/fuse/protocol.h"

namespace stasis::fuse {

Operation FindOperation(uint32_t opcode) {
  switch (opcode) {
    case FUSE_INIT:
      return Init;
    case FUSE_DESTROY:
      return Destroy;
    case FUSE_SYNCFS:
      return SyncFs;
    case FUSE_LOOKUP:
      return Lookup;
    case FUSE_FORGET:
      return Forget;
    case FUSE_BATCH_FORGET:
      return BatchForget;
    case FUSE_GETATTR:
      return GetAttr;
    case FUSE_SETATTR:
      return SetAttr;
    case kOpStatx:
      return Statx;
    case FUSE_ACCESS:
      return CheckAccess;
    case FUSE_STATFS:
      return StatFs;
    case FUSE_READLINK:
      return ReadLink;
    case FUSE_SYMLINK:
      return Symlink;
    case FUSE_MKNOD:
      return Mknod;
    case FUSE_MKDIR:
      return Mkdir;
    case FUSE_UNLINK:
      return Unlink;
    case FUSE_RMDIR:
      return Rmdir;
    case FUSE_RENAME:
      return Rename;
    case FUSE_RENAME2:
      return Rename2;
    case FUSE_LINK:
      return Link;
    case FUSE_OPEN:
      return Open;
    case FUSE_CREATE:
      return Create;
    case FUSE_TMPFILE:
      return Tmpfile;
    case FUSE_READ:
      return Read;
    case FUSE_WRITE:
      return Write;
    case FUSE_RELEASE:
      return Release;
    case FUSE_FSYNC:
      return Fsync;
    case FUSE_LSEEK:
      return Lseek;
    case FUSE_FALLOCATE:
      return Fallocate;
    case FUSE_COPY_FILE_RANGE:
      return CopyFileRange;
    case kOpCopyFileRange64:
      return CopyFileRange64;
    case FUSE_OPENDIR:
      return OpenDir;
    case FUSE_READDIR:
      return ReadDir;
    case FUSE_READDIRPLUS:
      return ReadDirPlus;
    case FUSE_RELEASEDIR:
      return Release;
    case FUSE_FSYNCDIR:
      return Fsync;
    case FUSE_SETXATTR:
      return SetXattr;
    case FUSE_GETXATTR:
      return GetXattr;
    case FUSE_LISTXATTR:
      return ListXattr;
    case FUSE_REMOVEXATTR:
      return RemoveXattr;
    // ENOSYS has a meaning for the kernel that is right for each of the others. FLUSH: there is
    // nothing to do at close, do not ask again. GETLK, SETLK: not negotiated. POLL: always ready.
    default:
      return nullptr;
  }
}

}  // namespace stasis::fuse
