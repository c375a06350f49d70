// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/operations.h"

namespace stasis::fuse {
namespace {

// Linux 5.17's. An older one is what gVisor's client speaks, which takes a reply without a node for
// a file: its sandbox ends with that.
constexpr uint32_t kRemembersMissing = 36;

// Tells the kernel that there is no such file, which it remembers.
Result<void> ReplyMissing(Call& call, const Node& dir) {
  if (call.state().negotiated().minor() < kRemembersMissing) return Err(ENOENT);
  fuse_entry_out entry{};
  entry.entry_valid = call.session().MissingSeconds(dir.at());
  return call.reply().AppendStruct(entry);
}

}  // namespace

Result<void> Lookup(Call& call) {
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> dir, call.GetNode());
  STASIS_ASSIGN_OR_RETURN(std::string_view name, call.in().TakeName());
  STASIS_RETURN_IF_ERROR(call.in().End());
  auto file = call.vfs().GetDentryAt(call.creds(), call.At(*dir, name));
  if (!file && file.error() == Errno(ENOENT)) return ReplyMissing(call, *dir);
  if (!file) return Err(file.error());
  return call.ReplyEntry(*file);
}

Result<void> Forget(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_forget_in in, call.in().Take<fuse_forget_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  call.session().Forget(call.header().nodeid, in.nlookup);
  return {};
}

Result<void> BatchForget(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_batch_forget_in in, call.in().Take<fuse_batch_forget_in>());
  STASIS_ASSIGN_OR_RETURN(auto bytes,
                          call.in().TakeBytes(uint64_t{in.count} * sizeof(fuse_forget_one)));
  STASIS_RETURN_IF_ERROR(call.in().End());
  MessageReader entries(bytes);
  for (uint32_t i = 0; i < in.count; ++i) {
    STASIS_ASSIGN_OR_RETURN(fuse_forget_one one, entries.Take<fuse_forget_one>());
    call.session().Forget(one.nodeid, one.nlookup);
  }
  return {};
}

}  // namespace stasis::fuse
