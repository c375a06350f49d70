// SPDX-License-Identifier: Apache-2.0
//
// layer_stream.h: the blob of a layer as the entries of its tar file.
//
// Decompressing, hashing both forms and reading the tar are one pass, with libarchive. Everything
// in a blob is hostile until Finish() has said that both digests are right.

#ifndef STASIS_RESTORE_OCI_INTERNAL_LAYER_STREAM_H_
#define STASIS_RESTORE_OCI_INTERNAL_LAYER_STREAM_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "restore/image/digest.h"
#include "restore/oci/image.h"
#include "state/base/unique_fd.h"

struct archive;
struct archive_entry;

namespace stasis::oci {

struct LayerStreamOptions {
  uint64_t max_bytes = UINT64_MAX;                  // of the uncompressed tar file
  const std::atomic<bool>* cancel = nullptr;        // borrowed
  std::function<void(uint64_t bytes)> on_progress;  // uncompressed, every few megabytes
};

// Not thread-safe.
class LayerStream {
 public:
  // A stretch of data of a file. Length 0: its end.
  struct Data {
    uint64_t offset = 0;
    std::span<const std::byte> bytes;
  };

  // `layer` and `options` are borrowed; `fd` is at the beginning of the blob.
  LayerStream(UniqueFd fd, const LayerBlob& layer, const LayerStreamOptions& options);
  ~LayerStream();
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;

  // The next entry, valid until the next call; null at the end.
  // Errors: kDataLoss; kResourceExhausted if there is more than max_bytes; kCancelled; kInternal.
  absl::StatusOr<struct archive_entry*> Next();
  absl::StatusOr<Data> Read();

  // Reads what is left, and compares both digests. Call it also after an error in what the entries
  // hold: that the blob is not what it should be says more.
  absl::Status Finish();

  uint64_t bytes() const { return bytes_; }  // uncompressed, so far

 private:
  using ReadResult = std::span<const std::byte>;

  absl::Status Open();
  absl::Status OpenDecompressor();
  // The next piece of the blob, or of what is in it; empty at the end. After an error: `error_`.
  bool ReadBlob(ReadResult& out);
  bool ReadPlain(ReadResult& out);
  bool CheckPlain(size_t length);
  absl::Status Failed(struct archive* a, const char* what);
  absl::Status Drain();

  static ssize_t OnReadBlob(struct archive* a, void* self, const void** out);
  static ssize_t OnReadPlain(struct archive* a, void* self, const void** out);

  const UniqueFd fd_;
  const LayerBlob& layer_;
  const LayerStreamOptions& options_;
  struct archive* decompressor_ = nullptr;  // null: the blob is plain
  struct archive* tar_ = nullptr;
  bool opened_ = false;
  bool plain_end_ = false;
  bool has_entry_ = false;
  bool in_header_ = false;
  uint64_t header_bytes_ = 0;  // that the current entry's header took
  uint64_t bytes_ = 0;
  uint64_t next_tick_ = 0;
  std::vector<std::byte> buffer_;
  image::Hasher blob_hasher_;
  image::Hasher plain_hasher_;
  absl::Status error_;  // of a callback
};

}  // namespace stasis::oci

#endif  // STASIS_RESTORE_OCI_INTERNAL_LAYER_STREAM_H_
