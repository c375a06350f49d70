// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>
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
  // What an option may be given, of those that take one of some words.
  std::map<std::string, std::vector<std::string>> values;
  bool takes_sandbox = false;
};

// "{trace,all,none}" at the end of a type is a check of CLI11's; "memory|DIR|none" is ours.
std::vector<std::string> ValuesOf(const CLI::Option& option) {
  std::string type = option.get_type_name();
  if (const size_t list = type.rfind(":{"); list != std::string::npos) {
    type = type.substr(list + 2, type.size() - list - 3);
    return absl::StrSplit(type, ',');
  }
  std::vector<std::string> values;
  if (type.find('|') == std::string::npos) return values;
  for (const absl::string_view word : absl::StrSplit(type, '|'))
    if (std::all_of(word.begin(), word.end(), absl::ascii_islower)) values.emplace_back(word);
  return values;
}

std::vector<Words> WordsOf(const CLI::App& app) {
  std::vector<Words> all;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_group().empty()) continue;  // not for people
    Words words{command->get_name(), command->get_description(), {}, {}, false};
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        words.options.push_back("--" + name);
        if (auto values = ValuesOf(*option); !values.empty())
          words.values["--" + name] = std::move(values);
      }
      words.takes_sandbox =
          words.takes_sandbox || (option->get_positional() && option->get_name() == "name");
    }
    all.push_back(std::move(words));
  }
  return all;
}

std::string Join(const std::vector<std::string>& words) { return absl::StrJoin(words, " "); }

// What a shell does, before something else, if `previous` is an option that takes some words: these
// stand between `before` and `after`.
std::string ValueCases(const Words& words, const char* previous, const char* before,
                       const char* after) {
  std::string cases;
  for (const auto& [option, values] : words.values)
    absl::StrAppend(&cases, option, ") ", before, Join(values), after, " ;; ");
  return cases.empty() ? "" : absl::StrCat("case ", previous, " in ", cases, "esac; ");
}

constexpr const char kNames[] = "stasis ps 2>/dev/null | awk 'NR > 1 {print $1}'";

std::string Bash(const std::vector<Words>& all) {
  std::string commands, cases;
  for (const Words& words : all) {
    absl::StrAppend(&commands, commands.empty() ? "" : " ", words.command);
    absl::StrAppend(&cases, "    ", words.command, ") ",
                    ValueCases(words, "$previous", "values='", "'"), "words='", Join(words.options),
                    "'", words.takes_sandbox ? fmt::format("; names=$({})", kNames) : "", " ;;\n");
  }
  return fmt::format(R"(# bash completion for stasis
_stasis() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words='' names='' values=''
  local previous=${{COMP_WORDS[COMP_CWORD-1]}}
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '{}' -- "$current"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $values ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$current"))
    ((${{#COMPREPLY[@]}})) || COMPREPLY=($(compgen -f -- "$current"))
  elif [[ $current == -* ]]; then
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
    absl::StrAppend(&cases, "    ", words.command, ") ",
                    ValueCases(words, "$words[CURRENT-1]", "compadd -- ", "; _files; return"),
                    "compadd -- ", Join(words.options),
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

std::string ValuesForFish(const Words& words, const std::string& option) {
  const auto found = words.values.find(option);
  return found == words.values.end() ? "" : fmt::format(" -r -a '{}'", Join(found->second));
}

std::string Fish(const std::vector<Words>& all) {
  std::string text = "# fish completion for stasis\n";
  for (const Words& words : all) {
    const std::string seen = fmt::format("'__fish_seen_subcommand_from {}'", words.command);
    absl::StrAppend(&text, "complete -c stasis -n __fish_use_subcommand -f -a ", words.command,
                    " -d '", words.description, "'\n");
    for (const std::string& option : words.options)
      absl::StrAppend(&text, "complete -c stasis -n ", seen, " -l ", option.substr(2),
                      ValuesForFish(words, option), "\n");
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
