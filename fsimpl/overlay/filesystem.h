// SPDX-License-Identifier: Apache-2.0
//
// filesystem.h: overlay, several directories shown as one, as Linux overlayfs does it.
//
// The topmost layer (the *upper*) takes every change, those below (the *lowers*) stay as they are.
// Layers are directories of other filesystems of the same VirtualFilesystem, reached through mounts
// that are in no namespace. Nobody else may change them while the overlay lives. What the overlay
// writes to its upper layer is overlayfs's own format (format.h, docs/overlay.md).
//
//   OverlayOptions options{.upper = dir_in_a_memfs, .work = next_to_it, .lowers = {image, base}};
//   Result<RefPtr<OverlayFilesystem>> fs = OverlayFilesystem::Create(vfs, options);
//
// Identity. A file is one inode with one number as long as it is known, copied up or not. So open
// files, locks and watches do not notice that it is. Names of one lower file are names of one
// inode, also when it was copied up under one of them.
//
// Copy-up. A change of a lower file first makes one in the upper layer: in the work directory, and
// renamed into place when it is complete. Data follows when it is changed (OverlayRegular).
//
// Lock order: all locks of an overlay come before all locks of its layers. Among its own, those of
// vfs/internal/locks.h; after Inode::mu(), of which a copy-up holds one at a time,
// OverlayFilesystem::inodes_mu_. So copying up may begin with any of the overlay's locks held but
// the file's own and inodes_mu_.

#ifndef STASIS_FSIMPL_OVERLAY_FILESYSTEM_H_
#define STASIS_FSIMPL_OVERLAY_FILESYSTEM_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fsimpl/overlay/format.h"
#include "fsimpl/overlay/lookup.h"
#include "vfs/tree_filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::overlay {

class OverlayDirectory;
class OverlayInode;

// As many as Linux takes.
inline constexpr size_t kMaxLowers = 500;

struct OverlayOptions {
  // Directories. `work` is there exactly if `upper` is, in the same filesystem, and what is in its
  // directory "work" is removed. Without them the overlay is read-only.
  std::optional<vfs::VirtualDentry> upper = {};
  std::optional<vfs::VirtualDentry> work = {};
  std::vector<vfs::VirtualDentry> lowers = {};  // topmost first, one at least

  // Marks are user.overlay attributes, for layers on a host where trusted ones take privileges.
  bool user_xattrs = false;
  // A change of attributes alone does not copy data. Of no effect with user_xattrs, as in Linux.
  bool metacopy = true;
  // The upper layer does not outlive the VirtualFilesystem but in its images: a file's data is then
  // copied up page by page, as it is changed. Such a layer says it all after SettleUpper() only.
  bool lazy_data = false;
};

// Thread-safe.
class OverlayFilesystem final : public vfs::TreeFilesystem {
 public:
  // An overlay known to `vfs`, which all layers belong to.
  // Errors: EINVAL for no lower layer or more than kMaxLowers, an upper one without work directory
  // or with one in another filesystem, a layer of another VirtualFilesystem; ENOTDIR; ELOOP for
  // layers that are within each other; those of cleaning the work directory.
  static Result<RefPtr<OverlayFilesystem>> Create(vfs::VirtualFilesystem& vfs,
                                                  const OverlayOptions& options);
  ~OverlayFilesystem() override;

  std::string_view type() const override { return "overlay"; }
  bool opens_matter() const override;
  Result<void> Sync() override;
  void Teardown() override;
  absl::Status CompleteRestore(vfs::RestoreContext& context) override;

  // The layers, for who exports them. upper() is not ok() without one.
  const vfs::VirtualDentry& upper() const { return upper_; }
  const std::vector<vfs::VirtualDentry>& lowers() const { return lowers_; }
  // Where files of the upper layer are made. Not ok() without one.
  const vfs::VirtualDentry& work() const { return work_; }
  const Format& format() const { return format_; }
  // Makes the upper layer complete by itself: data that is still read from lower files is copied,
  // and each name of a file that was copied up is linked. Requires: called outside of the gate.
  Result<void> SettleUpper();

 private:
  friend class OverlayInode;
  friend class OverlayDirectory;
  friend class OverlayRegular;
  friend class CopyUpRun;
  friend class LowerView;
  STATE_SAVABLE(OverlayFilesystem);
  OverlayFilesystem() = default;
  OverlayFilesystem(vfs::VirtualFilesystem& vfs, const OverlayOptions& options);

  bool writable() const { return upper_.ok(); }
  bool lazy_data() const { return lazy_data_; }
  bool metacopy() const { return metacopy_ && !user_xattrs_; }
  LayerStack layers() const { return {format_, upper_, lowers_}; }
  uint64_t NextIno() { return next_ino_.fetch_add(1, std::memory_order_relaxed); }
  Result<vfs::StatFs> GetStatFs() const override;
  Result<void> PrepareWork(const vfs::VirtualDentry& work);
  // `work` is there exactly if there is an upper layer.
  Result<void> MakeRoot(const std::optional<vfs::VirtualDentry>& work);

  // The inode of what a lookup has found: the one that is known, or a new one.
  RefPtr<OverlayInode> InodeFor(const Found& found, bool loaded) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  RefPtr<OverlayInode> MakeInode(const Found& found, bool loaded);
  // Makes it known by its places in the layers. False if one of them is another inode's.
  bool Register(OverlayInode& inode) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  bool RegisterAt(OverlayInode& inode, const vfs::Inode& real) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  void Forget(OverlayInode& inode) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  void ForgetAt(OverlayInode& inode, const vfs::Inode& real) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  // One of the inode's dentries, the n-th; null if there are not as many.
  vfs::Dentry* PlaceOf(const OverlayInode& inode, size_t n) const ABSL_LOCKS_EXCLUDED(inodes_mu_);
  // Keeps a file that was copied up under one of several names: the others lead to it.
  void Pin(OverlayInode& inode) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  // After its last name went: also of what was kept of it in the work directory.
  void Unpin(OverlayInode& inode) ABSL_LOCKS_EXCLUDED(inodes_mu_);

  static constexpr uint64_t kAllData = std::numeric_limits<uint64_t>::max();
  // Sees to it that the file is in the upper layer, with what is needed to write it; of its data
  // only the first `kept` bytes count. Errors: EROFS, ENOENT of a file that nobody uses any more,
  // those of the layers.
  Result<void> CopyUp(OverlayInode& inode, uint64_t kept = kAllData);
  Result<void> CopyUpParents(OverlayInode& inode);

  // A name in the work directory that nobody uses.
  std::string NextWorkName();
  // Puts a whiteout over the file of that name in the upper layer.
  Result<void> WhiteOut(const vfs::VirtualDentry& dir, std::string_view name);

  // What the layers call a file `name` of `dir`, from their roots on: for a redirect. Errors:
  // ENAMETOOLONG. Requires: no rename meanwhile.
  Result<std::string> RedirectPathOf(vfs::Dentry& dir, std::string_view name) const;

  Result<void> CheckAgain();
  Result<void> SettleNames(bool all);

  absl::Status AfterLoad(state::LoadContext& context);

  // Immutable; let go of by Teardown.
  vfs::VirtualDentry upper_;
  vfs::VirtualDentry work_;  // the directory "work" in what the options call so
  std::vector<vfs::VirtualDentry> lowers_;
  bool user_xattrs_ = false;
  bool metacopy_ = true;
  bool lazy_data_ = false;
  Format format_ STATE(nosave){false};

  std::atomic<uint64_t> next_ino_{1};
  std::atomic<uint64_t> next_work_name_{1};

  mutable absl::Mutex inodes_mu_ STATE(nosave);
  // By their files in the layers, but for directories. Borrowed; an inode takes itself out.
  absl::flat_hash_map<const vfs::Inode*, OverlayInode*> inodes_ STATE(nosave)
      ABSL_GUARDED_BY(inodes_mu_);
  // Of files with several names that are cached, all but one.
  std::unordered_multimap<const OverlayInode*, vfs::Dentry*> more_places_ STATE(nosave)
      ABSL_GUARDED_BY(inodes_mu_);
  std::vector<RefPtr<OverlayInode>> pinned_ ABSL_GUARDED_BY(inodes_mu_);
};

}  // namespace stasis::overlay

#endif  // STASIS_FSIMPL_OVERLAY_FILESYSTEM_H_
