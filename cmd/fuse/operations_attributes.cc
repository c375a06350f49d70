// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/attributes.h"
#include "cmd/fuse/operations.h"

namespace stasis::fuse {
namespace {

Result<void> ReplyAttributes(Call& call, Node& node) {
  node.SetTold();
  const vfs::Inode& inode = node.at().inode();
  fuse_attr_out out{};
  out.attr_valid = call.session().AttributeSeconds(node);
  out.attr = ToAttr(call.session().StatOf(inode));
  node.NoteLinks(out.attr.nlink);
  return call.reply().AppendStruct(out);
}

}  // namespace

Result<void> GetAttr(Call& call) {
  STASIS_RETURN_IF_ERROR(call.in().Take<fuse_getattr_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  return ReplyAttributes(call, *node);
}

Result<void> SetAttr(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_setattr_in in, call.in().Take<fuse_setattr_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  STASIS_ASSIGN_OR_RETURN(vfs::SetStat set, ToSetStat(in));
  set.drop_privileges = call.Complete(set.drop_privileges, node->at().inode());
  STASIS_RETURN_IF_ERROR(call.vfs().SetAttributesAt(call.creds(), call.At(*node), set));
  return ReplyAttributes(call, *node);
}

Result<void> Statx(Call& call) {
  STASIS_RETURN_IF_ERROR(call.in().Take<StatxIn>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  StatxOut out{};
  node->SetTold();
  out.attr_valid = call.session().AttributeSeconds(*node);
  out.stat = ToStatx(call.session().StatOf(node->at().inode()));
  node->NoteLinks(out.stat.nlink);
  return call.reply().AppendStruct(out);
}

// Not asked with default_permissions. The caller's supplementary groups are not in the request.
Result<void> CheckAccess(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_access_in in, call.in().Take<fuse_access_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  const fuse_in_header& header = call.header();
  const auto creds =
      header.uid == 0 ? vfs::Credentials::Root() : vfs::Credentials::User(header.uid, header.gid);
  return call.vfs().AccessAt(creds, call.At(*node),
                             in.mask & (vfs::kRead | vfs::kWrite | vfs::kExecute));
}

Result<void> StatFs(Call& call) {
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  STASIS_ASSIGN_OR_RETURN(vfs::StatFs stat, call.vfs().StatFsAt(call.creds(), call.At(*node)));
  fuse_statfs_out out{};
  out.st.blocks = stat.blocks;
  out.st.bfree = stat.blocks_free;
  out.st.bavail = stat.blocks_free;
  out.st.files = stat.files;
  out.st.ffree = stat.files_free;
  out.st.bsize = static_cast<uint32_t>(stat.block_size);
  out.st.frsize = static_cast<uint32_t>(stat.block_size);
  out.st.namelen = static_cast<uint32_t>(stat.name_max);
  return call.reply().AppendStruct(out);
}

}  // namespace stasis::fuse
