// SPDX-License-Identifier: Apache-2.0
//
// fork.h: a live filesystem, given to another process of this host as it is at one moment.
//
//   auto offer = OfferFork(request);               // in the process that has it
//   ... offer->places() over a socket ...
//   auto forked = TakeFork(places);                // in the other one: a graph and its chunks
//   auto restored = RestoreFork(std::move(*forked), restore_request);
//
// No file data is copied or written. What is stored in an image is read from there by both; what is
// only in memory is read where it is, in the first process's ChunkMemory, which the second maps,
// and copied when one of them changes it. The first keeps those chunks for as long as the second,
// or whoever was forked from that, lives.

#ifndef STASIS_RESTORE_FORK_H_
#define STASIS_RESTORE_FORK_H_

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "restore/checkpoint.h"
#include "restore/image/pack_reader.h"
#include "restore/restore.h"
#include "state/base/unique_fd.h"
#include "state/saved_graph.h"

namespace stasis::restore {

// Descriptors of the process that offers, to be opened through its /proc/PID/fd.
struct ForkPlaces {
  struct Memory {
    int memory = -1;
    int token = -1;  // the memory stays as it is while somebody has this one open
    // Of the two: numbers may be used again.
    uint64_t memory_inode = 0;
    uint64_t token_inode = 0;
  };
  pid_t pid = 0;
  int rows = -1;
  int data = -1;
  std::vector<Memory> memories;

  std::string ToJson() const;
  static absl::StatusOr<ForkPlaces> FromJson(std::string_view json);
};

struct ForkReport : PauseTimes {
  int64_t wall_ns = 0;
  uint64_t files = 0;
  uint64_t chunks = 0;
  uint64_t shared_bytes = 0;  // of chunks that are only in memory

  // One line, compact, under the names that a checkpoint's report has.
  std::string ToJson() const;
};

// What was offered. When it goes before those who use it, it leaves the memory to them until this
// process ends, and after that.
class ForkOffer {
 public:
  ~ForkOffer();
  ForkOffer(const ForkOffer&) = delete;
  ForkOffer& operator=(const ForkOffer&) = delete;

  const ForkPlaces& places() const { return places_; }
  const ForkReport& report() const { return report_; }
  // True when nobody has taken it, or all who had have ended: nothing of it is kept any more.
  bool ended() const { return ended_.load(std::memory_order_acquire); }

  // For a process that goes on in this one's place, with the same memory: what is read by those who
  // have taken it, and a descriptor that hangs up when all of them have ended. There it goes on.
  std::vector<RefPtr<const state::Chunk>> pinned() const ABSL_LOCKS_EXCLUDED(mu_);
  int token_watch() const { return token_watch_.get(); }
  static absl::StatusOr<std::unique_ptr<ForkOffer>> Continue(
      UniqueFd token_watch, std::vector<RefPtr<const state::Chunk>> chunks);

 private:
  friend class Forker;
  ForkOffer() = default;
  void Watch(std::chrono::milliseconds time_to_take);
  void Release() ABSL_LOCKS_EXCLUDED(mu_);

  ForkReport report_;
  ForkPlaces places_;
  mutable absl::Mutex mu_;
  // What is read in this process's memory.
  std::vector<RefPtr<const state::Chunk>> pinned_ ABSL_GUARDED_BY(mu_);
  std::vector<RefPtr<state::ChunkSource>> sources_;  // what else was offered, until it is taken
  UniqueFd rows_;
  UniqueFd data_;
  UniqueFd token_;
  UniqueFd token_watch_;  // the end that sees when no token is open any more
  UniqueFd stop_;
  std::atomic<bool> ended_{false};
  std::thread watch_;
};

// Of the request: vfs, registry, roots, freezer, cancel. No layout is touched. The programs wait as
// for a checkpoint. Whoever wants it has to take it within `time_to_take`.
// Errors: as Checkpoint before it writes.
absl::StatusOr<std::unique_ptr<ForkOffer>> OfferFork(
    const CheckpointRequest& request,
    std::chrono::milliseconds time_to_take = std::chrono::seconds(30));

// A forked filesystem on its way.
class ForkedState final : public state::ChunkTable {
 public:
  // `name` is what errors call it.
  ForkedState(state::SavedGraph graph, std::vector<RefPtr<state::Chunk>> chunks,
              uint64_t data_bytes, std::string name)
      : name_(std::move(name)),
        graph_(std::move(graph)),
        chunks_(std::move(chunks)),
        data_bytes_(data_bytes) {}
  const std::string& name() const { return name_; }
  uint32_t size() const override { return static_cast<uint32_t>(chunks_.size()); }
  RefPtr<state::Chunk> Get(uint32_t index) override { return chunks_[index]; }
  state::SavedGraph TakeGraph() { return std::move(graph_); }
  uint64_t data_bytes() const { return data_bytes_; }

 private:
  const std::string name_;
  state::SavedGraph graph_;
  std::vector<RefPtr<state::Chunk>> chunks_;
  const uint64_t data_bytes_;
};

// What is read from images is leased in the name `lease_name` (image/lease.h).
// Errors: kNotFound if the process or its offer is gone; those of a layout that cannot be read;
// kDataLoss if what was offered is not whole.
absl::StatusOr<std::unique_ptr<ForkedState>> TakeFork(const ForkPlaces& places,
                                                      const image::PackReaderOptions& packs,
                                                      const std::string& lease_name = "");

// Of the request: all but the image. Errors: as Restore.
absl::StatusOr<RestoredImage> RestoreFork(std::unique_ptr<ForkedState> forked,
                                          const RestoreRequest& request);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_FORK_H_
