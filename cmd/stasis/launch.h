// SPDX-License-Identifier: Apache-2.0
//
// launch.h: a process of its own that outlives the command, and what it says until it is ready.

#ifndef STASIS_CMD_STASIS_LAUNCH_H_
#define STASIS_CMD_STASIS_LAUNCH_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cmd/stasis/progress_line.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {

// The daemon's end of the line to the command that launched it. Once nobody listens any more what
// is said is lost.
class StartupLine {
 public:
  explicit StartupLine(UniqueFd pipe) : pipe_(std::move(pipe)) {}

  void Report(const Step& step);
  // The last word: ready with `result`, or why not, with the payloads of the error.
  void Ready(const nlohmann::json& result);
  void Failed(const absl::Status& status);

 private:
  void Send(const nlohmann::json& json);
  UniqueFd pipe_;
};

// What a daemon keeps of its launcher besides.
struct LaunchOptions {
  std::string log;                              // file for its standard output and error
  std::vector<int> keep;                        // descriptors above the standard ones
  ProgressMode progress = ProgressMode::kAuto;  // how the launcher shows what it hears
};

// Runs `body` in a child: a session of its own, "/" as its working directory, no terminal, as many
// open files as the host allows. The child dies with the launcher until it is ready. Returns the
// result that the child said, once it is ready.
//
// A SIGINT, SIGTERM or SIGHUP before that sends the child a SIGTERM, a second one kills it:
// kCancelled, when it has ended. One that comes later stays pending if the caller blocks it.
//
// Requires: one thread; the standard descriptors are open.
// Errors: what the child said; kInternal if it died without a word.
absl::StatusOr<nlohmann::json> Launch(const LaunchOptions& options,
                                      absl::FunctionRef<int(StartupLine)> body);

// The last lines of a log as an appendix to a message; empty if there are none.
std::string LogNote(const std::string& log);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_LAUNCH_H_
