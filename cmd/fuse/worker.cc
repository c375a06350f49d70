// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/worker.h"

#include <algorithm>
#include <cstring>

#include "cmd/fuse/journaling.h"
#include "state/base/answers.h"
#include "state/base/fixed_time.h"
#include "state/base/rcu.h"
#include "state/chunk_memory.h"

namespace stasis::fuse {
namespace {

// Of a request beyond its data: headers, rounded up. The kernel wants room for all of it.
constexpr size_t kHeaderRoom = 4096;
// Whatever was negotiated, by this server or by one before it.
constexpr size_t kBufferSize = kMaxData + kHeaderRoom;

// The kernel is to ask for the attributes again.
void NotifyAttributesChanged(Channel& channel, uint64_t node) {
  fuse_notify_inval_inode_out out{};
  out.ino = node;
  out.off = -1;  // attributes only
  // If it cannot be sent, nobody has the attributes.
  (void)channel.SendNotification(FUSE_NOTIFY_INVAL_INODE,
                                 std::as_bytes(std::span<const decltype(out)>(&out, 1)));
}

}  // namespace

TryOperation::TryOperation(vfs::OperationGate& gate) {
  rcu::Lock();
  // As vfs::Operation: whoever closes the gate waits for this section, or we see that it is closed.
  entered_ = !gate.closed();
  if (!entered_) rcu::Unlock();
}

TryOperation::~TryOperation() {
  if (entered_) rcu::Unlock();
}

Worker::Worker(const WorkerParts& parts)
    : parts_(parts),
      shared_memory_(parts.outlived ? SharedBuffers() : nullptr),
      memory_(shared_memory_ != nullptr ? nullptr : new std::byte[2 * kBufferSize]),
      receive_buffer_(shared_memory_ != nullptr ? static_cast<std::byte*>(shared_memory_->data())
                                                : memory_.get(),
                      kBufferSize),
      reply_buffer_(receive_buffer_.data() + kBufferSize, kBufferSize),
      reply_(reply_buffer_) {}

// Null if there is no memory.
std::unique_ptr<SparseZeros> Worker::SharedBuffers() {
  auto memory = std::make_unique<SparseZeros>();
  if (!memory->Map(2 * kBufferSize)) return nullptr;
  std::memset(memory->data(), 0, 2 * kBufferSize);
  return memory;
}

Result<void> Worker::Receive(Channel& channel) {
  STASIS_ASSIGN_OR_RETURN(std::span<const std::byte> message, channel.Receive(receive_buffer_));
  Count(requests_);
  Handle(channel, message);
  return {};
}

void Worker::Handle(Channel& channel, std::span<const std::byte> message) {
  Request request;
  if (auto parsed = ParseRequest(message, request); !parsed) {
    Malformed(channel, request, parsed.error());
    return;
  }
  const uint32_t opcode = request.header.opcode;
  Count(by_opcode_[opcode < by_opcode_.size() ? opcode : 0]);
  if (opcode == FUSE_INTERRUPT) {
    Interrupt(channel, request);
    return;
  }
  if (AnswerKnown(channel, request)) return;
  const std::optional<Ran> ran = TryRun(request, message);
  if (!ran.has_value()) {
    Count(parked_count_);
    parts_.parked.Add(channel, request.header.unique, IsInterruptible(request), message);
    return;
  }
  Answer(channel, request, *ran);
}

bool Worker::AnswerKnown(Channel& channel, const Request& request) {
  const uint64_t unique = request.header.unique;
  if ((unique & kUniqueResend) == 0) return false;
  const std::optional<KnownReply> known = parts_.known.Find(unique);
  if (!known.has_value() || known->run_again) return false;
  for (uint64_t node : known->changed) NotifyAttributesChanged(channel, node);
  // If it cannot be sent, nobody waits for it.
  (void)channel.SendReply(unique, known->error, known->payload);
  parts_.known.Remove(unique, parts_.journal.load(std::memory_order_acquire));
  return true;
}

std::optional<Worker::Ran> Worker::TryRun(const Request& request,
                                          std::span<const std::byte> message) {
  TryOperation operation(parts_.session.vfs().gate());
  if (!operation.entered()) return std::nullopt;
  Journal* const journal = parts_.journal.load(std::memory_order_acquire);
  const Journaling how =
      journal == nullptr ? Journaling::kNever : JournalingOf(request.header.opcode);
  if (how == Journaling::kNever) return Ran{.error = Run(request)};
  const size_t room = how == Journaling::kListing ? Journal::kMaxMessage : message.size();
  absl::MutexLock order(&journal->order());
  if (!journal->HasRoom(room)) return std::nullopt;
  return RunInOrder(request, message, *journal);
}

bool Worker::RunParkedRequest() {
  std::optional<ParkedRequest> parked;
  Request request;
  Ran ran;
  {
    TryOperation operation(parts_.session.vfs().gate());
    if (!operation.entered()) return false;
    const auto take = [&] {
      parked = parts_.parked.Take();
      // As it was when it came: well formed.
      if (parked.has_value()) (void)ParseRequest(parked->message, request);
      return parked.has_value();
    };
    Journal* const journal = parts_.journal.load(std::memory_order_acquire);
    if (journal == nullptr) {
      if (!take()) return true;
      ran.error = Run(request);
    } else {
      absl::MutexLock order(&journal->order());
      if (!journal->HasRoom(Journal::kMaxMessage)) return false;
      if (!take()) return true;
      ran = RunInOrder(request, parked->message, *journal);
    }
  }
  Answer(*parked->channel, request, ran);
  parts_.parked.Done();
  return true;
}

void Worker::CancelInterrupted(std::chrono::nanoseconds patience) {
  while (std::optional<ParkedRequest> request = parts_.parked.TakeInterrupted(patience)) {
    Count(interrupted_);
    (void)request->channel->SendReply(request->unique, EINTR, {});
  }
}

int Worker::Run(const Request& request) {
  reply_.Reset();
  auto result = parts_.session.Run(request, reply_);
  if (result) return 0;
  // What a failed operation had given already, the kernel does not get.
  parts_.session.TakeBack(reply_);
  return result.error().value();
}

Worker::Ran Worker::RunInOrder(const Request& request, std::span<const std::byte> message,
                               Journal& journal) {
  const TimeNs now = parts_.session.vfs().clock().Now();
  const FixedTime fixed(now);
  const uint64_t unique = request.header.unique;
  if ((unique & kUniqueResend) != 0) {
    // A listing that nobody got is made again.
    if (const auto known = parts_.known.Find(unique); known.has_value() && known->run_again) {
      RunOwn(MakeForget(known->lookups), now, journal);
      parts_.known.Remove(unique, &journal);
    }
  }
  const uint64_t refusals = state::ChunkMemory::Get().refusals();
  int error = 0;
  answers_.clear();
  {
    std::optional<Answers::Recording> recording;
    if (journal.keeps_answers()) recording.emplace(answers_);
    error = Run(request);
  }
  // Stored data that cannot be read, or no memory: another time it may do.
  if (JournalingOf(request.header.opcode) == Journaling::kAlways &&
      (error == EIO || error == ENOMEM || state::ChunkMemory::Get().refusals() != refusals))
    journal.AppendBarrierInOrder("a request that failed for a reason outside the tree");
  return {error, &journal, Record(request, message, error, now, journal)};
}

void Worker::RecordAnswers(Journal& journal) {
  if (!journal.keeps_answers()) return;
  std::span<const std::byte> left = answers_;
  do {
    const auto part = left.first(std::min(left.size(), Journal::kMaxMessage));
    left = left.subspan(part.size());
    journal.Append(
        {.kind = JournalRecord::Kind::kAnswers, .server = parts_.journal_id, .message = part});
  } while (!left.empty());
}

std::optional<uint64_t> Worker::Record(const Request& request, std::span<const std::byte> message,
                                       int error, TimeNs now, Journal& journal) {
  const uint32_t opcode = request.header.opcode;
  JournalRecord record;
  record.server = parts_.journal_id;
  record.time = now;
  record.unique = WantsReply(opcode) ? WithoutResend(request.header.unique) : 0;
  record.outcome = OutcomeOf(opcode, error, reply_);
  record.message = message;
  // Who was asked may have given a file a number.
  if (JournalingOf(opcode) == Journaling::kIfFound && record.outcome.node == 0 && answers_.empty())
    return std::nullopt;
  RecordAnswers(journal);
  switch (JournalingOf(opcode)) {
    case Journaling::kNever:
      return std::nullopt;
    case Journaling::kIfFound:
    case Journaling::kAlways:
      return journal.Append(record);
    case Journaling::kFirstLook:
    case Journaling::kListing:
      break;
  }
  const std::vector<std::byte> look = WithOpcode(message, FUSE_READDIR);
  JournalRecord first = record;
  first.unique = 0;
  first.outcome = {.error = error};
  first.message = look;
  journal.Append(first);
  const std::vector<std::byte> listing = error == 0 && opcode == FUSE_READDIRPLUS
                                             ? ListingOf(request, reply_)
                                             : std::vector<std::byte>();
  if (listing.empty()) return std::nullopt;
  record.kind = JournalRecord::Kind::kListing;
  record.message = listing;
  return journal.Append(record);
}

void Worker::RunOwn(const std::vector<std::byte>& message, TimeNs now, Journal& journal) {
  Request request;
  if (!ParseRequest(message, request)) return;
  std::array<std::byte, sizeof(fuse_out_header)> buffer;
  Reply reply(buffer);
  const Result<void> done = parts_.session.Run(request, reply);
  journal.Append({.server = parts_.journal_id,
                  .time = now,
                  .outcome = {.error = done ? 0 : done.error().value()},
                  .message = message});
}

void Worker::TakeBack() {
  Journal* const journal = parts_.journal.load(std::memory_order_acquire);
  if (journal == nullptr) {
    parts_.session.TakeBack(reply_);
    return;
  }
  absl::MutexLock order(&journal->order());
  const TimeNs now = parts_.session.vfs().clock().Now();
  if (!reply_.looked_up().empty()) RunOwn(MakeForget(reply_.looked_up()), now, *journal);
  if (reply_.opened() != 0) RunOwn(MakeRelease(reply_.opened()), now, *journal);
}

void Worker::Answer(Channel& channel, const Request& request, const Ran& ran) {
  for (uint64_t node : reply_.changed()) NotifyAttributesChanged(channel, node);
  Send(channel, request, ran.error);
  if (ran.record.has_value()) ran.journal->MarkSent(*ran.record);
}

void Worker::Send(Channel& channel, const Request& request, int error) {
  if (error != 0) {
    if (reply_.malformed()) {
      Malformed(channel, request, Errno(error));
    } else {
      Refuse(channel, request, Errno(error));
    }
    return;
  }
  if (!WantsReply(request.header.opcode)) return;
  if (channel.SendReply(request.header.unique, 0, reply_.payload())) return;
  if (reply_.looked_up().empty() && reply_.opened() == 0) return;
  // The connection is going down, or it would have taken the reply. If the gate is closed the
  // counts stay too high until everything is dropped with the connection.
  TryOperation operation(parts_.session.vfs().gate());
  if (operation.entered()) TakeBack();
}

void Worker::Refuse(Channel& channel, const Request& request, Errno error) {
  Count(errors_);
  const Errno sent = ReplyError(error);
  if (!(sent == error)) Count(unknown_errors_);
  // If it cannot be sent, nobody waits for it.
  if (WantsReply(request.header.opcode))
    (void)channel.SendReply(request.header.unique, sent.value(), {});
}

void Worker::Malformed(Channel& channel, const Request& request, Errno error) {
  Count(malformed_);
  // Without a header there is nobody to tell.
  if (!(error == Errno(EBADMSG))) Refuse(channel, request, error);
}

void Worker::Interrupt(Channel& channel, const Request& request) {
  MessageReader in(request.payload);
  auto body = in.Take<fuse_interrupt_in>();
  if (!body || !in.End()) {
    Malformed(channel, request, Errno(EINVAL));
    return;
  }
  // What runs will be done in a moment.
  parts_.parked.Interrupt(body->unique);
}

void Worker::AddTo(ServerStats& stats) const {
  const auto add = [](uint64_t& to, const Counter& from) {
    to += from.load(std::memory_order_relaxed);
  };
  add(stats.requests, requests_);
  add(stats.errors, errors_);
  add(stats.unknown_errors, unknown_errors_);
  add(stats.malformed, malformed_);
  add(stats.parked, parked_count_);
  add(stats.interrupted, interrupted_);
  for (size_t i = 0; i < by_opcode_.size(); ++i) add(stats.by_opcode[i], by_opcode_[i]);
}

}  // namespace stasis::fuse
