// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/service.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include "cmd/stasis/config_file.h"
#include "cmd/stasis/daemon/events.h"
#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/open_files.h"
#include "cmd/stasis/daemon/tasks.h"
#include "fsimpl/memfs/filesystem.h"
#include "state/chunk_reclaim.h"

namespace stasis::cli {

// Where and with what its first command started.
void Service::DescribeStart(control::Info& info) const {
  const DaemonOptions& options = box_.options();
  const Origin origin = box_.origin();
  info.source = origin.source;
  info.workdir = options.workdir;
  if (origin.base_config.has_value()) {
    if (!origin.base_config->working_dir.empty() && !options.config.contains("workdir"))
      info.workdir = origin.base_config->working_dir;
    info.environment = origin.base_config->env;
    info.command = origin.base_config->entrypoint;
    info.command.insert(info.command.end(), origin.base_config->cmd.begin(),
                        origin.base_config->cmd.end());
  }
  if (options.config.contains("command"))
    info.command = options.config["command"].get<std::vector<std::string>>();
  info.environment.insert(info.environment.end(), options.environment.begin(),
                          options.environment.end());
}

absl::StatusOr<control::Info> Service::GetInfo() {
  sandbox::Sandbox& sandbox = *box_.sandbox();
  control::Info info;
  info.name = box_.name();
  info.version = Version();
  info.daemon_pid = getpid();
  info.init_pid = sandbox.init().pid();
  info.created_ns = box_.created();
  info.rootless = box_.options().sandbox.rootless;
  DescribeStart(info);
  info.activity = box_.activity();
  info.rollbacks = box_.rollbacks();
  info.upgrades = box_.upgrades();
  const Box::Recoveries recoveries = box_.recoveries();
  info.recoveries = recoveries.count;
  info.last_recovery = recoveries.last_reason;
  if (const Keeping* keeping = box_.keeping(); keeping != nullptr)
    info.keeper_pid = keeping->keeper();
  if (const auto& group = sandbox.cgroup(); group.has_value()) {
    info.cgroup = group->path();
    info.cgroup_version = group->version();
    info.processes = static_cast<uint32_t>(group->Pids().size());
  } else if (info.activity != "checkpointing") {
    info.processes = static_cast<uint32_t>(sandbox.init().CountProcesses().value_or(0));
  }
  box_.LookAtTree([&info](const sandbox::Tree& tree) {
    for (const RefPtr<vfs::Filesystem>& fs : tree.vfs->filesystems()) {
      const auto* memory = dynamic_cast<const memfs::MemFilesystem*>(fs.get());
      if (memory == nullptr) continue;
      info.files += memory->inodes_used();
      info.bytes += memory->bytes_used();
    }
  });
  const std::shared_ptr<image::LazyImage> lazy = box_.lazy();
  info.degraded = lazy->health().Reason();
  const image::PrefetchProgress prefetch = lazy->progress();
  info.prefetch_mode = image::PrefetchModeName(lazy->mode());
  info.prefetch_state = image::PrefetchStateName(prefetch.state);
  info.prefetch_done = prefetch.done_bytes;
  info.prefetch_total = prefetch.total_bytes;
  info.memory_bytes = state::ChunkReclaim::Resident();
  info.memory_limit = state::ChunkReclaim::limit();
  info.shared_memory_bytes = lazy->shared_bytes();
  return info;
}

absl::StatusOr<control::Report> Service::Checkpoint(const control::CheckpointParams& params,
                                                    const control::ProgressCallback& on_progress,
                                                    const std::atomic<bool>* cancel) {
  return CheckpointBox(box_, params, on_progress, cancel);
}

absl::StatusOr<control::Report> Service::Diff(const control::ProgressCallback& on_progress,
                                              const std::atomic<bool>* cancel) {
  return DiffBox(box_, on_progress, cancel);
}

absl::StatusOr<control::Report> Service::Commit(const control::CommitParams& params,
                                                const control::ProgressCallback& on_progress,
                                                const std::atomic<bool>* cancel) {
  return CommitBox(box_, params, on_progress, cancel);
}

absl::StatusOr<control::Report> Service::Rollback(const control::RollbackParams& params,
                                                  const control::ProgressCallback& on_progress,
                                                  const std::atomic<bool>* cancel) {
  return RollBackBox(box_, params, on_progress, cancel);
}

absl::StatusOr<control::Report> Service::Fork(const std::atomic<bool>* cancel) {
  return ForkBox(box_, cancel);
}

absl::StatusOr<control::Report> Service::Upgrade(const control::UpgradeParams& params,
                                                 const std::atomic<bool>* cancel) {
  return UpgradeBox(box_, params, cancel);
}

absl::StatusOr<control::Report> Service::AddMount(const control::MountParams& params) {
  return AddMountToBox(box_, params);
}

absl::StatusOr<control::Report> Service::RemoveMount(const std::string& target, bool detach) {
  return RemoveMountOfBox(box_, target, detach);
}

absl::StatusOr<control::Report> Service::GetConfig() {
  const nlohmann::ordered_json config = box_.config();
  const char* use = box_.IsRestored() ? "# stasis restore DIR:TAG --config FILE\n"
                                        "# DIR:TAG being a checkpoint of this sandbox\n"
                                      : "# stasis run --config FILE\n";
  return control::Report{
      config.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
      absl::StrCat(use, ToToml(config))};
}

absl::StatusOr<control::Report> Service::OpenFiles() { return OpenFilesOfBox(box_); }

absl::StatusOr<std::unique_ptr<control::EventSource>> Service::Events(bool reads) {
  return FollowEvents(box_, reads);
}

absl::Status Service::Stop(absl::Duration grace) {
  box_.EndAt(absl::Now(), grace);
  return absl::OkStatus();
}

void Service::OnError(const absl::Status& error) {
  box_.log().error("{}", std::string(error.message()));
}

}  // namespace stasis::cli
