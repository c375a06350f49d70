// SPDX-License-Identifier: Apache-2.0
//
// unpack.h: a layer's blob into a directory.

#ifndef STASIS_RESTORE_OCI_INTERNAL_UNPACK_H_
#define STASIS_RESTORE_OCI_INTERNAL_UNPACK_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "restore/image/layout.h"
#include "restore/oci/image.h"
#include "restore/oci/layer_cache.h"

namespace stasis::oci {

// What layer.json says of an unpacked layer.
struct LayerRecord {
  image::Digest digest;
  image::Digest diff_id;
  uint64_t bytes = 0;  // uncompressed
  uint64_t entries = 0;
  uint64_t apparent_bytes = 0;
  std::vector<std::string> implied;  // directories without an entry of their own

  std::string Encode() const;
  // Errors: kDataLoss.
  static absl::StatusOr<LayerRecord> Parse(std::string_view text);
};

// Unpacks into `root`, an empty directory, for the trees `lowers` below (topmost first).
// `warnings` get "PATH: MESSAGE". Errors name the entry.
absl::StatusOr<LayerRecord> UnpackLayer(const image::Layout& layout, const LayerBlob& layer,
                                        UniqueFd root, const std::vector<std::string>& lowers,
                                        const UnpackOptions& options,
                                        std::vector<std::string>& warnings);

// True if the directories that were made without an entry, in the layer unpacked at `tree`, have
// the attributes that they would get over `lowers`.
bool FitsOver(const std::string& tree, const LayerRecord& record,
              const std::vector<std::string>& lowers);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_UNPACK_H_
