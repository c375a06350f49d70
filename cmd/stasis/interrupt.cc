// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/interrupt.h"

#include <signal.h>

#include "cmd/sandbox/signal_relay.h"

namespace stasis::cli {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void OnSignal(int signal) {
  interrupted = true;
  ::signal(signal, SIG_DFL);
}

}  // namespace

const std::atomic<bool>* CatchInterrupts() {
  const sigset_t ending = sandbox::EndingSignals();
  struct sigaction action {};
  action.sa_handler = OnSignal;  // without SA_RESTART: what waits shall notice
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    if (sigismember(&ending, signal) == 1) sigaction(signal, &action, nullptr);
  return &interrupted;
}

}  // namespace stasis::cli
