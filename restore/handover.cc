// SPDX-License-Identifier: Apache-2.0

#include "restore/handover.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "restore/internal/data_reader.h"
#include "restore/internal/data_writer.h"
#include "restore/internal/graph_transfer.h"
#include "state/chunk_memory_view.h"

namespace stasis::restore {
namespace {

absl::Status NotWhole(std::string_view what) {
  return absl::DataLossError(
      fmt::format("what the other process hands over is not whole: {}", what));
}

// The memories as sources; this process's own is a null one.
absl::Status TakeMemories(Parcel& parcel, const nlohmann::json& state,
                          const state::ChunkMemoryOptions& options, DataReader::Sources& sources) {
  for (const nlohmann::json& memory : state.at("memories")) {
    absl::StatusOr<UniqueFd> fd = parcel.Take(memory.at("memory").get<int>());
    if (!fd.ok()) return fd.status();
    if (sources.empty()) {
      std::optional<state::SpanRange> reserved;
      if (state.contains("reserved"))
        reserved = {state["reserved"].at(0).get<uint32_t>(),
                    state["reserved"].at(1).get<uint32_t>()};
      const auto made = state::ChunkMemory::ConfigureAdopted(*std::move(fd), reserved, options);
      if (!made)
        return absl::ErrnoToStatus(made.error().value(),
                                   "cannot take the memory for file data over");
      sources.emplace_back();
      continue;
    }
    absl::StatusOr<UniqueFd> token = parcel.Take(memory.at("token").get<int>());
    if (!token.ok()) return token.status();
    auto view = state::ChunkMemoryView::Map(*std::move(fd), *std::move(token));
    if (!view)
      return absl::ErrnoToStatus(view.error().value(), "cannot map the memory of another sandbox");
    sources.push_back(*std::move(view));
  }
  return absl::OkStatus();
}

}  // namespace

int Parcel::Add(UniqueFd fd) {
  fds.push_back(std::move(fd));
  return static_cast<int>(fds.size()) - 1;
}

absl::StatusOr<int> Parcel::AddCopy(int fd) {
  if (fd < 0) return -1;
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return absl::ErrnoToStatus(errno, "cannot copy a descriptor");
  return Add(std::move(copy));
}

absl::StatusOr<UniqueFd> Parcel::Take(int number) {
  if (number < 0 || static_cast<size_t>(number) >= fds.size() ||
      !fds[static_cast<size_t>(number)].valid())
    return NotWhole(fmt::format("there is no descriptor {}", number));
  return std::move(fds[static_cast<size_t>(number)]);
}

PackedState::~PackedState() {
  for (const auto& chunk : pinned_) chunk->Unpin();
}

absl::StatusOr<std::unique_ptr<PackedState>> PackState(const state::SavedGraph& graph,
                                                       CleanChunks clean,
                                                       const std::vector<const ForkOffer*>& offers,
                                                       Parcel& parcel) {
  absl::StatusOr<UniqueFd> rows = NewMemoryFile("stasis-rows");
  if (!rows.ok()) return rows.status();
  absl::StatusOr<UniqueFd> data = NewMemoryFile("stasis-data-places");
  if (!data.ok()) return data.status();
  if (absl::Status s = SendGraph(rows->get(), graph); !s.ok()) return s;
  nlohmann::json& state = parcel.json["state"];
  state["lent"] = nlohmann::json::array();
  std::vector<LentChunks> lent;
  for (const ForkOffer* offer : offers) {
    if (offer->ended()) continue;
    const absl::StatusOr<int> watch = parcel.AddCopy(offer->token_watch());
    if (!watch.ok()) return watch.status();
    state["lent"].push_back(*watch);
    lent.push_back(offer->pinned());
  }
  DataWriter writer(clean == CleanChunks::kInMemory ? DataWriter::Slots::kAll
                                                    : DataWriter::Slots::kDirty);
  if (absl::Status s = writer.Write(graph.chunks, data->get(), lent); !s.ok()) return s;
  state["memories"] = nlohmann::json::array();
  for (const ForkPlaces::Memory& memory : writer.memories()) {
    const absl::StatusOr<int> fd = parcel.AddCopy(memory.memory);
    const absl::StatusOr<int> token = parcel.AddCopy(memory.token);
    if (!fd.ok()) return fd.status();
    if (!token.ok()) return token.status();
    state["memories"].push_back({{"memory", *fd}, {"token", *token}});
  }
  state["rows"] = parcel.Add(*std::move(rows));
  state["data"] = parcel.Add(*std::move(data));
  std::unique_ptr<PackedState> packed(new PackedState());
  packed->pinned_ = writer.TakePinned();
  packed->sources_ = writer.TakeSources();
  return packed;
}

absl::StatusOr<UnpackedState> UnpackState(Parcel& parcel, const state::ChunkMemoryOptions& memory,
                                          const image::PackReaderOptions& packs,
                                          const std::string& lease_name) {
  try {
    const nlohmann::json state = parcel.json.at("state");
    DataReader::Sources sources;
    if (absl::Status s = TakeMemories(parcel, state, memory, sources); !s.ok()) return s;
    absl::StatusOr<UniqueFd> rows = parcel.Take(state.at("rows").get<int>());
    if (!rows.ok()) return rows.status();
    absl::StatusOr<UniqueFd> data = parcel.Take(state.at("data").get<int>());
    if (!data.ok()) return data.status();
    absl::StatusOr<state::SavedGraph> tables = ReceiveTables(rows->get());
    if (!tables.ok()) return tables.status();
    DataReader reader(packs, lease_name);
    if (absl::Status s = reader.Read(data->get(), sources); !s.ok()) return s;
    const nlohmann::json& lent = state.at("lent");
    if (lent.size() != reader.lent.size()) return NotWhole("what forks read");
    UnpackedState unpacked;
    for (size_t i = 0; i < lent.size(); ++i) {
      absl::StatusOr<UniqueFd> watch = parcel.Take(lent[i].get<int>());
      if (!watch.ok()) return watch.status();
      auto offer = ForkOffer::Continue(*std::move(watch), std::move(reader.lent[i]));
      if (!offer.ok()) return offer.status();
      unpacked.offers.push_back(*std::move(offer));
    }
    unpacked.forked = std::make_unique<ForkedState>(*std::move(tables), std::move(reader.chunks),
                                                    reader.bytes, "the sandbox taken over");
    return unpacked;
  } catch (const nlohmann::json::exception& e) {
    return NotWhole(e.what());
  }
}

}  // namespace stasis::restore
