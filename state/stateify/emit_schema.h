// SPDX-License-Identifier: Apache-2.0
//
// emit_schema.h: the Cap'n Proto schema of a layer, made from its lock file alone.

#ifndef STASIS_STATE_STATEIFY_EMIT_SCHEMA_H_
#define STASIS_STATE_STATEIFY_EMIT_SCHEMA_H_

#include <string>

#include "state/stateify/lock_file.h"

namespace stasis::stateify {

// Whether a field of that locked type stands in the row itself; the others have a column.
bool IsRowType(const std::string& type);

// `<layer>.state.capnp`. Two fields whose names become one in the schema are said in `errors`.
std::string EmitSchema(const LockFile& lock, Errors& errors);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_EMIT_SCHEMA_H_
