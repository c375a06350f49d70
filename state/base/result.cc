// SPDX-License-Identifier: Apache-2.0

#include "state/base/result.h"

#include <cstring>

namespace stasis {

std::string ErrnoName(Errno e) {
  const char* name = ::strerrorname_np(e.value());
  return name != nullptr ? std::string(name) : "errno " + std::to_string(e.value());
}

std::ostream& operator<<(std::ostream& os, Errno e) { return os << ErrnoName(e); }

}  // namespace stasis
