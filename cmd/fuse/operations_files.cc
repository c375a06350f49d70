// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>

#include <algorithm>

#include "cmd/fuse/operations.h"
#include "cmd/fuse/privileges.h"

namespace stasis::fuse {
namespace {

// What the tree is to know of open(2)'s flags. Not O_APPEND: the kernel says where each write goes,
// and pages written back through such a handle must not be appended. Not O_NOATIME, O_DIRECT and
// what else the kernel does.
constexpr int kOpenFlags = O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC;
constexpr int kCreateFlags = kOpenFlags | O_EXCL;

// The page cache stays from one open to the next, and nothing needs to be sent at close.
constexpr uint32_t kFileReply = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;

fuse_open_out AddHandle(Call& call, RefPtr<vfs::FileDescription> file, uint32_t flags) {
  fuse_open_out out{};
  out.fh = call.state().handles().Add(std::move(file), flags);
  out.open_flags = kFileReply;
  call.reply().SetOpened(out.fh);
  return out;
}

// Before a truncation by open(2).
Result<void> DropForTruncation(Call& call, const vfs::VirtualDentry& file, uint32_t flags,
                               uint32_t open_flags) {
  if ((flags & O_TRUNC) == 0) return {};
  STASIS_ASSIGN_OR_RETURN(bool changed,
                          DropPrivileges(call, file, (open_flags & FUSE_OPEN_KILL_SUIDGID) != 0));
  if (changed) call.session().AttributesChanged(call.header().nodeid);
  return {};
}

}  // namespace

Result<void> Open(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_open_in in, call.in().Take<fuse_open_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  if (node->at().inode().is_dir()) return Err(EISDIR);
  STASIS_RETURN_IF_ERROR(DropForTruncation(call, node->at(), in.flags, in.open_flags));
  vfs::OpenOptions options;
  options.flags = (static_cast<int>(in.flags) & kOpenFlags) | O_NOFOLLOW;
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.vfs().OpenAt(call.creds(), call.At(*node), options));
  return call.reply().AppendStruct(AddHandle(call, std::move(file), in.flags));
}

Result<void> Create(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_create_in in, call.in().Take<fuse_create_in>());
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  vfs::OpenOptions options;
  options.flags = (static_cast<int>(in.flags) & kCreateFlags) | O_CREAT | O_NOFOLLOW;
  options.mode = in.mode & vfs::kPermissionBits;
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.vfs().OpenAt(call.creds(), call.At(*dir, name), options));
  STASIS_RETURN_IF_ERROR(call.ReplyEntry(file->at()));
  return call.reply().AppendStruct(AddHandle(call, std::move(file), in.flags));
}

Result<void> Read(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_read_in in, call.in().Take<fuse_read_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Handle> handle, call.GetHandle(in.fh));
  STASIS_ASSIGN_OR_RETURN(size_t size,
                          handle->file().PRead(in.offset, call.reply().Space(in.size)));
  call.reply().Commit(size);
  return {};
}

Result<void> Write(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_write_in in, call.in().Take<fuse_write_in>());
  STASIS_ASSIGN_OR_RETURN(auto bytes, call.in().TakeBytes(in.size));
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Handle> handle, call.GetHandle(in.fh));
  vfs::FileDescription& file = handle->file();
  // Pages of a shared mapping that are written back later are no write(2).
  if ((in.write_flags & FUSE_WRITE_CACHE) == 0) {
    const bool set_ids = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
    STASIS_ASSIGN_OR_RETURN(bool changed, DropPrivileges(call, file.at(), set_ids));
    if (changed) call.session().AttributesChanged(call.header().nodeid);
  }
  STASIS_ASSIGN_OR_RETURN(size_t size, file.PWrite(in.offset, bytes));
  fuse_write_out out{};
  out.size = static_cast<uint32_t>(size);
  return call.reply().AppendStruct(out);
}

Result<void> Release(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_release_in in, call.in().Take<fuse_release_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  if (call.state().handles().Remove(in.fh) == nullptr) return Err(EBADF);
  return {};
}

Result<void> Fsync(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_fsync_in in, call.in().Take<fuse_fsync_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Handle> handle, call.GetHandle(in.fh));
  return handle->file().Sync();
}

// Data and holes only: the kernel knows the rest. The description's own offset is not used.
Result<void> Lseek(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_lseek_in in, call.in().Take<fuse_lseek_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Handle> handle, call.GetHandle(in.fh));
  if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return Err(EINVAL);
  fuse_lseek_out out{};
  STASIS_ASSIGN_OR_RETURN(
      out.offset, handle->file().inode().SeekExtent(in.offset, static_cast<int>(in.whence)));
  return call.reply().AppendStruct(out);
}

}  // namespace stasis::fuse
