// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/replay.h"

#include <absl/strings/str_cat.h>

#include <optional>
#include <utility>
#include <vector>

#include "cmd/fuse/journaling.h"
#include "cmd/fuse/request.h"
#include "cmd/fuse/server.h"
#include "state/base/answers.h"
#include "state/base/fixed_time.h"

namespace stasis::fuse {
namespace {

constexpr size_t kBufferSize = size_t{kMaxData} + 4096;

std::string NameOf(const JournalRecord& record) {
  std::string name = absl::StrCat("record at ", record.position);
  Request request;
  if (ParseRequest(record.message, request))
    absl::StrAppend(&name, " (opcode ", request.header.opcode, ", request ", record.unique, ")");
  return name;
}

absl::Status Bad(const JournalRecord& record, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("journal: the ", NameOf(record), " ", what));
}

absl::Status Differs(const JournalRecord& record, absl::string_view what, uint64_t now,
                     uint64_t then) {
  return Bad(record, absl::StrCat("gives ", what, " ", now, ", and gave ", then));
}

absl::Status Stopped(const JournalRecord& barrier) {
  return absl::FailedPreconditionError(
      absl::StrCat("journal: no requests, but ",
                   absl::string_view(reinterpret_cast<const char*>(barrier.message.data()),
                                     barrier.message.size()),
                   " changed the tree, and there was no checkpoint after that"));
}

// `attributes`: those of the reply, too.
absl::Status Compare(const JournalRecord& record, const Outcome& now, bool attributes) {
  const Outcome& then = record.outcome;
  if (now.error != then.error)
    return Differs(record, "the error", static_cast<uint64_t>(now.error),
                   static_cast<uint64_t>(then.error));
  if (now.node != then.node) return Differs(record, "node", now.node, then.node);
  if (now.handle != then.handle) return Differs(record, "handle", now.handle, then.handle);
  if (attributes && now.digest != then.digest)
    return Bad(record, "gives other attributes than it gave");
  return absl::OkStatus();
}

}  // namespace

Replayer::Replayer(Session& session, KnownReplies& known, bool died)
    : session_(session),
      known_(known),
      died_(died),
      memory_(new std::byte[kBufferSize]),
      reply_({memory_.get(), kBufferSize}) {}

absl::Status Replayer::Run(const JournalRecord& record) {
  switch (record.kind) {
    case JournalRecord::Kind::kPad:
      return absl::OkStatus();
    case JournalRecord::Kind::kRequest:
      return RunRequest(record);
    case JournalRecord::Kind::kListing:
      return RunListing(record);
    case JournalRecord::Kind::kReply: {
      if (record.sent) return absl::OkStatus();
      absl::StatusOr<KnownReply> reply = KnownReply::Decode(record.message);
      if (!reply.ok()) return Bad(record, reply.status().message());
      reply->position = record.position;
      known_.Add(record.unique, *std::move(reply));
      return absl::OkStatus();
    }
    case JournalRecord::Kind::kAnswers:
      KeepAnswers(record.message);
      return absl::OkStatus();
    case JournalRecord::Kind::kBarrier:  // Replay stops there
      break;
  }
  return Bad(record, absl::StrCat("is of the unknown kind ", static_cast<uint32_t>(record.kind)));
}

void Replayer::KeepAnswers(std::span<const std::byte> part) {
  if (!std::exchange(for_next_, true)) answers_.clear();
  answers_.insert(answers_.end(), part.begin(), part.end());
  left_ = answers_;
  asks_ = true;
}

absl::StatusOr<Outcome> Replayer::RunMessage(const JournalRecord& record,
                                             std::span<const std::byte> message) {
  Request request;
  if (!ParseRequest(message, request)) return Bad(record, "is no request");
  if (JournalingOf(request.header.opcode) == Journaling::kNever)
    return Bad(record, "is of a kind that is not recorded");
  const vfs::Operation operation(session_.vfs().gate());
  const FixedTime fixed(record.time);
  std::optional<Answers::Giving> giving;
  if (asks_) giving.emplace(left_);
  for_next_ = false;
  session_.backings().Give(record.outcome.backing);
  reply_.Reset();
  const Result<void> done = session_.Run(request, reply_);
  if (!done) session_.TakeBack(reply_);
  return OutcomeOf(request.header.opcode, done ? 0 : done.error().value(), reply_);
}

absl::Status Replayer::RunRequest(const JournalRecord& record) {
  absl::StatusOr<Outcome> outcome = RunMessage(record, record.message);
  if (!outcome.ok()) return outcome.status();
  if (absl::Status same = Compare(record, *outcome, !asks_); !same.ok()) return same;
  if (!died_ || record.sent || record.unique == 0) return absl::OkStatus();
  KnownReply reply;
  reply.position = record.position;
  reply.error = ReplyError(Errno(outcome->error)).value();
  reply.changed.assign(reply_.changed().begin(), reply_.changed().end());
  if (outcome->error == 0) reply.payload.assign(reply_.payload().begin(), reply_.payload().end());
  known_.Add(record.unique, std::move(reply));
  return absl::OkStatus();
}

absl::Status Replayer::RunListing(const JournalRecord& record) {
  Request listing;
  if (!ParseRequest(record.message, listing)) return Bad(record, "is no listing");
  KnownReply reply;
  reply.position = record.position;
  reply.run_again = true;
  for (MessageReader in(listing.payload); !in.rest().empty();) {
    const auto node = in.Take<uint64_t>();
    const auto name = node ? in.TakeName() : Err(EINVAL);
    if (!name) return Bad(record, "is no listing");
    const absl::StatusOr<Outcome> outcome = RunMessage(record, MakeLookup(listing.header, *name));
    if (!outcome.ok()) return outcome.status();
    if (outcome->error != 0 || outcome->node != *node)
      return Differs(record, absl::StrCat("'", std::string(*name), "' node"), outcome->node, *node);
    reply.lookups.push_back(*node);
  }
  if (died_ && !record.sent) known_.Add(record.unique, std::move(reply));
  return absl::OkStatus();
}

absl::StatusOr<ReplayReport> Replay(const Journal& journal, uint64_t from,
                                    absl::FunctionRef<Server*(uint32_t)> server_of) {
  ReplayReport report;
  report.end = from;
  for (const uint64_t end = journal.written(); report.end < end; journal.NoteRead(report.end)) {
    const auto record = journal.Read(report.end);
    if (!record.ok()) return record.status();
    if (!record->has_value()) return report;
    report.end = (*record)->next;
    if ((*record)->kind == JournalRecord::Kind::kPad) continue;
    if ((*record)->kind == JournalRecord::Kind::kBarrier) return Stopped(**record);
    Server* server = server_of((*record)->server);
    if (server == nullptr)
      return Bad(**record,
                 absl::StrCat("is of filesystem ", (*record)->server, ", which is not there"));
    if (absl::Status done = server->RunAgain(**record); !done.ok()) return done;
    ++report.records;
    if (!(*record)->sent) ++report.unsent;
  }
  return report;
}

}  // namespace stasis::fuse
