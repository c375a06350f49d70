// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/layout_argument.h"

#include "cmd/stasis/output.h"

namespace stasis::cli {

std::string LayoutDirectory(const std::string& text) {
  return text.ends_with(':') ? text.substr(0, text.size() - 1) : text;
}

absl::StatusOr<std::unique_ptr<image::Layout>> OpenLayout(const std::string& text) {
  if (LayoutDirectory(text).empty())
    return absl::InvalidArgumentError("the name of the layout is empty; it is a directory: DIR:");
  auto layout = image::Layout::Open(LayoutDirectory(text));
  const absl::StatusOr<image::Reference> tagged = image::ParseReference(text);
  if (absl::IsNotFound(layout.status()) && tagged.ok())
    return WithRemedy(layout.status(), "name the layout without a tag: " + tagged->directory + ":");
  return layout;
}

absl::StatusOr<std::unique_ptr<image::Layout>> OpenLayoutForWriting(const std::string& text) {
  if (const auto there = OpenLayout(text); !there.ok()) return there.status();
  return image::Layout::OpenForWriting(LayoutDirectory(text));
}

nlohmann::ordered_json LeaseToJson(const image::LeaseInfo& lease) {
  return {{"pid", lease.pid}, {"name", lease.name}, {"everything", lease.everything}};
}

}  // namespace stasis::cli
