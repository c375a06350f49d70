// SPDX-License-Identifier: Apache-2.0
//
// reference.h: which image of an OCI layout, and for which machine.

#ifndef STASIS_RESTORE_OCI_REFERENCE_H_
#define STASIS_RESTORE_OCI_REFERENCE_H_

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

#include "restore/image/digest.h"

namespace stasis::oci {

// A value. With neither tag nor digest: the only image that there is.
struct ImageReference {
  std::string directory;
  std::string tag;
  std::optional<image::Digest> digest;  // of a manifest or of an image index

  // "DIR:TAG", "DIR@sha256:HEX" or "DIR".
  std::string ToString() const;
};

// Reads "DIR:TAG", "DIR@sha256:HEX" or "DIR", each also with "oci:" before it. A DIR with a colon
// in its name needs a tag or a digest. Errors: kInvalidArgument with a sentence that says what is
// wrong.
absl::StatusOr<ImageReference> ParseImageReference(std::string_view text);

// What a program runs on, in the words of OCI (those of Go): "linux", "amd64".
struct Platform {
  std::string os = "linux";
  std::string architecture;
  std::string variant;  // such as "v7"; empty: any

  static Platform Host();
  // "linux/amd64", "linux/arm/v7".
  std::string ToString() const;
};

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_REFERENCE_H_
