// SPDX-License-Identifier: Apache-2.0
//
// interrupt.h: Ctrl-C as a flag that long work looks at.

#ifndef STASIS_CMD_STASIS_INTERRUPT_H_
#define STASIS_CMD_STASIS_INTERRUPT_H_

#include <atomic>

namespace stasis::cli {

// From now on SIGINT, SIGTERM and SIGHUP, unless they are ignored, set the flag that is returned; a
// second one ends the program.
const std::atomic<bool>* CatchInterrupts();

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_INTERRUPT_H_
