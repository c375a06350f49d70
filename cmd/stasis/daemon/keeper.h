// SPDX-License-Identifier: Apache-2.0
//
// keeper.h: the process that goes on when a daemon dies.
//
// It does nothing but to hold what the daemon gives it (keeping.h): descriptors and a checkpoint in
// memory. When the daemon's end of the channel closes without the word that the sandbox ends, it
// starts another daemon with that (`stasis takeover`), which runs the journal's requests again.
//
//   D  {"keep": {}}, then a parcel (takeover_channel.h)     K  {"kept": {}}
//   D  {"arm": {}}        whoever started it knows that it runs: it is not to end any more
//   D  {"forget": {}}     what was kept is no good any more
//   D  {"end": {}}        the sandbox ends
//
// While it starts one, programs wait: the FUSE descriptors are open. When it cannot, it closes
// them, and the kernel fails what waits (ENOTCONN); init, whose channel it holds, ends with the
// sandbox's programs.

#ifndef STASIS_CMD_STASIS_DAEMON_KEEPER_H_
#define STASIS_CMD_STASIS_DAEMON_KEEPER_H_

#include <absl/status/statusor.h>
#include <sys/types.h>

#include "cmd/sandbox/runtime_dir.h"
#include "cmd/stasis/daemon/takeover_channel.h"

namespace stasis::cli {

// After how many ends of daemons in a minute it gives up: STASIS_KEEPER_LIMIT, or as many as usual.
// Errors: kInvalidArgument.
absl::StatusOr<int> KeeperLimit();

// Returns when there is nothing to keep any more, with an exit code. Requires: a process of its
// own, with one thread.
int RunKeeper(TakeoverChannel channel, const sandbox::RuntimeDir& dir, pid_t daemon);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_KEEPER_H_
