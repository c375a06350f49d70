// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"
#include "state/base/clock.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(2);

struct Row {
  std::string status;  // "running", "degraded", "checkpointing", "starting", "unresponsive", "dead"
  control::Info info;
  std::string lost;  // of a dead one: why no daemon went on
};

Row RowOf(const sandbox::RuntimeDir& dir) {
  Row row;
  row.info.name = dir.name();
  if (!dir.Alive()) {
    row.status = "dead";
    if (const auto record = dir.ReadRecord(); record.ok()) row.lost = record->lost;
    return row;
  }
  absl::StatusOr<std::unique_ptr<control::Client>> client =
      control::Client::Connect(dir.socket_path());
  if (!client.ok()) {
    const auto record = dir.ReadRecord();
    const bool died = record.ok() && record->keeper_pid != 0 && record->daemon_start != 0 &&
                      sandbox::StartTimeOf(record->daemon_pid) != record->daemon_start;
    row.status = died ? "recovering" : "starting";
    return row;
  }
  absl::StatusOr<control::Info> info = (*client)->GetInfo(kAnswerTimeout);
  row.status = info.ok() ? info->activity : "unresponsive";
  if (info.ok()) row.info = *std::move(info);
  if (row.status == "running" && !row.info.degraded.empty()) row.status = "degraded";
  return row;
}

nlohmann::ordered_json DegradedOf(const control::Info& info) {
  if (info.degraded.empty()) return nullptr;
  return info.degraded;
}

nlohmann::ordered_json PrefetchOf(const control::Info& info) {
  if (info.source.empty()) return nullptr;
  return {{"mode", info.prefetch_mode},
          {"state", info.prefetch_state},
          {"done_bytes", info.prefetch_done},
          {"total_bytes", info.prefetch_total}};
}

// What is not known, as the daemon did not answer, is null.
nlohmann::ordered_json ToJson(const Row& row) {
  const control::Info& info = row.info;
  nlohmann::ordered_json json = {
      {"name", info.name},
      {"status", row.status},
      {"version", info.version},
      {"daemon_pid", info.daemon_pid},
      {"init_pid", info.init_pid},
      {"processes", info.processes},
      {"created", info.created_ns == 0 ? "" : FormatTime(info.created_ns)},
      {"source", info.source},
      {"rootless", info.rootless},
      {"freezer", info.cgroup.empty() ? "signal" : "cgroup"},
      {"cgroup", info.cgroup},
      {"workdir", info.workdir},
      {"files", info.files},
      {"bytes", info.bytes},
      {"memory_bytes", info.memory_bytes},
      {"memory_limit", info.memory_limit},
      {"shared_memory_bytes", info.shared_memory_bytes},
      {"upgrades", info.upgrades},
      {"keeper_pid", info.keeper_pid},
      {"recoveries", info.recoveries},
      {"last_recovery", info.last_recovery},
      {"lost", row.lost},
      {"degraded", DegradedOf(info)},
      {"prefetch", PrefetchOf(info)}};
  if (info.daemon_pid == 0)
    for (auto& [key, value] : json.items())
      if (key != "name" && key != "status" && key != "lost") value = nullptr;
  return json;
}

int PrintTable(const std::vector<Row>& rows) {
  const int64_t now = RealClock().Now();
  std::string text = fmt::format("{:<20} {:<13} {:>8} {:>5} {:>10} {:>9} {:>10}  {}\n", "NAME",
                                 "STATUS", "PID", "PROCS", "UP", "FILES", "DATA", "SOURCE");
  for (const Row& row : rows) {
    const control::Info& info = row.info;
    if (info.daemon_pid == 0) {
      text += fmt::format("{:<20} {:<13}{}\n", info.name, row.status,
                          row.status == "dead" ? " clear up with: stasis stop " + info.name : "");
      if (!row.lost.empty()) {
        text.pop_back();
        text += fmt::format("  ({})\n", row.lost);
      }
      continue;
    }
    text += fmt::format("{:<20} {:<13} {:>8} {:>5} {:>10} {:>9} {:>10}  {}\n", info.name,
                        row.status, info.daemon_pid, info.processes,
                        FormatDuration(std::max<int64_t>(0, now - info.created_ns)), info.files,
                        FormatBytes(info.bytes), info.source);
    // On the same line: completion takes each line for a sandbox.
    if (!info.degraded.empty()) {
      text.pop_back();
      text += fmt::format("  ({})\n", info.degraded);
    }
    if (info.recoveries != 0) {
      text.pop_back();
      text += fmt::format("  (recovered {}; last: {})\n", info.recoveries, info.last_recovery);
    }
  }
  return Print(text);
}

int Ps(bool json) {
  std::vector<Row> rows;
  const auto dirs = sandbox::RuntimeDir::List(sandbox::RuntimeRoot());
  if (!dirs.ok()) return Fail(dirs.status(), json);
  for (const sandbox::RuntimeDir& dir : *dirs) rows.push_back(RowOf(dir));
  if (!json) return PrintTable(rows);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Row& row : rows) list.push_back(ToJson(row));
  return PrintJson({{"sandboxes", list}});
}

}  // namespace

void AddPs(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("ps", "List running sandboxes");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json, &invocation] { invocation.action = [json] { return Ps(*json); }; });
}

}  // namespace stasis::cli
