// SPDX-License-Identifier: Apache-2.0
//
// faulty_file_ops.h: host system calls of the image library that fail when a test says so.

#ifndef STASIS_TESTS_TESTING_FAULTY_FILE_OPS_H_
#define STASIS_TESTS_TESTING_FAULTY_FILE_OPS_H_

#include <atomic>
#include <string>

#include "restore/image/file_ops.h"

namespace stasis::testing {

// Counts every call that changes something, from 1; the one with the given number fails.
class FaultyFileOps final : public image::PosixFileOps {
 public:
  void FailAt(int call, int error) {
    error_ = error;
    fail_at_ = call;
    calls_ = 0;
  }
  int calls() const { return calls_; }

  Result<void> MkdirAt(int dir, const std::string& name, mode_t mode) override;
  Result<size_t> Write(int fd, std::span<const std::byte> data) override;
  Result<void> Allocate(int fd, uint64_t size) override;
  Result<void> SyncData(int fd) override;
  Result<void> SyncDirectory(int fd) override;
  Result<void> RenameAt(int from_dir, const std::string& from, int to_dir,
                        const std::string& to) override;

 private:
  bool Fails() { return ++calls_ == fail_at_; }

  std::atomic<int> calls_{0};
  std::atomic<int> fail_at_{0};
  std::atomic<int> error_{0};
};

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_FAULTY_FILE_OPS_H_
