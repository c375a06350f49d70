// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/daemon.h"

#include <absl/cleanup/cleanup.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "cmd/stasis/daemon/life.h"

namespace stasis::cli {
namespace {

// The start of a sandbox.
class Start {
 public:
  explicit Start(Life& life) : life_(life), options_(life.options()), box_(life.box()) {}

  // Requires: one thread.
  absl::Status Run(StartupLine& line);
  // What the launcher wants to know. Requires: started.
  nlohmann::json Result();

 private:
  absl::Status WriteRecord();
  absl::Status MakeSandbox(std::unique_ptr<sandbox::Init> init, StartupLine& line);
  absl::StatusOr<Content> MakeContentOrEnd(StartupLine& line);

  Life& life_;
  const DaemonOptions& options_;
  Box& box_;
  std::vector<std::string> warnings_;
  std::string report_;
};

// Before there is anything to clear up.
absl::Status Start::WriteRecord() {
  std::vector<sandbox::Cgroup> cgroups;
  if (options_.sandbox.freezer != sandbox::FreezerKind::kSignal)
    cgroups = sandbox::Cgroup::Candidates(sandbox::Sandbox::CgroupName(options_.sandbox));
  return life_.WriteRecord(std::move(cgroups));
}

absl::Status Start::Run(StartupLine& line) {
  prctl(PR_SET_NAME, "stasis-daemon");
  if (absl::Status watching = life_.WatchSignals(); !watching.ok()) return watching;
  if (absl::Status written = WriteRecord(); !written.ok()) return written;
  absl::StatusOr<std::unique_ptr<sandbox::Init>> init =
      sandbox::Init::Start(options_.sandbox.rootless);
  if (!init.ok()) return init.status();
  if (absl::Status made = MakeSandbox(std::move(*init), line); !made.ok()) return made;
  box_.lazy()->Start();
  if (Keeping* keeping = box_.keeping(); keeping != nullptr)
    if (absl::Status kept = keeping->Begin(box_); !kept.ok()) return kept;
  if (absl::Status listening = life_.StartControl(); !listening.ok()) return listening;
  box_.log().info("serving sandbox {} as process {}, init {}", options_.dir.name(), getpid(),
                  box_.sandbox()->init().pid());
  return absl::OkStatus();
}

// SIGTERM ends it.
absl::StatusOr<Content> Start::MakeContentOrEnd(StartupLine& line) {
  std::atomic<bool> made{false};
  std::thread watch([this, &made] {
    while (!made && !life_.Terminated()) {
      pollfd entries[] = {{life_.signals(), POLLIN, 0}, {box_.wake().get(), POLLIN, 0}};
      (void)poll(entries, 2, -1);
    }
  });
  const absl::Cleanup end_watch = [this, &made, &watch] {
    made = true;
    const uint64_t one = 1;
    (void)!write(box_.wake().get(), &one, sizeof one);
    watch.join();
  };
  return MakeContent(
      box_.types(), options_.content, [&line](const Step& step) { line.Report(step); },
      &life_.terminated(), box_.NewDataLog());
}

absl::Status Start::MakeSandbox(std::unique_ptr<sandbox::Init> init, StartupLine& line) {
  if (absl::Status set = ApplyMemoryLimits(options_.memory); !set.ok()) return set;
  absl::StatusOr<Content> content = MakeContentOrEnd(line);
  if (!content.ok()) return content.status();
  for (const std::string& warning : content->warnings) box_.log().warn("{}", warning);
  warnings_ = content->warnings;
  report_ = content->report;
  sandbox::Tree tree = std::move(content->tree);
  box_.SetOrigin(*std::move(content));
  absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> sandbox =
      sandbox::Sandbox::Start(std::move(init), std::move(tree), options_.sandbox);
  if (!sandbox.ok()) return sandbox.status();
  box_.SetSandbox(std::move(*sandbox));
  return absl::OkStatus();
}

nlohmann::json Start::Result() {
  const sandbox::Sandbox& sandbox = *box_.sandbox();
  nlohmann::json result = {{"daemon_pid", getpid()},
                           {"init_pid", box_.sandbox()->init().pid()},
                           {"cgroup", ""},
                           {"cgroup_version", 0},
                           {"warnings", warnings_}};
  for (const std::string& warning : sandbox.warnings()) result["warnings"].push_back(warning);
  if (const auto& group = sandbox.cgroup(); group.has_value()) {
    result["cgroup"] = group->path();
    result["cgroup_version"] = group->version();
  }
  if (const auto config = box_.origin().base_config; config.has_value()) {
    std::vector<std::string> command = config->entrypoint;
    command.insert(command.end(), config->cmd.begin(), config->cmd.end());
    result["image"] = {
        {"command", command}, {"environment", config->env}, {"workdir", config->working_dir}};
  }
  if (!report_.empty()) result["content"] = nlohmann::json::parse(report_, nullptr, false);
  return result;
}

}  // namespace

int RunDaemon(const DaemonOptions& options, UniqueFd lock, StartupLine line) {
  absl::Status started;
  {
    absl::StatusOr<std::unique_ptr<Keeping>> keeping = nullptr;
    DaemonOptions own = options;
    if (options.keeper) keeping = Keeping::Start(options.dir);
    if (keeping.ok() && *keeping != nullptr) own.sandbox.journal = &(*keeping)->journal();
    Life life(own, keeping.ok() ? *std::move(keeping) : nullptr);
    life.box().SetLock(std::move(lock));
    Start start(life);
    started = keeping.ok() ? start.Run(line) : keeping.status();
    if (started.ok()) {
      line.Ready(start.Result());
      if (Keeping* own_keeping = life.box().keeping(); own_keeping != nullptr) own_keeping->Arm();
      life.Wait();
    }
    life.End();
    lock = life.box().TakeLock();
  }
  (void)options.dir.CleanUp(lock);
  lock.reset();
  if (!started.ok()) line.Failed(started);
  return started.ok() ? 0 : 1;
}

}  // namespace stasis::cli
