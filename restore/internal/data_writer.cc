// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/data_writer.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "state/chunk_memory.h"

namespace stasis::restore {

absl::StatusOr<UniqueFd> NewMemoryFile(const char* name) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "cannot make a file in memory");
  return fd;
}

DataWriter::DataWriter(Slots slots) : slots_(slots) {
  memories_.push_back({state::ChunkMemory::Get().fd(), -1});
}

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

absl::StatusOr<DataWriter::Place> DataWriter::PlaceOfOwn(const state::Chunk& chunk) {
  pinned_.emplace_back(&chunk);
  shared_bytes_ += chunk.size();
  // Dirty: it is in memory, and the graph's reference keeps it from being changed.
  const state::Chunk::Slot slot = chunk.slot();
  if (slot.capacity == 0) return absl::DataLossError("a chunk in memory cannot be read");
  return Place{true, 0, state::ChunkMemoryView::LocationOf(slot.offset), slot};
}

absl::StatusOr<DataWriter::Place> DataWriter::PlaceOf(const state::Chunk& chunk) {
  if (chunk.size() == 0 && slots_ == Slots::kRead) return Place{true, 0, {}, {}};
  chunk.Pin();
  const state::Chunk::StoredCopy stored = chunk.stored();
  auto* packs = dynamic_cast<image::PackReader*>(stored.source.get());
  auto* view = dynamic_cast<state::ChunkMemoryView*>(stored.source.get());
  if (packs == nullptr && view == nullptr) return PlaceOfOwn(chunk);
  Place place{packs == nullptr, packs != nullptr ? RowOf(*packs) : RowOf(*view), stored.at, {}};
  if (slots_ == Slots::kAll) place.slot = chunk.slot();
  if (place.slot.capacity != 0)
    pinned_.emplace_back(&chunk);
  else
    chunk.Unpin();
  if (place.in_memory) shared_bytes_ += chunk.size();
  return place;
}

absl::StatusOr<std::vector<DataWriter::Place>> DataWriter::PlacesOf(
    std::span<const RefPtr<const state::Chunk>> chunks) {
  std::vector<Place> places;
  places.reserve(chunks.size());
  for (const auto& chunk : chunks) {
    absl::StatusOr<Place> place = PlaceOf(*chunk);
    if (!place.ok()) return place.status();
    places.push_back(*place);
  }
  return places;
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

void DataWriter::WriteParts(std::span<const RefPtr<const state::Chunk>> chunks,
                            const std::vector<Place>& places, wire::ForkData::Builder data) const {
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
      lengths.set(i, chunks[first + i]->size());
      sources.set(i, place.source + (place.in_memory ? static_cast<uint32_t>(packs_.size()) : 0));
      frames.set(i, place.at.frame);
      offsets.set(i, place.at.offset);
    }
    if (slots_ == Slots::kRead) continue;
    auto slots = parts[p].initSlots(rows);
    auto capacities = parts[p].initCapacities(rows);
    for (uint32_t i = 0; i < rows; ++i) {
      slots.set(i, places[first + i].slot.offset);
      capacities.set(i, places[first + i].slot.capacity);
    }
  }
}

absl::Status DataWriter::Write(std::span<const RefPtr<const state::Chunk>> chunks, int fd,
                               const std::vector<LentChunks>& lent) {
  std::span<const RefPtr<const state::Chunk>> all = chunks;
  std::vector<RefPtr<const state::Chunk>> with_lent;
  absl::flat_hash_map<const state::Chunk*, uint32_t> numbers;
  if (!lent.empty()) {
    with_lent.assign(chunks.begin(), chunks.end());
    for (const auto& chunk : chunks) numbers.try_emplace(chunk.get(), numbers.size());
    for (const LentChunks& some : lent)
      for (const auto& chunk : some)
        if (numbers.try_emplace(chunk.get(), with_lent.size()).second) with_lent.push_back(chunk);
    all = with_lent;
  }
  const absl::StatusOr<std::vector<Place>> places = PlacesOf(all);
  if (!places.ok()) return places.status();
  capnp::MallocMessageBuilder message;
  auto data = message.initRoot<wire::ForkData>();
  auto packs = data.initPacks(static_cast<uint32_t>(packs_.size()));
  for (uint32_t i = 0; i < packs.size(); ++i) WritePacks(*packs_[i], packs[i]);
  data.setMemories(static_cast<uint32_t>(memories_.size()));
  data.setChunks(static_cast<uint32_t>(chunks.size()));
  WriteParts(all, *places, data);
  auto lists = data.initLent(static_cast<uint32_t>(lent.size()));
  for (uint32_t i = 0; i < lists.size(); ++i) {
    auto list = lists[i].initChunks(static_cast<uint32_t>(lent[i].size()));
    for (uint32_t k = 0; k < list.size(); ++k) list.set(k, numbers.at(lent[i][k].get()));
  }
  try {
    capnp::writeMessageToFd(fd, message);
  } catch (const kj::Exception& e) {
    return absl::InternalError(
        fmt::format("cannot hand over the data: {}", e.getDescription().cStr()));
  }
  return absl::OkStatus();
}

}  // namespace stasis::restore
