// SPDX-License-Identifier: Apache-2.0

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <kj/exception.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "restore/fork.capnp.h"
#include "restore/fork.h"
#include "restore/image/lease.h"
#include "restore/internal/format.h"
#include "restore/internal/graph_transfer.h"
#include "state/chunk_memory_view.h"

namespace stasis::restore {
namespace {

absl::Status NotWhole(std::string_view what) {
  return absl::DataLossError(fmt::format("what was offered for the fork is not whole: {}", what));
}

absl::StatusOr<UniqueFd> OpenOf(pid_t pid, int fd, int flags) {
  UniqueFd opened(::open(fmt::format("/proc/{}/fd/{}", pid, fd).c_str(), flags | O_CLOEXEC));
  if (opened.valid()) return opened;
  if (errno == ENOENT)
    return absl::NotFoundError("the sandbox that was to be forked, or its offer, is gone");
  return absl::ErrnoToStatus(errno, fmt::format("cannot open what process {} offers", pid));
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

// What chunks are read from, in the order of their numbers.
using Sources = std::vector<RefPtr<state::ChunkSource>>;

// The numbers may name something else by now.
absl::Status CheckInode(int fd, uint64_t inode) {
  struct stat st;
  if (::fstat(fd, &st) == 0 && st.st_ino == inode) return absl::OkStatus();
  return absl::NotFoundError("the offer of the sandbox that was to be forked has run out");
}

// Before anything that takes time: from then on the memories stay as they are.
absl::Status OpenMemories(const ForkPlaces& places, Sources& sources) {
  for (const ForkPlaces::Memory& memory : places.memories) {
    absl::StatusOr<UniqueFd> token = OpenOf(places.pid, memory.token, O_WRONLY);
    if (!token.ok()) return token.status();
    if (absl::Status s = CheckInode(token->get(), memory.token_inode); !s.ok()) return s;
    absl::StatusOr<UniqueFd> fd = OpenOf(places.pid, memory.memory, O_RDONLY);
    if (!fd.ok()) return fd.status();
    if (absl::Status s = CheckInode(fd->get(), memory.memory_inode); !s.ok()) return s;
    auto view = state::ChunkMemoryView::Map(*std::move(fd), *std::move(token));
    if (!view)
      return absl::ErrnoToStatus(view.error().value(),
                                 "cannot map what is forked; checkpoint and restore it instead");
    sources.push_back(*std::move(view));
  }
  return absl::OkStatus();
}

absl::Status MakeChunks(wire::ForkData::Reader data, const Sources& sources,
                        std::vector<RefPtr<state::Chunk>>& chunks, uint64_t& bytes) {
  for (const auto part : data.getParts()) {
    const auto lengths = part.getLengths();
    const auto from = part.getSources();
    const auto frames = part.getFrames();
    const auto offsets = part.getOffsets();
    if (from.size() != lengths.size() || frames.size() != lengths.size() ||
        offsets.size() != lengths.size())
      return NotWhole("the columns of the chunks");
    chunks.reserve(chunks.size() + lengths.size());
    for (uint32_t i = 0; i < lengths.size(); ++i) {
      if (from[i] >= sources.size() || lengths[i] > state::kChunkSize) return NotWhole("a chunk");
      chunks.push_back(state::Chunk::Stored(sources[from[i]], {frames[i], offsets[i]}, lengths[i]));
      bytes += lengths[i];
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ForkedState>> TakeFork(const ForkPlaces& places,
                                                      const image::PackReaderOptions& packs,
                                                      const std::string& lease_name) {
  Sources memories;
  if (absl::Status s = OpenMemories(places, memories); !s.ok()) return s;
  absl::StatusOr<UniqueFd> rows = OpenOf(places.pid, places.rows, O_RDONLY);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<UniqueFd> data = OpenOf(places.pid, places.data, O_RDONLY);
  if (!data.ok()) return data.status();
  auto forked = std::make_unique<ForkedState>();
  absl::StatusOr<state::SavedGraph> tables = ReceiveTables(rows->get());
  if (!tables.ok()) return tables.status();
  forked->graph_ = *std::move(tables);
  struct stat st;
  if (::fstat(data->get(), &st) != 0) return absl::ErrnoToStatus(errno, "cannot read the fork");
  try {
    capnp::ReaderOptions limits;
    // Each word is looked at a few times at most.
    limits.traversalLimitInWords =
        static_cast<uint64_t>(st.st_size) / sizeof(capnp::word) * 8 + 1024;
    capnp::StreamFdMessageReader message(data->get(), limits);
    const auto root = message.getRoot<wire::ForkData>();
    Sources sources;
    for (const auto source : root.getPacks()) {
      auto opened = OpenPacks(source, packs, lease_name);
      if (!opened.ok()) return opened.status();
      sources.push_back(*std::move(opened));
    }
    if (root.getMemories() != memories.size()) return NotWhole("the number of memories");
    sources.insert(sources.end(), memories.begin(), memories.end());
    if (absl::Status s = MakeChunks(root, sources, forked->chunks_, forked->data_bytes_); !s.ok())
      return s;
  } catch (const kj::Exception& e) {
    return NotWhole(e.getDescription().cStr());
  }
  return forked;
}

}  // namespace stasis::restore
