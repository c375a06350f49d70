// SPDX-License-Identifier: Apache-2.0
//
// filesystem.h: gofer, a filesystem that is a directory of the host.
//
// Names, attributes and data are the host's; this filesystem caches names and attributes, keeps
// inode numbers of its own, and knows which files are open. A checkpoint saves what it knows, and
// the content of deleted files, but of no others; a restore finds the directory again by its name,
// compares every file that was known, and opens again what was open.
//
//   GoferOptions options{.root = "data", .directory = "/srv/data"};
//   absl::StatusOr<RefPtr<GoferFilesystem>> fs = GoferFilesystem::Create(vfs, options);
//
// What a file is reached by. Looking at files opens none: statx(2) relative to a directory. A file
// that is changed or opened gets a *control descriptor* (O_PATH), out of a cache with a budget; it
// is opened by its path below the nearest directory that has one, and must then be the same file.
// Open regular files have *handles* besides, which all who have the file open share.
//
// Who may change the directory besides (Interop):
//   kExclusive     nobody. What is known stays true. Access times are kept here.
//   kWritethrough  nobody, but others may look: access times go to the host, too.
//   kShared        anybody. Each use of a name looks at the host first; a name that has become
//                  another file's is forgotten, with what was below it and mounted on it.
//
// Lock order: after Directory::mu
//   Inode::mu()
//     FdCache::mu_
//     GoferFilesystem::inodes_mu_

#ifndef STASIS_FSIMPL_GOFER_FILESYSTEM_H_
#define STASIS_FSIMPL_GOFER_FILESYSTEM_H_

#include <absl/container/flat_hash_set.h>
#include <absl/functional/function_ref.h>
#include <absl/hash/hash.h>
#include <absl/status/statusor.h>
#include <fcntl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fsimpl/gofer/fd_cache.h"
#include "fsimpl/gofer/host_ops.h"
#include "vfs/drift.h"
#include "vfs/tree_filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::gofer {

class HostInode;
class HostRegular;
class RestoreRun;

enum class Interop : uint8_t { kExclusive = 0, kWritethrough = 1, kShared = 2 };
std::string_view NameOf(Interop interop);  // "exclusive"

// Which FIFOs and sockets may be made on the host: other programs there may open them.
enum class Specials : uint8_t { kAll = 0, kNone = 1, kFifo = 2, kSocket = 3 };

// Of which files a checkpoint saves the digest of their content.
enum class DigestScope : uint8_t { kNone, kOpen, kAll };

// One user and one group of the host that are others in the tree: for a daemon without privileges,
// whose files are to be root's. Numbers that are not named stay what they are.
struct OwnerMap {
  bool mapped = false;
  uint32_t host_uid = 0;  // root's in the tree
  uint32_t host_gid = 0;

  uint32_t ToTree(uint32_t id, uint32_t host) const { return mapped && id == host ? 0 : id; }
  uint32_t ToHost(uint32_t id, uint32_t host) const { return mapped && id == 0 ? host : id; }
};

struct GoferOptions {
  std::string root;       // by which a restore asks for the directory
  std::string directory;  // its path on the host
  Interop interop = Interop::kExclusive;
  Specials specials = Specials::kAll;
  uint32_t fd_limit = kDefaultFdLimit;  // control descriptors at once, at most
  OwnerMap owners;
  std::shared_ptr<HostOps> ops;  // null: the host's
};

// Given to a load (LoadOptions::Provide), all of it optional: what a restored filesystem works
// with.
struct GoferServices {
  std::shared_ptr<HostOps> ops;
  uint32_t fd_limit = kDefaultFdLimit;
  OwnerMap owners;
  // Roots in which programs go on, by another process, until GoOn().
  std::set<std::string> live;
};

// A file that has no name any more and that somebody uses.
struct DeletedFile {
  HostKey key;
  UniqueFd fd;
};

// Thread-safe.
class GoferFilesystem final : public vfs::TreeFilesystem {
 public:
  // A filesystem for `options.directory`, known to `vfs`. Errors: NotFound, FailedPrecondition if
  // it is no directory, PermissionDenied, InvalidArgument for a name without characters.
  static absl::StatusOr<RefPtr<GoferFilesystem>> Create(vfs::VirtualFilesystem& vfs,
                                                        const GoferOptions& options);
  ~GoferFilesystem() override;

  std::string_view type() const override { return "gofer"; }
  bool exclusive() const override { return interop_ != Interop::kShared; }
  bool opens_matter() const override { return true; }
  Result<void> Sync() override;

  const std::string& root_name() const { return root_name_; }
  Interop interop() const { return interop_; }
  // Its path on the host, the last one that is known; empty in images of before this was saved.
  const std::string& directory() const { return directory_; }
  FdCache& fds() { return *fds_; }
  // False after a load, until a restore has found the directory.
  bool attached() const { return root_fd_.valid(); }

  Specials specials() const { return specials_; }
  // Whether a FIFO or a socket (S_IFIFO, S_IFSOCK) may be made on the host.
  bool MayMake(uint32_t type) const {
    return specials_ == Specials::kAll ||
           specials_ == (type == S_IFIFO ? Specials::kFifo : Specials::kSocket);
  }

  // Asks the host for attributes that may be old, so that the next checkpoint has less to ask while
  // programs wait. Requires: the gate is not closed by the caller.
  void LookAgain() ABSL_LOCKS_EXCLUDED(inodes_mu_);

  // For another process that is to go on with it, while this one serves programs: it does again
  // what they do (asked.h) once it has loaded, and asks nothing of the host until GoOn().
  void set_keeps_answers(bool on) { keeps_answers_.store(on, std::memory_order_relaxed); }
  bool keeps_answers() const { return keeps_answers_.load(std::memory_order_relaxed); }
  bool without_host() const { return real_ops_ != nullptr; }
  // Errors: EMFILE.
  Result<std::vector<DeletedFile>> DeletedFiles() ABSL_LOCKS_EXCLUDED(inodes_mu_);
  uint64_t next_ino() const { return next_ino_.load(std::memory_order_relaxed); }
  // Programs are this process's from here on. `deleted`: of the other process. Errors:
  // FailedPrecondition if a file that is open cannot be opened.
  absl::Status GoOn(std::vector<DeletedFile> deleted) ABSL_LOCKS_EXCLUDED(inodes_mu_);

  // For the next checkpoint.
  void set_digest_scope(DigestScope scope) { digest_scope_ = scope; }

  absl::Status PrepareSave() override;
  void BeforeResume() override;
  absl::Status Reopen(vfs::RestoreContext& context) override;
  absl::Status CompleteRestore(vfs::RestoreContext& context) override;

 private:
  friend class HostInode;
  friend class HostDirectory;
  friend class HostRegular;
  friend class HostSymlink;
  friend class RestoreRun;
  STATE_SAVABLE(GoferFilesystem);
  GoferFilesystem();
  GoferFilesystem(vfs::VirtualFilesystem& vfs, const GoferOptions& options);

  static HostKey KeyOf(const HostKey& key) { return key; }
  static HostKey KeyOf(const HostInode* inode);
  struct KeyHash {
    using is_transparent = void;
    template <typename T>
    size_t operator()(const T& of) const {
      return absl::HashOf(KeyOf(of));
    }
  };
  struct KeyEqual {
    using is_transparent = void;
    template <typename T, typename U>
    bool operator()(const T& a, const U& b) const {
      return KeyOf(a) == KeyOf(b);
    }
  };

  HostOps& ops() const { return *ops_; }
  uint64_t NextIno() { return next_ino_.fetch_add(1, std::memory_order_relaxed); }
  DigestScope digest_scope() const { return digest_scope_.load(std::memory_order_relaxed); }
  Result<vfs::StatFs> GetStatFs() const override;

  // The inode of a host file: the one that is known, or a new one.
  RefPtr<HostInode> InodeFor(const HostStat& found, bool loaded) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  RefPtr<HostInode> MakeInode(uint64_t ino, const HostStat& found, bool loaded);
  void Forget(HostInode& inode) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  // Makes the inode that of another host file, for a restore.
  void Rebind(HostInode& inode, const HostKey& key) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  // All that are alive and that `wanted` says, by number. It is called with the lock held.
  std::vector<RefPtr<HostInode>> Inodes(absl::FunctionRef<bool(const HostInode&)> wanted)
      ABSL_LOCKS_EXCLUDED(inodes_mu_);

  // A descriptor of the file, for calls that take an O_PATH one. Errors: ESTALE if its path leads
  // to another file, ENOENT, EACCES, EMFILE.
  Result<FdCache::Pin> Control(HostInode& inode);
  // Opens it anew, by its n-th path from the nearest directory with a descriptor.
  Result<UniqueFd> OpenControl(HostInode& inode, int n);
  // One of its dentries, which begin again after the last; null if there is none.
  vfs::Dentry* PlaceOf(HostInode& inode, int n = 0) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  // Has each of its names looked up on the host before it is used again.
  void CheckAgain(HostInode& inode) ABSL_LOCKS_EXCLUDED(inodes_mu_);
  // The file of a descriptor once more, so that reading leaves its access time alone if we may.
  Result<UniqueFd> OpenQuietly(int fd, int flags) const;
  // O_NOATIME where access times are kept here: for files that we make.
  int new_file_flags() const { return interop_ == Interop::kExclusive ? O_NOATIME : 0; }

  // What the host says of an owner, in the tree.
  void MapOwner(vfs::Stat& stat) const {
    stat.uid = owners_.ToTree(stat.uid, owners_.host_uid);
    stat.gid = owners_.ToTree(stat.gid, owners_.host_gid);
  }

  absl::Status AfterLoad(state::LoadContext& context);
  // Finds the directory again, in which nothing has changed but by programs that go on.
  absl::Status Reattach(vfs::RestoreContext& context);
  // Opens what is open, and is the last to do so until GoOn().
  void LeaveHost();
  absl::Status OpenAgain(HostRegular& file);
  void OpenLater(HostRegular& file);

  // Immutable; those that are not saved are set again by AfterLoad and Reopen.
  std::string root_name_;
  std::string directory_;
  Interop interop_ = Interop::kExclusive;
  Specials specials_ = Specials::kAll;
  std::shared_ptr<HostOps> ops_ STATE(nosave);
  OwnerMap owners_ STATE(nosave);
  std::unique_ptr<FdCache> fds_ STATE(nosave);
  UniqueFd root_fd_ STATE(nosave);

  std::unique_ptr<RestoreRun> restore_ STATE(nosave);  // from Reopen to CompleteRestore
  std::atomic<bool> keeps_answers_ STATE(nosave){false};
  // From a load until GoOn(), if programs go on meanwhile; one thread only.
  bool live_ STATE(nosave) = false;
  std::shared_ptr<HostOps> real_ops_ STATE(nosave);
  std::vector<RefPtr<HostRegular>> unopened_ STATE(nosave);
  std::atomic<uint64_t> next_ino_{1};
  std::atomic<DigestScope> digest_scope_ STATE(nosave){DigestScope::kNone};
  std::atomic<bool> has_digests_ STATE(nosave){false};  // some file may

  absl::Mutex inodes_mu_ STATE(nosave);
  // Borrowed; an inode takes itself out. Without detached ones. By their keys, which are theirs: a
  // table with keys of its own would take another 20 bytes a file.
  absl::flat_hash_set<HostInode*, KeyHash, KeyEqual> inodes_ STATE(nosave)
      ABSL_GUARDED_BY(inodes_mu_);
  // Of files with several names that are cached, all but one.
  std::unordered_multimap<const HostInode*, vfs::Dentry*> more_places_ STATE(nosave)
      ABSL_GUARDED_BY(inodes_mu_);
};

}  // namespace stasis::gofer

#endif  // STASIS_FSIMPL_GOFER_FILESYSTEM_H_
