// SPDX-License-Identifier: Apache-2.0
//
// worker.h: one thread's way of handling messages.

#ifndef STASIS_CMD_FUSE_WORKER_H_
#define STASIS_CMD_FUSE_WORKER_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cmd/fuse/channel.h"
#include "cmd/fuse/parked_requests.h"
#include "cmd/fuse/reply.h"
#include "cmd/fuse/request.h"
#include "cmd/fuse/server.h"
#include "cmd/fuse/session.h"
#include "state/base/result.h"

namespace stasis::fuse {

// Enters the operation gate if it is open, and waits for nothing.
class [[nodiscard]] TryOperation {
 public:
  explicit TryOperation(vfs::OperationGate& gate);
  ~TryOperation();
  TryOperation(const TryOperation&) = delete;
  TryOperation& operator=(const TryOperation&) = delete;

  bool entered() const { return entered_; }

 private:
  bool entered_;
};

// Not thread-safe, but for AddTo.
class Worker {
 public:
  // Both are borrowed.
  Worker(Session& session, ParkedRequests& parked);

  // Reads and handles one message.
  // Errors: ENODEV, ECANCELED, others: this channel gives no more.
  Result<void> Receive(Channel& channel);

  // Runs a request that was parked. False, and nothing done, if the gate is still closed.
  bool RunParkedRequest();
  // Ends parked requests that were interrupted, once they have waited for `patience`.
  void CancelInterrupted(std::chrono::nanoseconds patience);

  void AddTo(ServerStats& stats) const;

 private:
  using Counter = std::atomic<uint64_t>;
  static void Count(Counter& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  void Handle(Channel& channel, std::span<const std::byte> message);
  // Requires: inside the gate. The error of a request, or 0.
  int Run(const Request& request);
  void Answer(Channel& channel, const Request& request, int error);
  void Refuse(Channel& channel, const Request& request, Errno error);
  void Malformed(Channel& channel, const Request& request, Errno error);
  void Interrupt(Channel& channel, const Request& request);

  Session& session_;
  ParkedRequests& parked_;
  std::unique_ptr<std::byte[]> memory_;
  std::span<std::byte> receive_buffer_;
  std::span<std::byte> reply_buffer_;
  Reply reply_;

  Counter requests_{0};
  Counter errors_{0};
  Counter unknown_errors_{0};
  Counter malformed_{0};
  Counter parked_count_{0};
  Counter interrupted_{0};
  std::array<Counter, ServerStats::kOpcodes> by_opcode_{};
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_WORKER_H_
