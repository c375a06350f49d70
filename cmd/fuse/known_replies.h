// SPDX-License-Identifier: Apache-2.0
//
// known_replies.h: replies that a server has from the one before it.
//
// That one ran the requests and died before the kernel had the replies. The kernel sends the
// requests again, and they must not run twice. Which replies it has is not known to the last one:
// some are never asked for.

#ifndef STASIS_CMD_FUSE_KNOWN_REPLIES_H_
#define STASIS_CMD_FUSE_KNOWN_REPLIES_H_

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cmd/fuse/journal.h"

namespace stasis::fuse {

struct KnownReply {
  uint64_t position = 0;  // of its record
  int32_t error = 0;
  // Nodes whose attributes the kernel is to forget before it gets the reply.
  std::vector<uint64_t> changed;
  // Of a READDIRPLUS, which may run again: the lookups that it made, to be taken back before.
  std::vector<uint64_t> lookups;
  bool run_again = false;
  std::vector<std::byte> payload;

  // As the message of a record.
  std::vector<std::byte> Encode() const;
  // Errors: kDataLoss.
  static absl::StatusOr<KnownReply> Decode(std::span<const std::byte> message);
};

// Thread-safe.
class KnownReplies {
 public:
  // By the id that the request had first.
  void Add(uint64_t unique, KnownReply reply) ABSL_LOCKS_EXCLUDED(mu_);
  // That of a request that was sent again.
  std::optional<KnownReply> Find(uint64_t unique) const ABSL_LOCKS_EXCLUDED(mu_);
  // The kernel has it. `journal` may be null.
  void Remove(uint64_t unique, Journal* journal) ABSL_LOCKS_EXCLUDED(mu_);
  // Appends all to the journal, from which what was read of them is about to go.
  void Keep(Journal& journal, uint32_t server) ABSL_LOCKS_EXCLUDED(mu_);
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  mutable absl::Mutex mu_;  // comes before Journal::order()
  std::atomic<size_t> size_{0};
  absl::flat_hash_map<uint64_t, KnownReply> replies_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_KNOWN_REPLIES_H_
