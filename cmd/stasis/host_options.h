// SPDX-License-Identifier: Apache-2.0
//
// host_options.h: where an image's host directories are, and what is done if they have changed.

#ifndef STASIS_CMD_STASIS_HOST_OPTIONS_H_
#define STASIS_CMD_STASIS_HOST_OPTIONS_H_

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "restore/drift_rules.h"
#include "restore/oci/layer_cache.h"
#include "restore/restore.h"

namespace stasis::cli {

// As on the command line.
struct HostOptions {
  std::vector<std::string> roots;
  std::string validate;  // empty: the default
  std::string on_drift = "fail";
  std::vector<std::string> rules;
  std::string layer_cache;  // empty: the default
};

void AddLayerCacheOption(CLI::App& command, HostOptions& options);
// --root, --layer-cache and --validate.
void AddRootOptions(CLI::App& command, HostOptions& options);
// Those, --on-drift and --drift-rule.
void AddHostOptions(CLI::App& command, HostOptions& options);

// The layers that restores have found, which they are to keep. Thread-safe.
class LayerLocks {
 public:
  void Keep(oci::LayerLock lock) ABSL_LOCKS_EXCLUDED(mu_) {
    const absl::MutexLock hold(&mu_);
    locks_.push_back(std::move(lock));
  }
  std::vector<oci::LayerLock> list() const ABSL_LOCKS_EXCLUDED(mu_) {
    const absl::MutexLock hold(&mu_);
    return locks_;
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<oci::LayerLock> locks_ ABSL_GUARDED_BY(mu_);
};

// The same, understood.
struct HostRoots {
  std::map<std::string, std::string> directories;  // absolute
  vfs::DriftChecks checks;
  restore::DriftRules rules;
  std::string layer_cache;   // absolute; empty: the default
  bool spare_roots = false;  // an image need not name them all
  // Of its layers; whoever keeps what was restored keeps them.
  std::shared_ptr<LayerLocks> layers = std::make_shared<LayerLocks>();

  void ApplyTo(restore::RestoreRequest& request) const;
};
// Errors: kInvalidArgument; kNotFound if a directory is not there.
absl::StatusOr<HostRoots> ReadHostOptions(const HostOptions& options);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_HOST_OPTIONS_H_
