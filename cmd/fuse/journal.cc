// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/journal.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "state/base/result.h"

namespace stasis::fuse {
namespace {

constexpr uint64_t kMagic = 0x324c4e5253415453;  // "STASRNL2"
constexpr uint64_t kFileHeaderSize = 4096;
constexpr uint64_t kAlign = 64;
// Kept free by HasRoom for what belongs to a request besides it.
constexpr uint64_t kReserve = uint64_t{128} << 10;
constexpr absl::Duration kSentPoll = absl::Microseconds(20);

absl::Status Failed(absl::string_view what) {
  return absl::ErrnoToStatus(errno, absl::StrCat("journal: ", what));
}

absl::Status Damaged(uint64_t position, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("journal: the record at ", position, " ", what));
}

// Whether Mark() waits for its reply.
bool IsCounted(const JournalRecord& record) {
  return record.unique != 0 && record.kind != JournalRecord::Kind::kReply;
}

constexpr uint64_t AlignUp(uint64_t size) { return (size + kAlign - 1) & ~(kAlign - 1); }

// Against accidents: whoever can write here can write anything.
class Checksum {
 public:
  void Add(std::span<const std::byte> bytes) {
    for (; bytes.size() >= sizeof(uint64_t) * kLanes; bytes = bytes.subspan(sizeof(words_))) {
      uint64_t words[kLanes];
      std::memcpy(words, bytes.data(), sizeof(words));
      for (int i = 0; i < kLanes; ++i) words_[i] = Mix(words_[i] ^ words[i]);
    }
    uint64_t rest[kLanes] = {};
    if (!bytes.empty()) std::memcpy(rest, bytes.data(), bytes.size());
    for (int i = 0; i < kLanes; ++i) words_[i] = Mix(words_[i] ^ rest[i] ^ bytes.size());
  }
  uint32_t value() const {
    uint64_t sum = 0;
    for (uint64_t word : words_) sum = Mix(sum ^ word);
    return static_cast<uint32_t>(sum ^ (sum >> 32));
  }

 private:
  static constexpr int kLanes = 4;
  static uint64_t Mix(uint64_t word) { return std::rotl(word * 0x9e3779b97f4a7c15, 29) + 1; }

  uint64_t words_[kLanes] = {1, 2, 3, 4};
};

}  // namespace

struct Journal::FileHeader {
  uint64_t magic;
  uint64_t capacity;
  std::atomic<uint64_t> start;
  std::atomic<uint64_t> closed;  // 1: what came later is not here
  std::atomic<uint64_t> end;     // no record is there from here on
  std::atomic<uint64_t> read;    // 0: nobody reads
};

struct Journal::RecordHeader {
  std::atomic<uint64_t> commit;  // position + 1
  std::atomic<uint32_t> sent;    // not in the checksum
  uint32_t checksum;             // of all that follows
  uint32_t size;                 // with this header and padding
  uint32_t message_size;
  uint32_t kind;
  uint32_t server;
  int64_t time;
  uint64_t unique;
  uint64_t node;
  uint64_t handle;
  uint64_t digest;
  int32_t error;
  int32_t backing;

  std::byte* message() { return reinterpret_cast<std::byte*>(this + 1); }
  uint32_t Sum() {
    Checksum sum;
    sum.Add({reinterpret_cast<std::byte*>(&size), message() + message_size});
    return sum.value();
  }
};

Journal::FileHeader& Journal::file_header() const { return *reinterpret_cast<FileHeader*>(data_); }

Journal::RecordHeader& Journal::HeaderAt(uint64_t position) const {
  static_assert(sizeof(RecordHeader) == 80);
  return *reinterpret_cast<RecordHeader*>(data_ + kFileHeaderSize + position % capacity_);
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Map(UniqueFd fd, uint64_t capacity) {
  const uint64_t size = kFileHeaderSize + capacity;
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return Failed("mmap");
  madvise(data, size, MADV_DONTDUMP);
  return std::unique_ptr<Journal>(
      new Journal(std::move(fd), static_cast<std::byte*>(data), capacity));
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Create(uint64_t capacity) {
  if (capacity < kMinCapacity || capacity % kFileHeaderSize != 0)
    return absl::InvalidArgumentError(absl::StrCat("journal: ", capacity, " bytes are no size"));
  UniqueFd fd(memfd_create("stasis-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Failed("memfd_create");
  if (ftruncate(fd.get(), static_cast<off_t>(kFileHeaderSize + capacity)) != 0)
    return Failed("ftruncate");
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) return Failed("sealing");
  auto journal = Map(std::move(fd), capacity);
  if (!journal.ok()) return journal;
  FileHeader& header = (*journal)->file_header();
  header.magic = kMagic;
  header.capacity = capacity;
  return journal;
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(UniqueFd fd, uint64_t from) {
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return Failed("fstat");
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  const auto size = static_cast<uint64_t>(st.st_size);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || size < kFileHeaderSize + kMinCapacity)
    return absl::InvalidArgumentError("journal: the file is none");
  auto opened = Map(std::move(fd), size - kFileHeaderSize);
  if (!opened.ok()) return opened;
  Journal& journal = **opened;
  const FileHeader& header = journal.file_header();
  if (header.magic != kMagic || header.capacity != journal.capacity_)
    return absl::InvalidArgumentError("journal: the file is none, or another version's");
  if (const uint64_t start = header.start.load(std::memory_order_acquire);
      from < start || from % kAlign != 0)
    return absl::InvalidArgumentError(absl::StrCat("journal: what was at ", from,
                                                   " is not there any more, it begins at ", start));
  absl::MutexLock lock(&journal.order_);
  journal.start_ = journal.end_ = from;
  return opened;
}

absl::Status Journal::GoOn(uint64_t end) {
  absl::MutexLock lock(&order_);
  if (file_header().closed.load(std::memory_order_acquire) != 0)
    return absl::FailedPreconditionError("journal: it was closed, and is not complete");
  end_ = end;
  own_from_.store(end);
  file_header().read.store(0, std::memory_order_relaxed);
  return absl::OkStatus();
}

Journal::~Journal() { munmap(data_, kFileHeaderSize + capacity_); }

// Headers never wrap: the room before the end of the ring is a multiple of kAlign, which may be
// less than a header, but not less than the first word of one.
uint64_t Journal::Needs(uint64_t size) const {
  const uint64_t left = capacity_ - end_ % capacity_;
  return (size + kAlign <= left ? size : left + size) + kAlign;
}

bool Journal::HasRoom(size_t message) const {
  if (closed_ || barred_ || close_when_full_) return true;
  const uint64_t size = AlignUp(sizeof(RecordHeader) + message);
  return end_ - start_ + Needs(size) + kReserve <= capacity_;
}

// The first word of what follows is 0 before this one counts.
void Journal::Put(const JournalRecord& record, uint64_t size) {
  HeaderAt(end_ + size).commit.store(0, std::memory_order_relaxed);
  RecordHeader& header = HeaderAt(end_);
  header.sent.store(record.unique == 0 ? 1 : 0, std::memory_order_relaxed);
  header.size = static_cast<uint32_t>(size);
  if (record.kind != JournalRecord::Kind::kPad) {
    header.message_size = static_cast<uint32_t>(record.message.size());
    header.kind = static_cast<uint32_t>(record.kind);
    header.server = record.server;
    header.time = record.time;
    header.unique = record.unique;
    header.node = record.outcome.node;
    header.handle = record.outcome.handle;
    header.digest = record.outcome.digest;
    header.error = record.outcome.error;
    header.backing = record.outcome.backing;
    if (!record.message.empty())
      std::memcpy(header.message(), record.message.data(), record.message.size());
    header.checksum = header.Sum();
  }
  file_header().end.store(end_ + size, std::memory_order_relaxed);
  header.commit.store(end_ + 1, std::memory_order_release);
  end_ += size;
}

uint64_t Journal::Append(const JournalRecord& record) {
  if (closed_) return end_;
  if (barred_) {
    if (IsCounted(record)) unsent_.fetch_add(1, std::memory_order_relaxed);
    return kDropped;
  }
  const uint64_t size = AlignUp(sizeof(RecordHeader) + record.message.size());
  if (record.message.size() > kMaxMessage || end_ - start_ + Needs(size) > capacity_) {
    CloseLocked();
    return end_;
  }
  const uint64_t left = capacity_ - end_ % capacity_;
  const bool was_half = (end_ - start_) * 2 >= capacity_;
  if (size + kAlign > left) Put({.kind = JournalRecord::Kind::kPad}, left);
  const uint64_t position = end_;
  // Before it counts, or it may be sent before.
  if (IsCounted(record)) unsent_.fetch_add(1, std::memory_order_relaxed);
  Put(record, size);
  if (!was_half && (end_ - start_) * 2 >= capacity_) Wake();
  return position;
}

void Journal::MarkSent(uint64_t position) {
  if (position == kDropped) {
    unsent_.fetch_sub(1, std::memory_order_release);
    return;
  }
  RecordHeader& header = HeaderAt(position);
  // None if it was dropped.
  if (header.commit.load(std::memory_order_acquire) != position + 1) return;
  if (header.sent.exchange(1, std::memory_order_release) != 0 || position < own_from_) return;
  if (header.kind != static_cast<uint32_t>(JournalRecord::Kind::kReply))
    unsent_.fetch_sub(1, std::memory_order_release);
}

void Journal::AppendBarrier(std::string_view what) {
  absl::MutexLock lock(&order_);
  AppendBarrierInOrder(what);
}

void Journal::AppendBarrierInOrder(std::string_view what) {
  Append({.kind = JournalRecord::Kind::kBarrier, .message = std::as_bytes(std::span(what))});
  barred_ = true;
  Wake();
}

absl::StatusOr<uint64_t> Journal::Mark(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (unsent_.load(std::memory_order_acquire) > 0) {
    if (absl::Now() >= deadline) return absl::DeadlineExceededError("journal: a reply is not sent");
    absl::SleepFor(kSentPoll);
  }
  absl::MutexLock lock(&order_);
  if (closed_) return absl::FailedPreconditionError("journal: it is closed");
  file_header().read.store(0, std::memory_order_relaxed);
  barred_ = false;
  Wake();
  return end_;
}

void Journal::Release(uint64_t position) {
  absl::MutexLock lock(&order_);
  if (position <= start_ || position > end_) return;
  start_ = position;
  file_header().start.store(position, std::memory_order_release);
  Wake();
}

void Journal::Wake() const {
  absl::MutexLock lock(&wake_mu_);
  wanted_ = closed_ || barred_ || (end_ - start_) * 2 >= capacity_;
}

bool Journal::AwaitCheckpoint(absl::Duration timeout) const {
  absl::MutexLock lock(&wake_mu_);
  return wake_mu_.AwaitWithTimeout(absl::Condition(&wanted_), timeout);
}

void Journal::Close() {
  absl::MutexLock lock(&order_);
  CloseLocked();
}

void Journal::CloseLocked() {
  closed_ = true;
  file_header().closed.store(1, std::memory_order_release);
  Wake();
}

bool Journal::closed() const {
  absl::MutexLock lock(&order_);
  return closed_;
}

bool Journal::broken() const {
  absl::MutexLock lock(&order_);
  return closed_ || barred_;
}

uint64_t Journal::written() const { return file_header().end.load(std::memory_order_relaxed); }

void Journal::NoteRead(uint64_t position) const {
  file_header().read.store(position, std::memory_order_relaxed);
}

uint64_t Journal::unread() const {
  const uint64_t read = file_header().read.load(std::memory_order_relaxed);
  const uint64_t end = written();
  return read == 0 || read > end ? 0 : end - read;
}

uint64_t Journal::end() const {
  absl::MutexLock lock(&order_);
  return end_;
}

uint64_t Journal::start() const {
  absl::MutexLock lock(&order_);
  return start_;
}

absl::StatusOr<std::optional<JournalRecord>> Journal::Read(uint64_t position) const {
  RecordHeader& header = HeaderAt(position);
  const uint64_t commit = header.commit.load(std::memory_order_acquire);
  if (commit == 0) return std::nullopt;
  if (commit != position + 1) return Damaged(position, "says that it is another");
  const uint64_t left = capacity_ - position % capacity_;
  JournalRecord record;
  record.position = position;
  record.next = position + header.size;
  if (header.size < kAlign || header.size % kAlign != 0 || header.size > left)
    return Damaged(position, absl::StrCat("has the size ", header.size));
  if (header.size == left) {
    record.kind = JournalRecord::Kind::kPad;
    return record;
  }
  if (header.size < sizeof(RecordHeader) ||
      header.message_size > header.size - sizeof(RecordHeader))
    return Damaged(position, absl::StrCat("has a message of ", header.message_size, " bytes"));
  if (header.checksum != header.Sum()) return Damaged(position, "does not match its checksum");
  record.kind = static_cast<JournalRecord::Kind>(header.kind);
  record.server = header.server;
  record.time = header.time;
  record.unique = header.unique;
  record.outcome = {header.error, header.node, header.handle, header.digest, header.backing};
  record.message = {header.message(), header.message_size};
  record.sent = header.sent.load(std::memory_order_acquire) != 0;
  return record;
}

}  // namespace stasis::fuse
