// SPDX-License-Identifier: Apache-2.0
//
// journal.h: the requests that have changed a tree, in memory that outlives the process.
//
// A journal is a memfd that somebody else keeps a descriptor of. Servers append each
// request that changes what a checkpoint holds, in the order in which they took effect, before
// they answer it. When the process has died, another one runs them again on the tree of the last
// checkpoint (replay.h), and is where the first one was.
//
//   auto journal = Journal::Create();
//   options.journal = journal->get();               // of every server
//   ... gate closed ...  auto from = (*journal)->Mark(timeout);  // this checkpoint's beginning
//   ... the keeper has the checkpoint ...  (*journal)->Release(*from);
//
// Positions are bytes since the journal was made; the file is a ring. A record counts once its
// first word says its own position, which is stored last: so a process may be killed anywhere.
// The word after the last record is 0, whatever was there a round ago. docs/fuse.md has the format.
//
// Lock order: order() comes inside the operation gate, before every lock of vfs/.

#ifndef STASIS_CMD_FUSE_JOURNAL_H_
#define STASIS_CMD_FUSE_JOURNAL_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "cmd/fuse/init.h"
#include "state/base/clock.h"
#include "state/base/unique_fd.h"

namespace stasis::fuse {

// What running a request again must give.
struct Outcome {
  int32_t error = 0;
  uint64_t node = 0;    // that the kernel was told of
  uint64_t handle = 0;  // that it got
  uint64_t digest = 0;  // of what else the reply says
  // What the kernel has said, and is not asked again: the number of the file's backing (OPEN,
  // CREATE), 0: none; whether there may be any (INIT).
  int32_t backing = 0;

  bool operator==(const Outcome&) const = default;
};

struct JournalRecord {
  enum class Kind : uint32_t {
    kPad = 1,      // nothing: the ring's end comes
    kRequest = 2,  // `message` is one, as the kernel sent it
    // Lookups that a READDIRPLUS has made: `message` has its header, then for each the node's
    // number and the name with a NUL.
    kListing = 3,
    // A reply that a server has from the one before it (known_replies.h), when a checkpoint begins.
    kReply = 4,
    // The tree was changed by something else than requests; `message` says by what. No replay
    // leads past it.
    kBarrier = 5,
    // What was asked outside of the tree (state/base/answers.h) by the request whose record
    // follows, or the next part of it.
    kAnswers = 6,
  };

  Kind kind = Kind::kRequest;
  uint32_t server = 0;  // ServerOptions::journal_id
  TimeNs time = 0;      // when it ran
  uint64_t unique = 0;  // of the request; 0: nobody waits for a reply
  Outcome outcome;
  std::span<const std::byte> message;

  // Of a record that was read:
  uint64_t position = 0;
  uint64_t next = 0;  // position of what follows
  bool sent = false;  // the kernel has the reply
};

// Thread-safe.
class Journal {
 public:
  static constexpr uint64_t kDefaultCapacity = uint64_t{64} << 20;
  // Of a record's message.
  static constexpr size_t kMaxMessage = size_t{kMaxData} + (size_t{64} << 10);
  static constexpr uint64_t kMinCapacity = uint64_t{4} << 20;

  // An empty one of that many bytes, a multiple of a page. Errors: InvalidArgument, of the system.
  static absl::StatusOr<std::unique_ptr<Journal>> Create(uint64_t capacity = kDefaultCapacity);
  // One that another process writes, or has written, to be read from `from` on.
  // Errors: InvalidArgument if it is no journal or has let go of what was there.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(UniqueFd fd, uint64_t from);
  // The other process writes no more, and this one may, from `end` on: what Read() has led to.
  // Errors: FailedPrecondition if it was closed.
  absl::Status GoOn(uint64_t end) ABSL_LOCKS_EXCLUDED(order_);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  int fd() const { return fd_.get(); }
  uint64_t capacity() const { return capacity_; }

  // Held from before a request runs until its record is there: requests are in order of effect.
  absl::Mutex& order() const ABSL_LOCK_RETURNED(order_) { return order_; }
  // For one that can be done without: when there is no room, it is closed, and nobody waits.
  // Before anybody appends.
  void CloseWhenFull() { close_when_full_ = true; }
  // Requests are recorded with the answers that they got. Before anybody appends.
  void KeepAnswers() { keeps_answers_ = true; }
  bool keeps_answers() const { return keeps_answers_; }

  // Whether a message of that size can be appended, and then small ones that belong to it. Always
  // if the journal is closed, or to be.
  bool HasRoom(size_t message) const ABSL_SHARED_LOCKS_REQUIRED(order_);
  // Of a record that was not kept, as nobody could use it; for MarkSent.
  static constexpr uint64_t kDropped = UINT64_MAX;
  // Returns its position, for MarkSent. `position`, `next` and `sent` of the record are of no
  // effect: it is not sent, unless its `unique` is 0. Closes the journal if there is no room.
  uint64_t Append(const JournalRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_);
  // The kernel has the reply.
  void MarkSent(uint64_t position);

  // Something else than a request is about to change a tree, or a request gave what it may not give
  // again: no replay leads past this. Until the next Mark() records are dropped, and always have
  // room. To be followed by a checkpoint.
  void AppendBarrier(std::string_view what) ABSL_LOCKS_EXCLUDED(order_);
  void AppendBarrierInOrder(std::string_view what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_);
  // The position at which a checkpoint begins. Waits until no request that ran is without its
  // reply. Requires: the gate is closed. Errors: DeadlineExceeded, FailedPrecondition if closed.
  absl::StatusOr<uint64_t> Mark(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(order_);
  // Nobody needs what is before `position`, which Mark() gave.
  void Release(uint64_t position) ABSL_LOCKS_EXCLUDED(order_);
  // Waits until a checkpoint is wanted: half of it is used, a barrier is in it, or it is closed.
  // False if that did not happen.
  bool AwaitCheckpoint(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(order_, wake_mu_);
  // Nobody will read it: records are dropped from now on.
  void Close() ABSL_LOCKS_EXCLUDED(order_);
  bool closed() const ABSL_LOCKS_EXCLUDED(order_);
  // Closed, or behind a barrier: what comes now is not recorded.
  bool broken() const ABSL_LOCKS_EXCLUDED(order_);

  // The record at a position, which is that of one or of the end; nothing at the end. Its message
  // leads into the journal. Errors: DataLoss, with the position.
  absl::StatusOr<std::optional<JournalRecord>> Read(uint64_t position) const;
  // Where the records ended a moment ago, whoever writes them.
  uint64_t written() const;
  // For whoever writes: everything before was read by another process, and run again.
  void NoteRead(uint64_t position) const;
  // Bytes that another process, which has begun to, is to read still.
  uint64_t unread() const;

  // After the last record.
  uint64_t end() const ABSL_LOCKS_EXCLUDED(order_);
  uint64_t start() const ABSL_LOCKS_EXCLUDED(order_);

 private:
  struct FileHeader;
  struct RecordHeader;

  Journal(UniqueFd fd, std::byte* data, uint64_t capacity)
      : fd_(std::move(fd)), data_(data), capacity_(capacity) {}
  static absl::StatusOr<std::unique_ptr<Journal>> Map(UniqueFd fd, uint64_t capacity);

  FileHeader& file_header() const;
  RecordHeader& HeaderAt(uint64_t position) const;
  void CloseLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_);
  // What a record of that size takes at the end, with what may be left of the ring's end.
  uint64_t Needs(uint64_t size) const ABSL_SHARED_LOCKS_REQUIRED(order_);
  void Put(const JournalRecord& record, uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_);
  // Tells AwaitCheckpoint how it is now.
  void Wake() const ABSL_SHARED_LOCKS_REQUIRED(order_) ABSL_LOCKS_EXCLUDED(wake_mu_);

  const UniqueFd fd_;
  std::byte* const data_;
  const uint64_t capacity_;  // of the ring
  bool close_when_full_ = false;
  bool keeps_answers_ = false;
  std::atomic<uint64_t> own_from_{0};  // what is before, another process has written
  std::atomic<int64_t> unsent_{0};

  mutable absl::Mutex order_;
  uint64_t start_ ABSL_GUARDED_BY(order_) = 0;  // what is before is not needed
  uint64_t end_ ABSL_GUARDED_BY(order_) = 0;
  bool closed_ ABSL_GUARDED_BY(order_) = false;
  bool barred_ ABSL_GUARDED_BY(order_) = false;  // since a barrier

  // Of its own, or every request would look whether somebody waits. Comes after order_.
  mutable absl::Mutex wake_mu_;
  mutable bool wanted_ ABSL_GUARDED_BY(wake_mu_) = false;  // a checkpoint
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_JOURNAL_H_
