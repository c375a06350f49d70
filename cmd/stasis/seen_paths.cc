// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/seen_paths.h"

namespace stasis::cli {
namespace {

// What of `path` is below `root`: "" for the root itself, or "/a/b".
std::optional<std::string_view> Below(std::string_view root, std::string_view path) {
  if (path == "/") path = {};
  if (root == "/") return path;
  if (!path.starts_with(root)) return std::nullopt;
  path.remove_prefix(root.size());
  return path.empty() || path.front() == '/' ? std::optional(path) : std::nullopt;
}

}  // namespace

SeenPaths::SeenPaths(vfs::VirtualFilesystem& vfs, const vfs::MountNamespace& ns) {
  for (const auto& place : vfs.MountPlaces(ns))
    places_.push_back({place.mount->filesystem().dev(), place.root, place.path});
}

std::optional<std::string> SeenPaths::Of(uint32_t dev, std::string_view path) const {
  for (const Place& place : places_) {
    if (place.dev != dev) continue;
    const std::optional<std::string_view> rest = Below(place.root, path);
    if (!rest.has_value()) continue;
    std::string seen = place.path == "/" ? "" : place.path;
    seen += *rest;
    return seen.empty() ? "/" : seen;
  }
  return std::nullopt;
}

}  // namespace stasis::cli
