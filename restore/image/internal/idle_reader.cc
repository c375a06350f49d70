// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/idle_reader.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "restore/image/internal/frame_io.h"

namespace stasis::image {
namespace {

// linux/ioprio.h: who, class and level. The lowest of the ordinary class: one that is served only
// when the disk is idle would hold up whoever waits for the same page.
constexpr int kIoprioWhoProcess = 1;
constexpr int kIoprioLowest = (2 << 13) | 7;

}  // namespace

IdleReader::IdleReader() : thread_([this] { Run(); }) {}

void IdleReader::End() {
  Hurry();
  {
    const absl::MutexLock lock(&mu_);
    ended_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void IdleReader::Hurry() {
  const sched_param normal{};
  if (const int tid = tid_.load(); tid != 0) (void)sched_setscheduler(tid, SCHED_OTHER, &normal);
}

bool IdleReader::AwaitIdle() {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !busy_; };
  return mu_.AwaitWithTimeout(absl::Condition(&idle), kPatience);
}

absl::StatusOr<FrameContent> IdleReader::Read(FileOps& ops, int fd, const FrameEntry& frame,
                                              const std::string& what) {
  {
    const absl::MutexLock lock(&mu_);
    if (UniqueFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0)); own.valid() && AwaitIdle()) {
      job_ = std::make_unique<Job>(Job{&ops, std::move(own), frame, what});
      busy_ = true;
      if (AwaitIdle()) return std::exchange(result_, FrameContent());
    }
  }
  return ReadFrameFrom(ops, fd, frame, what);
}

void IdleReader::Run() {
  prctl(PR_SET_NAME, "stasis-idle");
  const sched_param idle{};
  (void)sched_setscheduler(0, SCHED_IDLE, &idle);
  (void)syscall(SYS_ioprio_set, kIoprioWhoProcess, 0, kIoprioLowest);
  tid_ = static_cast<int>(gettid());
  for (;;) {
    std::unique_ptr<Job> job;
    {
      const absl::MutexLock lock(&mu_);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return job_ != nullptr || ended_;
      };
      mu_.Await(absl::Condition(&wanted));
      if (ended_) return;
      job = std::move(job_);
    }
    auto content = ReadFrameFrom(*job->ops, job->fd.get(), job->frame, job->what);
    job.reset();
    const absl::MutexLock lock(&mu_);
    result_ = std::move(content);
    busy_ = false;
  }
}

}  // namespace stasis::image
