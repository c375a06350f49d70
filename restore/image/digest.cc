// SPDX-License-Identifier: Apache-2.0

#include "restore/image/digest.h"

#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr std::string_view kPrefix = "sha256:";

// -1 for what is not a lower-case hexadecimal digit.
int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string Digest::Hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (uint8_t byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::string Digest::ToString() const { return std::string(kPrefix) + Hex(); }

absl::StatusOr<Digest> Digest::Parse(std::string_view text) {
  Digest digest;
  const bool shaped = text.substr(0, kPrefix.size()) == kPrefix &&
                      text.size() == kPrefix.size() + 2 * digest.bytes.size();
  if (!shaped)
    return DataLoss("\"{}\" is not a digest of the form sha256:HEX", text.substr(0, 100));
  for (size_t i = 0; i < digest.bytes.size(); ++i) {
    const int high = HexValue(text[kPrefix.size() + 2 * i]);
    const int low = HexValue(text[kPrefix.size() + 2 * i + 1]);
    if (high < 0 || low < 0)
      return DataLoss("digest \"{}\" has a character that is not one of 0-9a-f", text);
    digest.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

Digest Digest::Of(std::span<const std::byte> data) {
  Hasher hasher;
  hasher.Update(data);
  return hasher.Finish();
}

Hasher::Hasher() : ctx_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(ctx_.get(), EVP_sha256(), nullptr); }

void Hasher::Update(std::span<const std::byte> data) {
  EVP_DigestUpdate(ctx_.get(), data.data(), data.size());
}

Digest Hasher::Finish() {
  Digest digest;
  EVP_DigestFinal_ex(ctx_.get(), digest.bytes.data(), nullptr);
  EVP_DigestInit_ex(ctx_.get(), EVP_sha256(), nullptr);
  return digest;
}

}  // namespace stasis::image
