// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/durations.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct UpgradeOptions {
  std::string name;
  std::string binary;  // empty: this program
  std::string timeout = "10s";
  bool json = false;
};

absl::StatusOr<control::UpgradeParams> ReadParams(const UpgradeOptions& options) {
  control::UpgradeParams params;
  absl::StatusOr<absl::Duration> timeout = ReadDuration("--timeout", options.timeout);
  if (!timeout.ok()) return timeout.status();
  params.timeout = *timeout;
  std::error_code error;
  params.binary = options.binary.empty()
                      ? std::filesystem::read_symlink("/proc/self/exe", error).string()
                      : sandbox::AbsolutePath(options.binary);
  if (access(params.binary.c_str(), X_OK) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot run ", params.binary));
  return params;
}

// Ends the old daemon's wait for somebody to read its answer; it may have ended already.
void Dismiss(control::Client& client) { (void)client.Stop(absl::ZeroDuration()); }

int PrintReport(const control::Report& report, bool json) {
  const auto parsed = nlohmann::ordered_json::parse(report.json, nullptr, false);
  if (json) return PrintJson(parsed);
  const auto time = [&parsed](const char* key) {
    return FormatDuration(parsed.value(key, int64_t{0}));
  };
  return Print(fmt::format(
      "{}  version {}, process {}\n"
      "stall  {} (pause {}, finish {}, commit {}){}\n"
      "load   {} (state {}, pack {}, take {}), {} requests done again\n"
      "wall   {}\n"
      "files  {} ({} names)\n",
      parsed.value("name", ""), parsed.value("version", ""), parsed.value("daemon_pid", 0),
      time("stall_ns"), time("pause_ns"), time("finish_ns"), time("commit_ns"),
      parsed.value("loaded_in_pause", false) ? ", with the load" : "",
      FormatDuration(parsed.value("state_ns", int64_t{0}) + parsed.value("pack_ns", int64_t{0}) +
                     parsed.value("take_ns", int64_t{0})),
      time("state_ns"), time("pack_ns"), time("take_ns"), parsed.value("replayed", uint64_t{0}),
      time("wall_ns"), parsed.value("files", uint64_t{0}), parsed.value("dentries", uint64_t{0})));
}

int Upgrade(const UpgradeOptions& options) {
  const absl::StatusOr<control::UpgradeParams> params = ReadParams(options);
  if (!params.ok()) return Fail(params.status(), options.json);
  const absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return Fail(dir.status(), options.json);
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return Fail(client.status(), options.json);
  const absl::StatusOr<control::Report> report = (*client)->Upgrade(*params);
  if (!report.ok()) return Fail(report.status(), options.json);
  Dismiss(**client);
  return PrintReport(*report, options.json);
}

}  // namespace

void AddUpgrade(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "upgrade", "Replace the daemon of a running sandbox, whose programs run on");
  auto options = std::make_shared<UpgradeOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_option("--binary", options->binary, "Program of the new daemon (default: this one)")
      ->type_name("PATH");
  command
      ->add_option("--timeout", options->timeout,
                   "How long it may take to start, and then to take over")
      ->type_name("TIME")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print what it took as JSON");
  command->footer(
      "Programs keep their open files, mappings and locks; their requests wait for a moment.\n"
      "If the new one cannot take over in time, the old one goes on.\n\n"
      "  stasis upgrade box --binary /opt/stasis-2/bin/stasis");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Upgrade(*options); }; });
}

}  // namespace stasis::cli
