// SPDX-License-Identifier: Apache-2.0
//
// digest.h: SHA-256, the name of every blob and the seal of every frame.

#ifndef STASIS_RESTORE_IMAGE_DIGEST_H_
#define STASIS_RESTORE_IMAGE_DIGEST_H_

#include <absl/status/statusor.h>
#include <openssl/evp.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace stasis::image {

struct Digest {
  std::array<uint8_t, 32> bytes{};

  // 64 lower-case hexadecimal digits: the file name of a blob.
  std::string Hex() const;
  // "sha256:" and Hex(), as in an OCI descriptor.
  std::string ToString() const;
  // Reads what ToString() wrote.
  // Errors: kDataLoss for anything else, upper case included.
  static absl::StatusOr<Digest> Parse(std::string_view text);
  // The digest of `data`.
  static Digest Of(std::span<const std::byte> data);

  friend auto operator<=>(const Digest&, const Digest&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Digest& digest) {
    return H::combine(std::move(h), digest.bytes);
  }
};

// Computes a digest piece by piece. Not thread-safe.
class Hasher {
 public:
  Hasher();
  void Update(std::span<const std::byte> data);
  // The digest of all pieces; the hasher starts afresh.
  Digest Finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* ctx) const { EVP_MD_CTX_free(ctx); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> ctx_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_DIGEST_H_
