// SPDX-License-Identifier: Apache-2.0
//
// copy_image.h: an image from one layout into another.

#ifndef STASIS_RESTORE_IMAGE_COPY_IMAGE_H_
#define STASIS_RESTORE_IMAGE_COPY_IMAGE_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "restore/image/layout.h"

namespace stasis::image {

struct CopyProgress {
  uint64_t blobs_done = 0;
  uint64_t blobs_total = 0;
  uint64_t bytes_done = 0;  // read, here or there
  uint64_t bytes_total = 0;
};

struct CopyOptions {
  std::function<void(const CopyProgress&)> on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed; true stops it with kCancelled
};

struct CopyReport {
  Digest digest;  // of the manifest
  uint64_t blobs_copied = 0;
  uint64_t bytes_copied = 0;
  uint64_t blobs_present = 0;  // that the target had already
  uint64_t bytes_present = 0;
  uint64_t referrers = 0;  // such as a trace, that came along
  std::vector<std::string> warnings;
};

// Copies manifest, config, state, packs, and what refers to the image (its trace) to `to_tag` of
// `to`, which moves if it is there. Each blob is verified on the way; so is one that the target
// has, and it is replaced if it is damaged. All or nothing.
//
// Requires: to.writable(). `from` may be the same layout.
// Errors: kNotFound; kUnimplemented for an image that is no checkpoint; kDataLoss naming the blob;
// kCancelled; those of writing.
absl::StatusOr<CopyReport> CopyImage(const Layout& from, const std::string& from_tag, Layout& to,
                                     const std::string& to_tag, const CopyOptions& options);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_COPY_IMAGE_H_
