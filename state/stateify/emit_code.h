// SPDX-License-Identifier: Apache-2.0
//
// emit_code.h: the C++ of a layer's saved classes.

#ifndef STASIS_STATE_STATEIFY_EMIT_CODE_H_
#define STASIS_STATE_STATEIFY_EMIT_CODE_H_

#include <map>
#include <string>

#include "state/stateify/lock_file.h"
#include "state/stateify/model.h"

namespace stasis::stateify {

// Generated files of `layer`, by path relative to the root: <dir>/gen/types.h, <layer>.state.h,
// <layer>.state.cc and as many <layer>.state2.cc, ... as keep each readable.
// Requires: merged.
std::map<std::string, std::string> EmitCode(const Program& program, const Layer& layer,
                                            const LockFile& lock, const std::vector<Layer>& layers);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_EMIT_CODE_H_
