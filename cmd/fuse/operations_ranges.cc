// SPDX-License-Identifier: Apache-2.0
//
// operations_ranges.cc: what is done to ranges of open files without their bytes in a message.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "cmd/fuse/operations.h"

namespace stasis::fuse {
namespace {

// What COPY_FILE_RANGE can answer.
constexpr uint64_t kMaxShortCopy = UINT32_MAX & ~uint64_t{0xfff};
// In one request, for which the gate cannot close: holes are to be walked too.
constexpr uint64_t kMaxCopy = uint64_t{64} << 20;

// What a change of the data takes from a file. The kernel has sent SETATTR before if that is the
// set-ID bits, but went by a mode that an ACL may have changed since it saw it. Nothing says
// whether the caller has CAP_FSETID: root is taken to have it.
Result<void> DropPrivileges(Call& call, vfs::Inode& inode, uint64_t node) {
  const vfs::DropPrivileges drop{.set_ids = call.header().uid != 0, .capabilities = true};
  STASIS_ASSIGN_OR_RETURN(bool changed,
                          inode.Drop(call.Complete(drop, inode), call.vfs().clock().Now()));
  if (changed) call.reply().AddChanged(node);
  return {};
}

Result<uint64_t> Copy(Call& call, uint64_t most) {
  STASIS_ASSIGN_OR_RETURN(auto in, call.in().Take<fuse_copy_file_range_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  if (in.flags != 0) return Err(EINVAL);
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> from,
                          call.GetFile(in.fh_in, call.header().nodeid, O_RDONLY));
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> to,
                          call.GetFile(in.fh_out, in.nodeid_out, O_WRONLY));
  STASIS_RETURN_IF_ERROR(DropPrivileges(call, to->inode(), in.nodeid_out));
  return vfs::FileDescription::CopyRange(*from, in.off_in, *to, in.off_out,
                                         std::min({in.len, most, kMaxCopy}));
}

}  // namespace

// Data and holes only: the kernel knows the rest. The description's own offset is not used.
Result<void> Lseek(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_lseek_in in, call.in().Take<fuse_lseek_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.GetFile(in.fh, call.header().nodeid, O_RDONLY));
  if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return Err(EINVAL);
  fuse_lseek_out out{};
  STASIS_ASSIGN_OR_RETURN(out.offset,
                          file->inode().SeekExtent(in.offset, static_cast<int>(in.whence)));
  return call.reply().AppendStruct(out);
}

Result<void> Fallocate(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_fallocate_in in, call.in().Take<fuse_fallocate_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.GetFile(in.fh, call.header().nodeid, O_WRONLY));
  STASIS_RETURN_IF_ERROR(file->Allocate(static_cast<int>(in.mode), in.offset, in.length));
  call.ChangedUntold(call.header().nodeid);
  return DropPrivileges(call, file->inode(), call.header().nodeid);
}

Result<void> CopyFileRange(Call& call) {
  STASIS_ASSIGN_OR_RETURN(uint64_t copied, Copy(call, kMaxShortCopy));
  fuse_write_out out{};
  out.size = static_cast<uint32_t>(copied);
  return call.reply().AppendStruct(out);
}

Result<void> CopyFileRange64(Call& call) {
  STASIS_ASSIGN_OR_RETURN(uint64_t copied, Copy(call, UINT64_MAX));
  return call.reply().AppendStruct(CopyFileRangeOut{copied});
}

}  // namespace stasis::fuse
