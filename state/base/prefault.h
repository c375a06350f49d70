// SPDX-License-Identifier: Apache-2.0
//
// prefault.h: memory of a process that is about to load much, taken from the system before.
//
// A page that is touched for the first time costs a fault. Whoever has time now and none later, as
// a daemon that is to take over while programs wait, takes them together.

#ifndef STASIS_STATE_BASE_PREFAULT_H_
#define STASIS_STATE_BASE_PREFAULT_H_

#include <cstddef>

namespace stasis {

// While it lives, this thread finds about `bytes` of memory ready: of malloc's and, block by block,
// of slabs (slab.h). What was not used goes back to the system. One at a time.
// Requires: the thread is the process's first.
class Prefault {
 public:
  explicit Prefault(size_t bytes);
  ~Prefault();
  Prefault(const Prefault&) = delete;
  Prefault& operator=(const Prefault&) = delete;
};

}  // namespace stasis

#endif  // STASIS_STATE_BASE_PREFAULT_H_
