// SPDX-License-Identifier: Apache-2.0
//
// Made by stateify; do not edit.
// clang-format off

#ifndef STASIS_TESTS_STATE_MODEL_GEN_TYPES_H_
#define STASIS_TESTS_STATE_MODEL_GEN_TYPES_H_

#include "state/registry.h"

namespace stasis::model::gen {

// Adds the savable types of this layer.
void RegisterTypes(state::Registry& registry);

}  // namespace stasis::model::gen

#endif  // STASIS_TESTS_STATE_MODEL_GEN_TYPES_H_
