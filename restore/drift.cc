// SPDX-License-Identifier: Apache-2.0

#include "restore/drift.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "restore/exit_code.h"
#include "vfs/mount_namespace.h"
#include "vfs/operation_gate.h"

namespace stasis::restore {
namespace {

// From a path in a filesystem to one in the sandbox.
class SandboxPaths {
 public:
  explicit SandboxPaths(vfs::VirtualFilesystem& vfs) {
    const vfs::Operation operation(vfs.gate());
    for (const RefPtr<vfs::MountNamespace>& ns : vfs.namespaces()) {
      Add(ns->root_mount(), "");
      for (const RefPtr<vfs::Mount>& mount : ns->mounts()) AddAttached(*mount);
    }
  }

  // Sets path and mount: by the first mount that shows `path`.
  void Place(const vfs::Filesystem* filesystem, const std::string& path,
             DriftFinding& finding) const {
    finding.path = path;
    for (const Entry& entry : entries_) {
      const std::optional<std::string> rest = Below(entry.root, path);
      if (entry.filesystem != filesystem || !rest.has_value()) continue;
      finding.path = OrSlash(entry.at + *rest);
      finding.mount = OrSlash(entry.at);
      return;
    }
  }

 private:
  struct Entry {
    const vfs::Filesystem* filesystem;
    std::string root;  // path in the filesystem
    std::string at;    // path in the sandbox, without a slash at its end
  };

  static std::string OrSlash(std::string path) { return path.empty() ? "/" : std::move(path); }

  // What `path` adds to `directory`, from a slash on; nothing if it is not below.
  static std::optional<std::string> Below(std::string_view directory, std::string_view path) {
    if (directory == "/") directory = "";
    if (path == "/") path = "";
    if (!path.starts_with(directory)) return std::nullopt;
    path.remove_prefix(directory.size());
    if (!path.empty() && path.front() != '/') return std::nullopt;
    return std::string(path);
  }

  void Add(const vfs::Mount& mount, std::string at) {
    places_[&mount] = entries_.size();
    entries_.push_back({&mount.filesystem(), mount.root().PathForMessages(), std::move(at)});
  }

  // What it is attached to was attached before it.
  void AddAttached(const vfs::Mount& mount) {
    const auto parent = places_.find(mount.parent());
    if (parent == places_.end()) return;
    const Entry& above = entries_[parent->second];
    if (const auto rest = Below(above.root, mount.point()->PathForMessages()); rest.has_value())
      Add(mount, above.at + *rest);
  }

  std::vector<Entry> entries_;
  std::map<const vfs::Mount*, size_t> places_;
};

// Sets the drift's policy, too.
DriftFinding Decide(const SandboxPaths& paths, const DriftRules& rules, vfs::Drift& drift) {
  DriftFinding finding;
  paths.Place(drift.filesystem, drift.path, finding);
  finding.root = drift.root;
  finding.kind = drift.kind;
  finding.saved = drift.saved;
  finding.found = drift.found;
  finding.policy = rules.PolicyFor(finding.path);
  if (finding.policy == vfs::DriftPolicy::kHeal) finding.reason = drift.not_healable;
  finding.fails = finding.policy == vfs::DriftPolicy::kFail || !finding.reason.empty();
  drift.policy = finding.fails ? vfs::DriftPolicy::kFail : finding.policy;
  return finding;
}

bool Before(const DriftFinding& a, const DriftFinding& b) {
  return std::tie(a.path, a.kind, a.mount, a.root, a.saved, a.found) <
         std::tie(b.path, b.kind, b.mount, b.root, b.saved, b.found);
}

}  // namespace

uint64_t DriftReport::failing() const {
  return static_cast<uint64_t>(std::count_if(findings.begin(), findings.end(),
                                             [](const DriftFinding& f) { return f.fails; }));
}

std::array<uint64_t, vfs::kDriftKinds> DriftReport::CountKinds() const {
  std::array<uint64_t, vfs::kDriftKinds> counts{};
  for (const DriftFinding& finding : findings) ++counts.at(static_cast<size_t>(finding.kind));
  return counts;
}

uint64_t DriftReport::Count(vfs::DriftPolicy policy) const {
  if (policy == vfs::DriftPolicy::kIgnore) return ignored;
  return static_cast<uint64_t>(
      std::count_if(findings.begin(), findings.end(),
                    [policy](const DriftFinding& f) { return f.policy == policy; }));
}

DriftReport DecideDrift(vfs::VirtualFilesystem& vfs, const DriftRules& rules,
                        std::vector<vfs::Drift>& drifts) {
  const SandboxPaths paths(vfs);
  DriftReport report;
  for (vfs::Drift& drift : drifts) {
    DriftFinding finding = Decide(paths, rules, drift);
    if (finding.policy == vfs::DriftPolicy::kIgnore)
      ++report.ignored;
    else
      report.findings.push_back(std::move(finding));
  }
  std::sort(report.findings.begin(), report.findings.end(), Before);
  return report;
}

absl::Status ErrorOf(const DriftReport& report) {
  if (report.failing() == 0) return absl::OkStatus();
  absl::Status status =
      absl::FailedPreconditionError("the host is not what the image saw: " + report.Summary());
  // Of a view: what takes a string is a template that clang and g++ name differently.
  status.SetPayload(kDriftPayload, absl::Cord(absl::string_view(report.ToJson())));
  status.SetPayload(kDriftLinesPayload, absl::Cord(absl::string_view(report.ToLines())));
  return status;
}

}  // namespace stasis::restore
