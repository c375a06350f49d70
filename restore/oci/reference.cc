// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/reference.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <array>
#include <utility>

#include "restore/image/internal/status.h"
#include "restore/image/layout.h"

namespace stasis::oci {
namespace {

constexpr std::string_view kPrefix = "oci:";
constexpr std::string_view kDigestMark = "@sha256:";

struct Architecture {
  std::string_view machine;  // as uname(2) says it
  std::string_view name;
};
constexpr std::array<Architecture, 8> kArchitectures = {{{"x86_64", "amd64"},
                                                         {"aarch64", "arm64"},
                                                         {"armv7l", "arm"},
                                                         {"armv6l", "arm"},
                                                         {"i686", "386"},
                                                         {"i386", "386"},
                                                         {"loongarch64", "loong64"},
                                                         {"mips64", "mips64le"}}};

absl::StatusOr<ImageReference> WithDigest(std::string_view text, size_t mark) {
  ImageReference reference;
  reference.directory = std::string(text.substr(0, mark));
  auto digest = image::Digest::Parse(text.substr(mark + 1));
  if (!digest.ok())
    return absl::InvalidArgumentError(
        fmt::format("\"{}\": {}", text, std::string(digest.status().message())));
  reference.digest = *digest;
  return reference;
}

}  // namespace

std::string ImageReference::ToString() const {
  if (digest) return directory + "@" + digest->ToString();
  return tag.empty() ? directory : directory + ":" + tag;
}

absl::StatusOr<ImageReference> ParseImageReference(std::string_view text) {
  const std::string_view whole = text;
  if (text.substr(0, kPrefix.size()) == kPrefix) text.remove_prefix(kPrefix.size());
  ImageReference reference;
  if (const size_t mark = text.rfind(kDigestMark); mark != text.npos) {
    IMAGE_ASSIGN_OR_RETURN(reference, WithDigest(text, mark));
  } else if (text.rfind(':') != text.npos) {
    IMAGE_ASSIGN_OR_RETURN(image::Reference parsed, image::ParseReference(text));
    reference.directory = std::move(parsed.directory);
    reference.tag = std::move(parsed.tag);
  } else {
    reference.directory = std::string(text);
  }
  if (reference.directory.empty())
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" has no directory; a base image is named oci:DIR:TAG", whole));
  return reference;
}

Platform Platform::Host() {
  Platform platform;
  struct utsname name = {};
  ::uname(&name);
  const std::string_view machine = name.machine;
  platform.architecture = std::string(machine);
  for (const Architecture& known : kArchitectures)
    if (machine == known.machine) platform.architecture = std::string(known.name);
  if (machine == "armv7l") platform.variant = "v7";
  if (machine == "armv6l") platform.variant = "v6";
  return platform;
}

std::string Platform::ToString() const {
  return fmt::format("{}/{}{}{}", os, architecture, variant.empty() ? "" : "/", variant);
}

}  // namespace stasis::oci
