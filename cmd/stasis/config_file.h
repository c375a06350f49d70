// SPDX-License-Identifier: Apache-2.0
//
// config_file.h: the options of a sandbox as a TOML file.
//
// A key is an option's name without the dashes; what may be repeated is an array, a flag is true.
// "command" is what stands after --.

#ifndef STASIS_CMD_STASIS_CONFIG_FILE_H_
#define STASIS_CMD_STASIS_CONFIG_FILE_H_

#include <absl/status/status.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace stasis::cli {

// Gives `app` the options of a file that its command line does not have, and `command` that of the
// file if it is empty. Errors: kNotFound; kInvalidArgument with line and key.
absl::Status ApplyConfig(const std::string& file, CLI::App& app, std::vector<std::string>& command);

// The options that `app` was given, by key. Not those that say how a command is started rather than
// what in: `transient`.
nlohmann::ordered_json ConfigOf(const CLI::App& app, const std::vector<std::string>& transient);

// Gives `app` those of the options in `config` (as ConfigOf has them) that it was not given, but
// for the ones that it does not know and `not_taken`.
absl::Status InheritConfig(const nlohmann::ordered_json& config,
                           const std::vector<std::string>& not_taken, CLI::App& app);

// The same as a file.
std::string ToToml(const nlohmann::ordered_json& config);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_CONFIG_FILE_H_
