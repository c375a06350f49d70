// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <memory>

#include "cmd/sandbox/command.h"
#include "cmd/sandbox/paths.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/progress_line.h"
#include "cmd/stasis/series.h"
#include "cmd/stasis/stop_sandbox.h"
#include "cmd/stasis/types.h"
#include "restore/image/layout.h"

namespace stasis::cli {
namespace {

constexpr char kSafetyName[] = "before-rollback";

struct RollbackOptions {
  std::string name;
  std::string reference;
  std::string safety;
  double grace = 5;
  HostOptions host;
  bool start = false;
  bool json = false;
  ProgressMode progress = ProgressMode::kAuto;
};

absl::StatusOr<control::RollbackParams> ReadParams(const RollbackOptions& options) {
  absl::StatusOr<image::Reference> to = image::ParseReference(options.reference);
  if (!to.ok()) return to.status();
  const std::string safety =
      options.safety.empty() ? absl::StrCat(to->directory, ":", SeriesTag(kSafetyName, absl::Now()))
                             : options.safety;
  absl::StatusOr<image::Reference> before = image::ParseReference(safety);
  if (!before.ok()) return before.status();
  const absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return roots.status();
  control::RollbackParams params;
  params.directory = sandbox::AbsolutePath(to->directory);
  params.tag = to->tag;
  params.safety_directory = sandbox::AbsolutePath(before->directory);
  params.safety_tag = before->tag;
  if (params.directory == params.safety_directory && params.tag == params.safety_tag)
    return absl::InvalidArgumentError(
        "--safety would overwrite the image that is to be rolled back to; choose another tag");
  if (absl::Status parent = CheckParent(params.safety_directory); !parent.ok()) return parent;
  params.grace = absl::Seconds(options.grace);
  for (const auto& [name, directory] : roots->directories)
    params.roots.push_back(absl::StrCat(name, "=", directory));
  params.layer_cache = roots->layer_cache;
  params.validate = options.host.validate;
  params.on_drift = options.host.on_drift;
  params.rules = options.host.rules;
  return params;
}

// What is left to do with the sandbox: its description, and how its CMD is started.
struct RolledBack {
  control::Report report;
  control::Info info;
  bool clear_environment = false;
};

absl::StatusOr<RolledBack> RollBack(const RollbackOptions& options, const sandbox::RuntimeDir& dir,
                                    const control::RollbackParams& params) {
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(dir);
  if (!client.ok()) return client.status();
  absl::StatusOr<control::Info> info = (*client)->GetInfo();
  if (!info.ok()) return info.status();
  if (options.start && info->command.empty())
    return absl::InvalidArgumentError(absl::StrCat(
        "--start: ", options.name, " was started without a program; start one with `stasis exec`"));
  ProgressLine line(options.progress);
  absl::StatusOr<control::Report> report = (*client)->Rollback(
      params,
      [&line](const control::Progress& step) {
        line.Update({step.phase, step.done, step.total, step.bytes});
      },
      CatchInterrupts());
  line.Clear();
  if (absl::IsNotFound(report.status()) && dir.Exists() && !dir.Alive()) return DeadSandbox(dir);
  if (!report.ok()) return report.status();
  const absl::StatusOr<control::Report> config = (*client)->GetConfig();
  if (!config.ok()) return config.status();
  const auto json = nlohmann::json::parse(config->json, nullptr, false);
  return RolledBack{*std::move(report), *std::move(info), json.contains("clear-env")};
}

absl::StatusOr<pid_t> StartAgain(const RolledBack& box, const sandbox::RuntimeDir& dir,
                                 sandbox::SignalRelay& signals) {
  sandbox::Command command;
  command.arguments = box.info.command;
  command.environment = box.info.environment;
  command.clear_environment = box.clear_environment;
  command.directory = box.info.workdir;
  command.detached_output = dir.output_path();
  return sandbox::StartCommand(
      {box.info.init_pid, box.info.rootless, box.info.cgroup, box.info.cgroup_version}, command,
      signals);
}

int Rollback(const RollbackOptions& options) {
  sandbox::SignalRelay signals;
  const absl::StatusOr<control::RollbackParams> params = ReadParams(options);
  if (!params.ok()) return Fail(params.status(), options.json);
  const absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return Fail(dir.status(), options.json);
  const absl::StatusOr<RolledBack> done = RollBack(options, *dir, *params);
  if (!done.ok()) return Fail(done.status(), options.json);
  absl::StatusOr<pid_t> started = 0;
  if (options.start) started = StartAgain(*done, *dir, signals);
  int exit_code = 0;
  if (options.json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(done->report.json, nullptr, false);
    json["command_pid"] = nullptr;
    json["output"] = nullptr;
    if (options.start && started.ok()) {
      json["command_pid"] = *started;
      json["output"] = dir->output_path();
    }
    exit_code = PrintJson(json);
  } else {
    exit_code = Print(done->report.text);
  }
  if (started.ok()) return exit_code;
  Fail(started.status());
  return sandbox::ExitCodeOfStart(started.status());
}

}  // namespace

void AddRollback(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("rollback", "Put an image in the place of a running sandbox's filesystem");
  auto options = std::make_shared<RollbackOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  command
      ->add_option("--safety", options->safety,
                   "Where the state before is saved (default: before-rollback-TIME in DIR)")
      ->type_name("DIR:TAG");
  command
      ->add_option("--grace", options->grace,
                   "Seconds that programs get to end themselves (SIGTERM) before they are killed")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_flag("--start", options->start, "Start its CMD again, in the background");
  AddHostOptions(*command, options->host);
  AddProgressOption(*command, options->progress);
  command->add_flag("--json", options->json, "Print the report as JSON");
  command->footer(
      "Its programs are ended: what they have open would not be there any more. Before\n"
      "that, all is checked that can be; after it, the state is saved, and only then\n"
      "replaced. If something fails, the sandbox has the files that it had. Host\n"
      "directories are those of the sandbox, and are compared as by `restore`.\n\n"
      "  stasis rollback box snaps:v1 && stasis exec box -- ls -l /");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Rollback(*options); }; });
}

}  // namespace stasis::cli
