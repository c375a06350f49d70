// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_FSIMPL_OVERLAY_GEN_TYPES_H_
#define STASIS_FSIMPL_OVERLAY_GEN_TYPES_H_

#include "state/registry.h"

namespace stasis::overlay::gen {

// Adds the savable types of this layer.
void RegisterTypes(state::Registry& registry);

}  // namespace stasis::overlay::gen

#endif  // STASIS_FSIMPL_OVERLAY_GEN_TYPES_H_
