// SPDX-License-Identifier: Apache-2.0
//
// attributes.h: between vfs::Stat and the protocol's forms of it.

#ifndef STASIS_CMD_FUSE_ATTRIBUTES_H_
#define STASIS_CMD_FUSE_ATTRIBUTES_H_

#include <cstdint>

#include "cmd/fuse/protocol.h"
#include "state/base/result.h"
#include "vfs/stat.h"

namespace stasis::fuse {

fuse_attr ToAttr(const vfs::Stat& stat);
StatxBody ToStatx(const vfs::Stat& stat);

// The attributes to change, and the privileges that go with the change: with HANDLE_KILLPRIV_V2 the
// kernel leaves that to the server. Errors: EINVAL for a time with too many nanoseconds.
Result<vfs::SetStat> ToSetStat(const fuse_setattr_in& in);

// Device numbers as the protocol has them (32 bits) and as makedev(3) has them.
uint32_t EncodeDevice(uint64_t device);
uint64_t DecodeDevice(uint32_t encoded);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_ATTRIBUTES_H_
