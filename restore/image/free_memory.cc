// SPDX-License-Identifier: Apache-2.0

#include "restore/image/free_memory.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <fstream>
#include <optional>

namespace stasis::image {
namespace {

uint64_t Available(const std::string& proc) {
  std::ifstream in(proc + "/meminfo");
  for (std::string name, unit; in >> name;) {
    uint64_t kib = 0;
    if (!(in >> kib)) break;
    std::getline(in, unit);
    if (name == "MemAvailable:") return kib * 1024;
  }
  return UINT64_MAX;
}

// None if there is no such file, or it holds no number ("max").
std::optional<uint64_t> ReadNumber(const std::string& path) {
  std::ifstream in(path);
  std::string text;
  uint64_t number = 0;
  if (!(in >> text) || !absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

// "/a/b" of the line "0::/a/b"; empty if there is none.
std::string OwnGroup(const std::string& proc) {
  std::ifstream in(proc + "/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, "0::")) return std::string(rest);
  }
  return "";
}

}  // namespace

uint64_t FreeMemory(const std::string& proc, const std::string& cgroups) {
  uint64_t free = Available(proc);
  // Up to the top, which has no limit.
  for (std::string group = OwnGroup(proc); group.size() > 1; group.resize(group.rfind('/'))) {
    const auto limit = ReadNumber(absl::StrCat(cgroups, group, "/memory.max"));
    const auto used = ReadNumber(absl::StrCat(cgroups, group, "/memory.current"));
    if (limit.has_value() && used.has_value())
      free = std::min(free, *limit - std::min(*limit, *used));
  }
  return free;
}

}  // namespace stasis::image
