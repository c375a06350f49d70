// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/memfs/filesystem.h"

#include <linux/magic.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "fsimpl/memfs/inode.h"

namespace stasis::memfs {
namespace {

// What statfs(2) says of a filesystem without limits: plenty, without overflow in any unit.
constexpr uint64_t kUnlimitedBlocks = uint64_t{1} << 32;
constexpr uint64_t kUnlimitedInodes = uint64_t{1} << 32;

// Adds `by` to `used` unless that would exceed `limit` (0: what can be counted).
bool Charge(std::atomic<uint64_t>& used, uint64_t by, uint64_t limit) {
  if (limit == 0) limit = std::numeric_limits<uint64_t>::max();
  uint64_t old = used.load(std::memory_order_relaxed);
  do {
    if (by > limit || old > limit - by) return false;
  } while (!used.compare_exchange_weak(old, old + by, std::memory_order_relaxed));
  return true;
}

}  // namespace

MemFilesystem::MemFilesystem(vfs::VirtualFilesystem& vfs, const MemfsOptions& options)
    : TreeFilesystem(vfs), size_limit_(options.size_limit), inode_limit_(options.inode_limit) {}

RefPtr<MemFilesystem> MemFilesystem::Create(vfs::VirtualFilesystem& vfs,
                                            const MemfsOptions& options) {
  auto fs = RefPtr<MemFilesystem>::Adopt(new MemFilesystem(vfs, options));
  vfs::Operation operation(vfs.gate());
  fs->inodes_used_.store(1);
  const vfs::NewFile root{.mode = S_IFDIR | (options.root_mode & vfs::kPermissionBits),
                          .uid = options.root_uid,
                          .gid = options.root_gid};
  fs->set_root(vfs::Dentry::MakeRoot(MakeRef<DirectoryInode>(*fs, root, vfs.clock().Now())));
  vfs.AddFilesystem(fs);
  return fs;
}

uint64_t MemFilesystem::byte_limit() const {
  if (size_limit_ != 0) return size_limit_;
  static const auto memory = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                             static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return memory;
}

Result<void> MemFilesystem::ChargeBytes(uint64_t bytes) {
  if (!Charge(bytes_used_, bytes, size_limit_)) return Err(ENOSPC);
  return {};
}

Result<void> MemFilesystem::ChargeInodes(uint64_t count) {
  if (!Charge(inodes_used_, count, inode_limit_)) return Err(ENOSPC);
  return {};
}

Result<void> MemFilesystem::ChargeNew(const vfs::NewFile& file) {
  STASIS_RETURN_IF_ERROR(ChargeInode());
  auto charged = ChargeBytes(file.XattrBytes() + SymlinkInode::BytesFor(file.symlink_target));
  if (!charged) ReleaseInode();
  return charged;
}

Result<vfs::StatFs> MemFilesystem::GetStatFs() const {
  vfs::StatFs stat{.type = TMPFS_MAGIC};
  const uint64_t used = (bytes_used() + stat.block_size - 1) / stat.block_size;
  stat.blocks = size_limit_ == 0 ? kUnlimitedBlocks : size_limit_ / stat.block_size;
  stat.blocks_free = stat.blocks - std::min(stat.blocks, used);
  stat.files = inode_limit_ == 0 ? kUnlimitedInodes : inode_limit_;
  stat.files_free = stat.files - std::min(stat.files, inodes_used());
  return stat;
}

}  // namespace stasis::memfs
