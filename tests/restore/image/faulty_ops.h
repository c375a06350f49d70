// SPDX-License-Identifier: Apache-2.0
//
// faulty_ops.h: host system calls of which any may fail.

#ifndef STASIS_TESTS_RESTORE_IMAGE_FAULTY_OPS_H_
#define STASIS_TESTS_RESTORE_IMAGE_FAULTY_OPS_H_

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "restore/image/file_ops.h"

namespace stasis::image {

// Fails the Nth operation, or all from the Nth on; writes may be cut short instead.
class FaultyOps final : public PosixFileOps {
 public:
  enum class Fault { kNone, kOnce, kFromThenOn, kShortWrites };

  FaultyOps(Fault fault, uint64_t at, int error) : fault_(fault), at_(at), error_(error) {}

  uint64_t count() const { return count_; }
  bool hit() const { return hit_; }

  Result<UniqueFd> OpenAt(int dir, const std::string& name, int flags, mode_t mode) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::OpenAt(dir, name, flags, mode);
  }
  Result<void> MkdirAt(int dir, const std::string& name, mode_t mode) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::MkdirAt(dir, name, mode);
  }
  Result<struct stat> Stat(int fd) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Stat(fd);
  }
  Result<struct stat> StatAt(int dir, const std::string& name) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::StatAt(dir, name);
  }
  Result<std::vector<std::string>> List(int dir) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::List(dir);
  }
  Result<size_t> ReadAt(int fd, std::span<std::byte> out, uint64_t offset) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::ReadAt(fd, out.first(Short(out.size())), offset);
  }
  Result<size_t> Write(int fd, std::span<const std::byte> data) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Write(fd, data.first(Short(data.size())));
  }
  Result<void> Allocate(int fd, uint64_t size) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Allocate(fd, size);
  }
  Result<void> Truncate(int fd, uint64_t size) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Truncate(fd, size);
  }
  Result<void> StartWriteback(int fd, uint64_t offset, uint64_t length) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::StartWriteback(fd, offset, length);
  }
  Result<void> SyncData(int) override {
    if (Fails()) return Err(error_);
    return {};  // a test need not wait for the disk
  }
  Result<void> SyncDirectory(int) override {
    if (Fails()) return Err(error_);
    return {};
  }
  Result<void> RenameAt(int from_dir, const std::string& from, int to_dir,
                        const std::string& to) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::RenameAt(from_dir, from, to_dir, to);
  }
  Result<void> UnlinkAt(int dir, const std::string& name) override {
    // What fails for lack of space does not fail here.
    if (fault_ != Fault::kFromThenOn && Fails()) return Err(error_);
    return PosixFileOps::UnlinkAt(dir, name);
  }
  Result<void> LockExclusive(int fd) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::LockExclusive(fd);
  }

 private:
  bool Fails() {
    const uint64_t now = count_++;
    const bool fails =
        (fault_ == Fault::kOnce && now == at_) || (fault_ == Fault::kFromThenOn && now >= at_);
    if (fails) hit_ = true;
    return fails;
  }
  size_t Short(size_t size) const {
    return fault_ == Fault::kShortWrites ? std::max<size_t>(1, size / 3) : size;
  }

  const Fault fault_;
  const uint64_t at_;
  const int error_;
  std::atomic<uint64_t> count_{0};
  std::atomic<bool> hit_{false};
};

}  // namespace stasis::image

#endif  // STASIS_TESTS_RESTORE_IMAGE_FAULTY_OPS_H_
