// SPDX-License-Identifier: Apache-2.0
//
// inode.h: the kinds of files in a memfs.

#ifndef STASIS_FSIMPL_MEMFS_INODE_H_
#define STASIS_FSIMPL_MEMFS_INODE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "fsimpl/memfs/filesystem.h"
#include "state/base/slab.h"
#include "vfs/file_data.h"
#include "vfs/inode.h"

namespace stasis::memfs {

// What all kinds share. Thread-safe.
class MemInode : public vfs::Inode {
 public:
  MemFilesystem& fs() const { return static_cast<MemFilesystem&>(filesystem()); }

 protected:
  MemInode() = default;
  // Requires: charged to the filesystem already.
  MemInode(MemFilesystem& fs, const vfs::NewFile& file, uint32_t nlink, TimeNs now)
      : Inode(fs, fs.NextIno(), file, nlink, now) {}
  ~MemInode() override ABSL_NO_THREAD_SAFETY_ANALYSIS;

  // Nobody changes the file any more.
  void ReleaseUnlinked() override ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status AfterLoad(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  STATE_SAVABLE(MemInode);

  Result<void> ChargeXattrs(int64_t bytes) override;
};

// The children are the dentries'; all of them are always in the dentry tree.
class DirectoryInode final : public MemInode {
 public:
  DirectoryInode(MemFilesystem& fs, const vfs::NewFile& file, TimeNs now)
      : MemInode(fs, file, 2, now) {
    Grow(2, now);  // "." and ".."
  }

  Result<RefPtr<vfs::Inode>> MakeChild(std::string_view name, const vfs::NewFile& file,
                                       TimeNs now) override;
  Result<RefPtr<vfs::Inode>> MakeTmpfile(const vfs::NewFile& file, TimeNs now) override;
  Result<void> LinkChild(std::string_view name, vfs::Inode& target, TimeNs now) override;
  Result<void> UnlinkChild(std::string_view name, vfs::Inode& child, TimeNs now) override;
  Result<void> RmdirChild(std::string_view name, vfs::Inode& child, TimeNs now) override;
  Result<void> RenameChild(std::string_view name, vfs::Inode& child, vfs::Inode& new_dir,
                           std::string_view new_name, vfs::Inode* replaced, TimeNs now) override;
  Result<void> ExchangeChildren(std::string_view name, vfs::Inode& child, vfs::Inode& other_dir,
                                std::string_view other_name, vfs::Inode& other,
                                TimeNs now) override;

  STASIS_SLAB_ALLOCATED(DirectoryInode);

 private:
  STATE_SAVABLE(DirectoryInode);
  DirectoryInode() = default;

  void Grow(int entries, TimeNs now);
  absl::Status AfterLoad(state::LoadContext& context);
};

class RegularInode final : public MemInode {
 public:
  RegularInode(MemFilesystem& fs, const vfs::NewFile& file, uint32_t nlink,
               TimeNs now) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  ~RegularInode() override;

  void FillStat(vfs::Stat& stat) const override;
  Result<size_t> Read(uint64_t offset, std::span<std::byte> out) override ABSL_LOCKS_EXCLUDED(mu());
  Result<size_t> Write(uint64_t offset, std::span<const std::byte> bytes, TimeNs now) override
      ABSL_LOCKS_EXCLUDED(mu());
  Result<size_t> Append(std::span<const std::byte> bytes, TimeNs now, uint64_t* offset) override
      ABSL_LOCKS_EXCLUDED(mu());
  Result<void> Allocate(int mode, uint64_t offset, uint64_t length, TimeNs now) override
      ABSL_LOCKS_EXCLUDED(mu());
  Result<uint64_t> CopyRange(vfs::Inode& from, uint64_t from_offset, uint64_t offset,
                             uint64_t length, TimeNs now) override;
  Result<uint64_t> SeekExtent(uint64_t offset, int whence) const override ABSL_LOCKS_EXCLUDED(mu());

  // All its data, for who compares files.
  vfs::ChunkMap chunks() const ABSL_LOCKS_EXCLUDED(mu()) {
    absl::ReaderMutexLock lock(&mu());
    return data_.ToMap();
  }

  STASIS_SLAB_ALLOCATED(RegularInode);

 private:
  STATE_SAVABLE(RegularInode);
  RegularInode() = default;

  void ReleaseUnlinked() override ABSL_LOCKS_EXCLUDED(mu());
  // How many of `length` bytes at `offset` there is room for; charges the filesystem with
  // `*charged`. Errors: ENOSPC if for none.
  Result<uint64_t> ChargeWrite(uint64_t offset, uint64_t length, uint64_t* charged)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> DoTruncate(uint64_t size) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> Reserve(uint64_t offset, uint64_t length) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> Settle(uint64_t charged, uint64_t allocated_before, Result<void> done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<uint64_t> CopyRangeLocked(RegularInode& from, uint64_t from_offset, uint64_t offset,
                                   uint64_t length, TimeNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu(), from.mu());
  // May be read without the lock.
  uint64_t Allocated() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return data_.allocated(); }
  Result<size_t> WriteLocked(uint64_t offset, std::span<const std::byte> bytes, TimeNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  vfs::ChunkMap SaveData() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return data_.ToMap(); }
  absl::Status LoadData(vfs::ChunkMap chunks,
                        state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  vfs::PageMap SaveWritten() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return data_.ToWritten(); }
  absl::Status LoadWritten(const vfs::PageMap& written,
                           state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  vfs::PageRangeMap SaveReserved() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return data_.ToReserved();
  }
  absl::Status LoadReserved(const vfs::PageRangeMap& reserved,
                            state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status AfterLoad(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  // Name the other saved forms of data_: pages that are not as the chunks alone say.
  struct Written {};
  struct Reserved {};

  vfs::FileData data_ STATE(manual) ABSL_GUARDED_BY(mu());  // what it allocates is charged to fs()
  // Loaded after data_, in this order.
  [[no_unique_address, maybe_unused]] Written written_ STATE(manual);
  [[no_unique_address, maybe_unused]] Reserved reserved_ STATE(manual);
};

class SymlinkInode final : public MemInode {
 public:
  SymlinkInode(MemFilesystem& fs, const vfs::NewFile& file, TimeNs now);
  ~SymlinkInode() override;

  // What a link to `target` takes up. As of tmpfs: a page if it is long.
  static uint64_t BytesFor(std::string_view target);

  void FillStat(vfs::Stat& stat) const override;
  Result<std::string_view> ReadLink() const override { return std::string_view(target_); }

  STASIS_SLAB_ALLOCATED(SymlinkInode);

 private:
  STATE_SAVABLE(SymlinkInode);
  SymlinkInode() = default;
  void ReleaseUnlinked() override;
  absl::Status AfterLoad(state::LoadContext& context);

  std::string target_;  // immutable
};

// A character or block device, a FIFO or a socket.
class SpecialInode final : public MemInode {
 public:
  SpecialInode(MemFilesystem& fs, const vfs::NewFile& file, TimeNs now)
      : MemInode(fs, file, 1, now), rdev_(file.rdev) {}

  void FillStat(vfs::Stat& stat) const override;

  STASIS_SLAB_ALLOCATED(SpecialInode);

 private:
  STATE_SAVABLE(SpecialInode);
  SpecialInode() = default;
  absl::Status AfterLoad(state::LoadContext& context);

  uint64_t rdev_ = 0;  // immutable; 0 unless a device
};

}  // namespace stasis::memfs

#endif  // STASIS_FSIMPL_MEMFS_INODE_H_
