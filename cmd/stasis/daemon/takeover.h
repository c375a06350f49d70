// SPDX-License-Identifier: Apache-2.0
//
// takeover.h: a daemon that goes on with a sandbox that another one has, or had.
//
// Programs in the sandbox do not notice: their files, mounts and locks are the kernel's, which
// sends its requests to whoever has the descriptors. The state of the tree comes in memory.

#ifndef STASIS_CMD_STASIS_DAEMON_TAKEOVER_H_
#define STASIS_CMD_STASIS_DAEMON_TAKEOVER_H_

#include "cmd/stasis/daemon/takeover_channel.h"

namespace stasis::cli {

// Takes what the other end of `channel` offers, and serves as RunDaemon does. Returns an exit code.
//
// Requires: one thread, and no file data.
int RunTakeover(TakeoverChannel channel);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_TAKEOVER_H_
