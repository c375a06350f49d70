// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/worker.h"

#include <algorithm>

#include "state/base/rcu.h"

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

Worker::Worker(Session& session, ParkedRequests& parked)
    : session_(session),
      parked_(parked),
      memory_(new std::byte[2 * kBufferSize]),
      receive_buffer_(memory_.get(), kBufferSize),
      reply_buffer_(memory_.get() + kBufferSize, kBufferSize),
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
    Malformed(channel, request, parsed.error());
    return;
  }
  const uint32_t opcode = request.header.opcode;
  Count(by_opcode_[opcode < by_opcode_.size() ? opcode : 0]);
  if (opcode == FUSE_INTERRUPT) {
    Interrupt(channel, request);
    return;
  }
  int error;
  {
    TryOperation operation(session_.vfs().gate());
    if (!operation.entered()) {
      Count(parked_count_);
      parked_.Add(channel, request.header.unique, IsInterruptible(request), message);
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
    if (!parked.has_value()) return true;
    (void)ParseRequest(parked->message, request);  // as it was when it came: well formed
    error = Run(request);
  }
  Answer(*parked->channel, request, error);
  parked_.Done();
  return true;
}

void Worker::CancelInterrupted(std::chrono::nanoseconds patience) {
  while (std::optional<ParkedRequest> request = parked_.TakeInterrupted(patience)) {
    Count(interrupted_);
    (void)request->channel->SendReply(request->unique, EINTR, {});
  }
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
  for (uint64_t node : reply_.changed()) NotifyAttributesChanged(channel, node);
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
  TryOperation operation(session_.vfs().gate());
  if (operation.entered()) session_.TakeBack(reply_);
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
  parked_.Interrupt(body->unique);
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
