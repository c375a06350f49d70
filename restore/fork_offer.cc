// SPDX-License-Identifier: Apache-2.0

#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "restore/fork.h"
#include "restore/internal/data_writer.h"
#include "restore/internal/format.h"
#include "restore/internal/graph_transfer.h"
#include "restore/internal/pause.h"
#include "restore/internal/stopwatch.h"

namespace stasis::restore {
namespace {

void KeepForEver(std::vector<RefPtr<const state::Chunk>> chunks) {
  struct Kept {
    absl::Mutex mu;
    std::vector<std::vector<RefPtr<const state::Chunk>>> chunks ABSL_GUARDED_BY(mu);
  };
  static auto* kept = new Kept();
  const absl::MutexLock lock(&kept->mu);
  kept->chunks.push_back(std::move(chunks));
}

}  // namespace

std::string ForkReport::ToJson() const {
  return DumpJson({{"pause_ns", pause_ns},
                   {"pause", PartsToJson(*this)},
                   {"wall_ns", wall_ns},
                   {"files", files},
                   {"chunks", chunks},
                   {"shared_bytes", shared_bytes}});
}

std::string ForkPlaces::ToJson() const {
  nlohmann::ordered_json json = {
      {"pid", pid}, {"rows", rows}, {"data", data}, {"memories", nlohmann::ordered_json::array()}};
  for (const Memory& memory : memories)
    json["memories"].push_back({{"memory", memory.memory},
                                {"token", memory.token},
                                {"memory_inode", memory.memory_inode},
                                {"token_inode", memory.token_inode}});
  return json.dump();
}

absl::StatusOr<ForkPlaces> ForkPlaces::FromJson(std::string_view json) {
  ForkPlaces places;
  try {
    const auto parsed = nlohmann::json::parse(json);
    places.pid = parsed.at("pid").get<pid_t>();
    places.rows = parsed.at("rows").get<int>();
    places.data = parsed.at("data").get<int>();
    for (const auto& memory : parsed.at("memories"))
      places.memories.push_back({memory.at("memory").get<int>(), memory.at("token").get<int>(),
                                 memory.at("memory_inode").get<uint64_t>(),
                                 memory.at("token_inode").get<uint64_t>()});
  } catch (const nlohmann::json::exception& e) {
    return absl::InvalidArgumentError(fmt::format("this is no offer of a fork: {}", e.what()));
  }
  return places;
}

// One fork, on the side that offers.
class Forker {
 public:
  Forker(const CheckpointRequest& request, std::chrono::milliseconds time_to_take)
      : request_(request), time_to_take_(time_to_take), pause_(request) {}

  absl::StatusOr<std::unique_ptr<ForkOffer>> Run();

 private:
  absl::Status HandOver(const state::SavedGraph& graph, ForkOffer& offer);

  const CheckpointRequest& request_;
  const std::chrono::milliseconds time_to_take_;
  PausedSave pause_;
};

absl::StatusOr<std::unique_ptr<ForkOffer>> Forker::Run() {
  Stopwatch wall;
  std::unique_ptr<ForkOffer> offer(new ForkOffer());
  if (absl::Status s = pause_.Prepare(); !s.ok()) return s;
  if (absl::Status s = pause_.Pause(); !s.ok()) return s;
  absl::StatusOr<state::SavedGraph> graph = pause_.TakeRows();
  if (!graph.ok()) return graph.status();
  if (absl::Status s = HandOver(*graph, *offer); !s.ok()) return s;
  if (!pause_.thawed().ok()) return pause_.thawed();
  ForkReport& report = offer->report_;
  static_cast<PauseTimes&>(report) = pause_.times();
  report.files = CountRowsOf(*graph, *request_.registry, "vfs.Inode");
  report.chunks = graph->chunks.size();
  report.wall_ns = wall.Total();
  offer->watch_ = std::thread([offer = offer.get(), time = time_to_take_] { offer->Watch(time); });
  return offer;
}

absl::Status Forker::HandOver(const state::SavedGraph& graph, ForkOffer& offer) {
  absl::StatusOr<UniqueFd> rows = NewMemoryFile("stasis-fork-rows");
  if (!rows.ok()) return rows.status();
  absl::StatusOr<UniqueFd> data = NewMemoryFile("stasis-fork-data");
  if (!data.ok()) return data.status();
  int token[2];
  if (::pipe2(token, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  offer.token_watch_.reset(token[0]);
  offer.token_.reset(token[1]);
  offer.stop_.reset(eventfd(0, EFD_CLOEXEC));
  if (!offer.stop_.valid()) return absl::ErrnoToStatus(errno, "cannot make an event");
  if (absl::Status s = SendGraph(rows->get(), graph); !s.ok()) return s;
  DataWriter writer;
  if (absl::Status s = writer.Write(graph.chunks, data->get()); !s.ok()) return s;
  offer.rows_ = *std::move(rows);
  offer.data_ = *std::move(data);
  {
    const absl::MutexLock lock(&offer.mu_);
    offer.pinned_ = writer.TakePinned();
  }
  offer.sources_ = writer.TakeSources();
  offer.places_ = {::getpid(), offer.rows_.get(), offer.data_.get(), writer.memories()};
  offer.places_.memories.front().token = offer.token_.get();
  for (ForkPlaces::Memory& memory : offer.places_.memories) {
    struct stat st;
    if (::fstat(memory.memory, &st) == 0) memory.memory_inode = st.st_ino;
    if (::fstat(memory.token, &st) == 0) memory.token_inode = st.st_ino;
  }
  offer.report_.shared_bytes = writer.shared_bytes();
  return absl::OkStatus();
}

// Lets go of the chunks when nobody needs them.
void ForkOffer::Watch(std::chrono::milliseconds time_to_take) {
  // False if this is to end first.
  const auto wait = [this](int timeout_ms) {
    pollfd entries[] = {{token_watch_.get(), 0, 0}, {stop_.get(), POLLIN, 0}};
    while (::poll(entries, 2, timeout_ms) < 0 && errno == EINTR) {
    }
    return entries[1].revents == 0;
  };
  if (!wait(static_cast<int>(time_to_take.count()))) return;
  token_.reset();
  rows_.reset();
  data_.reset();
  sources_.clear();
  if (!wait(-1)) return;
  Release();
  ended_.store(true, std::memory_order_release);
}

void ForkOffer::Release() {
  std::vector<RefPtr<const state::Chunk>> pinned;
  {
    const absl::MutexLock lock(&mu_);
    pinned.swap(pinned_);
  }
  for (const auto& chunk : pinned) chunk->Unpin();
}

std::vector<RefPtr<const state::Chunk>> ForkOffer::pinned() const {
  const absl::MutexLock lock(&mu_);
  return pinned_;
}

absl::StatusOr<std::unique_ptr<ForkOffer>> ForkOffer::Continue(
    UniqueFd token_watch, std::vector<RefPtr<const state::Chunk>> chunks) {
  std::unique_ptr<ForkOffer> offer(new ForkOffer());
  offer->token_watch_ = std::move(token_watch);
  offer->stop_.reset(eventfd(0, EFD_CLOEXEC));
  if (!offer->stop_.valid()) return absl::ErrnoToStatus(errno, "cannot make an event");
  for (const auto& chunk : chunks) chunk->Pin();
  {
    const absl::MutexLock lock(&offer->mu_);
    offer->pinned_ = std::move(chunks);
  }
  offer->watch_ = std::thread([at = offer.get()] { at->Watch(std::chrono::milliseconds(0)); });
  return offer;
}

ForkOffer::~ForkOffer() {
  if (!watch_.joinable()) {
    Release();
    return;
  }
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  watch_.join();
  // Whoever reads the memory goes on doing so when this process has ended: it must be left as it
  // is, and so what is in use is never freed.
  if (!ended()) KeepForEver(pinned());
}

absl::StatusOr<std::unique_ptr<ForkOffer>> OfferFork(const CheckpointRequest& request,
                                                     std::chrono::milliseconds time_to_take) {
  return Forker(request, time_to_take).Run();
}

}  // namespace stasis::restore
