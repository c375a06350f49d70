// SPDX-License-Identifier: Apache-2.0

#include "restore/image/free_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace stasis::image {
namespace {

class FreeMemoryTest : public testing::Test {
 protected:
  FreeMemoryTest() : root_(testing::TempDir() + "/free_memory_test") {
    std::filesystem::remove_all(root_);
    Write("proc/meminfo", "MemTotal: 4000 kB\nMemAvailable: 1000 kB\n");
  }
  ~FreeMemoryTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  uint64_t Free() const { return FreeMemory(root_ / "proc", root_ / "cgroup"); }

  const std::filesystem::path root_;
};

TEST_F(FreeMemoryTest, IsWhatTheSystemHasWithoutControlGroups) { EXPECT_EQ(Free(), 1000 * 1024); }

TEST_F(FreeMemoryTest, IsWhatTheOwnGroupHasLeft) {
  Write("proc/self/cgroup", "1:memory:/other\n0::/a/b\n");
  Write("cgroup/a/b/memory.max", "5000\n");
  Write("cgroup/a/b/memory.current", "4000\n");
  EXPECT_EQ(Free(), 1000);
}

TEST_F(FreeMemoryTest, IsWhatAGroupAboveHasLeft) {
  Write("proc/self/cgroup", "0::/a/b\n");
  Write("cgroup/a/b/memory.max", "max\n");
  Write("cgroup/a/b/memory.current", "10\n");
  Write("cgroup/a/memory.max", "300\n");
  Write("cgroup/a/memory.current", "400\n");
  EXPECT_EQ(Free(), 0);
}

TEST_F(FreeMemoryTest, IsUnknownWhereNothingSaysIt) {
  Write("proc/meminfo", "MemTotal: 4000 kB\n");
  EXPECT_EQ(Free(), UINT64_MAX);
}

}  // namespace
}  // namespace stasis::image
