// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/zstd.h"

#include "restore/image/internal/status.h"

namespace stasis::image {

FrameCompressor::FrameCompressor(int level) : ctx_(ZSTD_createCCtx()) {
  ZSTD_CCtx_setParameter(ctx_.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(ctx_.get(), ZSTD_c_checksumFlag, 1);
  ZSTD_CCtx_setParameter(ctx_.get(), ZSTD_c_contentSizeFlag, 1);
}

absl::Status FrameCompressor::Compress(std::span<const std::byte> content,
                                       std::vector<std::byte>& out) {
  out.clear();
  return Append(content, out);
}

absl::Status FrameCompressor::Append(std::span<const std::byte> content,
                                     std::vector<std::byte>& out) {
  const size_t start = out.size();
  out.resize(start + ZSTD_compressBound(content.size()));
  const size_t n = ZSTD_compress2(ctx_.get(), out.data() + start, out.size() - start,
                                  content.data(), content.size());
  if (ZSTD_isError(n))
    return absl::InternalError(
        fmt::format("cannot compress {} bytes: {}", content.size(), ZSTD_getErrorName(n)));
  out.resize(start + n);
  return absl::OkStatus();
}

absl::Status FrameDecompressor::CheckHeader(std::span<const std::byte> stored,
                                            uint64_t content_length, const std::string& what) {
  const unsigned long long declared = ZSTD_getFrameContentSize(stored.data(), stored.size());
  if (declared == ZSTD_CONTENTSIZE_ERROR) return DataLoss("{}: not a zstd frame", what);
  if (declared == ZSTD_CONTENTSIZE_UNKNOWN)
    return DataLoss("{}: the zstd frame does not say how long its content is", what);
  if (declared != content_length)
    return DataLoss("{}: the zstd frame has {} bytes of content, the table says {}", what, declared,
                    content_length);
  const size_t frame_length = ZSTD_findFrameCompressedSize(stored.data(), stored.size());
  if (ZSTD_isError(frame_length)) return DataLoss("{}: {}", what, ZSTD_getErrorName(frame_length));
  if (frame_length != stored.size())
    return DataLoss("{}: the zstd frame has {} stored bytes, the table says {}", what, frame_length,
                    stored.size());
  return absl::OkStatus();
}

absl::Status FrameDecompressor::Decompress(std::span<const std::byte> stored,
                                           std::span<std::byte> out, const std::string& what) {
  IMAGE_RETURN_IF_ERROR(CheckHeader(stored, out.size(), what));
  const size_t n =
      ZSTD_decompressDCtx(ctx_.get(), out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_isError(n)) return DataLoss("{}: {}", what, ZSTD_getErrorName(n));
  if (n != out.size())
    return DataLoss("{}: decompressed to {} bytes instead of {}", what, n, out.size());
  return absl::OkStatus();
}

}  // namespace stasis::image
