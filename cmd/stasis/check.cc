// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/host_checks.h"
#include "cmd/stasis/output.h"

namespace stasis::cli {
namespace {

std::string Mark(const HostCheck& check) {
  const std::string word = check.ok ? "ok" : check.needed ? "MISSING" : "no";
  if (!Coloured(STDOUT_FILENO)) return fmt::format("{:<8}", word);
  const char* colour = check.ok ? "32" : check.needed ? "31" : "33";
  return fmt::format("\033[{}m{:<8}\033[0m", colour, word);
}

int Check(bool json) {
  const std::vector<HostCheck> checks = CheckHost();
  const bool usable = std::all_of(checks.begin(), checks.end(),
                                  [](const HostCheck& check) { return check.ok || !check.needed; });
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::string text;
  for (const HostCheck& check : checks) {
    list.push_back({{"name", check.name},
                    {"ok", check.ok},
                    {"needed", check.needed},
                    {"detail", check.detail},
                    {"remedy", check.remedy}});
    text += fmt::format("{:<16} {} {}{}\n", check.name, Mark(check), check.detail,
                        check.remedy.empty() ? "" : "  ->  " + check.remedy);
  }
  const int printed = json ? PrintJson({{"usable", usable}, {"checks", list}}) : Print(text);
  return printed != 0 ? printed : usable ? 0 : 1;
}

}  // namespace

void AddCheck(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("check", "Say what this host can do, with the remedies");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->footer("Exit code 0: `stasis run` works here; 1: it does not.");
  command->callback([json, &invocation] { invocation.action = [json] { return Check(*json); }; });
}

}  // namespace stasis::cli
