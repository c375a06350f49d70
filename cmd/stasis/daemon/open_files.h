// SPDX-License-Identifier: Apache-2.0
//
// open_files.h: what the programs of a daemon's sandbox have open.

#ifndef STASIS_CMD_STASIS_DAEMON_OPEN_FILES_H_
#define STASIS_CMD_STASIS_DAEMON_OPEN_FILES_H_

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <thread>

#include "cmd/control/messages.h"
#include "cmd/sandbox/open_file_scan.h"
#include "cmd/stasis/daemon/box.h"

namespace stasis::cli {

// As it is now: JSON and text (handle_report.h).
absl::StatusOr<control::Report> OpenFilesOfBox(Box& box);

// The table that a checkpoint saves, taken while the programs stand still. For one thread.
class OpenFileTable {
 public:
  // Requires: a work of the box has begun.
  explicit OpenFileTable(Box& box);
  ~OpenFileTable() { Finish(); }
  OpenFileTable(const OpenFileTable&) = delete;
  OpenFileTable& operator=(const OpenFileTable&) = delete;

  // Has a look while programs run, so that there is less to do when they do not.
  void Prepare();
  // Begins to look, beside what else is to be done in the pause. Requires: no program runs.
  void Start();
  // Waits until that is done; before the programs run again.
  void Finish();

  const sandbox::OpenFiles& files() const { return *files_; }
  // How long that took.
  absl::Duration took() const { return took_; }

 private:
  Box& box_;
  sandbox::ScanOptions options_;
  sandbox::HeldInfos held_;
  const RefPtr<sandbox::OpenFiles> files_ = MakeRef<sandbox::OpenFiles>();
  absl::Duration took_;
  std::thread thread_;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_OPEN_FILES_H_
