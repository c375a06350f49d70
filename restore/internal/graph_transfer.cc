// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/graph_transfer.h"

#include <absl/strings/string_view.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stasis::restore {
namespace {

struct Header {
  uint64_t magic;
  uint64_t description_bytes;  // after the header, padded to whole words
  uint64_t message_words;      // after the description
  uint64_t chunks;             // after the messages
};
// Written last: a process that died leaves none.
constexpr uint64_t kMagic = 0x3148505247535453;  // "STSGRPH1"

size_t Padded(size_t bytes) {
  return (bytes + sizeof(capnp::word) - 1) / sizeof(capnp::word) * sizeof(capnp::word);
}

absl::Status WriteAll(int fd, const void* data, size_t size, off_t at) {
  const auto* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, from, size, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::ErrnoToStatus(n < 0 ? errno : EIO, "cannot write the rows");
    from += n;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

// Numbers and texts, one after the other.
class Description {
 public:
  void Number(uint64_t value) { text_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void Text(absl::string_view value) {
    Number(value.size());
    text_.append(value.data(), value.size());
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class DescriptionReader {
 public:
  explicit DescriptionReader(std::string_view text) : rest_(text) {}

  uint64_t Number() {
    uint64_t value = 0;
    if (rest_.size() < sizeof value) return Fail();
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string Text() {
    const uint64_t size = Number();
    if (size > rest_.size()) return std::string(Fail(), ' ');
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  bool good() const { return good_; }

 private:
  uint64_t Fail() {
    good_ = false;
    rest_ = {};
    return 0;
  }

  std::string_view rest_;
  bool good_ = true;
};

Description Describe(const absl::Status& status) {
  Description out;
  out.Number(static_cast<uint64_t>(status.raw_code()));
  out.Text(status.message());
  return out;
}

Description Describe(const state::SavedGraph& graph) {
  Description out = Describe(absl::OkStatus());
  out.Number(graph.tables.size());
  for (const state::SavedTable& table : graph.tables) {
    out.Text(table.type);
    out.Number(table.row_count);
    out.Number(table.messages.size());
    for (const auto& message : table.messages) out.Number(message.size());
  }
  out.Number(graph.roots.size());
  for (const state::SavedRoot& root : graph.roots) {
    out.Text(root.name);
    out.Text(root.type);
    out.Number(root.row);
  }
  return out;
}

// A file on its way: the header comes last.
class Sender {
 public:
  explicit Sender(int fd) : fd_(fd) {}

  absl::Status Begin(const Description& description) {
    header_.description_bytes = description.text().size();
    return Append(description.text().data(), description.text().size());
  }
  absl::Status AppendTables(const state::SavedGraph& graph) {
    for (const state::SavedTable& table : graph.tables) {
      for (const auto& message : table.messages) {
        if (absl::Status s = Append(message.begin(), message.asBytes().size()); !s.ok()) return s;
        header_.message_words += message.size();
      }
    }
    return absl::OkStatus();
  }
  absl::Status AppendChunks(const state::SavedGraph& graph) {
    header_.chunks = graph.chunks.size();
    static_assert(sizeof(graph.chunks[0]) == sizeof(void*), "a RefPtr is a pointer");
    return Append(graph.chunks.data(), header_.chunks * sizeof(void*));
  }
  absl::Status End() {
    if (::ftruncate(fd_, at_) != 0) return absl::ErrnoToStatus(errno, "cannot write the rows");
    return WriteAll(fd_, &header_, sizeof header_, 0);
  }

 private:
  absl::Status Append(const void* data, size_t size) {
    absl::Status written = WriteAll(fd_, data, size, at_);
    at_ += static_cast<off_t>(Padded(size));
    return written;
  }

  const int fd_;
  off_t at_ = sizeof(Header);
  Header header_{kMagic, 0, 0, 0};
};

// The pages of a file, until the last array in them is gone.
class Mapping final : private kj::ArrayDisposer {
 public:
  Mapping(void* start, size_t size) : start_(start), size_(size) {}

  kj::Array<capnp::word> Take(capnp::word* from, size_t words) const {
    users_.fetch_add(1, std::memory_order_relaxed);
    return {from, words, *this};
  }
  // Ends the maker's own use, or an array's.
  void Drop() const {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  ~Mapping() { ::munmap(start_, size_); }
  void disposeImpl(void*, size_t, size_t, size_t, void (*)(void*)) const override { Drop(); }

  void* const start_;
  const size_t size_;
  mutable std::atomic<size_t> users_{1};
};

absl::Status NotWhole() { return absl::InternalError("the rows that were sent are not whole"); }

// The mapped file, taken apart.
struct Parts {
  std::string_view description;
  std::span<capnp::word> messages;
  std::span<const state::Chunk* const> chunks;
};

absl::StatusOr<Parts> TakeApart(std::byte* start, size_t size) {
  Header header;
  if (size < sizeof header) return NotWhole();
  std::memcpy(&header, start, sizeof header);
  if (header.magic != kMagic) return NotWhole();
  size_t rest = size - sizeof header;
  const size_t described = Padded(header.description_bytes);
  if (described > rest || header.message_words > (rest - described) / sizeof(capnp::word) ||
      header.chunks > (rest - described) / sizeof(void*) - header.message_words)
    return NotWhole();
  std::byte* at = start + sizeof header;
  Parts parts;
  parts.description = {reinterpret_cast<const char*>(at), header.description_bytes};
  at += described;
  parts.messages = {reinterpret_cast<capnp::word*>(at), header.message_words};
  at += header.message_words * sizeof(capnp::word);
  parts.chunks = {reinterpret_cast<const state::Chunk* const*>(at), header.chunks};
  return parts;
}

absl::Status ReadTables(DescriptionReader& in, std::span<capnp::word> words, const Mapping& mapping,
                        state::SavedGraph& graph) {
  for (uint64_t tables = in.Number(); tables > 0 && in.good(); --tables) {
    state::SavedTable table;
    table.type = in.Text();
    table.row_count = in.Number();
    for (uint64_t messages = in.Number(); messages > 0 && in.good(); --messages) {
      const uint64_t size = in.Number();
      if (size > words.size()) return NotWhole();
      table.messages.push_back(mapping.Take(words.data(), size));
      words = words.subspan(size);
    }
    graph.tables.push_back(std::move(table));
  }
  for (uint64_t roots = in.Number(); roots > 0 && in.good(); --roots) {
    state::SavedRoot root;
    root.name = in.Text();
    root.type = in.Text();
    root.row = static_cast<uint32_t>(in.Number());
    graph.roots.push_back(std::move(root));
  }
  return in.good() ? absl::OkStatus() : NotWhole();
}

absl::StatusOr<state::SavedGraph> Read(const Mapping& mapping, std::byte* start, size_t size,
                                       state::ChunkFreeze* freeze) {
  absl::StatusOr<Parts> parts = TakeApart(start, size);
  if (!parts.ok()) return parts.status();
  DescriptionReader in(parts->description);
  const auto code = static_cast<absl::StatusCode>(in.Number());
  const std::string message = in.Text();
  if (code != absl::StatusCode::kOk) return absl::Status(code, message);
  state::SavedGraph graph;
  if (absl::Status s = ReadTables(in, parts->messages, mapping, graph); !s.ok()) return s;
  if (freeze == nullptr) return graph;
  graph.chunks.reserve(parts->chunks.size());
  for (const state::Chunk* chunk : parts->chunks) graph.chunks.push_back(freeze->Hold(chunk));
  return graph;
}

}  // namespace

absl::Status SendGraph(int fd, const state::SavedGraph& graph) {
  Sender sender(fd);
  if (absl::Status s = sender.Begin(Describe(graph)); !s.ok()) return s;
  if (absl::Status s = sender.AppendTables(graph); !s.ok()) return s;
  if (absl::Status s = sender.AppendChunks(graph); !s.ok()) return s;
  return sender.End();
}

absl::Status SendError(int fd, const absl::Status& error) {
  Sender sender(fd);
  if (absl::Status s = sender.Begin(Describe(error)); !s.ok()) return s;
  return sender.End();
}

static absl::StatusOr<state::SavedGraph> Receive(int fd, state::ChunkFreeze* freeze) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return absl::ErrnoToStatus(errno, "cannot read the rows");
  const auto size = static_cast<size_t>(st.st_size);
  if (size == 0) return NotWhole();
  void* start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (start == MAP_FAILED) return absl::ErrnoToStatus(errno, "cannot map the rows");
  auto* mapping = new Mapping(start, size);
  absl::StatusOr<state::SavedGraph> graph =
      Read(*mapping, static_cast<std::byte*>(start), size, freeze);
  mapping->Drop();
  return graph;
}

absl::StatusOr<state::SavedGraph> ReceiveGraph(int fd, state::ChunkFreeze& freeze) {
  return Receive(fd, &freeze);
}

absl::StatusOr<state::SavedGraph> ReceiveTables(int fd) { return Receive(fd, nullptr); }

}  // namespace stasis::restore
