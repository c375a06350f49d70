// SPDX-License-Identifier: Apache-2.0

#include "state/base/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "state/base/poison.h"
#include "state/base/rcu.h"

namespace stasis {
namespace {

constexpr size_t kPage = 4096;

#if defined(STASIS_ASAN) || defined(STASIS_TSAN)
constexpr uint64_t kLargest = uint64_t{1} << 32;  // the shadow takes room, too
#else
constexpr uint64_t kLargest = uint64_t{1} << 40;
#endif
constexpr uint64_t kSmallest = uint64_t{1} << 26;

Result<UniqueFd> OpenUnlinked(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.valid() || (errno != EOPNOTSUPP && errno != EISDIR)) {
    if (!fd.valid()) return Err(errno);
    return fd;
  }
  std::string name = directory + "/.stasis-data-XXXXXX";  // the filesystem knows no O_TMPFILE
  fd = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) return Err(errno);
  ::unlink(name.c_str());
  return fd;
}

template <typename Call>
int Retry(Call call) {
  int result;
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

// Whoever asks for more, or writes beyond it, gets a SIGXFSZ.
Result<void> CheckFileSize(uint64_t size) {
  rlimit limit;
  ::getrlimit(RLIMIT_FSIZE, &limit);
  if (size > limit.rlim_cur) return Err(EFBIG);
  return {};
}

}  // namespace

Result<std::unique_ptr<MemoryFile>> MemoryFile::Create(const std::string& directory,
                                                       uint64_t size) {
  UniqueFd fd;
  if (directory.empty()) {
    fd = UniqueFd(::memfd_create("stasis-data", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd.valid()) return Err(errno);
  } else {
    STASIS_ASSIGN_OR_RETURN(fd, OpenUnlinked(directory));
  }
  std::unique_ptr<MemoryFile> file(new MemoryFile(std::move(fd)));
  STASIS_RETURN_IF_ERROR(file->Reserve(0, kPage));
  file->GiveBack(0, kPage);
  STASIS_RETURN_IF_ERROR(size != 0 ? file->Map(size) : file->MapLargest());
  return file;
}

Result<void> MemoryFile::MapLargest() {
  for (uint64_t size = kLargest; size >= kSmallest; size /= 2)
    if (Map(size)) return {};
  return Err(ENOMEM);
}

Result<std::unique_ptr<MemoryFile>> MemoryFile::Adopt(UniqueFd fd) {
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return Err(errno);
  std::unique_ptr<MemoryFile> file(new MemoryFile(std::move(fd)));
  STASIS_RETURN_IF_ERROR(file->MapAll(static_cast<uint64_t>(st.st_size)));
  return file;
}

Result<void> MemoryFile::Map(uint64_t size) {
  STASIS_RETURN_IF_ERROR(CheckFileSize(size));
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return Err(errno);
  return MapAll(size);
}

Result<void> MemoryFile::MapAll(uint64_t size) {
  STASIS_RETURN_IF_ERROR(CheckFileSize(size));
  void* data =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
  if (data == MAP_FAILED) return Err(errno);
  ::madvise(data, size, MADV_DONTDUMP);  // a core dump would look at every page of it
  data_ = static_cast<std::byte*>(data);
  size_ = size;
  return {};
}

MemoryFile::~MemoryFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<void> MemoryFile::Reserve(uint64_t offset, uint64_t length) {
  const int done = Retry([&] {
    return ::fallocate(fd_.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(length));
  });
  if (done == 0) return {};
  if (errno == EOPNOTSUPP) return Err(EOPNOTSUPP);
  GiveBack(offset, length);
  return Err(ENOSPC);
}

Result<void> MemoryFile::Take(uint64_t offset, uint64_t length) {
  // Two steps are faster than one, also in memory; and a disk says here whether it has room.
  STASIS_RETURN_IF_ERROR(Reserve(offset, length));
  std::byte* place = data_ + offset;
  if (Retry([&] { return ::madvise(place, length, MADV_POPULATE_WRITE); }) == 0) return {};
  if (errno != EINVAL) {
    GiveBack(offset, length);
    return Err(ENOSPC);
  }
  MakeAccessible(place, length);
  for (size_t at = 0; at < length; at += kPage) place[at] = std::byte{0};  // before Linux 5.14
  return {};
}

void MemoryFile::GiveBack(uint64_t offset, uint64_t length) {
  Retry([&] {
    return ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(offset), static_cast<off_t>(length));
  });
}

uint64_t MemoryFile::End() const {
  off_t end = 0;
  for (off_t data = 0; (data = ::lseek(fd_.get(), end, SEEK_DATA)) >= 0;)
    if ((end = ::lseek(fd_.get(), data, SEEK_HOLE)) < 0) return size_;
  return static_cast<uint64_t>(end);
}

uint64_t MemoryFile::Resident(uint64_t offset, uint64_t length) const {
  std::array<unsigned char, 256> pages;
  uint64_t resident = 0;
  while (length != 0) {
    const uint64_t piece = std::min<uint64_t>(length, pages.size() * kPage);
    if (::mincore(data_ + offset, piece, pages.data()) != 0) return resident;
    resident += kPage * static_cast<uint64_t>(
                            std::count_if(pages.begin(), pages.begin() + piece / kPage,
                                          [](unsigned char page) { return (page & 1) != 0; }));
    offset += piece;
    length -= piece;
  }
  return resident;
}

void MemoryFile::PageOut(uint64_t offset, uint64_t length) {
  // What this process has changed becomes the page cache's, then the disk's; then it may go.
  ::madvise(data_ + offset, length, MADV_DONTNEED);
  ::sync_file_range(
      fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length),
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  ::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length),
                  POSIX_FADV_DONTNEED);
}

Result<void> SparseZeros::Map(size_t size) {
  // Not private: a system that commits to no more than it has would count all of it.
  const UniqueFd fd(::memfd_create("stasis-zeros", MFD_CLOEXEC));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return Err(errno);
  void* data =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd.get(), 0);
  if (data == MAP_FAILED) return Err(errno);
  ::madvise(data, size, MADV_DONTDUMP);
  data_ = data;
  size_ = size;
  return {};
}

SparseZeros::~SparseZeros() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<std::unique_ptr<MemoryFileView>> MemoryFileView::Map(UniqueFd fd) {
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return Err(errno);
  const auto size = static_cast<size_t>(st.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd.get(), 0);
  if (data == MAP_FAILED) return Err(errno);
  return std::unique_ptr<MemoryFileView>(
      new MemoryFileView(std::move(fd), static_cast<const std::byte*>(data), size));
}

MemoryFileView::~MemoryFileView() { ::munmap(const_cast<std::byte*>(data_), size_); }

}  // namespace stasis
