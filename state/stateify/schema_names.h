// SPDX-License-Identifier: Apache-2.0
//
// schema_names.h: names of saved classes and fields in Cap'n Proto schemas.

#ifndef STASIS_STATE_STATEIFY_SCHEMA_NAMES_H_
#define STASIS_STATE_STATEIFY_SCHEMA_NAMES_H_

#include <string>

namespace stasis::stateify {

// "control_fd" -> "ControlFd"
std::string UpperCamel(const std::string& name);
// "control_fd" -> "controlFd"
std::string LowerCamel(const std::string& name);
// "vfs.Mount.Options" -> "MountOptions"
std::string StructName(const std::string& class_name);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_SCHEMA_NAMES_H_
