// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/digest.h"

#include <absl/strings/escaping.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <vector>

namespace stasis::gofer {
namespace {

constexpr size_t kReadSize = size_t{256} << 10;

bool IsUnchanged(const HostStat& now, const HostStat& before) {
  return now.key == before.key && now.type() == before.type() &&
         now.stat.size == before.stat.size && now.stat.mtime == before.stat.mtime &&
         now.stat.ctime == before.stat.ctime;
}

}  // namespace

Result<Sha256> DigestOf(HostOps& ops, int fd, const HostStat& found,
                        const std::atomic<bool>* cancel) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  if (context == nullptr || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
    return Err(ENOMEM);
  std::vector<std::byte> buffer(kReadSize);
  // Not further: the file may grow as fast as it is read.
  for (uint64_t at = 0; at < found.stat.size;) {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return Err(ECANCELED);
    const uint64_t wanted = std::min<uint64_t>(buffer.size(), found.stat.size - at);
    auto size = ops.Read(fd, at, std::span(buffer).first(wanted));
    if (!size && size.error() == Errno(EINTR)) continue;
    if (!size) return Err(size.error());
    if (*size == 0) break;
    if (EVP_DigestUpdate(context.get(), buffer.data(), *size) != 1) return Err(EIO);
    at += *size;
  }
  STASIS_ASSIGN_OR_RETURN(const HostStat now, ops.Statx(fd, ""));
  if (!IsUnchanged(now, found)) return Err(ESTALE);
  Sha256 digest{};
  if (EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) return Err(EIO);
  return digest;
}

std::string ToHex(const Sha256& digest) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace stasis::gofer
