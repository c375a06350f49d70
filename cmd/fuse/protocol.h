// SPDX-License-Identifier: Apache-2.0
//
// protocol.h: the FUSE protocol, from the kernel's header, with what newer kernels than the
// header's have added.

#ifndef STASIS_CMD_FUSE_PROTOCOL_H_
#define STASIS_CMD_FUSE_PROTOCOL_H_

#include <linux/fuse.h>

#include <cstdint>

namespace stasis::fuse {

// Protocol 7.36 (Linux 5.17) brought 64 bits of INIT flags. Older kernels are refused.
inline constexpr uint32_t kMajorVersion = 7;
inline constexpr uint32_t kOldestMinorVersion = 36;
inline constexpr uint32_t kNewestMinorVersion = 39;

inline constexpr uint64_t kNoExportSupport = 1ULL << 38;
inline constexpr uint64_t kHasResend = 1ULL << 39;

inline constexpr uint32_t kOpStatx = 52;
// As COPY_FILE_RANGE, with 64 bits of answer (Linux 6.18).
inline constexpr uint32_t kOpCopyFileRange64 = 53;

// The kernel refuses replies with larger error numbers, and goes on waiting.
inline constexpr int kMaxError = 511;

struct SxTime {
  int64_t tv_sec;
  uint32_t tv_nsec;
  int32_t reserved;
};

struct StatxIn {
  uint32_t getattr_flags;
  uint32_t reserved;
  uint64_t fh;
  uint32_t sx_flags;
  uint32_t sx_mask;
};

struct StatxBody {
  uint32_t mask;
  uint32_t blksize;
  uint64_t attributes;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t spare0[1];
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  SxTime atime;
  SxTime btime;
  SxTime ctime;
  SxTime mtime;
  uint32_t rdev_major;
  uint32_t rdev_minor;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint64_t spare2[14];
};

struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  StatxBody stat;
};

struct CopyFileRangeOut {
  uint64_t bytes_copied;
};

static_assert(sizeof(StatxIn) == 24);
static_assert(sizeof(StatxBody) == 256);
static_assert(sizeof(StatxOut) == 288);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_PROTOCOL_H_
