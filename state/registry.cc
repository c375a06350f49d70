// SPDX-License-Identifier: Apache-2.0

#include "state/registry.h"

#include <atomic>

#include "state/check.h"

namespace stasis::state {
namespace {

constinit std::atomic<uint32_t> next_epoch{1};

}  // namespace

void Registry::Add(const TypeDescriptor& type) {
  auto [it, fresh] = by_name_.try_emplace(type.name, &type);
  Require(it->second == &type, "two savable types of one name");
  if (!fresh) return;
  by_type_.emplace(*type.type, &type);
  types_.push_back(&type);
}

const TypeDescriptor* Registry::Find(std::string_view name) const {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

const TypeDescriptor* Registry::Find(const std::type_info& type) const {
  auto it = by_type_.find(type);
  return it == by_type_.end() ? nullptr : it->second;
}

uint32_t NextEpoch() {
  uint32_t epoch = next_epoch.fetch_add(1, std::memory_order_relaxed);
  // 0 means "never": skipped when the counter wraps.
  return epoch != 0 ? epoch : next_epoch.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace stasis::state
