// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/data_reader.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "restore/image/lease.h"
#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

absl::Status NotWhole(std::string_view what) {
  return absl::DataLossError(fmt::format("what the other process offers is not whole: {}", what));
}

absl::StatusOr<image::Digest> DigestFrom(capnp::Data::Reader data) {
  image::Digest digest;
  if (data.size() != digest.bytes.size()) return NotWhole("a digest");
  std::memcpy(digest.bytes.data(), data.begin(), data.size());
  return digest;
}

absl::StatusOr<RefPtr<image::PackReader>> OpenPacks(wire::PackSource::Reader source,
                                                    image::PackReaderOptions options,
                                                    const std::string& lease_name) {
  std::vector<image::PackEntry> packs;
  for (const auto pack : source.getPacks()) {
    const absl::StatusOr<image::Digest> digest = DigestFrom(pack.getDigest());
    if (!digest.ok()) return digest.status();
    packs.push_back({*digest, pack.getSize()});
  }
  std::vector<image::FrameEntry> frames;
  frames.reserve(source.getFrames().size());
  for (const auto frame : source.getFrames()) {
    const absl::StatusOr<image::Digest> digest = DigestFrom(frame.getDigest());
    if (!digest.ok()) return digest.status();
    if (frame.getPack() >= packs.size()) return NotWhole("a frame's pack");
    frames.push_back({frame.getPack(), frame.getStoredLength(), frame.getOffset(),
                      frame.getContentLength(), *digest});
  }
  auto layout = image::Layout::Open(source.getDirectory());
  if (!layout.ok()) return layout.status();
  // Of everything, if it is not known which image that is.
  const std::shared_ptr<image::Lease> lease = image::Lease::Take(**layout, lease_name);
  options.hold = lease;
  if (source.getManifest().size() > 0) {
    const absl::StatusOr<image::Digest> digest = DigestFrom(source.getManifest());
    if (!digest.ok()) return digest.status();
    options.manifest = *digest;
  }
  auto reader = image::PackReader::Open(**layout, source.getImage(), std::move(packs),
                                        std::move(frames), options);
  if (reader.ok() && lease != nullptr && options.manifest.has_value())
    lease->Narrow({*options.manifest});
  return reader;
}

// The columns of a part. Each is got once: a reader counts what it looks at.
struct Columns {
  explicit Columns(wire::ForkData::Part::Reader part)
      : lengths(part.getLengths()),
        sources(part.getSources()),
        frames(part.getFrames()),
        offsets(part.getOffsets()),
        slots(part.getSlots()),
        capacities(part.getCapacities()) {}

  bool AreWhole() const {
    const uint32_t rows = lengths.size();
    return sources.size() == rows && frames.size() == rows && offsets.size() == rows &&
           (slots.size() == 0 || slots.size() == rows) && capacities.size() == slots.size();
  }

  const capnp::List<uint32_t>::Reader lengths, sources, frames, offsets;
  const capnp::List<uint64_t>::Reader slots;
  const capnp::List<uint32_t>::Reader capacities;
};

absl::StatusOr<RefPtr<state::Chunk>> ChunkAt(const Columns& part, uint32_t i,
                                             const DataReader::Sources& sources) {
  const uint32_t length = part.lengths[i];
  if (part.sources[i] >= sources.size() || length > state::kChunkSize) return NotWhole("a chunk");
  const RefPtr<state::ChunkSource>& source = sources[part.sources[i]];
  const state::ChunkLocation at{part.frames[i], part.offsets[i]};
  if (part.slots.size() == 0 || part.capacities[i] == 0) {
    if (source == nullptr) return NotWhole("a chunk without a place");
    return state::Chunk::Stored(source, at, length);
  }
  auto chunk = state::Chunk::Adopt({part.slots[i], part.capacities[i]}, length, source,
                                   source == nullptr ? state::ChunkLocation() : at);
  if (!chunk) return NotWhole("the slot of a chunk");
  return *std::move(chunk);
}

}  // namespace

absl::Status DataReader::ReadParts(wire::ForkData::Reader data, const Sources& sources) {
  for (const auto part : data.getParts()) {
    const Columns columns(part);
    if (!columns.AreWhole()) return NotWhole("the columns of the chunks");
    chunks.reserve(chunks.size() + columns.lengths.size());
    for (uint32_t i = 0; i < columns.lengths.size(); ++i) {
      absl::StatusOr<RefPtr<state::Chunk>> chunk = ChunkAt(columns, i, sources);
      if (!chunk.ok()) return chunk.status();
      bytes += (*chunk)->size();
      chunks.push_back(*std::move(chunk));
    }
  }
  return absl::OkStatus();
}

absl::Status DataReader::ReadLent(wire::ForkData::Reader data) {
  for (const auto list : data.getLent()) {
    std::vector<RefPtr<const state::Chunk>>& some = lent.emplace_back();
    for (const uint32_t number : list.getChunks()) {
      if (number >= chunks.size()) return NotWhole("what forks read");
      some.emplace_back(chunks[number].get());
    }
  }
  if (data.getChunks() > chunks.size()) return NotWhole("the number of chunks");
  if (data.getLent().size() > 0) chunks.resize(data.getChunks());
  return absl::OkStatus();
}

absl::Status DataReader::Read(int fd, const Sources& memories) {
  struct stat st;
  if (::fstat(fd, &st) != 0 || ::lseek(fd, 0, SEEK_SET) != 0)
    return absl::ErrnoToStatus(errno, "cannot read where the data is");
  try {
    capnp::ReaderOptions limits;
    // Each word is looked at a few times at most.
    limits.traversalLimitInWords =
        static_cast<uint64_t>(st.st_size) / sizeof(capnp::word) * 8 + 1024;
    capnp::StreamFdMessageReader message(fd, limits);
    const auto root = message.getRoot<wire::ForkData>();
    Sources sources;
    for (const auto source : root.getPacks()) {
      auto opened = OpenPacks(source, packs, lease_name);
      if (!opened.ok()) return opened.status();
      sources.push_back(*std::move(opened));
    }
    if (root.getMemories() != memories.size()) return NotWhole("the number of memories");
    sources.insert(sources.end(), memories.begin(), memories.end());
    if (absl::Status s = ReadParts(root, sources); !s.ok()) return s;
    return ReadLent(root);
  } catch (const kj::Exception& e) {
    return NotWhole(e.getDescription().cStr());
  }
}

}  // namespace stasis::restore
