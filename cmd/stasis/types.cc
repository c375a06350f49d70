// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/types.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <filesystem>
#include <vector>

#include "cmd/fuse/gen/types.h"
#include "cmd/sandbox/gen/types.h"
#include "cmd/sandbox/paths.h"
#include "restore/image/layout.h"
#include "restore/types.h"

namespace stasis::cli {

const char* Version() { return STASIS_VERSION; }

std::string Creator() { return std::string("stasis ") + Version(); }

std::string AbsoluteReference(const std::string& reference) {
  const size_t colon = reference.rfind(':');
  if (colon == std::string::npos || colon == 0) return reference;
  return sandbox::AbsolutePath(reference.substr(0, colon)) + reference.substr(colon);
}

absl::Status CheckParent(const std::string& path) {
  const std::filesystem::path parent =
      std::filesystem::path(sandbox::AbsolutePath(path)).parent_path();
  std::error_code error;
  if (std::filesystem::is_directory(parent, error)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("the directory ", parent.string(),
                                          " is not there; make it before: mkdir -p ",
                                          parent.string()));
}

Types::Types() {
  restore::RegisterTypes(registry_);
  fuse::gen::RegisterTypes(registry_);
  sandbox::gen::RegisterTypes(registry_);
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

absl::Status NameTags(const absl::Status& status, const restore::RestoreRequest& request) {
  if (!absl::IsNotFound(status)) return status;
  const auto layout = image::Layout::Open(request.directory);
  if (!layout.ok() || !absl::IsNotFound((*layout)->Resolve(request.tag).status())) return status;
  const auto tags = (*layout)->List();
  if (!tags.ok()) return status;
  std::vector<std::string> names;
  for (const image::TagEntry& entry : *tags) names.push_back(entry.tag);
  return absl::NotFoundError(absl::StrCat(
      status.message(),
      names.empty() ? "; there is none at all" : "; there are: ", absl::StrJoin(names, ", ")));
}

}  // namespace stasis::cli
