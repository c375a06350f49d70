// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_CMD_SANDBOX_GEN_TYPES_H_
#define STASIS_CMD_SANDBOX_GEN_TYPES_H_

#include "state/registry.h"

namespace stasis::sandbox::gen {

// Adds the savable types of this layer.
void RegisterTypes(state::Registry& registry);

}  // namespace stasis::sandbox::gen

#endif  // STASIS_CMD_SANDBOX_GEN_TYPES_H_
