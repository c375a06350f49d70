// SPDX-License-Identifier: Apache-2.0

#include "tests/testing/faulty_file_ops.h"

namespace stasis::testing {

Result<void> FaultyFileOps::MkdirAt(int dir, const std::string& name, mode_t mode) {
  if (Fails()) return Err(error_);
  return PosixFileOps::MkdirAt(dir, name, mode);
}

Result<size_t> FaultyFileOps::Write(int fd, std::span<const std::byte> data) {
  if (Fails()) return Err(error_);
  return PosixFileOps::Write(fd, data);
}

Result<void> FaultyFileOps::Allocate(int fd, uint64_t size) {
  if (Fails()) return Err(error_);
  return PosixFileOps::Allocate(fd, size);
}

Result<void> FaultyFileOps::SyncData(int) {
  if (Fails()) return Err(error_);
  return {};  // a test need not wait for the disk
}

Result<void> FaultyFileOps::SyncDirectory(int) {
  if (Fails()) return Err(error_);
  return {};
}

Result<void> FaultyFileOps::RenameAt(int from_dir, const std::string& from, int to_dir,
                                     const std::string& to) {
  if (Fails()) return Err(error_);
  return PosixFileOps::RenameAt(from_dir, from, to_dir, to);
}

}  // namespace stasis::testing
