// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/operations.h"

namespace stasis::fuse {

Result<void> Init(Call& call) {
  Wishes wishes = call.session().wishes();
  wishes.passthrough = wishes.passthrough && call.session().backings().available();
  STASIS_ASSIGN_OR_RETURN(Negotiated negotiated, Negotiate(call.in().rest(), wishes));
  // Without a page the kernel's version is newer than ours: it will ask again.
  if (negotiated.max_pages() != 0 && !call.state().SetNegotiated(negotiated)) return Err(EIO);
  if (negotiated.passthrough()) call.session().backings().Enable();
  InitOut out{};
  negotiated.FillReply(out);
  return call.reply().AppendStruct(out);
}

Result<void> Destroy(Call& call) { return call.in().End(); }

// All filesystems, whether they are below the served root or not. The first error counts.
Result<void> SyncFs(Call& call) {
  STASIS_RETURN_IF_ERROR(call.in().Take<fuse_syncfs_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  Result<void> result;
  for (const RefPtr<vfs::Filesystem>& filesystem : call.session().filesystems()) {
    const Result<void> synced = filesystem->Sync();
    if (result && !synced) result = synced;
  }
  return result;
}

}  // namespace stasis::fuse
