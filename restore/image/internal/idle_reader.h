// SPDX-License-Identifier: Apache-2.0
//
// idle_reader.h: reads frames on a thread that runs when nobody else wants to.
//
// That thread reads, decompresses and verifies, and holds no lock that anybody but its caller waits
// for: one that did would make others wait for as long as the scheduler has better things to do.
//
// Where no processor is ever idle the caller reads himself in the end, a frame each kPatience:
// that is not noticed, and it is the least that gets done.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_IDLE_READER_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_IDLE_READER_H_

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "restore/image/file_ops.h"
#include "restore/image/frame_cache.h"
#include "restore/image/tables.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

// Belongs to one caller at a time, but for Hurry().
class IdleReader {
 public:
  static constexpr absl::Duration kPatience = absl::Milliseconds(50);

  IdleReader();
  ~IdleReader() { End(); }
  IdleReader(const IdleReader&) = delete;
  IdleReader& operator=(const IdleReader&) = delete;

  // As ReadFrameFrom, and waits for it. `ops` outlives this object.
  absl::StatusOr<FrameContent> Read(FileOps& ops, int fd, const FrameEntry& frame,
                                    const std::string& what) ABSL_LOCKS_EXCLUDED(mu_);
  // From now on it is like any other thread, if the host lets it. For whoever waits for its end.
  void Hurry();
  // Ends the thread. Requires: no Read, now or later.
  void End() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Owns what it needs: the caller may have left.
  struct Job {
    FileOps* ops;
    UniqueFd fd;
    FrameEntry frame;
    std::string what;
  };

  // False if it was not done in time.
  bool AwaitIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  std::atomic<int> tid_{0};

  absl::Mutex mu_;
  std::unique_ptr<Job> job_ ABSL_GUARDED_BY(mu_);  // not begun
  bool busy_ ABSL_GUARDED_BY(mu_) = false;         // with a job, begun or not
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  absl::StatusOr<FrameContent> result_ ABSL_GUARDED_BY(mu_) = FrameContent();  // of the last job
  std::thread thread_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_IDLE_READER_H_
