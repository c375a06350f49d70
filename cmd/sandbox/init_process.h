// SPDX-License-Identifier: Apache-2.0
//
// init_process.h: what init does, in its own process.

#ifndef STASIS_CMD_SANDBOX_INIT_PROCESS_H_
#define STASIS_CMD_SANDBOX_INIT_PROCESS_H_

#include "cmd/sandbox/init_channel.h"

namespace stasis::sandbox {

// Serves the channel until its other end is closed, then exits.
[[noreturn]] void RunInit(InitChannel channel, bool rootless);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_INIT_PROCESS_H_
