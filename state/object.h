// SPDX-License-Identifier: Apache-2.0
//
// object.h: the base of everything that has an identity in saved state.
//
// An Object is saved as one row of its type's table, and every reference to it (RefPtr or borrowed
// pointer) as that row's number. The number lives in the object while a save runs: finding it costs
// one load, against a hash lookup per reference.

#ifndef STASIS_STATE_OBJECT_H_
#define STASIS_STATE_OBJECT_H_

#include <cstdint>

#include "state/annotations.h"
#include "state/base/ref_ptr.h"

namespace stasis::state {

class Object : public RefCounted {
 private:
  friend class GraphWriter;
  friend class GraphReader;
  friend class LoadContext;

  // Written only by the one save or load that runs, while nothing else touches the object.
  // `save_row_` means something only if `save_epoch_` is that of the current save.
  mutable uint32_t save_epoch_ = 0;
  mutable uint32_t save_row_ = 0;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_OBJECT_H_
