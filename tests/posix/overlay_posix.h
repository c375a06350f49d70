// SPDX-License-Identifier: Apache-2.0
//
// overlay_posix.h: the system calls on an overlay.
//
// The lower layer is an empty directory. Limits are those of the upper layer, which is in a memfs
// or a directory of the host; the latter is a tmpfs of its own.

#ifndef STASIS_TESTS_POSIX_OVERLAY_POSIX_H_
#define STASIS_TESTS_POSIX_OVERLAY_POSIX_H_

#include "tests/posix/fuse_posix.h"
#include "tests/posix/gofer_posix.h"

namespace stasis::posix {

// In memory alone.
class MemOverlayPosix final : public VfsPosix {
 public:
  MemOverlayPosix(uint64_t size_limit, uint64_t inode_limit, Saves saves);

  Result<vfs::StatFs> StatFs(const At& at) override;
};

// The same behind a FUSE mount.
class FuseOverlayPosix final : public FusePosix {
 public:
  FuseOverlayPosix(uint64_t size_limit, uint64_t inode_limit);

  Result<vfs::StatFs> StatFs(const At& at) override;
};

enum class Upper { kMemfs, kHost };

// With a lower layer on the host.
class HostOverlayPosix final : private HostTmpfs, public VfsPosix {
 public:
  HostOverlayPosix(Upper upper, uint64_t size_limit, uint64_t inode_limit, Saves saves);

  Result<vfs::StatFs> StatFs(const At& at) override;
  // Times are the host's.
  void Tick() override;

 protected:
  void BeforeCall() override;

 private:
  const Upper upper_;
};

}  // namespace stasis::posix

#endif  // STASIS_TESTS_POSIX_OVERLAY_POSIX_H_
