// SPDX-License-Identifier: Apache-2.0

#include "vfs/drift.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace stasis::vfs {
namespace {

constexpr std::array<std::string_view, kDriftKinds> kKinds = {
    "missing", "type", "replaced", "size", "mtime", "ctime", "mode", "owner", "content", "new"};
constexpr std::array<std::string_view, 5> kPolicies = {"fail", "warn", "adopt", "ignore", "heal"};

template <typename Enum, size_t N>
std::optional<Enum> Find(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto it = std::find(names.begin(), names.end(), name);
  if (it == names.end()) return std::nullopt;
  return static_cast<Enum>(std::distance(names.begin(), it));
}

}  // namespace

std::string_view NameOf(DriftKind kind) { return kKinds.at(static_cast<size_t>(kind)); }
std::optional<DriftKind> ParseDriftKind(std::string_view name) {
  return Find<DriftKind>(kKinds, name);
}

std::string_view NameOf(DriftPolicy policy) { return kPolicies.at(static_cast<size_t>(policy)); }
std::optional<DriftPolicy> ParseDriftPolicy(std::string_view name) {
  return Find<DriftPolicy>(kPolicies, name);
}

}  // namespace stasis::vfs
