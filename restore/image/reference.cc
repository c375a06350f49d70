// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include <algorithm>

#include "restore/image/layout.h"

namespace stasis::image {
namespace {

constexpr size_t kMaxTag = 128;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool MayStartTag(char c) { return IsAlphanumeric(c) || c == '_'; }
bool MayBeInTag(char c) { return MayStartTag(c) || c == '.' || c == '-'; }

absl::Status Invalid(std::string message) { return absl::InvalidArgumentError(std::move(message)); }

}  // namespace

absl::Status CheckTag(std::string_view tag) {
  if (tag.empty()) return Invalid("the tag is empty");
  if (tag.size() > kMaxTag)
    return Invalid(fmt::format("the tag has {} characters, more than {}", tag.size(), kMaxTag));
  const bool good = MayStartTag(tag[0]) && std::all_of(tag.begin(), tag.end(), MayBeInTag);
  if (!good)
    return Invalid(fmt::format(
        "tag \"{}\" may have letters, digits, '_', '.' and '-' only and must not start with '.' "
        "or '-'",
        tag));
  return absl::OkStatus();
}

absl::StatusOr<Reference> ParseReference(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return Invalid(fmt::format("\"{}\" has no tag; an image is named DIR:TAG", text));
  Reference reference{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  if (reference.directory.empty())
    return Invalid(fmt::format("\"{}\" has no directory; an image is named DIR:TAG", text));
  if (reference.directory.find('\0') != std::string::npos)
    return Invalid("the directory's name has a NUL character in it");
  if (absl::Status status = CheckTag(reference.tag); !status.ok())
    return Invalid(
        fmt::format("\"{}\": {}; an image is named DIR:TAG", text, std::string(status.message())));
  return reference;
}

}  // namespace stasis::image
