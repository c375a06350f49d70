// SPDX-License-Identifier: Apache-2.0
//
// filesystem.h: memfs, a filesystem in memory.
//
// The writable top of a sandbox. Directories, regular files over chunks, symbolic links, and nodes
// for devices, FIFOs and sockets (the kernel or whoever serves the tree gives those a life).
//
// Lock order: see vfs/internal/locks.h; memfs adds no lock of its own.

#ifndef STASIS_FSIMPL_MEMFS_FILESYSTEM_H_
#define STASIS_FSIMPL_MEMFS_FILESYSTEM_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "vfs/tree_filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::memfs {

struct MemfsOptions {
  uint64_t size_limit = 0;   // bytes of data; 0: none
  uint64_t inode_limit = 0;  // files; 0: none
  uint32_t root_mode = 0755;
  uint32_t root_uid = 0;
  uint32_t root_gid = 0;
};

// Thread-safe.
class MemFilesystem final : public vfs::TreeFilesystem {
 public:
  // A new, empty filesystem, known to `vfs`.
  static RefPtr<MemFilesystem> Create(vfs::VirtualFilesystem& vfs, const MemfsOptions& options);

  std::string_view type() const override { return "memfs"; }

  // Accounting, for this filesystem's inodes. Errors: ENOSPC.
  Result<void> ChargeBytes(uint64_t bytes);
  // More than this cannot be there: the limit, or this machine's memory.
  uint64_t byte_limit() const;
  void ReleaseBytes(uint64_t bytes) { bytes_used_.fetch_sub(bytes, std::memory_order_relaxed); }
  Result<void> ChargeInode() { return ChargeInodes(1); }
  Result<void> ChargeInodes(uint64_t count);
  // An inode, the attributes that it starts with, and the target of a long link.
  Result<void> ChargeNew(const vfs::NewFile& file);
  void ReleaseInode() { inodes_used_.fetch_sub(1, std::memory_order_relaxed); }
  uint64_t NextIno() { return next_ino_.fetch_add(1, std::memory_order_relaxed); }

  // Every number given out so far is below this one.
  uint64_t next_ino() const { return next_ino_.load(std::memory_order_relaxed); }

  uint64_t bytes_used() const { return bytes_used_.load(std::memory_order_relaxed); }
  uint64_t inodes_used() const { return inodes_used_.load(std::memory_order_relaxed); }

 private:
  STATE_SAVABLE(MemFilesystem);
  MemFilesystem() = default;
  MemFilesystem(vfs::VirtualFilesystem& vfs, const MemfsOptions& options);

  Result<vfs::StatFs> GetStatFs() const override;

  uint64_t size_limit_ = 0;   // immutable
  uint64_t inode_limit_ = 0;  // immutable
  std::atomic<uint64_t> next_ino_{1};
  // Counted again by the inodes' AfterLoad.
  std::atomic<uint64_t> bytes_used_ STATE(nosave){0};
  std::atomic<uint64_t> inodes_used_ STATE(nosave){0};
};

}  // namespace stasis::memfs

#endif  // STASIS_FSIMPL_MEMFS_FILESYSTEM_H_
