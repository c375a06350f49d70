// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/operations.h"

namespace stasis::fuse {

Result<void> Init(Call& call) {
  STASIS_ASSIGN_OR_RETURN(Negotiated negotiated,
                          Negotiate(call.in().rest(), call.session().wishes()));
  // Without a page the kernel's version is newer than ours: it will ask again.
  if (negotiated.max_pages() != 0 && !call.state().SetNegotiated(negotiated)) return Err(EIO);
  fuse_init_out out{};
  negotiated.FillReply(out);
  return call.reply().AppendStruct(out);
}

Result<void> Destroy(Call& call) { return call.in().End(); }

// What reaches this server is in the tree already.
Result<void> SyncFs(Call& call) {
  STASIS_RETURN_IF_ERROR(call.in().Take<fuse_syncfs_in>());
  return call.in().End();
}

}  // namespace stasis::fuse
