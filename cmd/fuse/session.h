// SPDX-License-Identifier: Apache-2.0
//
// session.h: runs requests on the tree. Knows nothing of descriptors and threads.

#ifndef STASIS_CMD_FUSE_SESSION_H_
#define STASIS_CMD_FUSE_SESSION_H_

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/fuse/backing_table.h"
#include "cmd/fuse/fuse_state.h"
#include "cmd/fuse/init.h"
#include "cmd/fuse/reply.h"
#include "cmd/fuse/request.h"
#include "state/base/ref_ptr.h"
#include "state/base/result.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::fuse {

// Thread-safe. All of it requires: inside the operation gate, but for page_writes().
class Session {
 public:
  // `one_filesystem` as in ServerOptions.
  Session(RefPtr<vfs::VirtualFilesystem> vfs, RefPtr<FuseState> state, uint64_t cache_seconds,
          const Wishes& wishes, bool one_filesystem = false)
      : vfs_(std::move(vfs)),
        state_(std::move(state)),
        cache_seconds_(cache_seconds),
        wishes_(wishes),
        one_filesystem_(one_filesystem) {}

  // Runs a request. The error is what the caller of the system call gets; EINVAL also if the
  // message is malformed, ENOSYS if nothing serves its opcode.
  Result<void> Run(const Request& request, Reply& reply);

  // Takes back what a reply gave that the kernel did not get.
  void TakeBack(const Reply& reply);

  // What the kernel has let go of. CloseHandle: false if there was no such handle.
  void Forget(uint64_t node, uint64_t lookups);
  bool CloseHandle(uint64_t handle);

  vfs::VirtualFilesystem& vfs() const { return *vfs_; }
  FuseState& state() const { return *state_; }
  BackingTable& backings() { return backings_; }
  const Wishes& wishes() const { return wishes_; }
  // All that is served.
  std::vector<RefPtr<vfs::Filesystem>> filesystems() const;

  // For how long the kernel may keep what it is told of: that a name in `dir` is missing, that it
  // is the file it is, and a file's attributes.
  uint64_t MissingSeconds(const vfs::VirtualDentry& dir) const { return SecondsOf(dir.inode()); }
  uint64_t EntrySeconds(const vfs::VirtualDentry& file) const;
  uint64_t AttributeSeconds(const Node& node) const {
    return node.mapped() ? 0 : SecondsOf(node.at().inode());
  }

  // What the kernel sees of a file.
  vfs::Stat StatOf(const vfs::Inode& inode) const;
  uint64_t InoOf(const vfs::Filesystem& filesystem, uint64_t ino) const;

  // Pages of shared mappings that were written back, in WRITE requests.
  uint64_t page_writes() const { return page_writes_.load(std::memory_order_relaxed); }
  void CountPageWrite() { page_writes_.fetch_add(1, std::memory_order_relaxed); }

 private:
  uint64_t SecondsOf(const vfs::Inode& inode) const {
    return inode.filesystem().exclusive() ? cache_seconds_ : 0;
  }

  const RefPtr<vfs::VirtualFilesystem> vfs_;
  const RefPtr<FuseState> state_;
  const uint64_t cache_seconds_;
  const Wishes wishes_;
  const bool one_filesystem_;
  std::atomic<uint64_t> page_writes_{0};
  BackingTable backings_;
};

// One request on its way through a handler (operations.h).
class Call {
 public:
  Call(Session& session, const Request& request, Reply& reply)
      : session_(session),
        header_(request.header),
        in_(request.payload),
        reply_(reply),
        creds_(vfs::Credentials::Trusted(header_.uid, header_.gid)) {}

  Session& session() const { return session_; }
  vfs::VirtualFilesystem& vfs() const { return session_.vfs(); }
  FuseState& state() const { return session_.state(); }
  const fuse_in_header& header() const { return header_; }
  MessageReader& in() { return in_; }
  Reply& reply() const { return reply_; }
  // Of the caller; the kernel has checked his permissions (default_permissions).
  const vfs::Credentials& creds() const { return creds_; }
  // Of a request that makes a file.
  void set_umask(uint32_t umask) { creds_.umask = umask & 0777; }

  // What the file loses if the kernel says that the caller's change takes the set-ID bits. Without
  // an executing group S_ISGID stays to members of the group; of the caller's groups the request
  // has only the first.
  vfs::DropPrivileges Complete(vfs::DropPrivileges drop, const vfs::Inode& inode) const {
    drop.set_gid = drop.set_ids && header_.uid != 0 && header_.gid != inode.gid();
    return drop;
  }

  // The node that the request is about. Errors: ESTALE.
  Result<RefPtr<Node>> GetNode() const { return GetNode(header_.nodeid); }
  Result<RefPtr<Node>> GetNode(uint64_t number) const;
  // Errors: EBADF.
  Result<RefPtr<Handle>> GetHandle(uint64_t number) const;
  // The open file that a request means: a handle, or 0 for the file of a node that the kernel has
  // opened without asking, which is opened here for as long as the request takes. `flags` as for
  // open(2): what the request needs. Errors: EBADF, ESTALE, those of OpenAt.
  Result<RefPtr<vfs::FileDescription>> GetFile(uint64_t handle, uint64_t node, int flags) const;

  // Paths below a node, for the operations of vfs. Borrow their arguments.
  vfs::PathOperation At(const Node& node) const { return {state().root(), node.at(), {}}; }
  vfs::PathOperation At(const Node& node, std::string_view name) const {
    return {state().root(), node.at(), name};
  }

  // For an operation that has changed attributes of a file which its reply does not tell. The
  // kernel forgets what it has of them, but not what a concurrent look is about to give it: it is
  // told to before the reply, if it was ever told any.
  void ChangedUntold(Node& node);
  void ChangedUntold(uint64_t number);  // nothing if there is no such node

  // Tells the kernel of a file: counts the lookup, appends fuse_entry_out.
  Result<void> ReplyEntry(const vfs::VirtualDentry& file);
  // The same for the file of a path.
  Result<void> ReplyEntry(const vfs::PathOperation& path);
  fuse_entry_out EntryFor(const vfs::VirtualDentry& file);

 private:
  Session& session_;
  const fuse_in_header& header_;
  MessageReader in_;
  Reply& reply_;
  vfs::Credentials creds_;
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_SESSION_H_
