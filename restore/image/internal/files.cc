// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/files.h"

#include <fcntl.h>

#include <system_error>
#include <thread>
#include <vector>

#include "restore/image/internal/status.h"

namespace stasis::image {

absl::Status WriteAll(FileOps& ops, int fd, std::span<const std::byte> data,
                      const std::string& what) {
  while (!data.empty()) {
    IMAGE_ASSIGN_OR_ERRNO(const size_t n, ops.Write(fd, data), "cannot write " + what);
    if (n == 0) return ErrnoStatus(Errno(EIO), "cannot write " + what);
    data = data.subspan(n);
  }
  return absl::OkStatus();
}

// What cannot have a thread is synced by the caller's, one after the other.
Result<void> SyncAtOnce(FileOps& ops, std::span<const int> files) {
  std::vector<Result<void>> results(files.size());
  const auto sync = [&](size_t i) { results[i] = ops.SyncData(files[i]); };
  std::vector<std::thread> threads;
  size_t rest = 1;
  try {
    for (; rest < files.size(); ++rest) threads.emplace_back(sync, rest);
  } catch (const std::system_error&) {
    for (; rest < files.size(); ++rest) sync(rest);
  }
  if (!files.empty()) sync(0);
  for (std::thread& thread : threads) thread.join();
  for (const Result<void>& result : results) STASIS_RETURN_IF_ERROR(result);
  return {};
}

absl::Status ReadFully(FileOps& ops, int fd, std::span<std::byte> out, uint64_t offset,
                       const std::string& what) {
  while (!out.empty()) {
    IMAGE_ASSIGN_OR_ERRNO(const size_t n, ops.ReadAt(fd, out, offset), "cannot read " + what);
    if (n == 0) return DataLoss("{} ends at byte {}, {} bytes early", what, offset, out.size());
    out = out.subspan(n);
    offset += n;
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenRegular(FileOps& ops, int dir, const std::string& name,
                                     const std::string& what, uint64_t* size) {
  auto fd = ops.OpenAt(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (!fd) {
    if (fd.error() == Errno(ELOOP)) return DataLoss("{} is a symlink, not a file", what);
    return ErrnoStatus(fd.error(), "cannot open " + what);
  }
  IMAGE_ASSIGN_OR_ERRNO(const struct stat st, ops.Stat(fd->get()), "cannot examine " + what);
  if (!S_ISREG(st.st_mode)) return DataLoss("{} is not a regular file", what);
  *size = static_cast<uint64_t>(st.st_size);
  return std::move(*fd);
}

absl::StatusOr<std::string> ReadSmallFile(FileOps& ops, int dir, const std::string& name,
                                          uint64_t limit, const std::string& what) {
  uint64_t size = 0;
  IMAGE_ASSIGN_OR_RETURN(UniqueFd fd, OpenRegular(ops, dir, name, what, &size));
  if (size > limit)
    return DataLoss("{} has {} bytes, more than the limit of {}", what, size, limit);
  std::string content(size, '\0');
  IMAGE_RETURN_IF_ERROR(
      ReadFully(ops, fd.get(), std::as_writable_bytes(std::span(content)), 0, what));
  return content;
}

}  // namespace stasis::image
