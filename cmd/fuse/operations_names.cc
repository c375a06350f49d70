// SPDX-License-Identifier: Apache-2.0

#include <linux/fs.h>
#include <linux/limits.h>
#include <sys/stat.h>

#include <string>

#include "cmd/fuse/attributes.h"
#include "cmd/fuse/operations.h"

namespace stasis::fuse {

Result<void> ReadLink(Call& call) {
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  STASIS_ASSIGN_OR_RETURN(std::string target, call.vfs().ReadLinkAt(call.creds(), call.At(*node)));
  return call.reply().Append(target);
}

Result<void> Symlink(Call& call) {
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_ASSIGN_OR_RETURN(std::string_view target, call.in().TakeText());
  STASIS_RETURN_IF_ERROR(call.in().End());
  if (target.size() >= PATH_MAX) return Err(ENAMETOOLONG);
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  STASIS_RETURN_IF_ERROR(call.vfs().SymlinkAt(call.creds(), call.At(*dir, name), target));
  call.ChangedUntold(*dir);
  return call.ReplyEntry(call.At(*dir, name));
}

Result<void> Mknod(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_mknod_in in, call.in().Take<fuse_mknod_in>());
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  if (S_ISDIR(in.mode) || S_ISLNK(in.mode)) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  call.set_umask(in.umask);
  vfs::MknodOptions options;
  options.mode = in.mode & (S_IFMT | vfs::kPermissionBits);
  if ((options.mode & S_IFMT) == 0) options.mode |= S_IFREG;
  if (S_ISCHR(options.mode) || S_ISBLK(options.mode)) options.rdev = DecodeDevice(in.rdev);
  STASIS_RETURN_IF_ERROR(call.vfs().MknodAt(call.creds(), call.At(*dir, name), options));
  call.ChangedUntold(*dir);
  return call.ReplyEntry(call.At(*dir, name));
}

Result<void> Mkdir(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_mkdir_in in, call.in().Take<fuse_mkdir_in>());
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  call.set_umask(in.umask);
  STASIS_RETURN_IF_ERROR(
      call.vfs().MkdirAt(call.creds(), call.At(*dir, name), in.mode & vfs::kPermissionBits));
  call.ChangedUntold(*dir);
  return call.ReplyEntry(call.At(*dir, name));
}

Result<void> Unlink(Call& call) {
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  STASIS_RETURN_IF_ERROR(call.vfs().UnlinkAt(call.creds(), call.At(*dir, name)));
  call.ChangedUntold(*dir);
  return {};
}

Result<void> Rmdir(Call& call) {
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  STASIS_RETURN_IF_ERROR(call.vfs().RmdirAt(call.creds(), call.At(*dir, name)));
  call.ChangedUntold(*dir);
  return {};
}

namespace {

void ChangedUntoldAt(Call& call, const vfs::PathOperation& path) {
  const auto file = call.vfs().GetDentryAt(call.creds(), path);
  if (!file) return;
  if (RefPtr<Node> node = call.state().nodes().FindFile(*file)) call.ChangedUntold(*node);
}

Result<void> RenameTo(Call& call, uint64_t new_dir_number, uint32_t flags) {
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_ASSIGN_OR_RETURN(std::string_view new_name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> new_dir, call.GetNode(new_dir_number));
  STASIS_RETURN_IF_ERROR(
      call.vfs().RenameAt(call.creds(), call.At(*dir, name), call.At(*new_dir, new_name), flags));
  call.ChangedUntold(*dir);
  call.ChangedUntold(*new_dir);
  // What was moved has another change time.
  ChangedUntoldAt(call, call.At(*new_dir, new_name));
  if ((flags & RENAME_EXCHANGE) != 0) ChangedUntoldAt(call, call.At(*dir, name));
  return {};
}

}  // namespace

Result<void> Rename(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_rename_in in, call.in().Take<fuse_rename_in>());
  return RenameTo(call, in.newdir, 0);
}

Result<void> Rename2(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_rename2_in in, call.in().Take<fuse_rename2_in>());
  return RenameTo(call, in.newdir, in.flags);
}

Result<void> Link(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_link_in in, call.in().Take<fuse_link_in>());
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> old, call.GetNode(in.oldnodeid));
  STASIS_RETURN_IF_ERROR(call.vfs().LinkAt(call.creds(), call.At(*old), call.At(*dir, name)));
  call.ChangedUntold(*dir);
  return call.ReplyEntry(call.At(*dir, name));
}

}  // namespace stasis::fuse
