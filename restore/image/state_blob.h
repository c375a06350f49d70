// SPDX-License-Identifier: Apache-2.0
//
// state_blob.h: the container of a saved graph and of the tables that say where file data is.
//
//   message  message  ...  index  footer
//
// Each message of each table is a zstd frame of its own, in the order of the tables; the index
// (state_blob.capnp) is another; the footer is a zstd skippable frame of fixed size that says where
// the index is. So the whole is a valid zstd stream. docs/image_format.md specifies it.

#ifndef STASIS_RESTORE_IMAGE_STATE_BLOB_H_
#define STASIS_RESTORE_IMAGE_STATE_BLOB_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "restore/image/tables.h"
#include "state/saved_graph.h"

namespace stasis::image {

// Content of one message, of the index.
inline constexpr uint64_t kMaxMessageContent = 64 * 1024 * 1024;
inline constexpr uint64_t kMaxIndexContent = 512 * 1024 * 1024;
// Stored bytes of a whole state blob.
inline constexpr uint64_t kMaxStateBlob = uint64_t{2} * 1024 * 1024 * 1024;

// What `stored` bytes may decompress to, so that a small file cannot ask for all of a host's
// memory. Real states are far from it (8 to 30 times).
constexpr uint64_t MaxContentFor(uint64_t stored) {
  return uint64_t{64} * 1024 * 1024 + stored * 128;
}

// The footer: magic and length of the skippable frame, then 64 bytes.
inline constexpr size_t kFooterSize = 72;

struct StateBlobSizes {
  uint64_t content = 0;  // of the messages
  uint64_t index = 0;    // of the index, stored
};

// Hands the blob to `write`, piece by piece. `graph.chunks` is not looked at.
// Errors: those of `write`; kResourceExhausted if a limit above is exceeded.
absl::StatusOr<StateBlobSizes> EncodeStateBlob(
    const state::SavedGraph& graph, const DataTables& data,
    const std::function<absl::Status(std::span<const std::byte>)>& write);

struct DecodedState {
  state::SavedGraph graph;  // without chunks
  DataTables data;
};

// Takes a blob apart; it may hold anything. What is in the messages is not looked at.
// Errors: kDataLoss naming table, row or message, and field.
absl::StatusOr<DecodedState> DecodeStateBlob(std::span<const std::byte> blob);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_STATE_BLOB_H_
