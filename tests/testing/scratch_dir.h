// SPDX-License-Identifier: Apache-2.0
//
// scratch_dir.h: a directory of the host for one test, gone afterwards.

#ifndef STASIS_TESTS_TESTING_SCRATCH_DIR_H_
#define STASIS_TESTS_TESTING_SCRATCH_DIR_H_

#include <string>
#include <string_view>

namespace stasis::testing {

class ScratchDir {
 public:
  // In memory, where fsync(2) costs nothing: for what is small and need not outlast a crash. On the
  // disk if /dev/shm is missing or has little room.
  enum class Where { kOnDisk, kInMemory };

  explicit ScratchDir(Where where = Where::kOnDisk);
  ~ScratchDir();
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  const std::string& path() const { return path_; }
  // The path of `name` in it.
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// The content of a host file; a test failure if it cannot be read.
std::string ReadHostFile(const std::string& path);
void WriteHostFile(const std::string& path, std::string_view content);

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_SCRATCH_DIR_H_
