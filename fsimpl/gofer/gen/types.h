// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_FSIMPL_GOFER_GEN_TYPES_H_
#define STASIS_FSIMPL_GOFER_GEN_TYPES_H_

#include "state/registry.h"

namespace stasis::gofer::gen {

// Adds the savable types of this layer.
void RegisterTypes(state::Registry& registry);

}  // namespace stasis::gofer::gen

#endif  // STASIS_FSIMPL_GOFER_GEN_TYPES_H_
