// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/server.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <csignal>
#include <system_error>
#include <utility>

#include "cmd/fuse/channel.h"
#include "cmd/fuse/journal.h"
#include "cmd/fuse/known_replies.h"
#include "cmd/fuse/parked_requests.h"
#include "cmd/fuse/protocol.h"
#include "cmd/fuse/replay.h"
#include "cmd/fuse/session.h"
#include "cmd/fuse/worker.h"

namespace stasis::fuse {
namespace {

// How long a parked request may wait longer than the gate is closed.
constexpr absl::Duration kGatePoll = absl::Microseconds(200);
constexpr absl::Duration kIdlePoll = absl::Microseconds(500);
constexpr absl::Duration kParkedPoll = absl::Microseconds(50);

ServerOptions Checked(ServerOptions options) {
  if (options.reader_threads <= 0) {
    options.reader_threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  options.max_pages = std::clamp(options.max_pages, 1u, MaxPages());
  return options;
}

Wishes WishesFor(const vfs::VirtualFilesystem& vfs, const vfs::Filesystem& filesystem,
                 const ServerOptions& options) {
  const bool one = options.one_filesystem;
  const bool exclusive = one ? filesystem.exclusive() : vfs.exclusive();
  const bool opens_matter = one ? filesystem.opens_matter() : vfs.opens_matter();
  Wishes wishes;
  wishes.max_pages = options.max_pages;
  wishes.ask_at_open = options.ask_at_open || !exclusive || opens_matter;
  // Of directories that it opens unasked the kernel keeps the lists.
  wishes.ask_at_opendir = options.ask_at_open || !exclusive;
  wishes.check_times = !exclusive;
  wishes.passthrough = options.passthrough && wishes.ask_at_open;
  return wishes;
}

// Signals are the main thread's.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }

 private:
  sigset_t old_;
};

}  // namespace

Server::Server(RefPtr<vfs::VirtualFilesystem> vfs, vfs::VirtualDentry root,
               const ServerOptions& options)
    : Server(std::move(vfs), MakeRef<FuseState>(std::move(root)), options) {}

Server::Server(RefPtr<vfs::VirtualFilesystem> vfs, RefPtr<FuseState> state,
               const ServerOptions& options)
    : options_(Checked(options)),
      state_(std::move(state)),
      session_(std::make_unique<Session>(
          vfs, state_, options_.cache_seconds,
          WishesFor(*vfs, state_->root().mount().filesystem(), options_), options_.one_filesystem)),
      parked_(std::make_unique<ParkedRequests>()),
      known_(std::make_unique<KnownReplies>()),
      journal_(options.journal) {}

Server::~Server() { Stop(); }

WorkerParts Server::Parts() const {
  return {*session_, *parked_, *known_, journal_, options_.journal_id, options_.journal != nullptr};
}

absl::Status Server::RunAgain(const JournalRecord& record) {
  if (replayer_ == nullptr)
    replayer_ = std::make_unique<Replayer>(*session_, *known_, options_.resend);
  return replayer_->Run(record);
}

void Server::KeepReplies(Journal& journal) const { known_->Keep(journal, options_.journal_id); }

// Before any thread reads: what it had taken would be sent again, too.
absl::Status Server::HaveSentAgain() {
  if (state_->initialized() && !state_->negotiated().Has(kHasResend))
    return absl::FailedPreconditionError("the kernel does not send FUSE requests again");
  // Before INIT it is not known whether it can.
  const auto sent = channels_[0]->SendNotification(kNotifyResend, {});
  if (!sent && state_->initialized())
    return absl::InternalError(
        absl::StrCat("FUSE server: having requests sent again: ", ErrnoName(sent.error())));
  return absl::OkStatus();
}

absl::Status Server::OpenChannels(UniqueFd fd) {
  stop_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  pause_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_event_.valid() || !pause_event_.valid()) {
    return absl::InternalError(absl::StrCat("eventfd: ", ErrnoName(Errno(errno))));
  }
  auto first = Channel::Create(std::move(fd), {stop_event_.get(), pause_event_.get()});
  if (!first.ok()) return first.status();
  channels_.push_back(*std::move(first));
  session_->backings().SetChannel(channels_[0].get(), options_.resend);
  // A socket has one reader. Of a device, those descriptors must do that there are.
  while (channels_.size() < static_cast<size_t>(options_.reader_threads)) {
    auto clone = options_.journal != nullptr ? channels_[0]->Share() : channels_[0]->Clone();
    if (!clone.ok()) break;
    channels_.push_back(*std::move(clone));
  }
  return options_.resend ? HaveSentAgain() : absl::OkStatus();
}

absl::Status Server::Serve(UniqueFd fd) {
  absl::MutexLock lock(&mu_);
  return ServeLocked(std::move(fd));
}

void Server::Know(const Connection& known) {
  for (const Connection::Counted& counted : known.counted)
    state_->handles().SetNode(counted.handle, counted.node);
  for (const Connection::Backing& backing : known.backings)
    if (backing.mapped) state_->nodes().SetMapped(backing.node);
  session_->backings().Import(known, state_->nodes());
}

absl::Status Server::Adopt(UniqueFd fd) {
  absl::MutexLock lock(&mu_);
  pausing_ = true;
  pause_.store(true);
  return ServeLocked(std::move(fd));
}

Connection Server::connection() const {
  Connection connection;
  session_->backings().Export(connection);
  for (const RefPtr<Handle>& handle : state_->handles().List())
    if (handle->node() != 0) connection.counted.push_back({handle->number(), handle->node()});
  return connection;
}

int Server::device() const {
  absl::MutexLock lock(&mu_);
  return channels_.empty() ? -1 : channels_[0]->fd();
}

absl::Status Server::ServeLocked(UniqueFd fd) {
  if (started_) return absl::FailedPreconditionError("the FUSE server was started before");
  if (!fd.valid()) return absl::InvalidArgumentError("the FUSE server got no descriptor");
  replayer_.reset();
  absl::Status status = OpenChannels(std::move(fd));
  if (status.ok()) status = Start();
  if (!status.ok()) channels_.clear();
  started_ = status.ok();
  return status;
}

absl::Status Server::Start() {
  BlockSignals block;
  try {
    workers_.push_back(std::make_unique<Worker>(Parts()));
    threads_.emplace_back([this, worker = workers_.back().get()] { RunParked(*worker); });
    for (const auto& channel : channels_) {
      workers_.push_back(std::make_unique<Worker>(Parts()));
      threads_.emplace_back([this, worker = workers_.back().get(), channel = channel.get()] {
        RunReader(*worker, *channel);
      });
      ++readers_;
    }
  } catch (const std::system_error& error) {
    // One reader is enough.
    if (readers_ == 0) {
      parked_->Stop();
      for (std::thread& thread : threads_) thread.join();
      threads_.clear();
      return absl::InternalError(absl::StrCat("FUSE server: no thread: ", error.what()));
    }
    channels_.resize(static_cast<size_t>(readers_));
  }
  return absl::OkStatus();
}

void Server::RunReader(Worker& worker, Channel& channel) {
  pthread_setname_np(pthread_self(), "fuse-reader");
  Result<void> received;
  do {
    if (pause_.load(std::memory_order_acquire) && !Rest()) {
      received = Err(ECANCELED);
      break;
    }
    received = worker.Receive(channel);
  } while (received || received.error() == Errno(EINTR));
  absl::MutexLock lock(&mu_);
  --readers_;
  const Errno error = received.error();
  if (!(error == Errno(ENODEV)) && !(error == Errno(ECANCELED)))
    failure_.Update(absl::InternalError(absl::StrCat("FUSE server: reading: ", ErrnoName(error))));
}

bool Server::Rest() {
  absl::MutexLock lock(&mu_);
  ++resting_;
  mu_.Await(absl::Condition(this, &Server::MayRead));
  --resting_;
  return !stopping_;
}

bool Server::PauseFor(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  bool paused;
  {
    absl::MutexLock lock(&mu_);
    pausing_ = true;
    pause_.store(true);
    const uint64_t one = 1;
    (void)!write(pause_event_.get(), &one, sizeof(one));
    paused = mu_.AwaitWithDeadline(absl::Condition(this, &Server::AllRest), deadline);
  }
  while (paused && !parked_->idle()) {
    paused = absl::Now() < deadline;
    absl::SleepFor(kParkedPoll);
  }
  if (!paused) Resume();
  return paused;
}

void Server::Resume() {
  absl::MutexLock lock(&mu_);
  if (!pausing_) return;
  uint64_t count;
  (void)!read(pause_event_.get(), &count, sizeof(count));
  pausing_ = false;
  pause_.store(false);
}

void Server::RunParked(Worker& worker) {
  pthread_setname_np(pthread_self(), "fuse-parked");
  while (parked_->WaitForAny()) {
    if (worker.RunParkedRequest()) continue;
    worker.CancelInterrupted(options_.signal_patience);
    parked_->Pause(kGatePoll);
  }
}

void Server::Stop() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    if (!started_) return;
    if (stopping_) {
      mu_.Await(absl::Condition(&stopped_));
      return;
    }
    stopping_ = true;
    threads.swap(threads_);
  }
  parked_->Stop();
  const uint64_t one = 1;
  // Cannot fail: the counter is far from its limit.
  (void)!write(stop_event_.get(), &one, sizeof(one));
  for (std::thread& thread : threads) thread.join();
  absl::MutexLock lock(&mu_);
  channels_.clear();
  stopped_ = true;
}

void Server::WaitUntilUnmounted() { (void)WaitUntilUnmountedFor(absl::InfiniteDuration()); }

bool Server::WaitUntilUnmountedFor(absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(this, &Server::Unmounted), timeout);
}

bool Server::NothingRuns() const {
  return parked_->idle() && std::all_of(channels_.begin(), channels_.end(),
                                        [](const auto& channel) { return channel->idle(); });
}

// Whoever takes a message between the two looks is seen at work by the second, or has counted it.
bool Server::IsIdle() const {
  if (channels_.empty()) return true;
  const uint64_t before = SumOfWorkers().requests;
  return NothingRuns() && !channels_[0]->HasMessage() && NothingRuns() &&
         SumOfWorkers().requests == before;
}

bool Server::WaitUntilIdleFor(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      if (IsIdle()) return true;
    }
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(kIdlePoll);
  }
}

absl::Status Server::failure() const {
  absl::MutexLock lock(&mu_);
  return failure_;
}

ServerStats Server::SumOfWorkers() const {
  ServerStats stats;
  for (const auto& worker : workers_) worker->AddTo(stats);
  return stats;
}

ServerStats Server::stats() const {
  absl::MutexLock lock(&mu_);
  ServerStats stats = SumOfWorkers();
  stats.page_writes = session_->page_writes();
  return stats;
}

}  // namespace stasis::fuse
