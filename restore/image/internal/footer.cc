// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/footer.h"

#include <cstring>

#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr uint32_t kSkippableMagic = 0x184d2a5f;
constexpr uint32_t kPayload = kFooterSize - 8;
constexpr char kMagic[] = "STASISF1";  // 8 bytes without the NUL

void PutLittleEndian(std::byte* at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) at[i] = static_cast<std::byte>(value >> (8 * i));
}

uint64_t GetLittleEndian(const std::byte* at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= std::to_integer<uint64_t>(at[i]) << (8 * i);
  return value;
}

}  // namespace

std::array<std::byte, kFooterSize> EncodeFooter(const Footer& footer) {
  std::array<std::byte, kFooterSize> out{};
  PutLittleEndian(&out[0], kSkippableMagic, 4);
  PutLittleEndian(&out[4], kPayload, 4);
  std::memcpy(&out[8], kMagic, 8);
  PutLittleEndian(&out[16], footer.index_offset, 8);
  PutLittleEndian(&out[24], footer.index_stored, 8);
  PutLittleEndian(&out[32], footer.index_content, 8);
  std::memcpy(&out[40], footer.index_digest.bytes.data(), 32);
  return out;
}

absl::StatusOr<Footer> DecodeFooter(std::span<const std::byte> blob) {
  if (blob.size() < kFooterSize)
    return DataLoss("state blob, footer: the blob has {} bytes only", blob.size());
  const std::byte* at = blob.data() + blob.size() - kFooterSize;
  if (GetLittleEndian(at, 4) != kSkippableMagic || GetLittleEndian(at + 4, 4) != kPayload ||
      std::memcmp(at + 8, kMagic, 8) != 0)
    return DataLoss("state blob, footer, field magic: not that of a state blob");
  Footer footer;
  footer.index_offset = GetLittleEndian(at + 16, 8);
  footer.index_stored = GetLittleEndian(at + 24, 8);
  footer.index_content = GetLittleEndian(at + 32, 8);
  std::memcpy(footer.index_digest.bytes.data(), at + 40, 32);
  const uint64_t end = blob.size() - kFooterSize;
  if (footer.index_offset > end || footer.index_stored != end - footer.index_offset)
    return DataLoss(
        "state blob, footer, field indexStoredLength: {} bytes at {} do not end where the footer "
        "begins, at {}",
        footer.index_stored, footer.index_offset, end);
  if (footer.index_content > kMaxIndexContent ||
      footer.index_content > MaxContentFor(footer.index_stored))
    return DataLoss("state blob, footer, field indexContentLength: {} bytes are over the limit",
                    footer.index_content);
  return footer;
}

}  // namespace stasis::image
