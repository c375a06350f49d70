// SPDX-License-Identifier: Apache-2.0
//
// zstd.h: single zstd frames, with a checksum and their content size in the header.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_ZSTD_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_ZSTD_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace stasis::image {

// Compresses frames one after the other. Not thread-safe.
class FrameCompressor {
 public:
  explicit FrameCompressor(int level);

  // Replaces `out` by one frame of `content`. Data that does not compress is stored in raw blocks.
  absl::Status Compress(std::span<const std::byte> content, std::vector<std::byte>& out);
  // The same at the end of `out`.
  absl::Status Append(std::span<const std::byte> content, std::vector<std::byte>& out);

 private:
  struct Free {
    void operator()(ZSTD_CCtx* ctx) const { ZSTD_freeCCtx(ctx); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> ctx_;
};

// Decompresses frames from an untrusted source. Not thread-safe.
class FrameDecompressor {
 public:
  FrameDecompressor() : ctx_(ZSTD_createDCtx()) {}

  // Checks that `stored` is one frame, no more and no less, whose header says `content_length`.
  // Nothing of the content is touched: call it before memory is taken for the content.
  static absl::Status CheckHeader(std::span<const std::byte> stored, uint64_t content_length,
                                  const std::string& what);
  // Decompresses the frame into `out`, which it must fill exactly. Errors: kDataLoss.
  absl::Status Decompress(std::span<const std::byte> stored, std::span<std::byte> out,
                          const std::string& what);

 private:
  struct Free {
    void operator()(ZSTD_DCtx* ctx) const { ZSTD_freeDCtx(ctx); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> ctx_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_ZSTD_H_
