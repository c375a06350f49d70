// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/config_file.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

namespace stasis::cli {
namespace {

constexpr char kCommand[] = "command";

absl::Status At(const std::string& file, const toml::source_region& where,
                const std::string& message) {
  return absl::InvalidArgumentError(absl::StrCat(file, ":", where.begin.line, ": ", message));
}

// A value as the command line would have it.
absl::StatusOr<std::string> ToWord(const std::string& file, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return absl::StrCat(number->get());
  return At(file, node.source(), "only strings, whole numbers, true and arrays of them are values");
}

absl::StatusOr<std::vector<std::string>> ToWords(const std::string& file, const toml::node& node) {
  std::vector<std::string> words;
  const toml::array* list = node.as_array();
  for (size_t i = 0; i < (list == nullptr ? 1 : list->size()); ++i) {
    absl::StatusOr<std::string> word = ToWord(file, list == nullptr ? node : (*list)[i]);
    if (!word.ok()) return word.status();
    words.push_back(*std::move(word));
  }
  return words;
}

bool IsFlag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

absl::Status ApplyValue(const std::string& file, const toml::node& node, CLI::Option& option) {
  if (option.count() > 0) return absl::OkStatus();  // the command line counts
  const std::string name = option.get_name(/*positional=*/false, /*all_options=*/false);
  if (IsFlag(option)) {
    const auto* on = node.as_boolean();
    if (on == nullptr) return At(file, node.source(), absl::StrCat(name, " is true or false"));
    if (on->get()) option.add_result("true");
  } else {
    absl::StatusOr<std::vector<std::string>> words = ToWords(file, node);
    if (!words.ok()) return words.status();
    if (words->size() > 1 && option.get_items_expected_max() == 1 &&
        option.get_multi_option_policy() != CLI::MultiOptionPolicy::TakeAll)
      return At(file, node.source(), absl::StrCat(name, " has one value"));
    for (std::string& word : *words) option.add_result(std::move(word));
  }
  try {
    if (option.count() > 0) option.run_callback();
  } catch (const CLI::ParseError& error) {
    return At(file, node.source(), error.what());
  }
  return absl::OkStatus();
}

absl::StatusOr<toml::table> Parse(const std::string& file) {
  struct stat st {};
  if (stat(file.c_str(), &st) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", file));
  try {
    return toml::parse_file(file);
  } catch (const toml::parse_error& error) {
    return At(file, error.source(), std::string(error.description()));
  }
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.size() < 16 && (text == "0" || text[0] != '0') &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

absl::Status ApplyConfig(const std::string& file, CLI::App& app,
                         std::vector<std::string>& command) {
  absl::StatusOr<toml::table> table = Parse(file);
  if (!table.ok()) return table.status();
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    if (name == kCommand) {
      absl::StatusOr<std::vector<std::string>> words = ToWords(file, node);
      if (!words.ok()) return words.status();
      if (command.empty()) command = *std::move(words);
      continue;
    }
    CLI::Option* option = app.get_option_no_throw("--" + name);
    if (option == nullptr) option = app.get_option_no_throw(name);
    if (option == nullptr || name == "config" || name == "help")
      return At(file, key.source(),
                absl::StrCat("there is no option '", name, "'; `stasis ", app.get_name(),
                             " --help` lists them"));
    if (absl::Status applied = ApplyValue(file, node, *option); !applied.ok()) return applied;
  }
  return absl::OkStatus();
}

nlohmann::ordered_json ConfigOf(const CLI::App& app, const std::vector<std::string>& transient) {
  nlohmann::ordered_json config = nlohmann::ordered_json::object();
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_single_name();
    if (option->count() == 0 ||
        std::find(transient.begin(), transient.end(), name) != transient.end())
      continue;
    if (IsFlag(*option))
      config[name] = true;
    else if (option->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll)
      config[name] = option->results();
    else
      config[name] = option->results().back();
  }
  return config;
}

absl::Status InheritConfig(const nlohmann::ordered_json& config,
                           const std::vector<std::string>& not_taken, CLI::App& app) {
  for (const auto& [key, value] : config.items()) {
    CLI::Option* option = app.get_option_no_throw("--" + key);
    if (option == nullptr || option->count() > 0 ||
        std::find(not_taken.begin(), not_taken.end(), key) != not_taken.end())
      continue;
    try {
      if (IsFlag(*option))
        option->add_result("true");
      else if (value.is_array())
        for (const auto& word : value) option->add_result(word.get<std::string>());
      else
        option->add_result(value.get<std::string>());
      option->run_callback();
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat("cannot take over --", key, ": ", error.what()));
    }
  }
  return absl::OkStatus();
}

// Strings and arrays of JSON are such of TOML, too.
std::string ToToml(const nlohmann::ordered_json& config) {
  std::string text;
  for (const auto& [key, value] : config.items()) {
    const bool number = value.is_string() && IsNumber(value.get<std::string>());
    absl::StrAppend(
        &text, key, " = ",
        number ? value.get<std::string>()
               : value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
        "\n");
  }
  return text;
}

}  // namespace stasis::cli
