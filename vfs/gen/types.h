// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_VFS_GEN_TYPES_H_
#define STASIS_VFS_GEN_TYPES_H_

#include "state/registry.h"

namespace stasis::vfs::gen {

// Adds the savable types of this layer.
void RegisterTypes(state::Registry& registry);

}  // namespace stasis::vfs::gen

#endif  // STASIS_VFS_GEN_TYPES_H_
