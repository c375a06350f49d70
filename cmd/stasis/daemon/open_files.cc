// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/open_files.h"

#include <absl/time/clock.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "cmd/stasis/handle_report.h"

namespace stasis::cli {
namespace {

// What a pause may be made longer by, at the worst.
constexpr absl::Duration kPauseLimit = absl::Milliseconds(50);
constexpr size_t kPauseFiles = 65536;

constexpr absl::Duration kLimit = absl::Seconds(10);

// How many descriptors may be held for a moment: half of those that there can be.
size_t SpareDescriptors() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<size_t>(limit.rlim_cur / 2) : 0;
}

sandbox::ScanOptions OptionsFor(const sandbox::Tree& tree, const std::string& source) {
  sandbox::ScanOptions options;
  options.source = source;
  for (const auto& place : tree.vfs->MountPlaces(*tree.ns))
    options.mounts[place.path].push_back(place.mount->filesystem().dev());
  return options;
}

std::vector<pid_t> ProgramsOf(const sandbox::Sandbox& sandbox, pid_t init) {
  if (!sandbox.cgroup().has_value()) return sandbox::ProcessesBelow(init);
  std::vector<pid_t> pids;
  for (const int pid : sandbox.cgroup()->Pids()) pids.push_back(pid);
  std::sort(pids.begin(), pids.end());
  return pids;
}

}  // namespace

absl::StatusOr<control::Report> OpenFilesOfBox(Box& box) {
  control::Report report;
  box.LookAtTree([&](const sandbox::Tree& tree) {
    sandbox::Sandbox& sandbox = *box.sandbox();
    sandbox::ScanOptions options = OptionsFor(tree, sandbox.served().source());
    options.pids = ProgramsOf(sandbox, sandbox.init().pid());
    options.deadline = absl::Now() + kLimit;
    HandleSources sources;
    sources.label = "name";
    sources.value = box.name();
    sources.files = sandbox::ScanOpenFiles(options);
    sources.states = sandbox.served().States();
    sources.kept = tree.kept;
    sources.vfs = tree.vfs.get();
    sources.ns = tree.ns;
    report = DescribeHandles(sources);
  });
  return report;
}

OpenFileTable::OpenFileTable(Box& box)
    : box_(box),
      options_(OptionsFor(box.sandbox()->tree(), box.sandbox()->served().source())),
      held_(std::min(SpareDescriptors(), kPauseFiles)) {
  options_.max_files = kPauseFiles;
}

void OpenFileTable::Prepare() {
  sandbox::ScanOptions first = options_;
  first.pids = ProgramsOf(*box_.sandbox(), box_.sandbox()->init().pid());
  first.deadline = absl::Now() + kLimit;
  first.hold = &held_;
  (void)sandbox::ScanOpenFiles(first);
  options_.held = &held_;
}

void OpenFileTable::Start() {
  options_.deadline = absl::Now() + kPauseLimit;
  thread_ = std::thread([this] {
    const absl::Time began = absl::Now();
    options_.pids = ProgramsOf(*box_.sandbox(), box_.sandbox()->init().pid());
    const RefPtr<sandbox::OpenFiles> found = sandbox::ScanOpenFiles(options_);
    files_->files() = std::move(found->files());
    files_->set_incomplete(found->incomplete());
    took_ = absl::Now() - began;
  });
}

void OpenFileTable::Finish() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace stasis::cli
