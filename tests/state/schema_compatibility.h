// SPDX-License-Identifier: Apache-2.0
//
// schema_compatibility.h: whether Cap'n Proto itself can read what an older schema wrote.
//
// The lock file's rules should make every change compatible; this is the second opinion.

#ifndef STASIS_TESTS_STATE_SCHEMA_COMPATIBILITY_H_
#define STASIS_TESTS_STATE_SCHEMA_COMPATIBILITY_H_

#include <string>

namespace stasis::stateify {

// Compares two lock files of one layer, the first of which was released earlier. Empty if all that
// was written by the first can be read by the second, else what stands in the way.
std::string Incompatibility(const std::string& released_lock, const std::string& current_lock);

}  // namespace stasis::stateify

#endif  // STASIS_TESTS_STATE_SCHEMA_COMPATIBILITY_H_
