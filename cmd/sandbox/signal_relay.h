// SPDX-License-Identifier: Apache-2.0
//
// signal_relay.h: the signals of a command line that waits for a program in a sandbox.

#ifndef STASIS_CMD_SANDBOX_SIGNAL_RELAY_H_
#define STASIS_CMD_SANDBOX_SIGNAL_RELAY_H_

#include <signal.h>
#include <sys/types.h>

#include <bitset>

namespace stasis::sandbox {

// SIGINT, SIGTERM and SIGHUP, but for those that the caller has us ignore (nohup, a shell's "&").
sigset_t EndingSignals();

// Between Hold() and Wait() no signal is lost: it waits, and is passed on once there is a program.
// After Wait() none is left that could change the exit code.
//
// Requires: one thread, of a process that ends after Wait().
class SignalRelay {
 public:
  // Remembers what the caller of this process wanted of signals.
  SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;

  // Blocks what Wait() passes on, for good.
  void Hold();
  // True if one of EndingSignals() has come since Hold().
  bool Interrupted() const;

  // In a program's process, before it is executed: what the caller wanted. Async-signal-safe.
  void RestoreForProgram() const;

  // Waits for the end of the child `pid`, and passes on what is sent to us meanwhile, but for what
  // the terminal sends to the program as well. The exit code as a shell gives it: 128 + the number
  // of the signal that killed it. Requires: Hold().
  int Wait(pid_t pid) const;

 private:
  std::bitset<NSIG> ignored_;
  sigset_t mask_;
  sigset_t held_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SIGNAL_RELAY_H_
