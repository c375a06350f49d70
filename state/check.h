// SPDX-License-Identifier: Apache-2.0
//
// check.h: stops the program at an error of the programmer. Never for input.

#ifndef STASIS_STATE_CHECK_H_
#define STASIS_STATE_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace stasis::state {

inline void Require(bool condition, const char* what) {
  if (condition) [[likely]]
    return;
  std::fprintf(stderr, "stasis: broken requirement: %s\n", what);
  std::abort();
}

}  // namespace stasis::state

#endif  // STASIS_STATE_CHECK_H_
