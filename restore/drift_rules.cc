// SPDX-License-Identifier: Apache-2.0

#include "restore/drift_rules.h"

#include <absl/strings/match.h>
#include <absl/strings/str_split.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

constexpr std::string_view kPolicies = "fail, warn, adopt, ignore or heal";
constexpr std::string_view kAnyDepth = "**";

// What fnmatch(3) would take for a letter where somebody has meant more; empty if nothing.
std::string_view FaultOf(std::string_view component) {
  if (component.empty()) return "it has an empty component";
  if (component != kAnyDepth && absl::StrContains(Absl(component), "**"))
    return "** must stand alone between slashes";
  for (size_t i = 0; i < component.size(); ++i) {
    if (component[i] == '\\') {
      if (++i == component.size()) return "it ends in a backslash";
    } else if (component[i] == '[') {
      // A ']' that comes first is a letter.
      const size_t first = i + (component.substr(i + 1).find_first_of("!^") == 0 ? 2 : 1);
      i = component.find(']', first + 1);
      if (i == std::string_view::npos) return "there is a [ without ]";
    }
  }
  return {};
}

std::vector<std::string> SplitPath(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.empty()) return {};
  return absl::StrSplit(Absl(path), '/');
}

struct Check {
  std::string_view name;
  bool vfs::DriftChecks::*field;  // null: always compared
};
constexpr Check kChecks[] = {
    {"size", &vfs::DriftChecks::size},         {"mtime", &vfs::DriftChecks::mtime},
    {"ctime", &vfs::DriftChecks::ctime},       {"mode", &vfs::DriftChecks::mode},
    {"owner", &vfs::DriftChecks::owner},       {"type", nullptr},
    {"identity", &vfs::DriftChecks::identity}, {"content", &vfs::DriftChecks::content},
};

void SetAll(vfs::DriftChecks& checks, bool on) {
  for (const Check& check : kChecks)
    if (check.field != nullptr) checks.*check.field = on;
}

absl::Status SetOne(vfs::DriftChecks& checks, std::string_view name) {
  for (const Check& check : kChecks) {
    if (check.name != name) continue;
    if (check.field != nullptr) checks.*check.field = true;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("'{}' is nothing to compare; there are size, mtime, ctime, mode, owner, type, "
                  "identity and content, with commas between them, or none, or all",
                  PrintablePath(name)));
}

}  // namespace

absl::StatusOr<PathGlob> PathGlob::Parse(std::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("the glob is empty");
  PathGlob glob;
  if (!text.starts_with('/')) glob.components_.emplace_back(kAnyDepth);
  for (std::string& component : SplitPath(text)) {
    if (const std::string_view fault = FaultOf(component); !fault.empty())
      return absl::InvalidArgumentError(
          fmt::format("'{}' is not a glob: {}", PrintablePath(text), fault));
    glob.components_.push_back(std::move(component));
  }
  return glob;
}

// Of several `**` only the last one has to be tried again: what the earlier ones took is the least.
bool PathGlob::Matches(std::string_view path) const {
  const std::vector<std::string> names = SplitPath(path);
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t glob = 0, name = 0, last = kNone, resume = 0;
  while (name < names.size()) {
    if (glob < components_.size() && components_[glob] == kAnyDepth) {
      last = glob++;
      resume = name;
    } else if (glob < components_.size() &&
               fnmatch(components_[glob].c_str(), names[name].c_str(), 0) == 0) {
      ++glob;
      ++name;
    } else if (last != kNone) {
      glob = last + 1;
      name = ++resume;
    } else {
      return false;
    }
  }
  while (glob < components_.size() && components_[glob] == kAnyDepth) ++glob;
  return glob == components_.size();
}

absl::Status DriftRules::Add(std::string_view rule) {
  const size_t equals = rule.rfind('=');
  if (equals == std::string_view::npos)
    return absl::InvalidArgumentError(fmt::format(
        "rule '{}' is not of the form GLOB=POLICY, such as '/data/**=warn'", PrintablePath(rule)));
  const absl::StatusOr<vfs::DriftPolicy> policy = ParsePolicy(rule.substr(equals + 1));
  if (!policy.ok()) return Annotate(policy.status(), fmt::format("rule '{}'", PrintablePath(rule)));
  absl::StatusOr<PathGlob> glob = PathGlob::Parse(rule.substr(0, equals));
  if (!glob.ok()) return Annotate(glob.status(), fmt::format("rule '{}'", PrintablePath(rule)));
  rules_.push_back({*std::move(glob), *policy});
  return absl::OkStatus();
}

vfs::DriftPolicy DriftRules::PolicyFor(std::string_view path) const {
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule)
    if (rule->glob.Matches(path)) return rule->policy;
  return otherwise_;
}

absl::StatusOr<vfs::DriftPolicy> ParsePolicy(std::string_view name) {
  if (const auto policy = vfs::ParseDriftPolicy(name); policy.has_value()) return *policy;
  return absl::InvalidArgumentError(
      fmt::format("'{}' is no policy; there are {}", PrintablePath(name), kPolicies));
}

absl::StatusOr<vfs::DriftChecks> ParseDriftChecks(std::string_view list) {
  vfs::DriftChecks checks;
  SetAll(checks, list == "all");
  if (list == "all" || list == "none") return checks;
  for (const absl::string_view name : absl::StrSplit(Absl(list), ','))
    if (absl::Status ok = SetOne(checks, {name.data(), name.size()}); !ok.ok()) return ok;
  return checks;
}

}  // namespace stasis::restore
