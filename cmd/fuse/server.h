// SPDX-License-Identifier: Apache-2.0
//
// server.h: serves a file tree to the kernel over FUSE.
//
// A Server is a client of a VirtualFilesystem, as a system-call layer would be: it reads requests
// from a FUSE descriptor, runs them, and writes the replies.
//
//   auto fd = fuse::OpenAndMount("/mnt/box", {});
//   fuse::Server server(vfs, mount_namespace->root(), {});
//   absl::Status status = server.Serve(*std::move(fd));
//   ...
//   server.WaitUntilUnmounted();
//
// What the kernel knows (node numbers, handles, what was negotiated) is in a FuseState, which is
// saved with the tree: main() hands it to the checkpoint as the root "fuse".
//
// The operation gate: every request but INTERRUPT enters it. A request that finds it closed is
// parked, so that the readers stay free for INTERRUPT and Stop, and runs when the gate opens.
//
// Requests come from programs in the sandbox, and through a socket from anybody: every length,
// name, node and handle in them is checked, and a bad one is answered with an error.

#ifndef STASIS_CMD_FUSE_SERVER_H_
#define STASIS_CMD_FUSE_SERVER_H_

#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "cmd/fuse/connection.h"
#include "cmd/fuse/fuse_state.h"
#include "state/base/ref_ptr.h"
#include "state/base/unique_fd.h"
#include "vfs/path_operation.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::fuse {

class Channel;
class Journal;
struct JournalRecord;
class KnownReplies;
class ParkedRequests;
class Replayer;
class Session;
class Worker;
struct WorkerParts;

struct ServerOptions {
  // Threads that read requests, each from a descriptor of its own where the device can be cloned.
  // 0: one per processor.
  int reader_threads = 0;
  // For how long the kernel may keep names, attributes and missing names without asking. The
  // default says for ever, which is right while nobody else changes the tree.
  uint64_t cache_seconds = 1'000'000'000;
  // Whether the kernel asks at each open and close, of directories too. It costs a round trip per
  // open. It is asked to, whatever this says, where the tree needs it
  // (VirtualFilesystem::opens_matter, exclusive), which is found out when the server is made.
  bool ask_at_open = false;
  // Whether the kernel may read and write files of the host without asking, where it can and the
  // server has CAP_SYS_ADMIN.
  bool passthrough = true;
  // The root is that of a mount which stands alone (VirtualFilesystem::MakePrivateMount): nothing
  // but its filesystem is served, and what is said above of the tree is said of that.
  bool one_filesystem = false;
  // Largest READ and WRITE, in pages; MaxPages() at most.
  uint32_t max_pages = 256;
  // For how long a closed gate holds a request whose caller got a signal. A checkpoint's pause is
  // shorter: programs do not notice it.
  std::chrono::milliseconds signal_patience{3000};
  // Where requests that change the tree are recorded (journal.h); borrowed, null: nowhere. They run
  // one at a time then, and the threads share one open device: what was taken from one that is
  // closed fails, while one that somebody else keeps open outlives the process.
  Journal* journal = nullptr;
  // Which server this is, in a journal.
  uint32_t journal_id = 0;
  // The descriptor is one that another server died with: the kernel is to send again what has no
  // reply. Takes HAS_RESEND (Linux 6.9).
  bool resend = false;
};

// Counted since construction.
struct ServerStats {
  static constexpr int kOpcodes = 64;
  uint64_t requests = 0;                       // received, well formed or not
  uint64_t errors = 0;                         // answered with an error
  uint64_t unknown_errors = 0;                 // of these, with EIO for what is no errno(3)
  uint64_t malformed = 0;                      // the message itself was wrong
  uint64_t parked = 0;                         // waited for the operation gate
  uint64_t interrupted = 0;                    // gave up waiting because the caller got a signal
  uint64_t page_writes = 0;                    // WRITEs of pages of shared mappings
  std::array<uint64_t, kOpcodes> by_opcode{};  // indexed as enum fuse_opcode; others in [0]
};

// Thread-safe.
class Server {
 public:
  // A server for a mount that the kernel knows nothing about yet.
  Server(RefPtr<vfs::VirtualFilesystem> vfs, vfs::VirtualDentry root, const ServerOptions& options);
  // One that goes on from a restored state. For a fresh mount call state->DropKernelState() before.
  Server(RefPtr<vfs::VirtualFilesystem> vfs, RefPtr<FuseState> state, const ServerOptions& options);
  // Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Runs a request again that another server has recorded (replay.h). Requires: not started.
  // Errors: DataLoss if it gives something else than it did.
  absl::Status RunAgain(const JournalRecord& record) ABSL_LOCKS_EXCLUDED(mu_);
  // For a checkpoint that begins here, the gate closed: appends to a journal what the kernel may
  // ask for again that a server before this one has done.
  void KeepReplies(Journal& journal) const;
  // Records requests from now on, or no more: for another process that loads a checkpoint which
  // begins here, and then takes over. Borrowed. Requires: the gate is closed, to begin; it pauses,
  // to end. Without ServerOptions::journal.
  void Record(Journal* journal) { journal_.store(journal, std::memory_order_release); }

  // Starts to serve `fd`: a mounted /dev/fuse, or a SOCK_SEQPACKET socket whose other end speaks
  // the protocol. Returns at once. Call it once. Goes on with fewer threads than wanted if there
  // are no more. Errors: InvalidArgument, Internal (no thread, no descriptor), FailedPrecondition
  // if called twice, or if requests cannot be sent again.
  absl::Status Serve(UniqueFd fd) ABSL_LOCKS_EXCLUDED(mu_);

  // Goes on in another process. There:
  //   old.PauseFor(timeout);                                // nothing is without its reply
  //   ... the state is saved; old.connection() and a copy of old.device() are handed over ...
  // and here, with the state loaded and without an INIT:
  //   server.Know(connection);
  //   ... RunAgain() of what was recorded since ...
  //   server.Adopt(fd);                                     // everything that can fail
  //   server.Resume();
  // If nothing comes of it, the old one calls Resume().

  // Takes no more requests; those that were taken have their replies when it returns, others wait
  // in the kernel. False if that takes longer than `timeout`: then it goes on.
  // Requires: it serves; the operation gate is not closed meanwhile.
  bool PauseFor(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends a pause. Does nothing without one.
  void Resume() ABSL_LOCKS_EXCLUDED(mu_);
  // Requires: the state was loaded, of a server of this mount; before all that follows.
  void Know(const Connection& known);
  // As Serve, but the server pauses.
  absl::Status Adopt(UniqueFd fd) ABSL_LOCKS_EXCLUDED(mu_);
  // What is to be handed over besides the state, of the same moment. Requires: the operation gate
  // is closed, or it pauses.
  Connection connection() const;
  // The descriptor that it was given; -1 if it does not serve. Borrowed.
  int device() const ABSL_LOCKS_EXCLUDED(mu_);

  // Ends all threads and closes the descriptors, with which the kernel fails what still waits.
  // Does not wait for the operation gate. If another thread is stopping it, waits for that.
  // Requires: not called by a thread of this server.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until the mount is gone or Stop() was called. Call Serve() before.
  void WaitUntilUnmounted() ABSL_LOCKS_EXCLUDED(mu_);
  // The same; false if it took longer than `timeout`.
  bool WaitUntilUnmountedFor(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until there is nothing to do: no request is waiting, parked, running or without its
  // reply. The kernel then has none either that it holds back (it queues the next one before the
  // write of a reply returns). False if that did not happen within `timeout`.
  bool WaitUntilIdleFor(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mu_);

  // The first error that ended a reader, but for the end of the mount. OK if there was none.
  absl::Status failure() const ABSL_LOCKS_EXCLUDED(mu_);

  // To be saved with the tree. Changes only inside the operation gate.
  const RefPtr<FuseState>& state() const { return state_; }

  ServerStats stats() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Status OpenChannels(UniqueFd fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status HaveSentAgain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  WorkerParts Parts() const;
  absl::Status ServeLocked(UniqueFd fd) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Start() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunReader(Worker& worker, Channel& channel) ABSL_LOCKS_EXCLUDED(mu_);
  void RunParked(Worker& worker);
  bool Unmounted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return readers_ == 0; }
  // Waits while the server pauses. False if it is to end.
  bool Rest() ABSL_LOCKS_EXCLUDED(mu_);
  bool MayRead() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !pausing_ || stopping_; }
  bool AllRest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return resting_ == readers_; }
  bool IsIdle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool NothingRuns() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  ServerStats SumOfWorkers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Immutable.
  const ServerOptions options_;
  const RefPtr<FuseState> state_;
  const std::unique_ptr<Session> session_;
  const std::unique_ptr<ParkedRequests> parked_;
  const std::unique_ptr<KnownReplies> known_;

  std::unique_ptr<Replayer> replayer_;  // before Serve()
  std::atomic<Journal*> journal_;       // null: none is kept

  // Set by Serve() before it starts threads.
  UniqueFd stop_event_;             // an eventfd, readable once Stop() was called
  UniqueFd pause_event_;            // likewise, in a pause
  std::atomic<bool> pause_{false};  // pausing_, to be looked at before each message

  mutable absl::Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool pausing_ ABSL_GUARDED_BY(mu_) = false;
  int readers_ ABSL_GUARDED_BY(mu_) = 0;                                 // threads that read
  int resting_ ABSL_GUARDED_BY(mu_) = 0;                                 // of those, in a pause
  std::vector<std::unique_ptr<Channel>> channels_ ABSL_GUARDED_BY(mu_);  // one per reader
  std::vector<std::unique_ptr<Worker>> workers_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_SERVER_H_
