// SPDX-License-Identifier: Apache-2.0
//
// emit_class.h: the C++ of one saved class.

#ifndef STASIS_STATE_STATEIFY_EMIT_CLASS_H_
#define STASIS_STATE_STATEIFY_EMIT_CLASS_H_

#include <string>

#include "state/stateify/lock_file.h"
#include "state/stateify/model.h"

namespace stasis::stateify {

// The specialisation of Access::Type, for the layer's header.
std::string DeclareClass(const Program& program, const Class& c);
std::string DeclareStruct(const Class& c, uint32_t field_count, bool has_refs);
std::string DeclareEnum(const Enum& e);

// Its members, for a .cc file.
std::string DefineClass(const Program& program, const Class& c, const LockedClass& locked,
                        const std::string& schema_namespace);
std::string DefineStruct(const Class& c);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_EMIT_CLASS_H_
