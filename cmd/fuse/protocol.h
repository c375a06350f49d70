// SPDX-License-Identifier: Apache-2.0
//
// protocol.h: the FUSE protocol, from the kernel's header, with what newer kernels than the
// header's have added.

#ifndef STASIS_CMD_FUSE_PROTOCOL_H_
#define STASIS_CMD_FUSE_PROTOCOL_H_

#include <linux/fuse.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace stasis::fuse {

inline constexpr uint32_t kMajorVersion = 7;
inline constexpr uint32_t kNewestMinorVersion = 40;

// 7.40 (Linux 6.9): the kernel reads and writes open files of the host's, called backings.
inline constexpr uint64_t kPassthrough = 1ULL << 37;
inline constexpr uint64_t kNoExportSupport = 1ULL << 38;
inline constexpr uint64_t kHasResend = 1ULL << 39;

// The notification that has requests sent again which have no reply (Linux 6.9). Their ids have the
// upper bit from then on, in replies and in INTERRUPTs, too.
inline constexpr int kNotifyResend = 7;
inline constexpr uint64_t kUniqueResend = 1ULL << 63;
inline constexpr uint64_t WithoutResend(uint64_t unique) { return unique & ~kUniqueResend; }

inline constexpr uint32_t kOpStatx = 52;
// As COPY_FILE_RANGE, with 64 bits of answer (Linux 6.18).
inline constexpr uint32_t kOpCopyFileRange64 = 53;

// The file is read and written through the backing that OpenOut names.
inline constexpr uint32_t kOpenPassthrough = 1 << 7;

// As fuse_open_out.
struct OpenOut {
  uint64_t fh;
  uint32_t open_flags;
  int32_t backing_id;
};

// As fuse_init_out.
struct InitOut {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;
  uint32_t flags;
  uint16_t max_background;
  uint16_t congestion_threshold;
  uint32_t max_write;
  uint32_t time_gran;
  uint16_t max_pages;
  uint16_t map_alignment;
  uint32_t flags2;
  // How many filesystems the kernel may find stacked on each other, with this one, in a backing.
  uint32_t max_stack_depth;
  uint32_t unused[6];
};

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
// For the device: makes a backing, and returns its number, which is positive; or forgets the
// number, while files that are open go on with it.
inline constexpr unsigned long kIoctlBackingOpen = _IOW(229, 1, BackingMap);
inline constexpr unsigned long kIoctlBackingClose = _IOW(229, 2, uint32_t);

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

static_assert(sizeof(OpenOut) == sizeof(fuse_open_out));
static_assert(sizeof(InitOut) == sizeof(fuse_init_out));
static_assert(sizeof(BackingMap) == 16);
static_assert(sizeof(StatxIn) == 24);
static_assert(sizeof(StatxBody) == 256);
static_assert(sizeof(StatxOut) == 288);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_PROTOCOL_H_
