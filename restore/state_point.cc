// SPDX-License-Identifier: Apache-2.0

#include "restore/state_point.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <utility>

#include "restore/internal/build_rows.h"
#include "restore/internal/graph_transfer.h"
#include "state/check.h"

namespace stasis::restore {
namespace {

// A child that shows no progress for this long waits for a lock that another thread held when it
// was made. Nothing that it calls should; a checkpoint that fails beats one that hangs.
constexpr auto kStandstill = std::chrono::seconds(60);
constexpr int kPollMs = 20;

// Signals that come meanwhile are for the parent.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

// Everything that is open belongs to the parent: a mount, say, ends with its last descriptor.
void CloseAllBut(int one, int other) {
  unsigned next = 0;
  for (const int fd : {std::min(one, other), std::max(one, other)}) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept > next) close_range(next, kept - 1, 0);
    next = kept + 1;
  }
  close_range(next, ~0U, 0);
}

}  // namespace

// In memory that both processes have.
struct StatePoint::Progress {
  std::atomic<uint64_t> steps{0};
};

void StatePoint::Unmap::operator()(Progress* progress) const {
  ::munmap(progress, sizeof(Progress));
}

absl::StatusOr<std::unique_ptr<StatePoint>> StatePoint::Take(
    vfs::VirtualFilesystem& vfs, const state::Registry& registry,
    const std::vector<ExtraRoot>& roots, const std::function<absl::Status()>& at_point) {
  std::unique_ptr<StatePoint> point(new StatePoint());
  if (absl::Status s = point->MakeChannels(); !s.ok()) return s;
  const auto take = [&](const state::Quiescence& gate) {
    if (at_point != nullptr)
      if (absl::Status done = at_point(); !done.ok()) return done;
    if (absl::Status split = point->Split(vfs, registry, roots, gate); !split.ok()) {
      point->warning_ =
          fmt::format("the state was written down in the pause: {}", std::string(split.message()));
      point->built_ = BuildRows(vfs, registry, roots, gate);
    }
    return absl::OkStatus();
  };
  if (absl::Status s = BehindGate(vfs, point->times_, take); !s.ok()) return s;
  return point;
}

StatePoint::~StatePoint() { EndChild(); }

void StatePoint::EndChild() {
  if (child_ < 0) return;
  ::kill(child_, SIGKILL);
  Reap().IgnoreError();
}

absl::Status StatePoint::MakeChannels() {
  rows_.reset(memfd_create("stasis-rows", MFD_CLOEXEC));
  if (!rows_.valid()) return absl::ErrnoToStatus(errno, "cannot make a file for the rows");
  sent_.reset(eventfd(0, EFD_CLOEXEC));
  if (!sent_.valid()) return absl::ErrnoToStatus(errno, "cannot make an eventfd for the rows");
  void* page =
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return absl::ErrnoToStatus(errno, "cannot share memory");
  progress_.reset(new (page) Progress());
  return absl::OkStatus();
}

absl::Status StatePoint::Split(const vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                               const std::vector<ExtraRoot>& roots, const state::Quiescence& gate) {
  state::Require(gate.Quiesced(), "a moment is taken while nothing can change it");
  BlockedSignals blocked;
  freeze_ = state::ChunkFreeze::Take();
  const pid_t child = ::fork();
  if (child == 0) RunChild(vfs, registry, roots);
  if (child > 0) {
    child_ = child;
    child_fd_.reset(static_cast<int>(syscall(SYS_pidfd_open, child_, 0)));
    if (child_fd_.valid()) return absl::OkStatus();
  }
  absl::Status status = absl::ErrnoToStatus(errno, "cannot make a process for it");
  EndChild();
  freeze_.reset();
  return status;
}

// Only this thread is there: nothing that another one may have locked must be touched. An exception
// ends the child, and nothing of what is the parent's.
void StatePoint::RunChild(const vfs::VirtualFilesystem& vfs, const state::Registry& registry,
                          const std::vector<ExtraRoot>& roots) noexcept {
  // Nothing changes any more: there is nobody else.
  class Alone final : public state::Quiescence {
   public:
    explicit Alone(Progress& progress) : progress_(progress) {}
    bool Quiesced() const override {
      progress_.steps.fetch_add(1, std::memory_order_relaxed);
      return true;
    }

   private:
    Progress& progress_;
  };
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "stasis-rows");
  CloseAllBut(rows_.get(), sent_.get());
  const absl::StatusOr<state::SavedGraph> graph =
      BuildRows(vfs, registry, roots, Alone(*progress_));
  const absl::Status sent =
      graph.ok() ? SendGraph(rows_.get(), *graph) : SendError(rows_.get(), graph.status());
  if (sent.ok()) (void)eventfd_write(sent_.get(), 1);
  // Without destructors and what a program does at its end: all of that is the parent's.
  _exit(sent.ok() ? 0 : 1);
}

absl::StatusOr<state::SavedGraph> StatePoint::Finish(const std::atomic<bool>* cancel) {
  if (built_.has_value()) return *std::move(built_);
  if (absl::Status s = WaitForChild(cancel); !s.ok()) return s;
  absl::StatusOr<state::SavedGraph> graph = ReceiveGraph(rows_.get(), *freeze_);
  rows_.reset();
  freeze_.reset();
  return graph;
}

absl::Status StatePoint::WaitForChild(const std::atomic<bool>* cancel) {
  uint64_t steps = 0;
  auto moved = std::chrono::steady_clock::now();
  for (;;) {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed))
      return absl::CancelledError("the checkpoint was cancelled");
    pollfd entries[] = {{sent_.get(), POLLIN, 0}, {child_fd_.get(), POLLIN, 0}};
    if (::poll(entries, std::size(entries), kPollMs) > 0)
      return (entries[0].revents & POLLIN) != 0 ? absl::OkStatus() : Reap();
    const auto now = std::chrono::steady_clock::now();
    if (const uint64_t seen = progress_->steps.load(std::memory_order_relaxed); seen != steps) {
      steps = seen;
      moved = now;
    } else if (now - moved > kStandstill) {
      return absl::InternalError("the process that writes down the state stands still; try again");
    }
  }
}

absl::Status StatePoint::Reap() {
  int status = 0;
  pid_t ended = -1;
  while ((ended = ::waitpid(child_, &status, 0)) < 0 && errno == EINTR) {
  }
  child_ = -1;
  if (ended < 0)
    return absl::ErrnoToStatus(errno, "cannot wait for the process that writes down the state");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  if (WIFSIGNALED(status))
    return absl::InternalError(
        fmt::format("the process that writes down the state was ended by signal {} ({}); is there "
                    "enough memory?",
                    WTERMSIG(status), strsignal(WTERMSIG(status))));
  return absl::InternalError("the process that writes down the state could not hand it over");
}

}  // namespace stasis::restore
