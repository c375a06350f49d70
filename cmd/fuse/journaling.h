// SPDX-License-Identifier: Apache-2.0
//
// journaling.h: what of a request goes into a journal.

#ifndef STASIS_CMD_FUSE_JOURNALING_H_
#define STASIS_CMD_FUSE_JOURNALING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cmd/fuse/journal.h"
#include "cmd/fuse/reply.h"
#include "cmd/fuse/request.h"

namespace stasis::fuse {

enum class Journaling {
  kNever,    // it changes nothing, but for access times
  kAlways,   // as it is, whatever comes of it
  kIfFound,  // LOOKUP: a missing file changes nothing
  // READDIR: as it is, for a directory's first listing gives numbers to its files (overlay). Nobody
  // is told of them, so the reply need not be kept.
  kFirstLook,
  kListing,  // READDIRPLUS: as READDIR, and then the lookups in its reply
};

Journaling JournalingOf(uint32_t opcode);

// Of a request that has run. Times of access, and for how long the kernel may keep what it is told,
// are left out: they depend on what no journal says.
Outcome OutcomeOf(uint32_t opcode, int error, const Reply& reply);

// A request's bytes, with another opcode, which takes the same payload.
std::vector<std::byte> WithOpcode(std::span<const std::byte> message, uint32_t opcode);

// The message of a kListing record: the lookups in the reply to a READDIRPLUS. Empty: none.
std::vector<std::byte> ListingOf(const Request& request, const Reply& reply);

// What a request of this side takes back: lookups that the kernel did not get, a handle.
std::vector<std::byte> MakeForget(std::span<const uint64_t> nodes);
std::vector<std::byte> MakeRelease(uint64_t handle);
// A lookup as in a listing.
std::vector<std::byte> MakeLookup(const fuse_in_header& listing, std::string_view name);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_JOURNALING_H_
