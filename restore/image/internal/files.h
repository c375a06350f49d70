// SPDX-License-Identifier: Apache-2.0
//
// files.h: whole reads and writes on top of FileOps.

#ifndef STASIS_RESTORE_IMAGE_INTERNAL_FILES_H_
#define STASIS_RESTORE_IMAGE_INTERNAL_FILES_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "restore/image/file_ops.h"

namespace stasis::image {

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// Writes all of `data`, in as many calls as it takes.
absl::Status WriteAll(FileOps& ops, int fd, std::span<const std::byte> data,
                      const std::string& what);

// FileOps::SyncData of several files at the same time: the disk is waited for once. The first
// error.
Result<void> SyncAtOnce(FileOps& ops, std::span<const int> files);

// Fills `out` from `offset`. Errors: kDataLoss if the file ends before.
absl::Status ReadFully(FileOps& ops, int fd, std::span<std::byte> out, uint64_t offset,
                       const std::string& what);

// The content of a small file below `dir`. Memory is taken only for bytes that are there.
// Errors: kNotFound; kDataLoss if it is no regular file or larger than `limit`.
absl::StatusOr<std::string> ReadSmallFile(FileOps& ops, int dir, const std::string& name,
                                          uint64_t limit, const std::string& what);

// Opens a regular file for reading; never follows a symlink, never blocks on a FIFO.
// Errors: kNotFound; kDataLoss if it is something else.
absl::StatusOr<UniqueFd> OpenRegular(FileOps& ops, int dir, const std::string& name,
                                     const std::string& what, uint64_t* size);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_INTERNAL_FILES_H_
