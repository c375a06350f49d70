// SPDX-License-Identifier: Apache-2.0
//
// overlay_format.h: how a directory says that it is a layer, for the kernel's overlayfs and for
// OCI.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_OVERLAY_FORMAT_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_OVERLAY_FORMAT_H_

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "restore/transfer/tree_source.h"

namespace stasis::restore {

// Of OCI, in tar files.
inline constexpr std::string_view kWhiteoutPrefix = ".wh.";
inline constexpr std::string_view kReservedPrefix = ".wh..wh.";  // aufs's own files
inline constexpr std::string_view kOpaqueName = ".wh..wh..opq";

// Of overlayfs, in directories: attributes begin with the first, or with the second where the
// writer was not root.
inline constexpr std::string_view kTrustedOverlay = "trusted.overlay.";
inline constexpr std::string_view kUserOverlay = "user.overlay.";

inline bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

inline bool IsOverlayXattr(std::string_view name) {
  return StartsWith(name, kTrustedOverlay) || StartsWith(name, kUserOverlay);
}

// The value of "trusted.overlay.KEY" or "user.overlay.KEY".
inline std::optional<std::string> OverlayXattr(const Xattrs& xattrs, std::string_view key) {
  for (const std::string_view prefix : {kTrustedOverlay, kUserOverlay}) {
    const auto it = xattrs.find(std::string(prefix) + std::string(key));
    if (it != xattrs.end()) return it->second;
  }
  return std::nullopt;
}

inline void RemoveOverlayXattrs(Xattrs& xattrs) {
  std::erase_if(xattrs, [](const auto& item) { return IsOverlayXattr(item.first); });
}

inline bool IsWhiteout(uint32_t mode, uint64_t rdev) { return S_ISCHR(mode) && rdev == 0; }

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_OVERLAY_FORMAT_H_
