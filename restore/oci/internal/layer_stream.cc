// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/layer_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "restore/image/internal/status.h"
#include "restore/internal/format.h"
#include "restore/transfer/internal/locale_scope.h"

namespace stasis::oci {
namespace {

using image::DataLoss;
using restore::LocaleScope;

constexpr size_t kBufferSize = size_t{256} * 1024;
// Names and extended attributes of one entry, and the map of its holes.
constexpr uint64_t kMaxHeader = uint64_t{64} << 20;
constexpr uint64_t kTick = uint64_t{16} << 20;

int FilterOf(Compression compression) {
  return compression == Compression::kGzip ? ARCHIVE_FILTER_GZIP : ARCHIVE_FILTER_ZSTD;
}

std::string Reason(struct archive* a) {
  const char* text = archive_error_string(a);
  return text == nullptr ? "no reason given" : text;
}

}  // namespace

LayerStream::LayerStream(UniqueFd fd, const LayerBlob& layer, const LayerStreamOptions& options)
    : fd_(std::move(fd)), layer_(layer), options_(options), buffer_(kBufferSize) {}

LayerStream::~LayerStream() {
  const LocaleScope locale;
  if (tar_ != nullptr) archive_read_free(tar_);
  if (decompressor_ != nullptr) archive_read_free(decompressor_);
}

ssize_t LayerStream::OnReadBlob(struct archive* a, void* self, const void** out) {
  ReadResult piece;
  if (static_cast<LayerStream*>(self)->ReadBlob(piece)) {
    *out = piece.data();
    return static_cast<ssize_t>(piece.size());
  }
  archive_set_error(a, EIO, "cannot read the blob");
  return ARCHIVE_FATAL;
}

ssize_t LayerStream::OnReadPlain(struct archive* a, void* self, const void** out) {
  ReadResult piece;
  if (static_cast<LayerStream*>(self)->ReadPlain(piece)) {
    *out = piece.data();
    return static_cast<ssize_t>(piece.size());
  }
  archive_set_error(a, EIO, "cannot read the layer");
  return ARCHIVE_FATAL;
}

bool LayerStream::ReadBlob(ReadResult& out) {
  ssize_t n = 0;
  do {
    n = ::read(fd_.get(), buffer_.data(), buffer_.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    error_ = restore::ErrnoStatus(errno, "cannot read the blob");
    return false;
  }
  out = ReadResult(buffer_).first(static_cast<size_t>(n));
  blob_hasher_.Update(out);
  return true;
}

bool LayerStream::ReadPlain(ReadResult& out) {
  if (decompressor_ == nullptr) {
    if (!ReadBlob(out)) return false;
  } else if (plain_end_) {
    out = {};
  } else {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(decompressor_, &data, &size, &offset);
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF) {
      if (error_.ok()) error_ = Failed(decompressor_, "cannot decompress");
      return false;
    }
    plain_end_ = result == ARCHIVE_EOF;
    out = plain_end_ ? ReadResult() : ReadResult(static_cast<const std::byte*>(data), size);
  }
  return CheckPlain(out.size()) && (plain_hasher_.Update(out), true);
}

// Counts what was read against the limits.
bool LayerStream::CheckPlain(size_t length) {
  bytes_ += length;
  header_bytes_ += length;
  if (bytes_ > options_.max_bytes) {
    error_ = absl::ResourceExhaustedError(fmt::format(
        "it has more than {} uncompressed bytes, the limit; if they are wanted, raise it",
        options_.max_bytes));
  } else if (in_header_ && header_bytes_ > kMaxHeader) {
    error_ = DataLoss("an entry's header has more than {} bytes", kMaxHeader);
  } else if (options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed)) {
    error_ = absl::CancelledError("cancelled");
  }
  if (bytes_ >= next_tick_ && options_.on_progress) {
    options_.on_progress(bytes_);
    next_tick_ = bytes_ + kTick;
  }
  return error_.ok();
}

absl::Status LayerStream::Open() {
  opened_ = true;
  const LocaleScope locale;
  if (layer_.compression != Compression::kNone) IMAGE_RETURN_IF_ERROR(OpenDecompressor());
  tar_ = archive_read_new();
  archive_read_support_format_tar(tar_);
  archive_read_support_format_empty(tar_);
  in_header_ = true;
  if (archive_read_open2(tar_, this, nullptr, &OnReadPlain, nullptr, nullptr) != ARCHIVE_OK)
    return Failed(tar_, "it is not a tar file");
  return absl::OkStatus();
}

// The content of a compressed file is one nameless entry of format "raw".
absl::Status LayerStream::OpenDecompressor() {
  decompressor_ = archive_read_new();
  const std::string_view name = CompressionName(layer_.compression);
  const int supported = layer_.compression == Compression::kGzip
                            ? archive_read_support_filter_gzip(decompressor_)
                            : archive_read_support_filter_zstd(decompressor_);
  if (supported != ARCHIVE_OK)
    return absl::UnimplementedError(fmt::format("this libarchive cannot read {}", name));
  archive_read_support_format_raw(decompressor_);
  archive_read_support_format_empty(decompressor_);
  struct archive_entry* entry = nullptr;
  if (archive_read_open2(decompressor_, this, nullptr, &OnReadBlob, nullptr, nullptr) != ARCHIVE_OK)
    return Failed(decompressor_, "cannot decompress");
  const int result = archive_read_next_header(decompressor_, &entry);
  if (result != ARCHIVE_OK && result != ARCHIVE_EOF)
    return Failed(decompressor_, "cannot decompress");
  if (archive_filter_code(decompressor_, 0) != FilterOf(layer_.compression))
    return DataLoss("its type says that it is compressed with {}, but it is not", name);
  plain_end_ = result == ARCHIVE_EOF;
  return absl::OkStatus();
}

absl::StatusOr<struct archive_entry*> LayerStream::Next() {
  if (!opened_) IMAGE_RETURN_IF_ERROR(Open());
  const LocaleScope locale;
  struct archive_entry* entry = nullptr;
  // What is left of the entry before is not part of the header.
  if (has_entry_ && archive_read_data_skip(tar_) < ARCHIVE_WARN)
    return Failed(tar_, "its tar file is damaged");
  in_header_ = true;
  header_bytes_ = 0;
  const int result = archive_read_next_header(tar_, &entry);
  in_header_ = false;
  has_entry_ = result >= ARCHIVE_WARN;
  if (result == ARCHIVE_EOF) return nullptr;
  if (result < ARCHIVE_WARN) return Failed(tar_, "its tar file is damaged");
  return entry;
}

absl::StatusOr<LayerStream::Data> LayerStream::Read() {
  const void* data = nullptr;
  size_t size = 0;
  la_int64_t offset = 0;
  const int result = archive_read_data_block(tar_, &data, &size, &offset);
  if (result == ARCHIVE_EOF) return Data{};
  if (result < ARCHIVE_WARN) return Failed(tar_, "its tar file is damaged");
  if (offset < 0) return DataLoss("its tar file is damaged: data at offset {}", offset);
  return Data{static_cast<uint64_t>(offset), {static_cast<const std::byte*>(data), size}};
}

absl::Status LayerStream::Failed(struct archive* a, const char* what) {
  if (!error_.ok()) return error_;
  if (archive_errno(a) == ENOMEM) return absl::ResourceExhaustedError(Reason(a));
  return DataLoss("{}: {}", what, Reason(a));
}

absl::Status LayerStream::Drain() {
  ReadResult piece;
  do {
    if (!ReadPlain(piece)) return error_;
  } while (!piece.empty());
  return absl::OkStatus();
}

absl::Status LayerStream::Finish() {
  absl::Status plain = error_;
  if (plain.ok() && opened_) plain = Drain();
  if (absl::IsCancelled(plain) || absl::IsResourceExhausted(plain)) return plain;
  // Whatever is wrong inside: if the blob is not the one that was asked for, that is the reason.
  ReadResult piece;
  do {
    if (!ReadBlob(piece)) return error_;
  } while (!piece.empty());
  if (const image::Digest found = blob_hasher_.Finish(); found != layer_.blob.digest)
    return DataLoss("the blob is damaged: its content has digest {}", found.ToString());
  if (!plain.ok()) return plain;
  if (const image::Digest found = plain_hasher_.Finish(); found != layer_.diff_id)
    return DataLoss("its uncompressed content has digest {}, but the config says {}",
                    found.ToString(), layer_.diff_id.ToString());
  return absl::OkStatus();
}

}  // namespace stasis::oci
