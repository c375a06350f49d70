// SPDX-License-Identifier: Apache-2.0
//
// options_json.h: a daemon's options, for the daemon that goes on in its place.
//
// What only the start looks at is left out. A newer version reads what older ones write: names and
// numbers stay what they are.

#ifndef STASIS_CMD_STASIS_DAEMON_OPTIONS_JSON_H_
#define STASIS_CMD_STASIS_DAEMON_OPTIONS_JSON_H_

#include <nlohmann/json.hpp>

#include "cmd/stasis/daemon/daemon.h"

namespace stasis::cli {

nlohmann::json OptionsToJson(const DaemonOptions& options);
// Throws nlohmann::json::exception for what is none.
DaemonOptions OptionsFromJson(const nlohmann::json& json);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_OPTIONS_JSON_H_
