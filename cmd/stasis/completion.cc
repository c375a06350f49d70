// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <fmt/core.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"

namespace stasis::cli {
namespace {

// The scripts ask for nothing but the words below, so they stay in step with the program.
struct Words {
  std::string command;
  std::string description;
  std::vector<std::string> options;  // "--name", ...
  bool takes_sandbox = false;
};

std::vector<Words> WordsOf(const CLI::App& app) {
  std::vector<Words> all;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_group().empty()) continue;  // not for people
    Words words{command->get_name(), command->get_description(), {}, false};
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) words.options.push_back("--" + name);
      words.takes_sandbox =
          words.takes_sandbox || (option->get_positional() && option->get_name() == "name");
    }
    all.push_back(std::move(words));
  }
  return all;
}

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) absl::StrAppend(&text, text.empty() ? "" : " ", word);
  return text;
}

constexpr const char kNames[] = "stasis ps 2>/dev/null | awk 'NR > 1 {print $1}'";

std::string Bash(const std::vector<Words>& all) {
  std::string commands, cases;
  for (const Words& words : all) {
    absl::StrAppend(&commands, commands.empty() ? "" : " ", words.command);
    absl::StrAppend(&cases, "    ", words.command, ") words='", Join(words.options), "'",
                    words.takes_sandbox ? fmt::format("; names=$({})", kNames) : "", " ;;\n");
  }
  return fmt::format(R"(# bash completion for stasis
_stasis() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words='' names=''
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '{}' -- "$current"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$names" -- "$current") $(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _stasis stasis
)",
                     commands, cases);
}

std::string Zsh(const std::vector<Words>& all) {
  std::string commands, cases;
  for (const Words& words : all) {
    absl::StrAppend(&commands, "    '", words.command, ":", words.description, "'\n");
    absl::StrAppend(&cases, "    ", words.command, ") compadd -- ", Join(words.options),
                    words.takes_sandbox ? fmt::format("; compadd -- $({})", kNames) : "", " ;;\n");
  }
  return fmt::format(R"(#compdef stasis
_stasis() {{
  local -a commands=(
{}  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  case $words[2] in
{}  esac
  _files
}}
compdef _stasis stasis
)",
                     commands, cases);
}

std::string Fish(const std::vector<Words>& all) {
  std::string text = "# fish completion for stasis\n";
  for (const Words& words : all) {
    const std::string seen = fmt::format("'__fish_seen_subcommand_from {}'", words.command);
    absl::StrAppend(&text, "complete -c stasis -n __fish_use_subcommand -f -a ", words.command,
                    " -d '", words.description, "'\n");
    for (const std::string& option : words.options)
      absl::StrAppend(&text, "complete -c stasis -n ", seen, " -l ", option.substr(2), "\n");
    if (words.takes_sandbox)
      absl::StrAppend(&text, "complete -c stasis -n ", seen, " -f -a \"(",
                      "stasis ps 2>/dev/null | awk 'NR > 1 {print \\$1}'", ")\"\n");
  }
  return text;
}

int PrintCompletion(const CLI::App& app, const std::string& shell) {
  std::vector<Words> words = WordsOf(app);
  for (Words& each : words)
    for (char& c : each.description)
      if (c == '\'' || c == ':') c = ' ';
  if (shell == "bash") return Print(Bash(words));
  return Print(shell == "zsh" ? Zsh(words) : Fish(words));
}

}  // namespace

void AddCompletion(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("  source <(stasis completion bash)");
  command->callback([shell, &app, &invocation] {
    invocation.action = [shell, &app] { return PrintCompletion(app, *shell); };
  });
}

}  // namespace stasis::cli
