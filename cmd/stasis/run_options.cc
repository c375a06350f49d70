// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/run_options.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "cmd/sandbox/command.h"
#include "cmd/sandbox/paths.h"
#include "cmd/sandbox/runtime_dir.h"
#include "cmd/sandbox/tree_setup.h"
#include "cmd/stasis/config_file.h"
#include "cmd/stasis/daemon/daemon.h"
#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/launch.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

absl::Status ReadSandboxOptions(const RunOptions& from, sandbox::SandboxOptions& to) {
  for (const std::string& text : from.binds) {
    absl::StatusOr<sandbox::Bind> bind = sandbox::ParseBind(text);
    if (!bind.ok()) return bind.status();
    if (std::error_code error; !std::filesystem::exists(bind->source, error))
      return absl::NotFoundError(
          absl::StrCat("cannot bind ", bind->source, ": there is no such file or directory"));
    to.binds.push_back(std::move(*bind));
  }
  absl::StatusOr<sandbox::SystemDirectories> system = sandbox::ParseSystemDirectories(from.system);
  if (!system.ok()) return system.status();
  absl::StatusOr<sandbox::FreezerKind> freezer = sandbox::ParseFreezerKind(from.freezer);
  if (!freezer.ok()) return freezer.status();
  to.system = *system;
  to.freezer = *freezer;
  to.rootless = geteuid() != 0;
  return absl::OkStatus();
}

// The host directories of a new tree.
absl::Status ReadHostMounts(const RunOptions& from, HostMounts& to) {
  for (const std::string& text : from.mounts) {
    absl::StatusOr<HostMount> mount = ParseHostMount(text);
    if (!mount.ok()) return mount.status();
    to.mounts.push_back(*std::move(mount));
  }
  for (const std::string& text : from.tmpfs) {
    absl::StatusOr<TmpfsMount> mount = ParseTmpfsMount(text);
    if (!mount.ok()) return mount.status();
    to.tmpfs.push_back(*std::move(mount));
  }
  return CheckHostMounts(to);
}

// Whether programs would see what is mounted where the host's system directories are, unless the
// tree has such itself.
absl::Status CheckSystemPlaces(const RunOptions& from, const ContentOptions& content) {
  std::set<std::string> targets;
  for (const HostMount& mount : content.host.mounts) targets.insert(mount.target);
  for (const TmpfsMount& mount : content.host.tmpfs) targets.insert(mount.target);
  bool is_own = !from.rootfs.empty() || targets.contains("/usr") || targets.contains("/bin");
  for (const ImportSpec& spec : content.imports)
    is_own |= spec.target == "/" || !sandbox::SystemDirectoryOf(spec.target).empty();
  if (from.system == "none" || (from.system == "auto" && is_own)) return absl::OkStatus();
  for (const std::string& target : targets) {
    const std::string system = sandbox::SystemDirectoryOf(target);
    if (system.empty() || (from.system == "auto" && targets.contains(system))) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot mount on ", target, ": the host's ", system,
        " is to be seen there; choose another place, or show something of the host with "
        "--bind, or --system none if the tree has programs of its own"));
  }
  return absl::OkStatus();
}

// The root of a new tree.
absl::Status ReadRootfs(const RunOptions& from, RootfsOptions& to) {
  to.base = from.rootfs;
  to.upper = from.upper;
  for (const auto& [text, limit] : {std::pair(&from.size_limit, &to.size_limit),
                                    std::pair(&from.inode_limit, &to.inode_limit)}) {
    if (text->empty()) continue;
    absl::StatusOr<uint64_t> size = ParseSize(*text);
    if (!size.ok()) return size.status();
    *limit = *size;
  }
  if (absl::Status ok = CheckRootfs(to); !ok.ok()) return ok;
  const bool itself = to.changes_base();
  if (!itself && !from.rootfs_options.empty())
    return absl::InvalidArgumentError("--rootfs-options is for a --rootfs with --upper none");
  if (itself && !from.imports.empty())
    return absl::InvalidArgumentError(
        "--import is for a tree of the sandbox's own; with --upper none it is the directory");
  absl::StatusOr<ServeMode> mode = ParseRootfsOptions(from.rootfs_options);
  if (!mode.ok()) return mode.status();
  to.mode = *mode;
  return absl::OkStatus();
}

// The tree of another sandbox.
absl::Status ReadFork(const RunOptions& from, ContentOptions& to) {
  const nlohmann::ordered_json& json = from.forked;
  ForkedTree fork;
  fork.sandbox = from.fork_of;
  absl::StatusOr<restore::ForkPlaces> places =
      restore::ForkPlaces::FromJson(json.value("offer", nlohmann::ordered_json()).dump());
  if (!places.ok()) return places.status();
  fork.places = *std::move(places);
  fork.base_image = json.value("base_image", "");
  fork.base_settings = json.value("base_settings", "");
  if (json.contains("ancestor")) {
    fork.image_directory = json["ancestor"].value("directory", "");
    absl::StatusOr<image::Digest> digest =
        image::Digest::Parse(json["ancestor"].value("digest", ""));
    if (!digest.ok()) return digest.status();
    fork.image = *digest;
  }
  to.prefetch = image::PrefetchMode::kNone;
  to.record_trace = false;
  to.roots.directories = json.value("roots", std::map<std::string, std::string>());
  to.roots.layer_cache = json.value("layer_cache", "");
  to.roots.spare_roots = true;
  to.fork = std::move(fork);
  return absl::OkStatus();
}

absl::Status ReadContentOptions(const RunOptions& from, ContentOptions& to) {
  to.reference = AbsoluteReference(from.reference);
  to.own_as_root = geteuid() != 0;
  absl::StatusOr<image::PrefetchMode> prefetch = image::ParsePrefetchMode(from.prefetch);
  if (!prefetch.ok()) return prefetch.status();
  to.prefetch = *prefetch;
  to.record_trace = true;
  to.keep_handles = from.handles == "keep";
  absl::StatusOr<HostRoots> roots = ReadHostOptions(from.host);
  if (!roots.ok()) return roots.status();
  to.roots = *std::move(roots);
  to.host.own_as_root = to.own_as_root;
  to.host.fd_limit = from.fd_limit;
  if (!from.fork_of.empty()) {
    if (absl::Status ok = ReadFork(from, to); !ok.ok()) return ok;
  } else if (to.reference.empty()) {
    to.host.roots = to.roots.directories;
    if (absl::Status ok = ReadHostMounts(from, to.host); !ok.ok()) return ok;
    if (absl::Status ok = ReadRootfs(from, to.rootfs); !ok.ok()) return ok;
  }
  to.rootfs.layer_cache = to.roots.layer_cache;
  for (const std::string& text : from.imports) {
    absl::StatusOr<ImportSpec> spec = ParseImport(text);
    if (!spec.ok()) return spec.status();
    to.imports.push_back(std::move(*spec));
  }
  return CheckSystemPlaces(from, to);
}

// The same for whoever reads it in another directory. Requires: the options were found right.
nlohmann::ordered_json AbsoluteConfig(nlohmann::ordered_json config, const ContentOptions& content,
                                      const sandbox::SandboxOptions& options) {
  const auto replace = [&config](const char* key, std::vector<std::string> values) {
    if (config.contains(key)) config[key] = std::move(values);
  };
  std::vector<std::string> roots, imports, binds;
  for (const auto& [name, directory] : content.roots.directories)
    roots.push_back(absl::StrCat(name, "=", directory));
  for (const ImportSpec& spec : content.imports)
    imports.push_back(absl::StrCat(spec.directory, ":", spec.target));
  for (const sandbox::Bind& bind : options.binds)
    binds.push_back(absl::StrCat(bind.source, ":", bind.target, bind.read_only ? ":ro" : ":rw"));
  replace("root", std::move(roots));
  replace("import", std::move(imports));
  replace("bind", std::move(binds));
  config.erase("image");  // the command line says which one
  if (config.contains("rootfs")) config["rootfs"] = content.rootfs.base;
  if (config.contains("upper")) config["upper"] = content.rootfs.upper;
  if (config.contains("layer-cache")) config["layer-cache"] = content.rootfs.layer_cache;
  return config;
}

absl::StatusOr<DaemonOptions> ReadOptions(const RunOptions& from) {
  DaemonOptions to;
  const std::string name = from.name.empty() ? sandbox::RandomName() : from.name;
  if (absl::Status ok = sandbox::CheckName(name); !ok.ok()) return ok;
  if (from.workdir.empty() || from.workdir[0] != '/')
    return absl::InvalidArgumentError("--workdir must be an absolute path in the sandbox");
  if (absl::Status ok = sandbox::CheckEnvironment(from.environment); !ok.ok()) return ok;
  to.environment = from.environment;
  to.dir = sandbox::RuntimeDir(sandbox::RuntimeRoot(), name);
  to.workdir = from.workdir;
  if (absl::Status ok = ReadSandboxOptions(from, to.sandbox); !ok.ok()) return ok;
  if (absl::Status ok = ReadContentOptions(from, to.content); !ok.ok()) return ok;
  absl::StatusOr<MemoryLimits> memory = ReadMemoryOptions(from.memory);
  if (!memory.ok()) return memory.status();
  to.memory = *std::move(memory);
  // What is shared cannot be dropped.
  if (to.memory.limit == 0 && to.memory.filestore.empty())
    to.content.share_in = to.dir.root() + "/.frames";
  to.keeper = from.keeper;
  if (to.keeper)
    if (absl::Status possible = CanBeKept(to.content); !possible.ok()) return possible;
  to.content.reader = name;
  to.sandbox.name = name;
  to.sandbox.hostname = from.hostname.empty() ? name : from.hostname;
  to.sandbox.staging = to.dir.mount_path();
  to.config = AbsoluteConfig(from.config, to.content, to.sandbox);
  if (to.config.contains("filestore")) to.config["filestore"] = to.memory.filestore;
  return to;
}

// Has a running sandbox offer its tree, and takes over how it is run.
absl::Status AskForFork(RunOptions& options, CLI::App& app) {
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.fork_of);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  const absl::StatusOr<control::Report> config = (*client)->GetConfig();
  if (!config.ok()) return config.status();
  if (absl::Status taken = InheritConfig(
          nlohmann::ordered_json::parse(config->json, nullptr, false), {"hostname"}, app);
      !taken.ok())
    return taken;
  const absl::StatusOr<control::Report> forked = (*client)->Fork();
  if (!forked.ok()) return forked.status();
  options.forked = nlohmann::ordered_json::parse(forked->json, nullptr, false);
  if (options.forked.value("version", "") != Version())
    return absl::FailedPreconditionError(
        absl::StrCat("the daemon of ", options.fork_of,
                     " is of another version of stasis; use checkpoint and "
                     "restore"));
  return absl::OkStatus();
}

// The options of a restore of what is to be a fork.
nlohmann::ordered_json ConfigOfFork(nlohmann::ordered_json config, const RunOptions& options) {
  config["name"] = options.name;
  config.erase("new");
  for (const auto& [name, directory] : options.forked.at("roots").items())
    config["root"].push_back(absl::StrCat(name, "=", directory.get<std::string>()));
  const std::string cache = options.forked.value("layer_cache", "");
  if (!cache.empty()) config["layer-cache"] = cache;
  return config;
}

// Starts the daemon; what it said when it was ready.
absl::StatusOr<nlohmann::json> StartDaemon(const DaemonOptions& options, ProgressMode progress) {
  absl::StatusOr<UniqueFd> lock = options.dir.Claim();
  if (!lock.ok()) return lock.status();
  absl::StatusOr<nlohmann::json> ready = Launch(
      {options.dir.log_path(), {lock->get()}, progress},
      [&](StartupLine line) { return RunDaemon(options, std::move(*lock), std::move(line)); });
  // What a daemon that was killed could not do itself.
  if (!ready.ok()) (void)options.dir.CleanUp(*lock);
  return ready;
}

sandbox::Place PlaceOf(const nlohmann::json& ready, const DaemonOptions& options) {
  return {ready.at("init_pid"), options.sandbox.rootless, ready.at("cgroup"),
          ready.at("cgroup_version")};
}

int PrintStarted(const RunOptions& options, const DaemonOptions& daemon,
                 const nlohmann::json& ready, pid_t command) {
  if (!options.json) return Print(daemon.dir.name());
  nlohmann::ordered_json json = {{"name", daemon.dir.name()},
                                 {"daemon_pid", ready.at("daemon_pid")},
                                 {"init_pid", ready.at("init_pid")},
                                 {"command_pid", nullptr},
                                 {"output", nullptr},
                                 {"content", nullptr},
                                 {"warnings", ready.at("warnings")}};
  if (command != 0) {
    json["command_pid"] = command;
    json["output"] = daemon.dir.output_path();
  }
  if (ready.contains("content")) json["content"] = ready["content"];
  if (!options.fork_of.empty()) {
    json["fork"] = options.forked;
    for (const char* key : {"offer", "version", "roots", "layer_cache"}) json["fork"].erase(key);
  }
  return PrintJson(json);
}

int FailInterrupted(const RunOptions& options, const DaemonOptions& daemon) {
  (void)StopSandbox(daemon.dir, absl::ZeroDuration());
  return Fail(absl::CancelledError("interrupted"), options.json);
}

int RunDetached(const RunOptions& options, const DaemonOptions& daemon, const nlohmann::json& ready,
                sandbox::Command command, const sandbox::SignalRelay& signals) {
  pid_t pid = 0;
  if (!command.arguments.empty()) {
    command.detached_output = daemon.dir.output_path();
    absl::StatusOr<pid_t> started = sandbox::StartCommand(PlaceOf(ready, daemon), command, signals);
    if (!started.ok()) {
      (void)StopSandbox(daemon.dir, absl::ZeroDuration());
      Fail(started.status(), options.json);
      return sandbox::ExitCodeOfStart(started.status());
    }
    pid = *started;
  }
  if (signals.Interrupted()) return FailInterrupted(options, daemon);
  return PrintStarted(options, daemon, ready, pid);
}

// Its CMD did not end by itself then, and the sandbox has not done what it is for.
bool WasRolledBack(const sandbox::RuntimeDir& dir) {
  const auto client = control::Client::Connect(dir.socket_path());
  if (!client.ok()) return false;
  const absl::StatusOr<control::Info> info = (*client)->GetInfo();
  return info.ok() && info->rollbacks > 0;
}

int RunAttached(const RunOptions& options, const DaemonOptions& daemon, const nlohmann::json& ready,
                sandbox::Command command, const sandbox::SignalRelay& signals) {
  if (signals.Interrupted()) return FailInterrupted(options, daemon);
  if (command.arguments.empty()) command.arguments = {"/bin/sh"};
  absl::StatusOr<pid_t> pid = sandbox::StartCommand(PlaceOf(ready, daemon), command, signals);
  int exit_code = 0;
  if (pid.ok()) {
    exit_code = signals.Wait(*pid);
  } else {
    Fail(pid.status(), options.json);
    exit_code = sandbox::ExitCodeOfStart(pid.status());
  }
  if (daemon.dir.Exists() && !daemon.dir.Alive())
    Warn(absl::StrCat("the sandbox's daemon has died, and everything in the sandbox with it",
                      LogNote(daemon.dir.log_path())));
  if (options.keep) return exit_code;
  if (pid.ok() && WasRolledBack(daemon.dir)) {
    Warn(absl::StrCat(
        "the sandbox was rolled back and goes on without CMD; end it with: stasis stop ",
        daemon.dir.name()));
    return exit_code;
  }
  const absl::Status stopped = StopSandbox(daemon.dir, absl::ZeroDuration());
  if (!stopped.ok() && !absl::IsNotFound(stopped)) Warn(std::string(stopped.message()));
  return exit_code;
}

// What a container image says counts where the command line says nothing.
void StartAsImageSays(const nlohmann::json& image, const CLI::App& app, RunOptions& options,
                      sandbox::Command& command) {
  command.environment = image.at("environment").get<std::vector<std::string>>();
  if (command.arguments.empty() && options.fork_of.empty())
    command.arguments = image.at("command").get<std::vector<std::string>>();
  const std::string workdir = image.at("workdir");
  if (!workdir.empty() && app.get_option("--workdir")->count() == 0) options.workdir = workdir;
}

}  // namespace

namespace {

// How it is run, and not what.
void AddPlaceOptions(CLI::App& command, RunOptions& options) {
  command.add_option("--bind", options.binds, "Show a host file or directory; repeatable")
      ->type_name("SRC[:DST][:ro|:rw]")
      ->expected(1)
      ->take_all();
  command
      .add_option("--system", options.system,
                  "The host's /usr, /bin, /lib*, /etc, read-only: auto shows those that the tree "
                  "does not have, if it has neither /usr nor /bin; host, all; none")
      ->type_name("auto|host|none")
      ->capture_default_str();
  command.add_option("--workdir", options.workdir, "Where CMD starts")->capture_default_str();
  command.add_option("--env", options.environment, "Set (NAME=VALUE) or remove (NAME); repeatable")
      ->type_name("NAME[=VALUE]")
      ->expected(1)
      ->take_all();
  command.add_flag("--clear-env", options.clear_environment,
                   "Hand on nothing of your environment; CMD gets a PATH, and what --env says");
  command.add_option("--hostname", options.hostname, "Host name inside (default: the name)")
      ->type_name("NAME");
  command
      .add_option("--freezer", options.freezer,
                  "How a checkpoint holds programs still: auto, cgroup or signal")
      ->type_name("auto|cgroup|signal")
      ->capture_default_str();
  command
      .add_option("--fd-limit", options.fd_limit,
                  "Descriptors of host files kept open for each host directory, besides those of "
                  "files that programs have open")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  command.add_flag("--keeper", options.keeper,
                   "Have another daemon go on when the sandbox's dies: programs wait a moment");
  AddMemoryOptions(command, options.memory);
}

}  // namespace

void AddSandboxOptions(CLI::App& command, RunOptions& options) {
  command
      .add_option(
          "--config", options.config_file,
          "More options, and the command: a TOML file, such as `stasis config` prints. What "
          "is given here counts before it")
      ->type_name("FILE");
  command.add_option("--name", options.name, "Name of the sandbox (default: a new one)")
      ->type_name("NAME");
  AddPlaceOptions(command, options);
  command.add_flag("--detach,-d", options.detach, "Leave CMD running in the background");
  command.add_flag("--keep", options.keep, "Leave the sandbox running when CMD ends");
  AddProgressOption(command, options.progress);
  command.add_flag("--json", options.json, "With --detach: print what was started as JSON");
}

void AddForkOptions(CLI::App& command, RunOptions& options) {
  AddPlaceOptions(command, options);
  AddProgressOption(command, options.progress);
  command.add_flag("--json", options.json, "Print what was started, and what it took, as JSON");
}

int RunSandbox(RunOptions& options, CLI::App& app, const Invocation& invocation) {
  std::vector<std::string> arguments = invocation.command;
  if (!options.config_file.empty())
    if (absl::Status read = ApplyConfig(options.config_file, app, arguments); !read.ok())
      return Fail(read, options.json);
  if (!options.fork_of.empty())
    if (absl::Status forked = AskForFork(options, app); !forked.ok())
      return Fail(forked, options.json);
  options.config =
      ConfigOf(app, {"config", "json", "progress", "detach", "keep", "list-handles", "companion"});
  if (!options.fork_of.empty()) options.config = ConfigOfFork(std::move(options.config), options);
  if (!arguments.empty()) options.config["command"] = arguments;
  sandbox::SignalRelay signals;
  absl::StatusOr<DaemonOptions> daemon = ReadOptions(options);
  if (!daemon.ok()) return Fail(daemon.status(), options.json);
  // Until somebody waits for CMD: a sandbox that nobody knows of shall not be left behind.
  signals.Hold();
  absl::StatusOr<nlohmann::json> ready = StartDaemon(*daemon, options.progress);
  if (!ready.ok()) return Fail(ready.status(), options.json);
  for (const nlohmann::json& warning : ready->at("warnings")) Warn(warning.get<std::string>());
  sandbox::Command command;
  command.arguments = std::move(arguments);
  if (ready->contains("image")) StartAsImageSays((*ready)["image"], app, options, command);
  command.environment.insert(command.environment.end(), options.environment.begin(),
                             options.environment.end());
  command.clear_environment = options.clear_environment;
  command.directory = options.workdir;
  return options.detach ? RunDetached(options, *daemon, *ready, command, signals)
                        : RunAttached(options, *daemon, *ready, command, signals);
}

}  // namespace stasis::cli
