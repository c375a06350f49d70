// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/session.h"

#include <fcntl.h>

#include "cmd/fuse/attributes.h"
#include "cmd/fuse/operations.h"

namespace stasis::fuse {

Result<void> Session::Run(const Request& request, Reply& reply) {
  const uint32_t opcode = request.header.opcode;
  const Operation operation = FindOperation(opcode);
  if (operation == nullptr) return Err(ENOSYS);
  // Nothing is agreed upon before INIT.
  if (opcode != FUSE_INIT && !state_->initialized()) return Err(EIO);
  Call call(*this, request, reply);
  Result<void> result = operation(call);
  if (call.in().malformed()) reply.SetMalformed();
  return result;
}

vfs::Stat Session::StatOf(const vfs::Inode& inode) const {
  vfs::Stat stat;
  inode.FillStat(stat);
  stat.ino = InoOf(inode.filesystem(), stat.ino);
  return stat;
}

// All filesystems below the root have one st_dev, and numbers of their own.
uint64_t Session::InoOf(const vfs::Filesystem& filesystem, uint64_t ino) const {
  if (&filesystem == &state_->root().mount().filesystem()) return ino;
  constexpr int kInoBits = 40;
  return ino ^ (uint64_t{filesystem.dev()} << kInoBits);
}

std::vector<RefPtr<vfs::Filesystem>> Session::filesystems() const {
  if (!one_filesystem_) return vfs_->filesystems();
  return {RefPtr<vfs::Filesystem>(&state_->root().mount().filesystem())};
}

void Session::TakeBack(const Reply& reply) {
  for (uint64_t node : reply.looked_up()) Forget(node, 1);
  if (reply.opened() != 0) CloseHandle(reply.opened());
}

void Session::Forget(uint64_t node, uint64_t lookups) {
  if (state_->nodes().Forget(node, lookups)) backings_.Forget(node);
}

bool Session::CloseHandle(uint64_t handle) {
  const RefPtr<Handle> closed = state_->handles().Remove(handle);
  if (closed == nullptr) return false;
  if (closed->node() != 0) backings_.Close(closed->node());
  return true;
}

// The name of a mount's root is in the directory that it is mounted in.
uint64_t Session::EntrySeconds(const vfs::VirtualDentry& file) const {
  const bool is_mounted = &file.dentry() == &file.mount().root();
  const vfs::Dentry* point = is_mounted ? file.mount().point() : nullptr;
  return SecondsOf(point != nullptr ? point->inode() : file.inode());
}

Result<RefPtr<Node>> Call::GetNode(uint64_t number) const {
  RefPtr<Node> node = state().nodes().Find(number);
  if (node == nullptr) return Err(ESTALE);
  return node;
}

Result<RefPtr<Handle>> Call::GetHandle(uint64_t number) const {
  RefPtr<Handle> handle = state().handles().Find(number);
  if (handle == nullptr) return Err(EBADF);
  return handle;
}

Result<RefPtr<vfs::FileDescription>> Call::GetFile(uint64_t handle, uint64_t node,
                                                   int flags) const {
  if (handle != 0) {
    STASIS_ASSIGN_OR_RETURN(RefPtr<Handle> found, GetHandle(handle));
    return RefPtr<vfs::FileDescription>(&found->file());
  }
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> found, GetNode(node));
  const Negotiated& negotiated = state().negotiated();
  const bool unasked = found->at().inode().is_dir() ? negotiated.opens_directories_unasked()
                                                    : negotiated.opens_unasked();
  if (!unasked) return Err(EBADF);
  vfs::OpenOptions options;
  options.flags = flags | O_NOFOLLOW;
  options.unreported = true;
  return vfs().OpenAt(creds_, At(*found), options);
}

fuse_entry_out Call::EntryFor(const vfs::VirtualDentry& file) {
  const RefPtr<Node> node = state().nodes().Remember(file);
  node->SetTold();
  reply_.AddLookup(node->number());
  fuse_entry_out entry{};
  entry.nodeid = node->number();
  entry.generation = node->generation();
  entry.entry_valid = session_.EntrySeconds(file);
  entry.attr_valid = session_.AttributeSeconds(*node);
  entry.attr = ToAttr(session_.StatOf(file.inode()));
  node->NoteLinks(entry.attr.nlink);
  return entry;
}

void Call::ChangedUntold(Node& node) {
  if (node.TakeTold()) reply_.AddChanged(node.number());
}

void Call::ChangedUntold(uint64_t number) {
  if (RefPtr<Node> node = state().nodes().Find(number)) ChangedUntold(*node);
}

Result<void> Call::ReplyEntry(const vfs::VirtualDentry& file) {
  return reply_.AppendStruct(EntryFor(file));
}

Result<void> Call::ReplyEntry(const vfs::PathOperation& path) {
  STASIS_ASSIGN_OR_RETURN(vfs::VirtualDentry file, vfs().GetDentryAt(creds_, path));
  return ReplyEntry(file);
}

}  // namespace stasis::fuse
