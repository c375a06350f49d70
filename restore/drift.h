// SPDX-License-Identifier: Apache-2.0
//
// drift.h: the report on how a host differs from what an image saw, and what is done about it.
//
// Specified in docs/drift.md.

#ifndef STASIS_RESTORE_DRIFT_H_
#define STASIS_RESTORE_DRIFT_H_

#include <absl/status/status.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "restore/drift_rules.h"
#include "vfs/drift.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

// One difference, as it is reported. Strings hold any bytes.
struct DriftFinding {
  std::string path;   // in the sandbox; below the filesystem's root if it is mounted nowhere
  std::string root;   // the name of the host directory
  std::string mount;  // where that is mounted; empty if nowhere
  vfs::DriftKind kind = vfs::DriftKind::kMissing;
  std::string saved;  // as in vfs::Drift
  std::string found;
  vfs::DriftPolicy policy = vfs::DriftPolicy::kFail;  // that was asked for
  std::string reason;                                 // why it could not be healed
  bool fails = false;                                 // so that nothing is restored

  // "/data/a: size 12 -> 15".
  std::string ToText() const;
};

struct DriftReport {
  std::vector<DriftFinding> findings;  // sorted by path and kind; without those that are ignored
  uint64_t ignored = 0;

  uint64_t failing() const;
  std::array<uint64_t, vfs::kDriftKinds> CountKinds() const;
  uint64_t Count(vfs::DriftPolicy policy) const;

  std::string ToJson() const;
  // A line for each finding, aligned.
  std::string ToLines() const;
  // "3 differences: 1 missing, 2 size; failing a restore: 3; let ... say ..."
  std::string Summary() const;
  // Lines and summary.
  std::string ToText() const;
};

// Sets the policy of each drift by the rules, and reports. What cannot be healed fails.
// Requires: not called from inside the gate.
DriftReport DecideDrift(vfs::VirtualFilesystem& vfs, const DriftRules& rules,
                        std::vector<vfs::Drift>& drifts);

// The lines of a report, beside its JSON in kDriftPayload.
inline constexpr char kDriftLinesPayload[] = "stasis/drift-lines";

// An error that carries the whole report (ExitCode::kDrift), if anything in it fails.
absl::Status ErrorOf(const DriftReport& report);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_DRIFT_H_
