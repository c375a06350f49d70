// SPDX-License-Identifier: Apache-2.0
//
// digest.h: SHA-256 of a host file's content.

#ifndef STASIS_FSIMPL_GOFER_DIGEST_H_
#define STASIS_FSIMPL_GOFER_DIGEST_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "fsimpl/gofer/host_ops.h"

namespace stasis::gofer {

using Sha256 = std::array<uint8_t, 32>;

// Of all that is in the file of `fd`, which is to be as it was `found`. Errors: ESTALE if it is
// another one or was changed, those of reading, ECANCELED once `cancel` (may be null) is true.
Result<Sha256> DigestOf(HostOps& ops, int fd, const HostStat& found,
                        const std::atomic<bool>* cancel = nullptr);

std::string ToHex(const Sha256& digest);

}  // namespace stasis::gofer

#endif  // STASIS_FSIMPL_GOFER_DIGEST_H_
