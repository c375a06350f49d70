// SPDX-License-Identifier: Apache-2.0
//
// open_image.h: the steps in which an image is opened, for the reader and for Verify.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_OPEN_IMAGE_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_OPEN_IMAGE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <vector>

#include "restore/image/image_reader.h"
#include "restore/image/state_blob.h"

namespace stasis::image {

// The manifest that `entry` names, verified; checked against the entry.
absl::StatusOr<ImageInfo> OpenManifest(const Layout& layout, std::string_view tag,
                                       const Descriptor& entry);
// Fills `info.config`, then checks the types of the layers.
absl::Status OpenConfig(const Layout& layout, const std::vector<std::string>& known_features,
                        ImageInfo& info);
// The state blob, verified and taken apart, its pack table checked against the manifest.
absl::StatusOr<DecodedState> OpenState(const Layout& layout, const ImageInfo& info);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_OPEN_IMAGE_H_
