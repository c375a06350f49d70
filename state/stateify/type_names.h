// SPDX-License-Identifier: Apache-2.0
//
// type_names.h: from a C++ type to its saved form.

#ifndef STASIS_STATE_STATEIFY_TYPE_NAMES_H_
#define STASIS_STATE_STATEIFY_TYPE_NAMES_H_

#include <clang-c/Index.h>

#include <string>

#include "state/stateify/model.h"

namespace stasis::stateify {

// What the classifier asks of the parser.
class ClassIndex {
 public:
  virtual ~ClassIndex() = default;
  // The savable class of that definition; null if it is not one.
  virtual const Class* FindSavable(CXCursor definition) const = 0;
  // The name of an enum that a saved field uses; makes it known.
  virtual std::string UseEnum(CXCursor declaration) = 0;
};

// The saved form of `type`. Empty `why` on success, else what is wrong with it.
// `viewable`: std::string_view is allowed, as for what a SaveFoo() returns.
SavedType Classify(CXType type, ClassIndex& index, bool viewable, std::string& why);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_TYPE_NAMES_H_
