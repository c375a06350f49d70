// SPDX-License-Identifier: Apache-2.0
//
// drift_rules.h: what is to be done about which difference between an image and a host.
//
//   DriftRules rules(vfs::DriftPolicy::kWarn);
//   absl::Status status = rules.Add("/data/cache/**=ignore");
//   rules.PolicyFor("/data/cache/a/b");   // kIgnore
//
// Globs are compared with paths in the sandbox, byte by byte. In a component `*`, `?` and `[...]`
// stand for what they do in a shell, names with a leading dot included; a component `**` stands for
// any number of components, also none. A glob without a leading slash matches at any depth.

#ifndef STASIS_RESTORE_DRIFT_RULES_H_
#define STASIS_RESTORE_DRIFT_RULES_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "vfs/drift.h"

namespace stasis::restore {

// A glob that was looked through.
class PathGlob {
 public:
  // Errors: kInvalidArgument that says what is wrong with it.
  static absl::StatusOr<PathGlob> Parse(std::string_view text);
  // `path` is absolute, without a slash at its end.
  bool Matches(std::string_view path) const;

 private:
  std::vector<std::string> components_;
};

class DriftRules {
 public:
  DriftRules() = default;
  explicit DriftRules(vfs::DriftPolicy otherwise) : otherwise_(otherwise) {}

  // Adds "GLOB=POLICY"; the policy stands after the last '='. Errors: kInvalidArgument that names
  // the rule.
  absl::Status Add(std::string_view rule);

  // That of the last rule that matches.
  vfs::DriftPolicy PolicyFor(std::string_view path) const;

 private:
  struct Rule {
    PathGlob glob;
    vfs::DriftPolicy policy;
  };

  vfs::DriftPolicy otherwise_ = vfs::DriftPolicy::kFail;
  std::vector<Rule> rules_;
};

// "fail", "warn", ... Errors: kInvalidArgument that lists them.
absl::StatusOr<vfs::DriftPolicy> ParsePolicy(std::string_view name);

// "size,mtime", "none", "all". "type" may be named, but is compared always.
// Errors: kInvalidArgument that lists what there is.
absl::StatusOr<vfs::DriftChecks> ParseDriftChecks(std::string_view list);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_DRIFT_RULES_H_
