// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/server.h"

#include <absl/strings/str_cat.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "cmd/fuse/channel.h"
#include "cmd/fuse/parked_requests.h"
#include "cmd/fuse/session.h"
#include "cmd/fuse/worker.h"

namespace stasis::fuse {
namespace {

// How long a parked request may wait longer than the gate is closed.
constexpr absl::Duration kGatePoll = absl::Microseconds(200);

ServerOptions Checked(ServerOptions options) {
  if (options.reader_threads <= 0) {
    options.reader_threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  options.max_pages = std::clamp(options.max_pages, 1u, kMaxPages);
  return options;
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

// So that stat(2) sees at once what a write did to the set-ID bits.
void NotifyAttributesChanged(Channel& channel, uint64_t node) {
  fuse_notify_inval_inode_out out{};
  out.ino = node;
  out.off = -1;  // attributes only
  (void)channel.SendNotification(FUSE_NOTIFY_INVAL_INODE,
                                 std::as_bytes(std::span<const decltype(out)>(&out, 1)));
}

}  // namespace

Server::Server(RefPtr<vfs::VirtualFilesystem> vfs, vfs::VirtualDentry root,
               const ServerOptions& options)
    : Server(std::move(vfs), MakeRef<FuseState>(std::move(root)), options) {}

Server::Server(RefPtr<vfs::VirtualFilesystem> vfs, RefPtr<FuseState> state,
               const ServerOptions& options)
    : options_(Checked(options)),
      state_(std::move(state)),
      session_(std::make_unique<Session>(std::move(vfs), state_, options_.cache_seconds,
                                         options_.max_pages)),
      parked_(std::make_unique<ParkedRequests>()) {}

Server::~Server() { Stop(); }

absl::Status Server::OpenChannels(UniqueFd fd) {
  stop_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_event_.valid()) {
    return absl::InternalError(absl::StrCat("eventfd: ", ErrnoName(Errno(errno))));
  }
  auto first = Channel::Create(std::move(fd), stop_event_.get());
  if (!first.ok()) return first.status();
  channels_.push_back(*std::move(first));
  while (channels_.size() < static_cast<size_t>(options_.reader_threads)) {
    auto clone = channels_[0]->Clone(stop_event_.get());
    if (absl::IsUnimplemented(clone.status())) break;  // a socket: one reader
    if (!clone.ok()) return clone.status();
    channels_.push_back(*std::move(clone));
  }
  session_->set_on_attributes_changed(
      [channel = channels_[0].get()](uint64_t node) { NotifyAttributesChanged(*channel, node); });
  return absl::OkStatus();
}

absl::Status Server::Serve(UniqueFd fd) {
  absl::MutexLock lock(&mu_);
  if (started_) return absl::FailedPreconditionError("the FUSE server was started before");
  if (!fd.valid()) return absl::InvalidArgumentError("the FUSE server got no descriptor");
  if (absl::Status status = OpenChannels(std::move(fd)); !status.ok()) {
    channels_.clear();
    return status;
  }
  started_ = true;
  Start();
  return absl::OkStatus();
}

void Server::Start() {
  BlockSignals block;
  for (const auto& channel : channels_) {
    workers_.push_back(std::make_unique<Worker>(*session_, *parked_, channels_));
    ++readers_;
    threads_.emplace_back([this, worker = workers_.back().get(), channel = channel.get()] {
      RunReader(*worker, *channel);
    });
  }
  workers_.push_back(std::make_unique<Worker>(*session_, *parked_, channels_));
  threads_.emplace_back([this, worker = workers_.back().get()] { RunParked(*worker); });
}

void Server::RunReader(Worker& worker, Channel& channel) {
  pthread_setname_np(pthread_self(), "fuse-reader");
  while (worker.Receive(channel)) {
  }
  absl::MutexLock lock(&mu_);
  --readers_;
}

void Server::RunParked(Worker& worker) {
  pthread_setname_np(pthread_self(), "fuse-parked");
  while (parked_->WaitForAny()) {
    if (!worker.RunParkedRequest()) parked_->Pause(kGatePoll);
  }
}

void Server::Stop() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mu_);
    if (!started_) return;
    threads.swap(threads_);
  }
  parked_->Stop();
  const uint64_t one = 1;
  // Cannot fail: the counter is far from its limit.
  if (write(stop_event_.get(), &one, sizeof(one)) < 0) return;
  for (std::thread& thread : threads) thread.join();
  if (!threads.empty()) channels_.clear();
}

void Server::WaitUntilUnmounted() { (void)WaitUntilUnmountedFor(absl::InfiniteDuration()); }

bool Server::WaitUntilUnmountedFor(absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(this, &Server::Unmounted), timeout);
}

ServerStats Server::stats() const {
  ServerStats stats;
  absl::MutexLock lock(&mu_);
  for (const auto& worker : workers_) worker->AddTo(stats);
  return stats;
}

}  // namespace stasis::fuse
