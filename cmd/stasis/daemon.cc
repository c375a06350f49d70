// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon.h"

#include <absl/cleanup/cleanup.h>
#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <thread>

#include "cmd/control/server.h"
#include "cmd/stasis/config_file.h"
#include "cmd/stasis/live_mounts.h"
#include "cmd/stasis/overlay_parts.h"
#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/memfs/filesystem.h"
#include "restore/checkpoint.h"
#include "state/chunk_reclaim.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kSignalGrace = absl::Seconds(2);
// After `checkpoint --stop`: for the answer to get out. The caller then asks for the end itself.
constexpr absl::Duration kAnswerTime = absl::Seconds(2);

std::optional<gofer::DigestScope> ParseDigestScope(const std::string& text) {
  if (text == "none" || text.empty()) return gofer::DigestScope::kNone;
  if (text == "open") return gofer::DigestScope::kOpen;
  if (text == "all") return gofer::DigestScope::kAll;
  return std::nullopt;
}

class Daemon final : public control::Handler {
 public:
  explicit Daemon(const DaemonOptions& options)
      : options_(options),
        log_(spdlog::basic_logger_mt(options.dir.name(), options.dir.log_path())),
        config_(options.config) {
    log_->flush_on(spdlog::level::info);
  }

  // Requires: one thread.
  absl::Status Start(StartupLine& line);
  // What the launcher wants to know. Requires: started.
  nlohmann::json Result();
  // Returns when the sandbox has to end.
  void Wait();
  void End();

  absl::StatusOr<control::Info> GetInfo() override;
  absl::StatusOr<control::Report> Checkpoint(const control::CheckpointParams& params,
                                             const control::ProgressCallback& on_progress,
                                             const std::atomic<bool>* cancel) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<control::Report> Diff(const control::ProgressCallback& on_progress,
                                       const std::atomic<bool>* cancel) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<control::Report> Commit(const control::CommitParams& params,
                                         const control::ProgressCallback& on_progress,
                                         const std::atomic<bool>* cancel) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<control::Report> AddMount(const control::MountParams& params) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<control::Report> RemoveMount(const std::string& target, bool detach) override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<control::Report> GetConfig() override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Stop(absl::Duration grace) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnError(const absl::Status& error) override;

 private:
  absl::Status WatchSignals();
  absl::Status WriteRecord();
  absl::Status MakeSandbox(std::unique_ptr<sandbox::Init> init, StartupLine& line);
  nlohmann::ordered_json Config() ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<control::Report> ChangeMounts(
      absl::FunctionRef<absl::Status(nlohmann::ordered_json& config)> change)
      ABSL_LOCKS_EXCLUDED(mu_);
  restore::CheckpointRequest Request(const control::CheckpointParams& params);
  // Checkpoints and changes of mounts exclude each other. `work` is what the caller wants to do.
  absl::Status Begin(const char* work) ABSL_LOCKS_EXCLUDED(mu_);
  void Done() ABSL_LOCKS_EXCLUDED(mu_);
  void EndAt(absl::Time when, absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Duration TimeLeft() ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<Content> MakeContentOrEnd(StartupLine& line);
  bool Terminated();
  bool InitEnded();

  const DaemonOptions options_;
  const std::shared_ptr<spdlog::logger> log_;
  const Types types_;
  UniqueFd signals_;
  UniqueFd wake_;                        // an eventfd: end_at_ has changed
  std::atomic<bool> terminated_{false};  // by SIGTERM
  Content content_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::unique_ptr<control::Server> control_;
  int64_t created_ = 0;

  absl::Mutex mu_;
  const char* busy_with_ ABSL_GUARDED_BY(mu_) = nullptr;  // null: nothing
  nlohmann::ordered_json config_ ABSL_GUARDED_BY(mu_);
  absl::Time end_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Duration grace_ ABSL_GUARDED_BY(mu_) = kSignalGrace;
  // The checkpoint that the next one follows, and the layout it is in.
  std::optional<image::Digest> parent_ ABSL_GUARDED_BY(mu_);
  std::string parent_directory_ ABSL_GUARDED_BY(mu_);
};

absl::Status Daemon::WatchSignals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (int signal : {SIGTERM, SIGCHLD}) sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  signals_.reset(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals_.valid() || !wake_.valid())
    return absl::ErrnoToStatus(errno, "cannot watch signals");
  return absl::OkStatus();
}

// Before there is anything to clear up.
absl::Status Daemon::WriteRecord() {
  sandbox::Record record;
  record.daemon_pid = getpid();
  record.daemon_start = sandbox::StartTimeOf(getpid());
  if (options_.sandbox.freezer != sandbox::FreezerKind::kSignal)
    record.cgroups = sandbox::Cgroup::Candidates(sandbox::Sandbox::CgroupName(options_.sandbox));
  return options_.dir.WriteRecord(record);
}

absl::Status Daemon::Start(StartupLine& line) {
  created_ = types_.clock().Now();
  prctl(PR_SET_NAME, "stasis-daemon");
  if (absl::Status watching = WatchSignals(); !watching.ok()) return watching;
  if (absl::Status written = WriteRecord(); !written.ok()) return written;
  absl::StatusOr<std::unique_ptr<sandbox::Init>> init =
      sandbox::Init::Start(options_.sandbox.rootless);
  if (!init.ok()) return init.status();
  if (absl::Status made = MakeSandbox(std::move(*init), line); !made.ok()) return made;
  absl::StatusOr<std::unique_ptr<control::Server>> control =
      control::Server::Start(options_.dir.socket_path(), *this);
  if (!control.ok()) return control.status();
  control_ = std::move(*control);
  log_->info("serving sandbox {} as process {}, init {}", options_.dir.name(), getpid(),
             sandbox_->init().pid());
  return absl::OkStatus();
}

// SIGTERM ends it.
absl::StatusOr<Content> Daemon::MakeContentOrEnd(StartupLine& line) {
  std::atomic<bool> made{false};
  std::thread watch([this, &made] {
    while (!made && !Terminated()) {
      pollfd entries[] = {{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      (void)poll(entries, 2, -1);
    }
  });
  const absl::Cleanup end_watch = [this, &made, &watch] {
    made = true;
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof one);
    watch.join();
  };
  return MakeContent(
      types_, options_.content, [&line](const Step& step) { line.Report(step); }, &terminated_,
      [log = log_](const absl::Status& error) { log->error("{}", std::string(error.message())); });
}

absl::Status Daemon::MakeSandbox(std::unique_ptr<sandbox::Init> init, StartupLine& line) {
  if (absl::Status set = ApplyMemoryLimits(options_.memory); !set.ok()) return set;
  absl::StatusOr<Content> content = MakeContentOrEnd(line);
  if (!content.ok()) return content.status();
  content_ = std::move(*content);
  for (const std::string& warning : content_.warnings) log_->warn("{}", warning);
  absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> sandbox =
      sandbox::Sandbox::Start(std::move(init), std::move(content_.tree), options_.sandbox);
  if (!sandbox.ok()) return sandbox.status();
  sandbox_ = std::move(*sandbox);
  return absl::OkStatus();
}

nlohmann::json Daemon::Result() {
  nlohmann::json result = {{"daemon_pid", getpid()},
                           {"init_pid", sandbox_->init().pid()},
                           {"cgroup", ""},
                           {"cgroup_version", 0},
                           {"warnings", content_.warnings}};
  for (const std::string& warning : sandbox_->warnings()) result["warnings"].push_back(warning);
  if (const auto& group = sandbox_->cgroup(); group.has_value()) {
    result["cgroup"] = group->path();
    result["cgroup_version"] = group->version();
  }
  if (content_.base_config.has_value()) {
    const oci::ImageConfig& config = *content_.base_config;
    std::vector<std::string> command = config.entrypoint;
    command.insert(command.end(), config.cmd.begin(), config.cmd.end());
    result["image"] = {
        {"command", command}, {"environment", config.env}, {"workdir", config.working_dir}};
  }
  if (!content_.report.empty())
    result["content"] = nlohmann::json::parse(content_.report, nullptr, false);
  return result;
}

bool Daemon::Terminated() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM) terminated_ = true;
  return terminated_;
}

bool Daemon::InitEnded() {
  siginfo_t ended{};
  const auto pid = static_cast<id_t>(sandbox_->init().pid());
  const bool init_gone =
      waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0;
  if (init_gone) log_->error("the sandbox's init has ended");
  return init_gone;
}

absl::Duration Daemon::TimeLeft() {
  const absl::MutexLock lock(&mu_);
  return end_at_ - absl::Now();
}

void Daemon::Wait() {
  absl::Duration left;
  while ((left = TimeLeft()) > absl::ZeroDuration() && !Terminated() && !InitEnded()) {
    pollfd entries[] = {{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    const int timeout = left == absl::InfiniteDuration()
                            ? -1
                            : static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    if (poll(entries, 2, timeout) < 0 && errno != EINTR) return;
    uint64_t count = 0;
    (void)!read(wake_.get(), &count, sizeof count);
  }
}

void Daemon::EndAt(absl::Time when, absl::Duration grace) {
  const absl::MutexLock lock(&mu_);
  // What was saved to be stopped must not run on because somebody else stops it with more grace.
  grace_ = end_at_ == absl::InfiniteFuture() ? grace : std::min(grace_, grace);
  end_at_ = when;
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

void Daemon::End() {
  control_.reset();  // cancels a checkpoint that goes on
  absl::Duration grace;
  {
    const absl::MutexLock lock(&mu_);
    grace = grace_;
  }
  if (sandbox_ != nullptr && grace > absl::ZeroDuration()) {
    const absl::Status ended = sandbox_->init().Terminate(grace);
    if (!ended.ok()) log_->warn("{}", std::string(ended.message()));
  }
  sandbox_.reset();
  log_->info("ended");
}

absl::Status Daemon::Stop(absl::Duration grace) {
  EndAt(absl::Now(), grace);
  return absl::OkStatus();
}

void Daemon::OnError(const absl::Status& error) { log_->error("{}", std::string(error.message())); }

absl::StatusOr<control::Info> Daemon::GetInfo() {
  control::Info info;
  info.name = options_.dir.name();
  info.version = Version();
  info.daemon_pid = getpid();
  info.init_pid = sandbox_->init().pid();
  info.created_ns = created_;
  info.source = content_.source;
  info.rootless = options_.sandbox.rootless;
  info.workdir = options_.workdir;
  if (content_.base_config.has_value() && !content_.base_config->working_dir.empty() &&
      !options_.config.contains("workdir"))
    info.workdir = content_.base_config->working_dir;
  if (content_.base_config.has_value()) info.environment = content_.base_config->env;
  info.environment.insert(info.environment.end(), options_.environment.begin(),
                          options_.environment.end());
  {
    const absl::MutexLock lock(&mu_);
    info.activity = busy_with_ == nullptr ? "running" : busy_with_;
  }
  if (const auto& group = sandbox_->cgroup(); group.has_value()) {
    info.cgroup = group->path();
    info.cgroup_version = group->version();
    info.processes = static_cast<uint32_t>(group->Pids().size());
  } else if (info.activity != "checkpointing") {
    info.processes = static_cast<uint32_t>(sandbox_->init().CountProcesses().value_or(0));
  }
  for (const RefPtr<vfs::Filesystem>& fs : sandbox_->vfs().filesystems()) {
    const auto* memory = dynamic_cast<const memfs::MemFilesystem*>(fs.get());
    if (memory == nullptr) continue;
    info.files += memory->inodes_used();
    info.bytes += memory->bytes_used();
  }
  info.memory_bytes = state::ChunkReclaim::Resident();
  info.memory_limit = state::ChunkReclaim::limit();
  return info;
}

absl::Status Daemon::Begin(const char* work) {
  const absl::MutexLock lock(&mu_);
  if (busy_with_ != nullptr)
    return absl::UnavailableError(
        absl::StrCat(options_.dir.name(), " is ", busy_with_, "; try again when that is done"));
  busy_with_ = work;
  return absl::OkStatus();
}

void Daemon::Done() {
  const absl::MutexLock lock(&mu_);
  busy_with_ = nullptr;
}

restore::CheckpointRequest Daemon::Request(const control::CheckpointParams& params) {
  restore::CheckpointRequest request;
  request.vfs = &sandbox_->vfs();
  request.registry = &types_.registry();
  request.clock = &types_.clock();
  request.freezer = &sandbox_->freezer();
  for (const auto& [name, state] : sandbox_->served().States())
    request.roots.push_back({name, state.get()});
  request.directory = params.directory;
  request.tag = params.tag;
  request.creator = Creator();
  request.annotations = {{image::kAnnotationContainerName, options_.dir.name()}};
  if (!content_.base_image.empty())
    request.annotations[image::kAnnotationBase] = content_.base_image;
  request.stay_frozen = params.stop;
  if (params.max_extra_memory != 0) request.max_extra_memory = params.max_extra_memory;
  {
    const absl::MutexLock lock(&mu_);
    if (parent_directory_ == params.directory) request.parent = parent_;
  }
  request.packs.on_error = [log = log_](const absl::Status& error) {
    log->error("{}", std::string(error.message()));
  };
  return request;
}

absl::StatusOr<control::Report> Daemon::Checkpoint(const control::CheckpointParams& params,
                                                   const control::ProgressCallback& on_progress,
                                                   const std::atomic<bool>* cancel) {
  const std::optional<gofer::DigestScope> digest = ParseDigestScope(params.digest);
  if (!digest.has_value())
    return absl::InvalidArgumentError(
        absl::StrCat("'", params.digest, "' is no scope of digests: none, open or all"));
  if (absl::Status begun = Begin("checkpointing"); !begun.ok()) return begun;
  const absl::Cleanup done = [this] { Done(); };
  sandbox_->served().EndUnused(sandbox_->vfs());
  for (const RefPtr<vfs::Filesystem>& fs : sandbox_->vfs().filesystems())
    if (auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get()))
      host->set_digest_scope(*digest);
  restore::CheckpointRequest request = Request(params);
  request.cancel = cancel;
  request.on_progress = [&on_progress](const image::WriteProgress& progress) {
    on_progress({"write", progress.chunks_done, progress.chunks_total, progress.content_bytes});
  };
  absl::StatusOr<restore::CheckpointReport> report = restore::Checkpoint(request);
  if (!report.ok()) {
    log_->warn("checkpoint {}:{}: {}", params.directory, params.tag,
               std::string(report.status().message()));
    return report.status();
  }
  log_->info("checkpoint {}", report->ToJson());
  {
    const absl::MutexLock lock(&mu_);
    parent_ = report->digest;
    parent_directory_ = params.directory;
  }
  if (params.stop) EndAt(absl::Now() + kAnswerTime, absl::ZeroDuration());
  return control::Report{report->ToJson(), report->ToText()};
}

nlohmann::ordered_json Daemon::Config() {
  const absl::MutexLock lock(&mu_);
  return config_;
}

absl::StatusOr<control::Report> Daemon::ChangeMounts(
    absl::FunctionRef<absl::Status(nlohmann::ordered_json& config)> change) {
  if (absl::Status begun = Begin("changing its mounts"); !begun.ok()) return begun;
  const absl::Cleanup done = [this] { Done(); };
  nlohmann::ordered_json config = Config();
  if (absl::Status changed = change(config); !changed.ok()) return changed;
  const absl::MutexLock lock(&mu_);
  config_ = std::move(config);
  return control::Report{};
}

// What is in the kernel only, of mappings, does not count.
absl::StatusOr<control::Report> Daemon::Diff(const control::ProgressCallback& on_progress,
                                             const std::atomic<bool>* cancel) {
  if (absl::Status begun = Begin("comparing"); !begun.ok()) return begun;
  const absl::Cleanup done = [this] { Done(); };
  restore::DiffOptions how;
  how.cancel = cancel;
  how.on_progress = [&on_progress](const restore::TransferProgress& progress) {
    on_progress({"diff", progress.files, 0, progress.bytes});
  };
  const absl::StatusOr<restore::DiffReport> report =
      DiffOverlay(sandbox_->tree(), options_.dir.name(), how);
  if (!report.ok()) return report.status();
  return control::Report{report->ToJson(), report->ToText()};
}

absl::StatusOr<control::Report> Daemon::Commit(const control::CommitParams& params,
                                               const control::ProgressCallback& on_progress,
                                               const std::atomic<bool>* cancel) {
  if (absl::Status begun = Begin("committing"); !begun.ok()) return begun;
  const absl::Cleanup done = [this] { Done(); };
  OverlayCommit commit{content_.base_image, params.directory, params.tag, {}};
  absl::StatusOr<oci::Compression> compression = oci::ParseCompression(params.compression);
  if (!compression.ok()) return compression.status();
  commit.options.compression = *compression;
  commit.options.author = params.author;
  commit.options.comment = params.message;
  commit.options.cancel = cancel;
  commit.options.on_progress = [&on_progress](const restore::TransferProgress& progress) {
    on_progress({"commit", progress.files, 0, progress.bytes});
  };
  const absl::StatusOr<oci::CommitReport> report =
      CommitOverlay(sandbox_->tree(), options_.dir.name(), commit);
  if (!report.ok()) return report.status();
  return control::Report{report->ToJson(), report->ToText()};
}

absl::StatusOr<control::Report> Daemon::AddMount(const control::MountParams& params) {
  return ChangeMounts([&](nlohmann::ordered_json& config) {
    return AddHostMount(params.mount, params.directory, options_.content.host, *sandbox_, config);
  });
}

absl::StatusOr<control::Report> Daemon::RemoveMount(const std::string& target, bool detach) {
  return ChangeMounts([&](nlohmann::ordered_json& config) {
    return RemoveHostMount(target, detach, *sandbox_, config);
  });
}

absl::StatusOr<control::Report> Daemon::GetConfig() {
  const nlohmann::ordered_json config = Config();
  return control::Report{
      config.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
      ToToml(config)};
}

}  // namespace

int RunDaemon(const DaemonOptions& options, UniqueFd lock, StartupLine line) {
  absl::Status started;
  {
    Daemon daemon(options);
    started = daemon.Start(line);
    if (started.ok()) {
      line.Ready(daemon.Result());
      daemon.Wait();
    }
    daemon.End();
  }
  (void)options.dir.CleanUp(lock);
  lock.reset();
  if (!started.ok()) line.Failed(started);
  return started.ok() ? 0 : 1;
}

}  // namespace stasis::cli
