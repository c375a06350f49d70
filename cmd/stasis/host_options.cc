// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/host_options.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/rootfs.h"

namespace stasis::cli {
namespace {

constexpr unsigned kMostThreads = 8;

absl::Status AddRoot(const std::string& text, std::map<std::string, std::string>& roots) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    return absl::InvalidArgumentError(
        absl::StrCat("--root ", text, " is not of the form NAME=DIR"));
  const std::string name = text.substr(0, equals);
  const std::string directory = text.substr(equals + 1);
  const std::string what = absl::StrCat("cannot take ", directory, " for the root ", name);
  struct stat st {};
  if (stat(directory.c_str(), &st) != 0)
    return WithRemedy(absl::ErrnoToStatus(errno, what), "name an existing directory");
  if (!S_ISDIR(st.st_mode))
    return absl::InvalidArgumentError(absl::StrCat(what, ": it is not a directory"));
  if (!roots.emplace(name, sandbox::AbsolutePath(directory)).second)
    return absl::InvalidArgumentError(absl::StrCat("--root ", name, " is given twice"));
  return absl::OkStatus();
}

// The same error, about this option.
absl::Status About(const char* option, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat(option, ": ", error.message()));
}

absl::StatusOr<restore::DriftRules> ReadRules(const HostOptions& options) {
  const absl::StatusOr<vfs::DriftPolicy> otherwise = restore::ParsePolicy(options.on_drift);
  if (!otherwise.ok()) return About("--on-drift", otherwise.status());
  restore::DriftRules rules(*otherwise);
  for (const std::string& rule : options.rules)
    if (absl::Status added = rules.Add(rule); !added.ok()) return About("--drift-rule", added);
  return rules;
}

}  // namespace

void AddLayerCacheOption(CLI::App& command, HostOptions& options) {
  command
      .add_option("--layer-cache", options.layer_cache,
                  "Where layers of container images are unpacked (default: "
                  "/var/cache/stasis/layers, or below XDG_CACHE_HOME)")
      ->type_name("DIR");
}

void AddRootOptions(CLI::App& command, HostOptions& options) {
  AddLayerCacheOption(command, options);
  command
      .add_option("--root", options.roots, "Where a host directory of the image is now; repeatable")
      ->type_name("NAME=DIR")
      ->expected(1)
      ->take_all();
  command
      .add_option("--validate", options.validate,
                  "What to compare of host files: size, mtime, ctime, mode, owner, type, identity, "
                  "content, with commas between; or none, or all (default: size,mtime,mode,owner)")
      ->type_name("LIST");
}

void AddHostOptions(CLI::App& command, HostOptions& options) {
  AddRootOptions(command, options);
  command
      .add_option("--on-drift", options.on_drift,
                  "If host files differ from what the image saw: fail, warn, adopt, ignore or heal")
      ->type_name("POLICY")
      ->capture_default_str();
  command
      .add_option("--drift-rule", options.rules,
                  "The same for some paths in the sandbox, such as '/data/cache/**=ignore'; "
                  "repeatable, the last that matches counts")
      ->type_name("GLOB=POLICY")
      ->expected(1)
      ->take_all();
}

void HostRoots::ApplyTo(restore::RestoreRequest& request) const {
  request.roots = directories;
  request.checks = checks;
  request.rules = rules;
  request.spare_roots = spare_roots;
  request.find_root = [cache = layer_cache,
                       found = layers](const std::string& name) -> std::optional<std::string> {
    auto layer = FindLayer(name, cache);
    if (!layer.has_value()) return std::nullopt;
    found->Keep(std::move(layer->lock));
    return std::move(layer->directory);
  };
  request.threads =
      static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads));
}

absl::StatusOr<HostRoots> ReadHostOptions(const HostOptions& options) {
  HostRoots roots;
  if (!options.layer_cache.empty()) roots.layer_cache = sandbox::AbsolutePath(options.layer_cache);
  for (const std::string& text : options.roots)
    if (absl::Status added = AddRoot(text, roots.directories); !added.ok()) return added;
  if (!options.validate.empty()) {
    const absl::StatusOr<vfs::DriftChecks> checks = restore::ParseDriftChecks(options.validate);
    if (!checks.ok()) return About("--validate", checks.status());
    roots.checks = *checks;
  }
  absl::StatusOr<restore::DriftRules> rules = ReadRules(options);
  if (!rules.ok()) return rules.status();
  roots.rules = *std::move(rules);
  return roots;
}

}  // namespace stasis::cli
