// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "restore/fork.h"
#include "restore/internal/data_reader.h"
#include "restore/internal/graph_transfer.h"
#include "state/chunk_memory_view.h"

namespace stasis::restore {
namespace {

absl::StatusOr<UniqueFd> OpenOf(pid_t pid, int fd, int flags) {
  UniqueFd opened(::open(fmt::format("/proc/{}/fd/{}", pid, fd).c_str(), flags | O_CLOEXEC));
  if (opened.valid()) return opened;
  if (errno == ENOENT)
    return absl::NotFoundError("the sandbox that was to be forked, or its offer, is gone");
  return absl::ErrnoToStatus(errno, fmt::format("cannot open what process {} offers", pid));
}

// The numbers may name something else by now.
absl::Status CheckInode(int fd, uint64_t inode) {
  struct stat st;
  if (::fstat(fd, &st) == 0 && st.st_ino == inode) return absl::OkStatus();
  return absl::NotFoundError("the offer of the sandbox that was to be forked has run out");
}

// Before anything that takes time: from then on the memories stay as they are.
absl::Status OpenMemories(const ForkPlaces& places, DataReader::Sources& sources) {
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

}  // namespace

absl::StatusOr<std::unique_ptr<ForkedState>> TakeFork(const ForkPlaces& places,
                                                      const image::PackReaderOptions& packs,
                                                      const std::string& lease_name) {
  DataReader::Sources memories;
  if (absl::Status s = OpenMemories(places, memories); !s.ok()) return s;
  absl::StatusOr<UniqueFd> rows = OpenOf(places.pid, places.rows, O_RDONLY);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<UniqueFd> data = OpenOf(places.pid, places.data, O_RDONLY);
  if (!data.ok()) return data.status();
  absl::StatusOr<state::SavedGraph> tables = ReceiveTables(rows->get());
  if (!tables.ok()) return tables.status();
  DataReader reader(packs, lease_name);
  if (absl::Status s = reader.Read(data->get(), memories); !s.ok()) return s;
  return std::make_unique<ForkedState>(*std::move(tables), std::move(reader.chunks), reader.bytes,
                                       "the forked sandbox");
}

}  // namespace stasis::restore
