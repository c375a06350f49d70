// SPDX-License-Identifier: Apache-2.0
//
// class_reader.h: one savable class of a parsed program.

#ifndef STASIS_STATE_STATEIFY_CLASS_READER_H_
#define STASIS_STATE_STATEIFY_CLASS_READER_H_

#include <clang-c/Index.h>

#include <set>
#include <string>

#include "state/stateify/model.h"
#include "state/stateify/type_names.h"

namespace stasis::stateify {

// True if the class has the mark of STATE_SAVABLE.
bool IsMarked(CXCursor definition);

// What is known of a class before any field is looked at: everything but hooks and fields.
// `c.name`, `c.layer` and `c.file` are the caller's.
void ReadHead(CXCursor definition, Class& c, Errors& errors);

// Its fields and hooks. Requires: the heads of all classes are in `index`.
void ReadBody(CXCursor definition, ClassIndex& index, Class& c, Errors& errors);

// The nearest savable class that a class derives from; a null cursor if there is none.
// `is_object`: whether it derives from state::Object.
CXCursor SavableBase(CXCursor definition, bool& is_object, Errors& errors);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_CLASS_READER_H_
