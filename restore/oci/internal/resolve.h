// SPDX-License-Identifier: Apache-2.0
//
// resolve.h: from a reference to a manifest.

#ifndef STASIS_RESTORE_OCI_INTERNAL_RESOLVE_H_
#define STASIS_RESTORE_OCI_INTERNAL_RESOLVE_H_

#include <absl/status/statusor.h>

#include "restore/image/layout.h"
#include "restore/oci/reference.h"

namespace stasis::oci {

// The descriptor of the manifest that `reference` names, through image indexes by `platform`.
// Errors: kNotFound with what there is instead; kDataLoss; kUnimplemented.
absl::StatusOr<image::Descriptor> ResolveManifest(const image::Layout& layout,
                                                  const ImageReference& reference,
                                                  const Platform& platform);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_RESOLVE_H_
