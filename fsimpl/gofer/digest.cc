// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/digest.h"

#include <absl/strings/escaping.h>
#include <openssl/evp.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace stasis::gofer {
namespace {

constexpr size_t kReadSize = size_t{256} << 10;

}  // namespace

Result<Sha256> DigestOf(HostOps& ops, int fd) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return Err(ENOMEM);
  std::vector<std::byte> buffer(kReadSize);
  for (uint64_t at = 0;;) {
    auto size = ops.Read(fd, at, buffer);
    if (!size && size.error() == Errno(EINTR)) continue;
    if (!size) return Err(size.error());
    if (*size == 0) break;
    if (EVP_DigestUpdate(context.get(), buffer.data(), *size) != 1) return Err(EIO);
    at += *size;
  }
  Sha256 digest{};
  if (EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) return Err(EIO);
  return digest;
}

std::string ToHex(const Sha256& digest) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace stasis::gofer
