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
#include <optional>
#include <span>

#include "cmd/fuse/channel.h"
#include "cmd/fuse/journal.h"
#include "cmd/fuse/known_replies.h"
#include "cmd/fuse/parked_requests.h"
#include "cmd/fuse/reply.h"
#include "cmd/fuse/request.h"
#include "cmd/fuse/server.h"
#include "cmd/fuse/session.h"
#include "state/base/memory_file.h"
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

// What a server's workers share; all borrowed.
struct WorkerParts {
  Session& session;
  ParkedRequests& parked;
  KnownReplies& known;
  const std::atomic<Journal*>& journal;  // null: none is kept; changes while the gate is closed
  uint32_t journal_id = 0;
  bool outlived = false;  // somebody goes on if this process is killed
};

// Not thread-safe, but for AddTo.
class Worker {
 public:
  explicit Worker(const WorkerParts& parts);

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

  // A request that has run.
  struct Ran {
    int error = 0;                   // 0: none
    Journal* journal = nullptr;      // null: it is in none
    std::optional<uint64_t> record;  // there, whose reply is not sent
  };

  static std::unique_ptr<SparseZeros> SharedBuffers();
  void Handle(Channel& channel, std::span<const std::byte> message);
  // True if the server before this one has run it: the kernel gets the reply of then.
  bool AnswerKnown(Channel& channel, const Request& request);
  // Runs one. Nothing, and nothing done, if the gate is closed or the journal has no room.
  std::optional<Ran> TryRun(const Request& request, std::span<const std::byte> message);
  // Requires: inside the gate. The error of a request, or 0.
  int Run(const Request& request);
  // The same, with room in the journal.
  Ran RunInOrder(const Request& request, std::span<const std::byte> message, Journal& journal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(journal.order());
  std::optional<uint64_t> Record(const Request& request, std::span<const std::byte> message,
                                 int error, TimeNs now, Journal& journal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(journal.order());
  void RecordAnswers(Journal& journal) ABSL_EXCLUSIVE_LOCKS_REQUIRED(journal.order());
  // A request of this side's own.
  void RunOwn(const std::vector<std::byte>& message, TimeNs now, Journal& journal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(journal.order());
  // Requires: inside the gate. What the reply gave, the kernel did not get.
  void TakeBack();

  void Answer(Channel& channel, const Request& request, const Ran& ran);
  void Send(Channel& channel, const Request& request, int error);
  void Refuse(Channel& channel, const Request& request, Errno error);
  void Malformed(Channel& channel, const Request& request, Errno error);
  void Interrupt(Channel& channel, const Request& request);

  const WorkerParts parts_;
  // If it is outlived, the process may be killed while the kernel reads or writes them: they are in
  // memory and stay so, or the request would fail. Hence they are shared, as what is not is copied
  // after a fork.
  std::unique_ptr<SparseZeros> shared_memory_;
  std::unique_ptr<std::byte[]> memory_;
  std::span<std::byte> receive_buffer_;
  std::span<std::byte> reply_buffer_;
  Reply reply_;
  std::vector<std::byte> answers_;  // that the request got (state/base/answers.h)

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
