// SPDX-License-Identifier: Apache-2.0
//
// memory_file.h: a large range of addresses that is a file, most of it holes.
//
// Mapped shared from a memfd, or from an unlinked file in a directory. Memory, or room on the disk,
// is taken and given back piece by piece; offsets and lengths are multiples of a page.

#ifndef STASIS_STATE_BASE_MEMORY_FILE_H_
#define STASIS_STATE_BASE_MEMORY_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "state/base/result.h"
#include "state/base/unique_fd.h"

namespace stasis {

// Thread-safe.
class MemoryFile {
 public:
  // In `directory`; empty: in memory. Of `size` bytes; 0: as many as the system gives, at most
  // 1 TiB.
  // Errors: of the system, such as ENOENT for a directory that is not there, EOPNOTSUPP for one
  // whose filesystem has no fallocate(2), ENOSPC.
  static Result<std::unique_ptr<MemoryFile>> Create(const std::string& directory, uint64_t size);
  // Goes on with the one of another process, whose fd() it was, all of it. Nothing is changed.
  // Errors: of the system.
  static Result<std::unique_ptr<MemoryFile>> Adopt(UniqueFd fd);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  int fd() const { return fd_.get(); }

  // Takes it, all or nothing; until then it must not be touched. Errors: ENOSPC.
  Result<void> Take(uint64_t offset, uint64_t length);
  void GiveBack(uint64_t offset, uint64_t length);

  // Where what was taken, and not given back, ends.
  uint64_t End() const;
  // Bytes of it that are in memory.
  uint64_t Resident(uint64_t offset, uint64_t length) const;
  // Writes what was changed to the disk, and takes it out of memory; the next use reads it again.
  void PageOut(uint64_t offset, uint64_t length);

 private:
  explicit MemoryFile(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> Map(uint64_t size);
  Result<void> MapLargest();
  Result<void> MapAll(uint64_t size);
  Result<void> Reserve(uint64_t offset, uint64_t length);

  const UniqueFd fd_;
  // Set by Map.
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

// A memory file of another process, to be read.
class MemoryFileView {
 public:
  // All of it; it must not shrink. Errors: of the system.
  static Result<std::unique_ptr<MemoryFileView>> Map(UniqueFd fd);
  ~MemoryFileView();
  MemoryFileView(const MemoryFileView&) = delete;
  MemoryFileView& operator=(const MemoryFileView&) = delete;

  const std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  int fd() const { return fd_.get(); }

 private:
  MemoryFileView(UniqueFd fd, const std::byte* data, uint64_t size)
      : fd_(std::move(fd)), data_(data), size_(size) {}

  const UniqueFd fd_;
  const std::byte* const data_;
  const uint64_t size_;
};

// Zeros, of which only those take memory that are written to. Shared with forked children.
class SparseZeros {
 public:
  SparseZeros() = default;
  ~SparseZeros();
  SparseZeros(const SparseZeros&) = delete;
  SparseZeros& operator=(const SparseZeros&) = delete;

  // Requires: called once. Errors: of the system.
  Result<void> Map(size_t size);
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace stasis

#endif  // STASIS_STATE_BASE_MEMORY_FILE_H_
