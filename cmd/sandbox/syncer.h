// SPDX-License-Identifier: Apache-2.0
//
// syncer.h: init's calls of syncfs(2), which wait for the daemon.

#ifndef STASIS_CMD_SANDBOX_SYNCER_H_
#define STASIS_CMD_SANDBOX_SYNCER_H_

#include <absl/status/status.h>

#include <thread>
#include <vector>

#include "state/base/unique_fd.h"

namespace stasis::sandbox {

// A thread waits, so that init goes on serving: it takes a tenth of the time of a process. It can
// hold up init's end, but not for ever: without the daemon the kernel ends the call.
//
// For one thread; one call at a time.
class Syncer {
 public:
  Syncer() = default;
  // Waits for the call.
  ~Syncer();
  Syncer(const Syncer&) = delete;
  Syncer& operator=(const Syncer&) = delete;

  // Once, before anything else.
  absl::Status Prepare();
  // Readable when a call has ended that Finish has not been told of.
  int fd() const { return done_.get(); }
  bool running() const { return thread_.joinable(); }

  // Begins a call for each of these directories. Requires: none is running.
  // Errors: kResourceExhausted, or the errno of what could not be had.
  absl::Status Start(const std::vector<int>& roots);
  // What came of it. Requires: fd() is readable. Errors: of syncfs(2), the first.
  absl::Status Finish();

 private:
  void Sync(const std::vector<UniqueFd>& roots);

  UniqueFd done_;  // an eventfd
  std::thread thread_;
  int error_ = 0;  // the thread's until done_ is readable
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SYNCER_H_
