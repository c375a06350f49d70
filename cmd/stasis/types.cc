// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/types.h"

#include <filesystem>

#include "cmd/fuse/gen/types.h"
#include "restore/image/layout.h"
#include "restore/types.h"

namespace stasis::cli {

const char* Version() { return STASIS_VERSION; }

std::string Creator() { return std::string("stasis ") + Version(); }

std::string AbsoluteReference(const std::string& reference) {
  const size_t colon = reference.rfind(':');
  if (colon == std::string::npos || colon == 0) return reference;
  const std::filesystem::path directory(reference.substr(0, colon));
  return std::filesystem::absolute(directory).lexically_normal().string() + reference.substr(colon);
}

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
  request.directory = parsed->directory;
  request.tag = parsed->tag;
  return request;
}

}  // namespace stasis::cli
