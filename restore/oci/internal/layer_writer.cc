// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/layer_writer.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <utility>

#include "restore/image/internal/status.h"
#include "restore/internal/format.h"
#include "restore/transfer/internal/tar_sink.h"

namespace stasis::oci {
namespace {

// Bytes of a tar file, hashed, compressed with libarchive, and appended to a blob. The content of a
// compressed file is one entry of format "raw".
class Compressor {
 public:
  Compressor(image::BlobWriter blob, Compression compression)
      : blob_(std::move(blob)), archive_(archive_write_new()) {
    if (compression == Compression::kGzip) {
      archive_write_add_filter_gzip(archive_);
      // Without the time of day in it.
      archive_write_set_filter_option(archive_, "gzip", "timestamp", nullptr);
    } else if (compression == Compression::kZstd) {
      archive_write_add_filter_zstd(archive_);
    }
    archive_write_set_format_raw(archive_);
    archive_write_set_bytes_in_last_block(archive_, 1);
    archive_write_open(archive_, this, nullptr, &OnWrite, nullptr);
    struct archive_entry* entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "layer");
    archive_write_header(archive_, entry);
    archive_entry_free(entry);
  }
  ~Compressor() { archive_write_free(archive_); }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  Result<void> Append(std::span<const std::byte> bytes) {
    plain_hasher_.Update(bytes);
    while (!bytes.empty()) {
      const la_ssize_t n = archive_write_data(archive_, bytes.data(), bytes.size());
      if (n <= 0) return Failed();
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return {};
  }
  Result<void> Finish() {
    if (archive_write_close(archive_) != ARCHIVE_OK) return Failed();
    return {};
  }

  image::BlobWriter TakeBlob() { return std::move(blob_); }
  image::Digest PlainDigest() { return plain_hasher_.Finish(); }
  // What the layout said when a write failed.
  const absl::Status& status() const { return status_; }

 private:
  static la_ssize_t OnWrite(struct archive* a, void* self, const void* data, size_t size) {
    auto* compressor = static_cast<Compressor*>(self);
    const auto* bytes = static_cast<const std::byte*>(data);
    compressor->status_ = compressor->blob_.Append({bytes, size});
    if (compressor->status_.ok()) return static_cast<la_ssize_t>(size);
    archive_set_error(a, EIO, "cannot write the blob");
    return -1;
  }
  Result<void> Failed() const {
    const int error = archive_errno(archive_);
    return Err(error > 0 ? error : EIO);
  }

  image::BlobWriter blob_;
  struct archive* archive_;
  image::Hasher plain_hasher_;
  absl::Status status_;
};

absl::Status CopyTree(LayerSource& source, Compressor& compressor,
                      const restore::TreeCopyOptions& options, restore::TransferReport& report) {
  restore::TarSink sink([&](std::span<const std::byte> bytes) { return compressor.Append(bytes); },
                        report);
  absl::Status copied = restore::TreeCopy(source, sink, options, report).Run();
  if (!source.status().ok()) return source.status();
  if (!compressor.status().ok()) return compressor.status();
  if (!copied.ok()) return copied;
  Result<void> finished = sink.Finish();
  if (finished) finished = compressor.Finish();
  if (!compressor.status().ok()) return compressor.status();
  if (!finished) return restore::ErrnoStatus(finished.error().value(), "cannot write the end");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LayerBlob> WriteLayer(LayerSource& source, Compression compression,
                                     const restore::TreeCopyOptions& options, image::Layout& layout,
                                     image::Transaction& transaction,
                                     restore::TransferReport& report) {
  IMAGE_ASSIGN_OR_RETURN(image::BlobWriter blob, image::BlobWriter::Create(layout, 0));
  Compressor compressor(std::move(blob), compression);
  IMAGE_RETURN_IF_ERROR(CopyTree(source, compressor, options, report));
  LayerBlob layer;
  layer.compression = compression;
  layer.diff_id = compressor.PlainDigest();
  IMAGE_ASSIGN_OR_RETURN(const image::StoredBlob stored, transaction.Add(compressor.TakeBlob()));
  layer.blob.media_type = LayerMediaType(compression);
  layer.blob.digest = stored.digest;
  layer.blob.size = stored.size;
  return layer;
}

}  // namespace stasis::oci
