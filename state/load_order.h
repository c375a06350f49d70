// SPDX-License-Identifier: Apache-2.0
//
// load_order.h: which types run their AfterLoad before which.

#ifndef STASIS_STATE_LOAD_ORDER_H_
#define STASIS_STATE_LOAD_ORDER_H_

#include <cstddef>
#include <vector>

#include "state/registry.h"

namespace stasis::state {

// Indexes into `types` so that a type comes after those it waits for. (Within a family of types the
// reader orders objects one by one: TypeDescriptor::waits.)
std::vector<size_t> LoadOrder(const std::vector<const TypeDescriptor*>& types);

}  // namespace stasis::state

#endif  // STASIS_STATE_LOAD_ORDER_H_
