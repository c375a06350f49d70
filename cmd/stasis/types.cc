// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/types.h"

#include <filesystem>

#include "cmd/fuse/gen/types.h"
#include "restore/image/layout.h"
#include "restore/types.h"

namespace stasis::cli {

const char* Version() { return STASIS_VERSION; }

std::string Creator() { return std::string("stasis ") + Version(); }

Types::Types() {
  restore::RegisterTypes(registry_);
  fuse::gen::RegisterTypes(registry_);
}

absl::StatusOr<restore::RestoreRequest> Types::Request(const std::string& reference) const {
  absl::StatusOr<image::Reference> parsed = image::ParseReference(reference);
  if (!parsed.ok()) return parsed.status();
  restore::RestoreRequest request;
  request.registry = &registry_;
  request.clock = &clock_;
  // A daemon's working directory is not the caller's.
  request.directory = std::filesystem::absolute(parsed->directory).lexically_normal();
  request.tag = parsed->tag;
  return request;
}

}  // namespace stasis::cli
