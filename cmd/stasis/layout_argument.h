// SPDX-License-Identifier: Apache-2.0
//
// layout_argument.h: an image layout on the command line.

#ifndef STASIS_CMD_STASIS_LAYOUT_ARGUMENT_H_
#define STASIS_CMD_STASIS_LAYOUT_ARGUMENT_H_

#include <absl/status/statusor.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "restore/image/layout.h"
#include "restore/image/lease.h"

namespace stasis::cli {

// The directory of "DIR:" or "DIR".
std::string LayoutDirectory(const std::string& text);

// The layout for reading. Errors: those of Layout::Open; kNotFound says so if `text` has a tag.
absl::StatusOr<std::unique_ptr<image::Layout>> OpenLayout(const std::string& text);
// The same for writing; never makes one.
absl::StatusOr<std::unique_ptr<image::Layout>> OpenLayoutForWriting(const std::string& text);

// {"pid", "name", "everything"}
nlohmann::ordered_json LeaseToJson(const image::LeaseInfo& lease);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_LAYOUT_ARGUMENT_H_
