// SPDX-License-Identifier: Apache-2.0
//
// access.h: the door through which generated code reaches private fields.
//
// STATE_SAVABLE makes Access a friend, and the generator specialises its templates in
// <layer>/gen/<layer>.state.h:
//   Type<T> of a class derived from Object: kName, kLevel, kType (unless abstract)
//   Type<T> of a plain struct: kName, kFieldCount, kHasRefs, Encode, Decode, Visit, ClearReferences
//   Enum<E>: Valid
// Only generated code and codecs use it.

#ifndef STASIS_STATE_ACCESS_H_
#define STASIS_STATE_ACCESS_H_

#include "state/annotations.h"

namespace stasis::state {

struct Access {
  template <typename T>
  struct Type;
  template <typename E>
  struct Enum;
};

}  // namespace stasis::state

#endif  // STASIS_STATE_ACCESS_H_
