// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>

#include <algorithm>

#include "cmd/fuse/operations.h"

namespace stasis::fuse {
namespace {

// What the tree is to know of open(2)'s flags. Not O_APPEND: the kernel says where each write goes,
// and pages written back through such a handle must not be appended. Not O_DIRECT and what else the
// kernel does.
constexpr int kOpenFlags = O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | O_NOATIME;
constexpr int kCreateFlags = kOpenFlags | O_EXCL;

// Gives the file a backing if it can have one. Returns the node whose opens are counted.
uint64_t OpenBacking(Call& call, uint64_t node, vfs::FileDescription& file, OpenOut& out) {
  BackingTable& backings = call.session().backings();
  if (!backings.enabled() || !file.inode().is_regular()) return 0;
  const BackingTable::Opened opened = backings.Open(node, file);
  if (opened.backing != 0) {
    out.open_flags |= kOpenPassthrough;
    out.backing_id = opened.backing;
  }
  if (opened.mappable) {
    call.state().nodes().SetMapped(node);
    call.ChangedUntold(node);
  }
  return node;
}

OpenOut AddHandle(Call& call, uint64_t node, RefPtr<vfs::FileDescription> file, uint32_t flags) {
  OpenOut out{};
  // Nothing needs to be sent at close.
  out.open_flags = FOPEN_NOFLUSH;
  const bool exclusive = file->inode().filesystem().exclusive();
  uint64_t counted = 0;
  if (!call.state().negotiated().opens_unasked()) {
    counted = OpenBacking(call, node, *file, out);
    out.fh = call.state().handles().Add(std::move(file), flags, counted);
    call.reply().SetOpened(out.fh);
  }
  // The page cache stays from one open to the next. A file with a backing has none.
  if (exclusive && out.backing_id == 0) out.open_flags |= FOPEN_KEEP_CACHE;
  return out;
}

// Of a file that was made and opened.
Result<void> ReplyCreated(Call& call, RefPtr<vfs::FileDescription> file, uint32_t flags) {
  fuse_entry_out entry = call.EntryFor(file->at());
  const OpenOut open = AddHandle(call, entry.nodeid, std::move(file), flags);
  // Now that it is open, which may have shortened the time.
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode(entry.nodeid));
  entry.attr_valid = call.session().AttributeSeconds(*node);
  STASIS_RETURN_IF_ERROR(call.reply().AppendStruct(entry));
  return call.reply().AppendStruct(open);
}

// What a file loses when it is truncated.
vfs::DropPrivileges DropOnTruncation(uint32_t open_flags) {
  return {.set_ids = (open_flags & FUSE_OPEN_KILL_SUIDGID) != 0, .capabilities = true};
}

}  // namespace

Result<void> Open(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_open_in in, call.in().Take<fuse_open_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  // From which the kernel learns not to ask.
  if (call.state().negotiated().opens_unasked()) return Err(ENOSYS);
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  if (node->at().inode().is_dir()) return Err(EISDIR);
  vfs::OpenOptions options;
  options.flags = (static_cast<int>(in.flags) & kOpenFlags) | O_NOFOLLOW;
  options.drop_privileges = call.Complete(DropOnTruncation(in.open_flags), node->at().inode());
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.vfs().OpenAt(call.creds(), call.At(*node), options));
  if ((options.flags & O_TRUNC) != 0 && options.drop_privileges.set_ids)
    call.reply().AddChanged(call.header().nodeid);
  return call.reply().AppendStruct(
      AddHandle(call, call.header().nodeid, std::move(file), in.flags));
}

Result<void> Create(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_create_in in, call.in().Take<fuse_create_in>());
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  call.set_umask(in.umask);
  vfs::OpenOptions options;
  options.flags = (static_cast<int>(in.flags) & kCreateFlags) | O_CREAT | O_NOFOLLOW;
  options.mode = in.mode & vfs::kPermissionBits;
  options.drop_privileges = DropOnTruncation(in.open_flags);
  // Of the open itself nobody hears, nor when it ends.
  options.unreported = call.state().negotiated().opens_unasked();
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.vfs().OpenAt(call.creds(), call.At(*dir, name), options));
  call.ChangedUntold(*dir);
  return ReplyCreated(call, std::move(file), in.flags);
}

// The kernel sends "/" for a name.
Result<void> Tmpfile(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_create_in in, call.in().Take<fuse_create_in>());
  STASIS_RETURN_IF_ERROR(call.in().TakeText());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  call.set_umask(in.umask);
  vfs::OpenOptions options;
  options.flags = (static_cast<int>(in.flags) & kCreateFlags) | O_TMPFILE;
  options.mode = in.mode & vfs::kPermissionBits;
  options.unreported = call.state().negotiated().opens_unasked();
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.vfs().OpenAt(call.creds(), call.At(*dir), options));
  return ReplyCreated(call, std::move(file), in.flags);
}

Result<void> Read(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_read_in in, call.in().Take<fuse_read_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  const int flags = O_RDONLY | (static_cast<int>(in.flags) & O_NOATIME);
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.GetFile(in.fh, call.header().nodeid, flags));
  STASIS_ASSIGN_OR_RETURN(size_t size, file->PRead(in.offset, call.reply().Space(in.size)));
  call.reply().Commit(size);
  return {};
}

Result<void> Write(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_write_in in, call.in().Take<fuse_write_in>());
  STASIS_ASSIGN_OR_RETURN(auto bytes, call.in().TakeBytes(in.size));
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.GetFile(in.fh, call.header().nodeid, O_WRONLY));
  // Pages of a shared mapping that are written back later are no write(2).
  const bool is_page_write = (in.write_flags & FUSE_WRITE_CACHE) != 0;
  if (is_page_write) {
    call.session().CountPageWrite();
  } else {
    const vfs::DropPrivileges drop{.set_ids = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0,
                                   .capabilities = true};
    STASIS_ASSIGN_OR_RETURN(bool changed, file->inode().Drop(call.Complete(drop, file->inode()),
                                                             call.vfs().clock().Now()));
    if (changed) call.reply().AddChanged(call.header().nodeid);
  }
  STASIS_ASSIGN_OR_RETURN(size_t size, file->PWrite(in.offset, bytes));
  if (is_page_write) call.ChangedUntold(call.header().nodeid);
  // The kernel takes written pages for clean however many bytes the reply says.
  if (is_page_write && size < bytes.size()) return Err(ENOSPC);
  fuse_write_out out{};
  out.size = static_cast<uint32_t>(size);
  return call.reply().AppendStruct(out);
}

Result<void> Release(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_release_in in, call.in().Take<fuse_release_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  // Of a file that was created before the kernel had learnt not to ask.
  if (in.fh == 0 && call.state().negotiated().opens_unasked()) return {};
  if (!call.session().CloseHandle(in.fh)) return Err(EBADF);
  return {};
}

Result<void> Fsync(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_fsync_in in, call.in().Take<fuse_fsync_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  // All is in memory: the kernel sends its pages, and need not ask for more.
  if (call.state().negotiated().opens_unasked()) return Err(ENOSYS);
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.GetFile(in.fh, call.header().nodeid, O_RDONLY));
  return file->Sync();
}

}  // namespace stasis::fuse
