// SPDX-License-Identifier: Apache-2.0
//
// handle_report.h: what is open, of a running sandbox or in an image, for people and scripts.

#ifndef STASIS_CMD_STASIS_HANDLE_REPORT_H_
#define STASIS_CMD_STASIS_HANDLE_REPORT_H_

#include <string>
#include <utility>
#include <vector>

#include "cmd/control/messages.h"
#include "cmd/fuse/fuse_state.h"
#include "cmd/sandbox/kept_files.h"
#include "cmd/sandbox/open_files.h"
#include "cmd/stasis/types.h"
#include "state/base/ref_ptr.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::cli {

// Where the report is from. `files` and `kept` may be null.
struct HandleSources {
  std::string label;  // "name" or "reference"
  std::string value;  // that
  RefPtr<sandbox::OpenFiles> files;
  std::vector<std::pair<std::string, RefPtr<fuse::FuseState>>> states;
  RefPtr<sandbox::KeptFiles> kept;
  vfs::VirtualFilesystem* vfs = nullptr;
  RefPtr<vfs::MountNamespace> ns;
};

// JSON and text. Requires: not called from inside the gate.
control::Report DescribeHandles(const HandleSources& sources);

// How `handles` prints it; the exit code.
int PrintHandles(const absl::StatusOr<control::Report>& report, bool json);
int PrintHandlesOfImage(const std::string& reference, bool json);

// The same of an image, which is not restored. Errors: as restore::Load.
absl::StatusOr<control::Report> HandlesOfImage(const Types& types, const std::string& reference);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_HANDLE_REPORT_H_
