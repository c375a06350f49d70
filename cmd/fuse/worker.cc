// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/worker.h"

#include <algorithm>

#include "state/base/rcu.h"

namespace stasis::fuse {
namespace {

// Of a request beyond its payload: headers, rounded up. The kernel wants room for all of it.
constexpr size_t kHeaderRoom = kPageSize;

// Ids of INTERRUPT requests are those of the interrupted ones with this bit.
constexpr uint64_t kInterruptBit = 1;

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

Worker::Worker(Session& session, ParkedRequests& parked,
               const std::vector<std::unique_ptr<Channel>>& channels)
    : session_(session),
      parked_(parked),
      channels_(channels),
      memory_(new std::byte[2 * (session.max_pages() * kPageSize + kHeaderRoom)]),
      receive_buffer_(memory_.get(), session.max_pages() * kPageSize + kHeaderRoom),
      reply_buffer_(memory_.get() + receive_buffer_.size(), receive_buffer_.size()),
      reply_(reply_buffer_) {}

Result<void> Worker::Receive(Channel& channel) {
  STASIS_ASSIGN_OR_RETURN(std::span<const std::byte> message, channel.Receive(receive_buffer_));
  Count(requests_);
  Handle(channel, message);
  return {};
}

void Worker::Handle(Channel& channel, std::span<const std::byte> message) {
  Request request;
  if (auto parsed = ParseRequest(message, request); !parsed) {
    Count(malformed_);
    if (parsed.error() != Errno(EBADMSG)) Refuse(channel, request, parsed.error());
    return;
  }
  const uint32_t opcode = request.header.opcode;
  Count(by_opcode_[opcode < by_opcode_.size() ? opcode : 0]);
  if (opcode == FUSE_INTERRUPT) {
    Interrupt(request);
    return;
  }
  int error;
  {
    TryOperation operation(session_.vfs().gate());
    if (!operation.entered()) {
      Count(parked_count_);
      parked_.Add(channel, request.header.unique, message);
      return;
    }
    error = Run(request);
  }
  Answer(channel, request, error);
}

bool Worker::RunParkedRequest() {
  std::optional<ParkedRequest> parked;
  Request request;
  int error;
  {
    TryOperation operation(session_.vfs().gate());
    if (!operation.entered()) return false;
    parked = parked_.Take();
    if (!parked.has_value() || !ParseRequest(parked->message, request)) return true;
    error = Run(request);
  }
  Answer(*parked->channel, request, error);
  return true;
}

int Worker::Run(const Request& request) {
  reply_.Reset();
  auto result = session_.Run(request, reply_);
  if (result) return 0;
  // What a failed operation had given already, the kernel does not get.
  session_.TakeBack(reply_);
  return result.error().value();
}

void Worker::Answer(Channel& channel, const Request& request, int error) {
  if (error != 0) {
    Refuse(channel, request, Errno(error));
    return;
  }
  if (!WantsReply(request.header.opcode)) return;
  if (channel.SendReply(request.header.unique, 0, reply_.payload())) return;
  if (reply_.looked_up().empty() && reply_.opened() == 0) return;
  // The connection is going down, or it would have taken the reply. If the gate is closed the
  // counts stay too high until everything is dropped with the connection.
  TryOperation operation(session_.vfs().gate());
  if (operation.entered()) session_.TakeBack(reply_);
}

void Worker::Refuse(Channel& channel, const Request& request, Errno error) {
  Count(errors_);
  if (error == Errno(EINVAL)) Count(malformed_);
  if (!WantsReply(request.header.opcode)) return;
  // If it cannot be sent, nobody waits for it.
  (void)channel.SendReply(request.header.unique, error.value(), {});
}

void Worker::Interrupt(const Request& request) {
  MessageReader in(request.payload);
  auto body = in.Take<fuse_interrupt_in>();
  if (!body || !in.End()) {
    Count(malformed_);
    return;
  }
  if (Channel* channel = parked_.Cancel(body->unique); channel != nullptr) {
    Count(interrupted_);
    (void)channel->SendReply(body->unique, EINTR, {});
    return;
  }
  // It runs and will be done in a moment, or is done, unless it is on its way to be parked: then
  // the kernel must send the INTERRUPT again. It takes that only where the request came from.
  if (!session_.vfs().gate().closed()) return;
  for (const auto& channel : channels_) {
    if (channel->SendReply(body->unique | kInterruptBit, EAGAIN, {})) return;
  }
}

void Worker::AddTo(ServerStats& stats) const {
  const auto add = [](uint64_t& to, const Counter& from) {
    to += from.load(std::memory_order_relaxed);
  };
  add(stats.requests, requests_);
  add(stats.errors, errors_);
  add(stats.malformed, malformed_);
  add(stats.parked, parked_count_);
  add(stats.interrupted, interrupted_);
  for (size_t i = 0; i < by_opcode_.size(); ++i) add(stats.by_opcode[i], by_opcode_[i]);
}

}  // namespace stasis::fuse
