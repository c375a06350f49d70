// SPDX-License-Identifier: Apache-2.0
//
// flag_names.h: numbers of system calls by the names that people know them by.

#ifndef STASIS_CMD_STASIS_FLAG_NAMES_H_
#define STASIS_CMD_STASIS_FLAG_NAMES_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace stasis::cli {

// Flags of open(2), the access mode first: "O_RDWR", "O_APPEND".
std::vector<std::string> OpenFlagNames(uint32_t flags);
// Events of inotify(7): "create", "moved_to". IN_ISDIR and flags of a watch have none.
std::vector<std::string> EventNames(uint32_t mask);

// The words with `separator` between.
std::string JoinWords(const std::vector<std::string>& words, std::string_view separator);

// Under `key`, or, of what is not UTF-8, in base64 under `key` with "_base64" behind it.
void PutText(nlohmann::ordered_json& json, const std::string& key, std::string_view text);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_FLAG_NAMES_H_
