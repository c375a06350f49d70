// SPDX-License-Identifier: Apache-2.0
//
// verify.h: every byte of an image, checked.

#ifndef STASIS_RESTORE_IMAGE_VERIFY_H_
#define STASIS_RESTORE_IMAGE_VERIFY_H_

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "restore/image/layout.h"

namespace stasis::image {

struct VerifyProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
};

struct VerifyOptions {
  std::vector<std::string> known_features;
  std::function<void(const VerifyProgress&)> on_progress;
  // At most so many findings are kept; the rest is counted.
  size_t max_findings = 1000;
};

struct VerifyReport {
  std::vector<absl::Status> findings;  // everything that is wrong, in the order of discovery
  uint64_t findings_dropped = 0;       // past max_findings
  uint64_t blobs = 0;                  // checked
  uint64_t bytes = 0;                  // read
  uint64_t frames = 0;
  uint64_t chunks = 0;

  // OK, or the first finding with the number of further ones.
  absl::Status status() const;
};

// Checks the digest of every blob of an image, that every frame decompresses to what its digest
// says, that every chunk lies in its frame, and that the index entry says what the manifest says.
// Goes on after a finding as far as there is something to go on with. What rows of the state mean
// is not looked at: that is the loader's work.
VerifyReport VerifyImage(const Layout& layout, std::string_view tag, const VerifyOptions& options);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_VERIFY_H_
