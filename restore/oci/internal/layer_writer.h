// SPDX-License-Identifier: Apache-2.0
//
// layer_writer.h: a tree as the blob of a layer.

#ifndef STASIS_RESTORE_OCI_INTERNAL_LAYER_WRITER_H_
#define STASIS_RESTORE_OCI_INTERNAL_LAYER_WRITER_H_

#include <absl/status/statusor.h>

#include "restore/image/transaction.h"
#include "restore/oci/image.h"
#include "restore/oci/internal/layer_source.h"
#include "restore/transfer/internal/tree_copy.h"

namespace stasis::oci {

// Writes the tree as a compressed tar file into the transaction's layout.
// Errors: what could not be read or written; kInvalidArgument for a name that layers cannot hold.
absl::StatusOr<LayerBlob> WriteLayer(LayerSource& source, Compression compression,
                                     const restore::TreeCopyOptions& options, image::Layout& layout,
                                     image::Transaction& transaction,
                                     restore::TransferReport& report);

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_LAYER_WRITER_H_
