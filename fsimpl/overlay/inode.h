// SPDX-License-Identifier: Apache-2.0
//
// inode.h: the kinds of files in an overlay.
//
// An OverlayInode stands for a file of a layer: the *real* one, which is in the upper layer, or in
// a lower one as long as it was not copied up. Attributes are the real file's; those that path
// walks look at are here too, and the access time is kept here.
//
// A file that was only seen in a listing is not *loaded*: its number and type are known, and its
// dentry is unchecked until somebody asks for more.

#ifndef STASIS_FSIMPL_OVERLAY_INODE_H_
#define STASIS_FSIMPL_OVERLAY_INODE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fsimpl/overlay/filesystem.h"
#include "fsimpl/overlay/layer.h"
#include "state/base/slab.h"
#include "vfs/file_data.h"
#include "vfs/file_description.h"
#include "vfs/inode.h"
#include "vfs/internal/page_ranges.h"

namespace stasis::overlay {

// What all kinds share. Thread-safe.
class OverlayInode : public vfs::Inode {
 public:
  OverlayFilesystem& fs() const { return static_cast<OverlayFilesystem&>(filesystem()); }

  // The file in the upper layer; null before it is copied up, and when nobody uses it any more.
  vfs::Dentry* upper() const { return upper_.load(std::memory_order_acquire); }
  // In the topmost lower layer that has it; null if none has. Of a metacopy in the upper layer:
  // what has its data.
  vfs::Dentry* lower() const { return lower_.load(std::memory_order_acquire); }
  // Null only of a file that nobody uses any more.
  vfs::Inode* real() const {
    const vfs::Dentry* place = upper();
    if (place == nullptr) place = lower();
    return place == nullptr ? nullptr : &place->inode();
  }
  bool loaded() const { return loaded_.load(std::memory_order_acquire); }

  void FillStat(vfs::Stat& stat) const override;
  Result<void> SetAttributes(const vfs::Credentials& creds, const vfs::SetStat& set,
                             TimeNs now) override ABSL_LOCKS_EXCLUDED(mu());
  Result<bool> Drop(const vfs::DropPrivileges& drop, TimeNs now) override ABSL_LOCKS_EXCLUDED(mu());
  Result<std::string> GetXattr(std::string_view name) const override;
  Result<void> SetXattr(std::string_view name, std::string_view value, int flags,
                        TimeNs now) override ABSL_LOCKS_EXCLUDED(mu());
  Result<std::vector<std::string>> ListXattr() const override;
  Result<void> RemoveXattr(std::string_view name, TimeNs now) override ABSL_LOCKS_EXCLUDED(mu());
  Result<void> SetAcl(const vfs::Credentials& creds, std::string_view name, vfs::Acl acl,
                      TimeNs now) override ABSL_LOCKS_EXCLUDED(mu());
  Result<void> Sync() override;
  void OnConnected(vfs::Dentry& dentry) override;
  void OnDisconnected(vfs::Dentry& dentry) override;

 protected:
  OverlayInode() = default;
  OverlayInode(OverlayFilesystem& fs, const Found& found,
               bool loaded) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  ~OverlayInode() override;

  vfs::VirtualDentry UpperAt() const { return fs().layers().UpperAt(RefPtr<vfs::Dentry>(upper())); }
  LowerFile lower_file() const { return {RefPtr<vfs::Dentry>(lower()), lower_layer_}; }

  // The file in the upper layer, for who changes it once CopyUp has succeeded: a lower file is
  // never changed. Errors: ENOENT if nobody uses it any more, since.
  Result<vfs::Inode*> UpperFile() const ABSL_SHARED_LOCKS_REQUIRED(mu());

  // Takes over attributes of the real file.
  void MirrorLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // What of the data has to be done before the real file gets another size.
  virtual Result<void> PrepareTruncate(uint64_t) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu()) { return {}; }
  // What a lookup has found of a file that was only listed.
  void Load(const Found& found) ABSL_LOCKS_EXCLUDED(mu());
  // What only its own kind knows of; before it counts as loaded.
  virtual void LoadLocked(const Found&) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu()) {}
  // The layer may know of it no more than its host.
  Result<void> LearnAcl() override ABSL_LOCKS_EXCLUDED(mu());

  // For a copy-up: makes a file like the lower one under a name in the work directory. Of regular
  // files with the first `kept` bytes of data, or so that they follow later.
  virtual Result<vfs::VirtualDentry> MakeCopy(std::string_view name, uint64_t kept)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // The file is in the upper layer now.
  virtual Result<void> AfterCopyUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu()) { return {}; }
  // Attributes and times of the lower file for a copy. Its owner is right already.
  Result<void> CopyAttributes(vfs::Inode& copy) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Owner and mode of the lower file, with permissions for nobody else until it is complete.
  vfs::NewFile NewFileLikeLower() const;

  void ReleaseUnlinked() override ABSL_LOCKS_EXCLUDED(mu());
  // For a load: that `dentry`, which `field` names, is in that layer and of the type of this file.
  absl::Status CheckLower(const vfs::Dentry& dentry, uint32_t layer, absl::string_view field,
                          state::LoadContext& context) const;
  absl::Status AfterLoad(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  friend class OverlayFilesystem;
  friend class OverlayDirectory;
  friend class CopyUpRun;
  STATE_SAVABLE(OverlayInode);

  void SetUpper(RefPtr<vfs::Dentry> dentry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  void SetLower(const LowerFile& file);
  // It has lost a name.
  void DropLink(TimeNs now) ABSL_LOCKS_EXCLUDED(mu());
  // Whether `found` is this file.
  bool Is(const Found& found) const;
  uint32_t LinksOf(const vfs::Stat& real) const;
  vfs::Dentry* SaveUpper() const { return upper(); }
  absl::Status LoadUpper(vfs::Dentry* dentry, state::LoadContext& context);
  vfs::Dentry* SaveLower() const { return lower(); }
  absl::Status LoadLower(vfs::Dentry* dentry, state::LoadContext& context);
  void LoadFailed() { DropPlaces(); }
  void DropPlaces();

  // These hold references. Written once under mu(); upper_ becomes null when nobody uses the file.
  std::atomic<vfs::Dentry*> upper_ STATE(manual){nullptr};
  std::atomic<vfs::Dentry*> lower_ STATE(manual){nullptr};
  uint32_t lower_layer_ = 0;  // of lower_
  std::atomic<bool> loaded_{true};
  bool pinned_ STATE(nosave) = false;  // guarded by OverlayFilesystem::inodes_mu_

  // False only in a load, until it is known that the filesystem is an overlay.
  bool ours_ STATE(nosave) = false;
  // A dentry under which the file can be found; OverlayFilesystem::more_places_ has the others.
  // Guarded by OverlayFilesystem::inodes_mu_.
  vfs::Dentry* place_ STATE(nosave) = nullptr;
};

class OverlayDirectory final : public OverlayInode {
 public:
  OverlayDirectory(OverlayFilesystem& fs, const Found& found, bool loaded);

  void ApplyDefaultAcl(const vfs::Credentials& creds, vfs::NewFile& file) const override;
  bool has_uncached_children() const override { return !complete(); }
  Result<RefPtr<vfs::Inode>> LookupChild(std::string_view name) override;
  Result<bool> CheckChild(vfs::Dentry& child) override;
  Result<void> BeginListing(vfs::Dentry& self) override;
  Result<RefPtr<vfs::Inode>> MakeChild(std::string_view name, const vfs::NewFile& file,
                                       TimeNs now) override;
  Result<RefPtr<vfs::Inode>> MakeTmpfile(const vfs::NewFile& file, TimeNs now) override;
  Result<void> LinkChild(std::string_view name, vfs::Inode& target, TimeNs now) override;
  Result<void> UnlinkChild(std::string_view name, vfs::Inode& child, TimeNs now) override;
  Result<void> RmdirChild(std::string_view name, vfs::Inode& child, TimeNs now) override;
  Result<void> RenameChild(std::string_view name, vfs::Inode& child, vfs::Inode& new_dir,
                           std::string_view new_name, vfs::Inode* replaced, TimeNs now) override;
  // EINVAL, as in Linux: the whiteout would be one of this overlay's.
  Result<RefPtr<vfs::Inode>> RenameLeavingWhiteout(std::string_view name, vfs::Inode& child,
                                                   vfs::Inode& new_dir, std::string_view new_name,
                                                   vfs::Inode* replaced,
                                                   const vfs::NewFile& whiteout,
                                                   TimeNs now) override;
  Result<void> ExchangeChildren(std::string_view name, vfs::Inode& child, vfs::Inode& other_dir,
                                std::string_view other_name, vfs::Inode& other,
                                TimeNs now) override;

  // Whether lower directories are part of it.
  bool merged() const { return !lowers_.empty(); }
  // Whether the dentry cache has every name.
  bool complete() const { return complete_.load(std::memory_order_acquire); }

  STASIS_SLAB_ALLOCATED(OverlayDirectory);

 private:
  friend class OverlayFilesystem;
  STATE_SAVABLE(OverlayDirectory);
  OverlayDirectory() = default;

  MergedDirectory merged_directory() const {
    return {RefPtr<vfs::Dentry>(upper()), upper_xattr_whiteouts_, lowers_};
  }
  void LoadLocked(const Found& found) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<vfs::VirtualDentry> MakeCopy(std::string_view name, uint64_t kept) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());

  // What a listing of one layer shows: calls `fn(entry, layer)` for each visible name that no layer
  // above has, layer -1 being the upper one.
  template <typename Fn>
  Result<void> ForEachVisible(Fn fn) const;
  void Enter(vfs::Dentry& self, const layer::Entry& entry,
             int layer) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // Whether anything is in it that no whiteout hides, by the layers.
  Result<bool> HasVisibleChildren() const;

  // Makes a file of the upper layer that a name is free for in the overlay, over a whiteout if
  // there is one.
  Result<RefPtr<OverlayInode>> MakeInUpper(std::string_view name, const vfs::NewFile& file);
  Result<RefPtr<OverlayInode>> MakeOverWhiteout(const vfs::VirtualDentry& dir,
                                                std::string_view name, const vfs::NewFile& file);
  // Take a name out of the upper layer, and leave a whiteout where a lower one has it.
  Result<void> RemoveFile(std::string_view name, OverlayInode& child);
  Result<void> RemoveDirectory(std::string_view name, OverlayDirectory& child, TimeNs now);
  // Of a directory without visible children: makes the upper one empty, and opaque.
  Result<void> Purge(OverlayDirectory& victim, TimeNs now);
  // The name leads to the file in the upper layer, too: a file may have been copied up under
  // another one. Requires: copied up.
  Result<void> EnsureNamed(std::string_view name, OverlayInode& child);
  // Before a child goes to another name: what its place below does for it is to be said by itself.
  Result<void> PrepareMove(std::string_view name, OverlayInode& child,
                           const OverlayDirectory& new_dir, std::string_view new_name, TimeNs now);
  Result<std::string> RedirectFor(std::string_view name, bool same_directory);
  // Keeps the file of a name that is removed, for its other names.
  Result<bool> KeepForOthers(std::string_view name, OverlayInode& child, bool leave_whiteout);
  absl::Status AfterLoad(state::LoadContext& context);

  // Immutable once loaded, topmost first.
  std::vector<LowerFile> lowers_;
  bool upper_xattr_whiteouts_ = false;
  // What lower layers call it; guarded by mu().
  std::string redirect_ ABSL_GUARDED_BY(mu());
  std::atomic<bool> complete_{false};  // written with the Directory locked
};

// Of a metacopy in a lower layer: the file further below that has its data. An object of its own,
// so that images say that they have one.
class DataBelow final : public state::Object {
 public:
  explicit DataBelow(LowerFile below) : file(std::move(below)) {}

  LowerFile file;  // immutable

 private:
  STATE_SAVABLE(DataBelow);
  DataBelow() = default;
};

// A regular file. Once it is in the upper layer its data may still be in the lower one: all of it
// until something is written (a metacopy), or with lazy data all pages but those that were written.
class OverlayRegular final : public OverlayInode {
 public:
  OverlayRegular(OverlayFilesystem& fs, const Found& found,
                 bool loaded) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  Result<RefPtr<vfs::FileDescription>> Open(const vfs::VirtualDentry& at,
                                            const vfs::OpenOptions& options) override
      ABSL_LOCKS_EXCLUDED(mu());
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
  void FillStat(vfs::Stat& stat) const override;
  void BeginPassthrough() override;
  void EndPassthrough() override;

  // For OverlayFileDescription.
  void CountOpen(bool read, bool write) ABSL_LOCKS_EXCLUDED(mu());
  void Close(bool read, bool write) ABSL_LOCKS_EXCLUDED(mu());
  // Of a file that will not be copied up any more: the layer's own descriptor; otherwise -1.
  int backing_fd(bool write) const ABSL_LOCKS_EXCLUDED(mu());

  // Copies all data that is still below. Errors: of the layers.
  Result<void> CompleteData() ABSL_LOCKS_EXCLUDED(mu());
  // The file of a layer that has all the data. Null if it is in several, or nobody has looked.
  const vfs::Inode* data_file() const ABSL_LOCKS_EXCLUDED(mu());
  // Whether it is a metacopy, which needs its place below.
  bool needs_lower() const { return upper() != nullptr && !data_in_upper(); }
  // The first file a new one of the upper layer is opened by; kept for who opens it next.
  void TakeHandle(RefPtr<vfs::FileDescription> file) ABSL_LOCKS_EXCLUDED(mu());
  // Of a file without a name.
  void SetLinkable(bool linkable) ABSL_LOCKS_EXCLUDED(mu());

  STASIS_SLAB_ALLOCATED(OverlayRegular);

 private:
  friend class OverlayDirectory;
  STATE_SAVABLE(OverlayRegular);
  OverlayRegular() = default;

  // The layers' open files, shared by all who have the file open.
  struct Handles {
    RefPtr<vfs::FileDescription> lower;
    RefPtr<vfs::FileDescription> upper;
    uint32_t readers STATE(nosave) = 0;
    uint32_t writers STATE(nosave) = 0;

    bool unused() const { return readers == 0 && writers == 0; }

   private:
    STATE_SAVABLE(Handles);
  };

  // What a lookup has found of a metacopy in a lower layer.
  void TakeDataBelow(const Found& found) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // The lower file that has the data. Requires: there is one.
  vfs::Inode& Data() const ABSL_SHARED_LOCKS_REQUIRED(mu()) {
    return data_below_ ? data_below_->file.dentry->inode() : lower()->inode();
  }
  vfs::VirtualDentry DataAt() const ABSL_SHARED_LOCKS_REQUIRED(mu()) {
    return fs().layers().At(data_below_ ? data_below_->file : lower_file());
  }
  // Opens it. Errors: EIO if it is a metacopy, which no lookup has asked a small file of the last
  // layer.
  Result<RefPtr<vfs::FileDescription>> OpenData() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  bool data_in_upper() const { return data_in_upper_.load(std::memory_order_acquire); }
  Handles& MakeHandles() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> OpenHandles(bool write) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<vfs::VirtualDentry> MakeCopy(std::string_view name, uint64_t kept) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> AfterCopyUp() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  void LoadLocked(const Found& found) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> PrepareTruncate(uint64_t size) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  void ReleaseUnlinked() override ABSL_LOCKS_EXCLUDED(mu());

  // Where the bytes from `offset` on are, and up to where that goes.
  struct Extent {
    bool in_upper = false;
    uint64_t end = 0;
  };
  Extent ExtentAt(uint64_t offset) const ABSL_SHARED_LOCKS_REQUIRED(mu());
  Result<size_t> ReadLocked(uint64_t offset, std::span<std::byte> out) const
      ABSL_SHARED_LOCKS_REQUIRED(mu());
  Result<size_t> WriteLocked(uint64_t offset, std::span<const std::byte> bytes, TimeNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Before bytes from `offset` on are changed: their pages can be said to be the upper file's. With
  // lazy data the pages that are changed in part are copied, otherwise everything.
  Result<void> PrepareChange(uint64_t offset, uint64_t length) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // After they were: the pages are the upper file's. Returns how much of it counts.
  size_t NoteCopied(uint64_t offset, uint64_t length, bool whole)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> CopyPage(uint64_t page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> CompleteDataLocked(uint64_t kept) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Makes the first `kept` bytes of `to` those of the lower file, where `to` has none of its own.
  Result<void> CopyData(vfs::Inode& to, uint64_t kept) ABSL_SHARED_LOCKS_REQUIRED(mu());
  void SetDataInUpper() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  void NoteWritten(TimeNs now);

  vfs::PageRangeMap SaveCopied() const ABSL_NO_THREAD_SAFETY_ANALYSIS { return copied_.map(); }
  absl::Status LoadCopied(const vfs::PageRangeMap& copied,
                          state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status AfterLoad(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  std::unique_ptr<Handles> handles_ ABSL_GUARDED_BY(mu());
  // False until it is copied up, and after that as long as the lower file has some of it.
  std::atomic<bool> data_in_upper_{false};
  // The bytes below this one that are in no copied page are the lower file's; all others are in the
  // upper one, if there is one.
  uint64_t lower_end_ ABSL_GUARDED_BY(mu()) = std::numeric_limits<uint64_t>::max();
  vfs::PageRanges copied_ STATE(manual) ABSL_GUARDED_BY(mu());
  // Null unless lower() is a metacopy; then set once.
  RefPtr<DataBelow> data_below_ ABSL_GUARDED_BY(mu());
  std::atomic<bool> has_data_below_ STATE(nosave){false};
  bool has_data_ STATE(nosave) ABSL_GUARDED_BY(mu()) = false;  // it was asked
};

// An open regular file.
class OverlayFileDescription final : public vfs::FileDescription {
 public:
  // Requires: counted by OverlayRegular::Open.
  OverlayFileDescription(vfs::VirtualDentry at, const vfs::OpenOptions& options, bool counted)
      : FileDescription(std::move(at), options, counted), counted_(true) {}
  ~OverlayFileDescription() override;

  int backing_fd() const override { return file().backing_fd(writable()); }

 private:
  STATE_SAVABLE(OverlayFileDescription);
  OverlayFileDescription() = default;

  OverlayRegular& file() const { return static_cast<OverlayRegular&>(inode()); }
  bool reads() const { return readable() || executing(); }
  absl::Status AfterLoad(state::LoadContext& context);

  bool counted_ STATE(nosave) = false;  // by the inode
};

class OverlaySymlink final : public OverlayInode {
 public:
  OverlaySymlink(OverlayFilesystem& fs, const Found& found, bool loaded)
      : OverlayInode(fs, found, loaded) {}

  Result<std::string_view> ReadLink() const override;

  STASIS_SLAB_ALLOCATED(OverlaySymlink);

 private:
  STATE_SAVABLE(OverlaySymlink);
  OverlaySymlink() = default;
  Result<vfs::VirtualDentry> MakeCopy(std::string_view name, uint64_t kept) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  absl::Status AfterLoad(state::LoadContext& context);
};

// A FIFO, a socket or a device.
class OverlaySpecial final : public OverlayInode {
 public:
  OverlaySpecial(OverlayFilesystem& fs, const Found& found, bool loaded)
      : OverlayInode(fs, found, loaded) {}

  STASIS_SLAB_ALLOCATED(OverlaySpecial);

 private:
  STATE_SAVABLE(OverlaySpecial);
  OverlaySpecial() = default;
  absl::Status AfterLoad(state::LoadContext& context);
};

}  // namespace stasis::overlay

#endif  // STASIS_FSIMPL_OVERLAY_INODE_H_
