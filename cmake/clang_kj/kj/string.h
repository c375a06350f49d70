// SPDX-License-Identifier: Apache-2.0
//
// kj/string.h, for clang 16 and newer: Cap'n Proto 0.9 compares `const char* == StringPtr` in its
// headers and leaves that to C++20's reversed operators, which clang, following P2468, does not
// consider for it. Found before the real header; see cmake/StasisDependencies.cmake.

#pragma once
#pragma GCC system_header

#include_next <kj/string.h>

namespace kj {

inline bool operator==(const char* a, const StringPtr& b);
inline bool operator!=(const char* a, const StringPtr& b);
inline bool operator==(const char* a, const StringPtr& b) { return b.operator==(StringPtr(a)); }
inline bool operator!=(const char* a, const StringPtr& b) { return !(a == b); }

}  // namespace kj
