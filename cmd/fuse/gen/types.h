// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_CMD_FUSE_GEN_TYPES_H_
#define STASIS_CMD_FUSE_GEN_TYPES_H_

#include "state/registry.h"

namespace stasis::fuse::gen {

// Adds the savable types of this layer.
void RegisterTypes(state::Registry& registry);

}  // namespace stasis::fuse::gen

#endif  // STASIS_CMD_FUSE_GEN_TYPES_H_
