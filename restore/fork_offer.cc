// SPDX-License-Identifier: Apache-2.0

#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <kj/exception.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "restore/fork.capnp.h"
#include "restore/fork.h"
#include "restore/internal/format.h"
#include "restore/internal/graph_transfer.h"
#include "restore/internal/pause.h"
#include "restore/internal/stopwatch.h"
#include "state/chunk_memory.h"
#include "state/chunk_memory_view.h"

namespace stasis::restore {
namespace {

// Where the chunks of a graph are, as the other process is told.
class DataWriter {
 public:
  DataWriter() { memories_.push_back({state::ChunkMemory::Get().fd(), -1}); }
  ~DataWriter();
  DataWriter(const DataWriter&) = delete;
  DataWriter& operator=(const DataWriter&) = delete;

  // Pins what is in this process's own memory: what a checkpoint makes clean must not leave it.
  absl::Status Write(const state::SavedGraph& graph, int fd);
  std::vector<RefPtr<const state::Chunk>> TakePinned() { return std::move(pinned_); }
  // Keep open what is offered.
  std::vector<RefPtr<state::ChunkSource>> TakeSources() { return std::move(sources_); }
  // The first one is this process's own; its token is not known here.
  const std::vector<ForkPlaces::Memory>& memories() const { return memories_; }
  uint64_t shared_bytes() const { return shared_bytes_; }

 private:
  // What a row says.
  struct Place {
    bool in_memory = false;
    uint32_t source = 0;  // row of packs_ or memories_
    state::ChunkLocation at;
  };

  absl::StatusOr<Place> PlaceOf(const state::Chunk& chunk);
  uint32_t RowOf(image::PackReader& packs);
  uint32_t RowOf(state::ChunkMemoryView& view);
  static void WritePacks(const image::PackReader& packs, wire::PackSource::Builder out);

  std::vector<const image::PackReader*> packs_;
  std::vector<ForkPlaces::Memory> memories_;
  absl::flat_hash_map<const state::ChunkSource*, uint32_t> rows_;
  std::vector<RefPtr<const state::Chunk>> pinned_;
  std::vector<RefPtr<state::ChunkSource>> sources_;
  uint64_t shared_bytes_ = 0;
};

DataWriter::~DataWriter() {
  for (const auto& chunk : pinned_) chunk->Unpin();
}

uint32_t DataWriter::RowOf(image::PackReader& packs) {
  const auto [row, fresh] = rows_.try_emplace(&packs, packs_.size());
  if (fresh) {
    packs_.push_back(&packs);
    sources_.emplace_back(&packs);
  }
  return row->second;
}

uint32_t DataWriter::RowOf(state::ChunkMemoryView& view) {
  const auto [row, fresh] = rows_.try_emplace(&view, memories_.size());
  if (fresh) {
    memories_.push_back({view.fd(), view.token()});
    sources_.emplace_back(&view);
  }
  return row->second;
}

absl::StatusOr<DataWriter::Place> DataWriter::PlaceOf(const state::Chunk& chunk) {
  if (chunk.size() == 0) return Place{true, 0, {}};
  chunk.Pin();
  const state::Chunk::StoredCopy stored = chunk.stored();
  auto* packs = dynamic_cast<image::PackReader*>(stored.source.get());
  auto* view = dynamic_cast<state::ChunkMemoryView*>(stored.source.get());
  if (packs != nullptr || view != nullptr) {
    chunk.Unpin();
    if (packs != nullptr) return Place{false, RowOf(*packs), stored.at};
    shared_bytes_ += chunk.size();
    return Place{true, RowOf(*view), stored.at};
  }
  pinned_.emplace_back(&chunk);
  shared_bytes_ += chunk.size();
  // Dirty: it is in memory, and the graph's reference keeps it from being changed.
  const auto bytes = chunk.Bytes();
  if (!bytes.has_value()) return absl::DataLossError("a chunk in memory cannot be read");
  return Place{
      true, 0,
      state::ChunkMemoryView::LocationOf(state::ChunkMemory::Get().OffsetOf(bytes->data()))};
}

void DataWriter::WritePacks(const image::PackReader& packs, wire::PackSource::Builder out) {
  const auto digest = [](const image::Digest& d) {
    return capnp::Data::Reader(reinterpret_cast<const kj::byte*>(d.bytes.data()), d.bytes.size());
  };
  out.setDirectory(packs.directory());
  out.setImage(packs.image());
  if (packs.manifest().has_value()) out.setManifest(digest(*packs.manifest()));
  auto list = out.initPacks(static_cast<uint32_t>(packs.packs().size()));
  for (uint32_t i = 0; i < list.size(); ++i) {
    list[i].setDigest(digest(packs.packs()[i].digest));
    list[i].setSize(packs.packs()[i].size);
  }
  auto frames = out.initFrames(static_cast<uint32_t>(packs.frames().size()));
  for (uint32_t i = 0; i < frames.size(); ++i) {
    const image::FrameEntry& frame = packs.frames()[i];
    frames[i].setPack(frame.pack);
    frames[i].setStoredLength(frame.stored_length);
    frames[i].setOffset(frame.offset);
    frames[i].setContentLength(frame.content_length);
    frames[i].setDigest(digest(frame.content_digest));
  }
}

absl::Status DataWriter::Write(const state::SavedGraph& graph, int fd) {
  std::vector<Place> places;
  places.reserve(graph.chunks.size());
  for (const auto& chunk : graph.chunks) {
    absl::StatusOr<Place> place = PlaceOf(*chunk);
    if (!place.ok()) return place.status();
    places.push_back(*place);
  }
  capnp::MallocMessageBuilder message;
  auto data = message.initRoot<wire::ForkData>();
  auto packs = data.initPacks(static_cast<uint32_t>(packs_.size()));
  for (uint32_t i = 0; i < packs.size(); ++i) WritePacks(*packs_[i], packs[i]);
  data.setMemories(static_cast<uint32_t>(memories_.size()));
  constexpr size_t kRows = wire::ForkData::ROWS_PER_PART;
  auto parts = data.initParts(static_cast<uint32_t>((places.size() + kRows - 1) / kRows));
  for (uint32_t p = 0; p < parts.size(); ++p) {
    const size_t first = p * kRows;
    const auto rows = static_cast<uint32_t>(std::min(kRows, places.size() - first));
    auto lengths = parts[p].initLengths(rows);
    auto sources = parts[p].initSources(rows);
    auto frames = parts[p].initFrames(rows);
    auto offsets = parts[p].initOffsets(rows);
    for (uint32_t i = 0; i < rows; ++i) {
      const Place& place = places[first + i];
      lengths.set(i, graph.chunks[first + i]->size());
      sources.set(i, place.source + (place.in_memory ? packs.size() : 0));
      frames.set(i, place.at.frame);
      offsets.set(i, place.at.offset);
    }
  }
  try {
    capnp::writeMessageToFd(fd, message);
  } catch (const kj::Exception& e) {
    return absl::InternalError(
        fmt::format("cannot hand over the data: {}", e.getDescription().cStr()));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> NewMemoryFile(const char* name) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "cannot make a file in memory");
  return fd;
}

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
  if (absl::Status s = writer.Write(graph, data->get()); !s.ok()) return s;
  offer.rows_ = *std::move(rows);
  offer.data_ = *std::move(data);
  offer.pinned_ = writer.TakePinned();
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
  for (const auto& chunk : pinned_) chunk->Unpin();
  pinned_.clear();
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
  if (!ended()) KeepForEver(std::move(pinned_));
}

absl::StatusOr<std::unique_ptr<ForkOffer>> OfferFork(const CheckpointRequest& request,
                                                     std::chrono::milliseconds time_to_take) {
  return Forker(request, time_to_take).Run();
}

}  // namespace stasis::restore
