// SPDX-License-Identifier: Apache-2.0
//
// inode.h: the kinds of files in a gofer.
//
// A HostInode stands for a file of the host. It is *detached* if there is none: a deleted file that
// came back with a restore (its content is in chunks), or a place to mount something on that was
// made here only. A detached file is complete by itself and never asks the host.
//
// A file that was only seen in a listing is not *loaded*: its number and type are known, and its
// dentry is unchecked until somebody asks for more.

#ifndef STASIS_FSIMPL_GOFER_INODE_H_
#define STASIS_FSIMPL_GOFER_INODE_H_

#include <absl/functional/function_ref.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "state/base/slab.h"
#include "vfs/file_data.h"
#include "vfs/file_description.h"
#include "vfs/inode.h"

namespace stasis::gofer {

// As the host takes times.
timespec ToTimespec(TimeNs time);

// What all kinds share. Thread-safe.
class HostInode : public vfs::Inode {
 public:
  GoferFilesystem& fs() const { return static_cast<GoferFilesystem&>(filesystem()); }

  // Of the file on the host; changed only by a restore, and when a detached file gets a name.
  HostKey key() const { return {host_dev_, host_ino_}; }
  bool detached() const { return detached_.load(std::memory_order_acquire); }
  // It has no name on the host any more.
  bool deleted() const { return deleted_.load(std::memory_order_acquire); }
  bool loaded() const { return loaded_.load(std::memory_order_acquire); }
  static bool IsRegular(const HostInode& inode) { return inode.is_regular(); }
  // Whether `found` is this file.
  bool Is(const HostStat& found) const;

  // Asks the host for the attributes. Errors: ESTALE if the file cannot be found any more.
  Result<void> Refresh() ABSL_LOCKS_EXCLUDED(mu());
  // Takes over attributes that were read from the host.
  void Adopt(const HostStat& found) ABSL_LOCKS_EXCLUDED(mu());

  void FillStat(vfs::Stat& stat) const override;
  Result<void> SetAttributes(const vfs::Credentials& creds, const vfs::SetStat& set,
                             TimeNs now) override ABSL_LOCKS_EXCLUDED(mu());
  Result<bool> Drop(const vfs::DropPrivileges& drop, TimeNs now) override ABSL_LOCKS_EXCLUDED(mu());
  Result<std::string> GetXattr(std::string_view name) const override;
  Result<void> SetXattr(std::string_view name, std::string_view value, int flags,
                        TimeNs now) override;
  Result<std::vector<std::string>> ListXattr() const override;
  Result<void> RemoveXattr(std::string_view name, TimeNs now) override;
  Result<void> SetAcl(const vfs::Credentials& creds, std::string_view name, vfs::Acl acl,
                      TimeNs now) override;
  void OnConnected(vfs::Dentry& dentry) override;
  void OnDisconnected(vfs::Dentry& dentry) override;

 protected:
  HostInode() = default;
  HostInode(GoferFilesystem& fs, uint64_t ino,
            const HostStat& found) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // One that is only here.
  HostInode(GoferFilesystem& fs, const vfs::NewFile& file, uint32_t nlink, TimeNs now);
  ~HostInode() override;

  void set_stale() { stale_.store(true, std::memory_order_relaxed); }
  // That the attributes were asked of the host in this operation. Before the host is asked: a
  // change after it makes them stale again.
  void NoteAsked();
  bool AskedInThisOperation() const;
  // Whether the attributes may be others by now.
  bool stale() const;
  void AdoptLocked(const HostStat& found) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> RefreshLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Errors: ESTALE.
  virtual Result<HostStat> StatHost() ABSL_SHARED_LOCKS_REQUIRED(mu());
  // Cuts the file on the host. Errors: those of ftruncate(2) and open(2).
  virtual Result<void> TruncateHost(uint64_t) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu()) {
    return Err(EINVAL);
  }
  // A descriptor of the file that is open anyway, or -1.
  virtual int OpenFd() const ABSL_SHARED_LOCKS_REQUIRED(mu()) { return -1; }
  Result<void> LearnAcl() override ABSL_LOCKS_EXCLUDED(mu());
  // An ACL has changed.
  virtual void ForgetAcls() ABSL_LOCKS_EXCLUDED(mu());
  // For a checkpoint: all extended attributes of a deleted file. Errors: those of the host.
  Result<void> CaptureXattrs(int fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // A deleted file is saved whole, unless who goes on with it gets its descriptor
  // (GoferFilesystem::DeletedFiles).
  bool is_captured() const { return !detached() && deleted() && !fs().keeps_answers(); }
  // What a checkpoint needs besides fresh attributes.
  virtual absl::Status PrepareSave() { return absl::OkStatus(); }
  virtual void BeforeResume() {}
  void ReleaseUnlinked() override;
  absl::Status AfterLoad(state::LoadContext& context);

 private:
  friend class GoferFilesystem;
  friend class HostDirectory;
  friend class HostRegular;
  friend class RestoreRun;
  STATE_SAVABLE(HostInode);

  Result<void> DropCapabilities(int fd) const;
  bool SaveDetached() const { return detached() || is_captured(); }
  absl::Status LoadDetached(bool detached, state::LoadContext& context);
  // Before the file loses its last name: keeps what will still lead to it.
  void KeepControl();
  // It has lost a name.
  void DropLink() ABSL_LOCKS_EXCLUDED(mu());
  // Of the host; empty if there is none. Errors: EIO and others.
  Result<std::string> ReadAcl(std::string_view name);
  // Makes owner, mode and times on the host what they are here, as far as `set` asks for it.
  Result<void> Push(const vfs::SetStat& set, uint32_t old_mode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());

  // Written in constructors, in loads and by a restore.
  uint64_t host_dev_ = 0;
  uint64_t host_ino_ = 0;
  uint64_t rdev_ = 0;
  // Written under mu(), read without.
  std::atomic<uint64_t> blocks_{0};
  std::atomic<uint32_t> blksize_{4096};
  std::atomic<bool> loaded_{true};
  std::atomic<bool> detached_ STATE(manual){false};
  std::atomic<bool> deleted_ STATE(nosave){false};
  std::atomic<bool> stale_ STATE(nosave){false};

  // False only in a load, until it is known that the filesystem is a gofer.
  bool ours_ STATE(nosave) = false;
  // Of regular files, here where there is room: those who change one through descriptors of their
  // own.
  std::atomic<uint32_t> passthrough_ STATE(nosave){0};
  FdCache::Slot control_ STATE(nosave) = nullptr;
  // A dentry under which the file can be found; GoferFilesystem::more_places_ has the others.
  // Guarded by GoferFilesystem::inodes_mu_.
  vfs::Dentry* place_ STATE(nosave) = nullptr;
};

class HostDirectory final : public HostInode {
 public:
  using NameSet = std::set<std::string, std::less<>>;

  HostDirectory(GoferFilesystem& fs, uint64_t ino, const HostStat& found)
      : HostInode(fs, ino, found) {}
  HostDirectory(GoferFilesystem& fs, const vfs::NewFile& file, TimeNs now)
      : HostInode(fs, file, 2, now) {}

  void ApplyDefaultAcl(const vfs::Credentials& creds, vfs::NewFile& file) const override;
  bool has_uncached_children() const override { return !complete() && !detached(); }
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
  Result<RefPtr<vfs::Inode>> RenameLeavingWhiteout(std::string_view name, vfs::Inode& child,
                                                   vfs::Inode& new_dir, std::string_view new_name,
                                                   vfs::Inode* replaced,
                                                   const vfs::NewFile& whiteout,
                                                   TimeNs now) override;
  Result<void> ExchangeChildren(std::string_view name, vfs::Inode& child, vfs::Inode& other_dir,
                                std::string_view other_name, vfs::Inode& other,
                                TimeNs now) override;

  // Whether the dentry cache has every name.
  bool complete() const { return complete_.load(std::memory_order_acquire); }

  STASIS_SLAB_ALLOCATED(HostDirectory);

 private:
  friend class RestoreRun;
  STATE_SAVABLE(HostDirectory);
  HostDirectory() = default;

  // Whether the host passes an ACL on to what is made here.
  enum class DefaultAcl : uint8_t { kUnknown, kNone, kSome };

  void ForgetAcls() override ABSL_LOCKS_EXCLUDED(mu());
  absl::Status PrepareSave() override ABSL_LOCKS_EXCLUDED(mu());
  void BeforeResume() override ABSL_LOCKS_EXCLUDED(mu());
  // Before a file is made here, unless the answer is known.
  void AskDefaultAcl() ABSL_LOCKS_EXCLUDED(mu());
  // As it was when ApplyDefaultAcl was called for the file that is made.
  bool has_default_acl() const {
    return default_acl_.load(std::memory_order_relaxed) == DefaultAcl::kSome;
  }
  void ReadLinkOf(HostInode& child, const std::string& name);
  // A file that was just made under that name: gives it owner and mode, and takes it away again if
  // that fails. `fd` is a descriptor of it, if there is one.
  Result<HostStat> Finish(int dir, const std::string& name, const vfs::NewFile& file, UniqueFd& fd);
  // Its inode.
  RefPtr<HostInode> NewInode(const HostStat& made, const vfs::NewFile& file, UniqueFd fd);
  // Undoes the making of a file, unless the name is another file's than `made` by now.
  void TakeAway(int dir, const std::string& name, const vfs::NewFile& file,
                const std::optional<HostKey>& made);
  Result<void> MakeOnHost(int dir, const std::string& name, const vfs::NewFile& file,
                          UniqueFd* opened);
  Result<void> Rename(std::string_view name, vfs::Inode& child, vfs::Inode& new_dir,
                      std::string_view new_name, vfs::Inode* replaced, uint32_t flags);
  Result<void> Remove(std::string_view name, HostInode& child, bool keep);
  RefPtr<vfs::Inode> MakeDetachedTmpfile(const vfs::NewFile& file, TimeNs now);
  Result<RefPtr<vfs::Inode>> TakeWhiteout(const std::string& name, const vfs::NewFile& file);
  Result<void> Attach(std::string_view name, HostInode& file, const vfs::XattrMap& xattrs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(file.mu());
  // What a listing has found that the cache does not have.
  Result<void> Enter(vfs::Dentry& self, const HostDirent& entry) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  // What the host has under that name.
  Result<HostStat> Look(std::string_view name);
  // All entries on the host: number, type and size of the name, and then that.
  Result<std::string> ReadEntries();
  void ForgetUnseen(vfs::Dentry& self, const NameSet& seen) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  std::atomic<bool> complete_{false};  // written with the Directory locked
  // Written under mu().
  std::atomic<DefaultAcl> default_acl_ STATE(nosave){DefaultAcl::kUnknown};
};

// What a checkpoint knows of a file's content.
struct ContentDigest {
  std::array<uint8_t, 32> sha256{};
  TimeNs ctime = 0;  // of the file when it was computed
  uint64_t size = 0;

 private:
  STATE_SAVABLE(ContentDigest);
};

class HostRegular final : public HostInode {
 public:
  HostRegular(GoferFilesystem& fs, uint64_t ino, const HostStat& found)
      : HostInode(fs, ino, found) {}
  // Empty, and only here.
  HostRegular(GoferFilesystem& fs, const vfs::NewFile& file, TimeNs now);

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
  Result<void> Sync() override ABSL_LOCKS_EXCLUDED(mu());
  void FillStat(vfs::Stat& stat) const override ABSL_LOCKS_EXCLUDED(mu());

  // For HostFileDescription: an open file begins and ends. Begin is without effect on descriptors
  // (in a load); OpenHandles makes them.
  void CountOpen(bool read, bool write) ABSL_LOCKS_EXCLUDED(mu());
  void Close(bool read, bool write) ABSL_LOCKS_EXCLUDED(mu());
  // A descriptor that reads, and writes if there are writers; -1 if detached. Valid as long as the
  // file is open.
  int backing_fd(bool write) const ABSL_LOCKS_EXCLUDED(mu());
  void BeginPassthrough() override { passthrough_.fetch_add(1, std::memory_order_relaxed); }
  void EndPassthrough() override {
    set_stale();
    passthrough_.fetch_sub(1, std::memory_order_relaxed);
  }

  STASIS_SLAB_ALLOCATED(HostRegular);

 private:
  friend class GoferFilesystem;
  friend class HostDirectory;
  friend class RestoreRun;
  STATE_SAVABLE(HostRegular);
  HostRegular() = default;

  // Shared by all who have the file open. Opened when somebody needs it, closed when nobody has the
  // file open; never replaced in between.
  struct Handles {
    FdCache::Pin read;  // of the control descriptor, made one that reads
    UniqueFd write;
    bool write_reads = false;  // `write` may be read from: then it is, it sees what was written
    uint32_t readers = 0;
    uint32_t writers = 0;

    int reader() const {
      if (write_reads) return write.get();
      return read ? read.fd() : -1;
    }
    int any() const { return write.valid() ? write.get() : reader(); }
    bool unused() const { return readers == 0 && writers == 0; }
  };

  int OpenFd() const override ABSL_SHARED_LOCKS_REQUIRED(mu()) {
    return handles_ == nullptr ? -1 : handles_->any();
  }
  Result<HostStat> StatHost() override ABSL_SHARED_LOCKS_REQUIRED(mu());
  Result<void> TruncateHost(uint64_t size) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  void ReleaseUnlinked() override ABSL_LOCKS_EXCLUDED(mu());
  absl::Status PrepareSave() override ABSL_LOCKS_EXCLUDED(mu());
  void BeforeResume() override ABSL_LOCKS_EXCLUDED(mu());
  absl::Status AfterLoad(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  Handles& MakeHandles() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Opens what is missing. With `force` also what the mode forbids, if the owner may change it.
  // Errors: those of open(2).
  Result<void> OpenHandles(bool read, bool write, bool force) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Opens what those need that have the file open.
  Result<void> OpenHandlesAgain(bool force) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<UniqueFd> OpenHandle(int flags, bool force) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<FdCache::Pin> OpenReader(bool force) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Makes a control descriptor that reads, if there is none of any kind, in one call instead of
  // three.
  void OpenByName(const vfs::Dentry& dentry) ABSL_LOCKS_EXCLUDED(mu());
  // A descriptor of a new file, for who opens it next.
  void TakeHandle(UniqueFd fd) ABSL_LOCKS_EXCLUDED(mu());
  // Errors: EBADF.
  Result<int> Reader() const ABSL_SHARED_LOCKS_REQUIRED(mu());
  Result<int> Writer() const ABSL_SHARED_LOCKS_REQUIRED(mu());
  Result<uint64_t> CopyRangeLocked(HostRegular& from, uint64_t from_offset, uint64_t offset,
                                   uint64_t length) ABSL_SHARED_LOCKS_REQUIRED(mu(), from.mu());
  Result<size_t> WriteHost(uint64_t offset, std::span<const std::byte> bytes)
      ABSL_SHARED_LOCKS_REQUIRED(mu());
  Result<size_t> WriteDetached(uint64_t offset, std::span<const std::byte> bytes, TimeNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> AllocateDetached(int mode, uint64_t offset, uint64_t length, TimeNs now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Makes a detached file one of the host, under that name. Errors: those of the host.
  Result<void> Attach(int dir, const std::string& name, const vfs::XattrMap& xattrs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  Result<void> WriteTo(int fd, const vfs::XattrMap& xattrs) ABSL_SHARED_LOCKS_REQUIRED(mu());
  vfs::FileData& MakeData() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Reads all that is data of a deleted file into chunks.
  Result<void> Capture() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());
  // Errors: ESTALE if the file changes all the time, those of open(2) and read(2).
  Result<void> ComputeDigest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu());

  vfs::ChunkMap SaveData() const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status LoadData(vfs::ChunkMap chunks,
                        state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;
  vfs::PageMap SaveWritten() const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status LoadWritten(const vfs::PageMap& written,
                           state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  vfs::PageRangeMap SaveReserved() const ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status LoadReserved(const vfs::PageRangeMap& reserved,
                            state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS;

  // Name other saved forms of data_: the pages that are holes within chunks, and those that are
  // reserved.
  struct Written {};
  struct Reserved {};

  std::unique_ptr<Handles> handles_ STATE(nosave) ABSL_GUARDED_BY(mu());
  // Of a detached file; of a deleted one from PrepareSave to BeforeResume.
  std::unique_ptr<vfs::FileData> data_ STATE(manual) ABSL_GUARDED_BY(mu());
  // Loaded after data_, in this order.
  [[no_unique_address, maybe_unused]] Written written_ STATE(manual);
  [[no_unique_address, maybe_unused]] Reserved reserved_ STATE(manual);
  std::unique_ptr<ContentDigest> digest_ ABSL_GUARDED_BY(mu());
};

// An open regular file.
class HostFileDescription final : public vfs::FileDescription {
 public:
  // Requires: counted by HostRegular::Open.
  HostFileDescription(vfs::VirtualDentry at, const vfs::OpenOptions& options, bool counted)
      : FileDescription(std::move(at), options, counted), counted_(true) {}
  ~HostFileDescription() override;

  int backing_fd() const override { return file().backing_fd(writable()); }

 private:
  STATE_SAVABLE(HostFileDescription);
  HostFileDescription() = default;

  HostRegular& file() const { return static_cast<HostRegular&>(inode()); }
  bool reads() const { return readable() || executing(); }
  absl::Status AfterLoad(state::LoadContext& context);

  bool counted_ STATE(nosave) = false;  // by the inode
};

class HostSymlink final : public HostInode {
 public:
  HostSymlink(GoferFilesystem& fs, uint64_t ino, const HostStat& found)
      : HostInode(fs, ino, found) {}
  // Only here.
  HostSymlink(GoferFilesystem& fs, const vfs::NewFile& file, TimeNs now);

  Result<std::string_view> ReadLink() const override ABSL_LOCKS_EXCLUDED(mu());
  // What was read already; of no effect if the target is known.
  void TakeTarget(std::string target) ABSL_LOCKS_EXCLUDED(mu());

  STASIS_SLAB_ALLOCATED(HostSymlink);

 private:
  friend class RestoreRun;
  STATE_SAVABLE(HostSymlink);
  HostSymlink() = default;
  absl::Status PrepareSave() override;
  absl::Status AfterLoad(state::LoadContext& context);

  mutable std::string target_;  // empty until it is asked for; then immutable
};

// A FIFO, a socket or a device.
class HostSpecial final : public HostInode {
 public:
  HostSpecial(GoferFilesystem& fs, uint64_t ino, const HostStat& found)
      : HostInode(fs, ino, found) {}

  STASIS_SLAB_ALLOCATED(HostSpecial);

 private:
  STATE_SAVABLE(HostSpecial);
  HostSpecial() = default;
  absl::Status AfterLoad(state::LoadContext& context);
};

}  // namespace stasis::gofer

#endif  // STASIS_FSIMPL_GOFER_INODE_H_
