// SPDX-License-Identifier: Apache-2.0

#include "tests/testing/scratch_dir.h"

#include <ftw.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace stasis::testing {
namespace {

// Directories below that a mode keeps us out of are opened up first.
int MakeSearchable(const char* path, const struct stat* st, int type, struct FTW* /*ftw*/) {
  if (type != FTW_SL && S_ISDIR(st->st_mode)) ::chmod(path, 0700);
  return 0;
}

bool HasRoom(const char* path) {
  constexpr uint64_t kRoom = 256 << 20;
  struct statvfs stat;
  return ::statvfs(path, &stat) == 0 && stat.f_bavail * stat.f_frsize >= kRoom &&
         ::access(path, W_OK | X_OK) == 0;
}

// nftw(3) would need the whole path at once: trees of tests are deeper than PATH_MAX.
void RemoveTree(const std::string& path) {
  const std::string command = "rm -rf -- '" + path + "'";
  if (std::system(command.c_str()) != 0)  // NOLINT(concurrency-mt-unsafe)
    ADD_FAILURE() << "cannot remove " << path;
}

}  // namespace

ScratchDir::ScratchDir(Where where) {
  const char* base = std::getenv("TEST_TMPDIR");      // NOLINT(concurrency-mt-unsafe)
  if (base == nullptr) base = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe)
  if (base == nullptr && where == Where::kInMemory && HasRoom("/dev/shm")) base = "/dev/shm";
  path_ = std::string(base == nullptr ? "/tmp" : base) + "/stasis-test.XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) std::abort();
}

ScratchDir::~ScratchDir() {
  if (::geteuid() != 0) ::nftw(path_.c_str(), &MakeSearchable, 32, FTW_PHYS);
  RemoveTree(path_);
}

std::string ReadHostFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

void WriteHostFile(const std::string& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  EXPECT_TRUE(out.good()) << path;
}

}  // namespace stasis::testing
