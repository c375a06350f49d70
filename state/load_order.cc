// SPDX-License-Identifier: Apache-2.0

#include "state/load_order.h"

#include <algorithm>

namespace stasis::state {
namespace {

bool WaitsFor(const TypeDescriptor& waiting, const TypeDescriptor& other) {
  return std::any_of(waiting.wait_levels.begin(), waiting.wait_levels.end(),
                     [&other](const LevelDescriptor* level) { return other.IsA(*level); });
}

}  // namespace

std::vector<size_t> LoadOrder(const std::vector<const TypeDescriptor*>& types) {
  std::vector<size_t> order;
  std::vector<bool> placed(types.size());
  auto ready = [&](size_t i) {
    for (size_t j = 0; j < types.size(); ++j)
      if (j != i && !placed[j] && WaitsFor(*types[i], *types[j])) return false;
    return true;
  };
  while (order.size() < types.size()) {
    size_t next = types.size();
    for (size_t i = 0; i < types.size() && next == types.size(); ++i)
      if (!placed[i] && ready(i)) next = i;
    // The generator refuses circles, so this is for descriptors that were made by hand.
    for (size_t i = 0; i < types.size() && next == types.size(); ++i)
      if (!placed[i]) next = i;
    placed[next] = true;
    order.push_back(next);
  }
  return order;
}

}  // namespace stasis::state
