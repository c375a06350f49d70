// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/known_replies.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cmd/fuse/request.h"

namespace stasis::fuse {
namespace {

// Followed by the numbers of `changed` and `lookups`, then by the payload.
struct Encoded {
  int32_t error;
  uint32_t run_again;
  uint32_t changed;
  uint32_t lookups;
};

void Append(std::vector<std::byte>& to, const void* bytes, size_t size) {
  const auto* begin = static_cast<const std::byte*>(bytes);
  to.insert(to.end(), begin, begin + size);
}

Result<std::vector<uint64_t>> TakeNumbers(MessageReader& in, uint32_t count) {
  STASIS_ASSIGN_OR_RETURN(auto bytes, in.TakeBytes(uint64_t{count} * sizeof(uint64_t)));
  std::vector<uint64_t> numbers(count);
  if (count != 0) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

Result<KnownReply> DoDecode(MessageReader in) {
  STASIS_ASSIGN_OR_RETURN(const Encoded encoded, in.Take<Encoded>());
  KnownReply reply;
  reply.error = encoded.error;
  reply.run_again = encoded.run_again != 0;
  STASIS_ASSIGN_OR_RETURN(reply.changed, TakeNumbers(in, encoded.changed));
  STASIS_ASSIGN_OR_RETURN(reply.lookups, TakeNumbers(in, encoded.lookups));
  reply.payload.assign(in.rest().begin(), in.rest().end());
  return reply;
}

}  // namespace

std::vector<std::byte> KnownReply::Encode() const {
  const Encoded encoded{error, run_again ? 1u : 0u, static_cast<uint32_t>(changed.size()),
                        static_cast<uint32_t>(lookups.size())};
  std::vector<std::byte> message;
  Append(message, &encoded, sizeof(encoded));
  Append(message, changed.data(), changed.size() * sizeof(uint64_t));
  Append(message, lookups.data(), lookups.size() * sizeof(uint64_t));
  Append(message, payload.data(), payload.size());
  return message;
}

absl::StatusOr<KnownReply> KnownReply::Decode(std::span<const std::byte> message) {
  auto reply = DoDecode(MessageReader(message));
  if (!reply) return absl::DataLossError("a reply that was kept is not whole");
  return *std::move(reply);
}

void KnownReplies::Add(uint64_t unique, KnownReply reply) {
  absl::MutexLock lock(&mu_);
  replies_.insert_or_assign(unique, std::move(reply));
  size_.store(replies_.size(), std::memory_order_relaxed);
}

std::optional<KnownReply> KnownReplies::Find(uint64_t unique) const {
  if (size() == 0) return std::nullopt;
  absl::MutexLock lock(&mu_);
  const auto found = replies_.find(WithoutResend(unique));
  if (found == replies_.end()) return std::nullopt;
  return found->second;
}

void KnownReplies::Remove(uint64_t unique, Journal* journal) {
  absl::MutexLock lock(&mu_);
  const auto found = replies_.find(WithoutResend(unique));
  if (found == replies_.end()) return;
  if (journal != nullptr) journal->MarkSent(found->second.position);
  replies_.erase(found);
  size_.store(replies_.size(), std::memory_order_relaxed);
}

void KnownReplies::Keep(Journal& journal, uint32_t server) {
  absl::MutexLock lock(&mu_);
  for (auto& [unique, reply] : replies_) {
    const std::vector<std::byte> message = reply.Encode();
    absl::MutexLock order(&journal.order());
    reply.position = journal.Append({.kind = JournalRecord::Kind::kReply,
                                     .server = server,
                                     .unique = unique,
                                     .message = message});
  }
}

}  // namespace stasis::fuse
