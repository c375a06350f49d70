// SPDX-License-Identifier: Apache-2.0
//
// A host directory that lies on an overlay: a file gets another inode below when it is first
// written, and descriptors of before go on showing the old one.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "fsimpl/gofer/filesystem.h"
#include "tests/testing/errno_matchers.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::gofer {
namespace {

using testing::IsOk;
using testing::TestVfs;

class OverlayHostTest : public ::testing::Test {
 protected:
  OverlayHostTest() {
    for (const char* name : {"lower", "upper", "work", "merged"})
      std::filesystem::create_directory(scratch_ / name);
    for (const char* name : {"written", "cut", "changed"})
      testing::WriteHostFile(scratch_ / "lower/" + name, "before");
    EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
    EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const std::string options = "lowerdir=" + (scratch_ / "lower") +
                                ",upperdir=" + (scratch_ / "upper") +
                                ",workdir=" + (scratch_ / "work");
    EXPECT_EQ(::mount("overlay", merged_.c_str(), "overlay", 0, options.c_str()), 0);
    tree_ = std::make_unique<TestVfs>([this](vfs::VirtualFilesystem& vfs) {
      return RefPtr<vfs::Filesystem>(
          *GoferFilesystem::Create(vfs, {.root = "data", .directory = merged_}));
    });
  }
  ~OverlayHostTest() override {
    tree_.reset();
    EXPECT_EQ(::umount2(merged_.c_str(), MNT_DETACH), 0);
  }

  // What a mapping of the file shows, which is what the descriptor is of.
  static std::string MappedOf(vfs::FileDescription& file, size_t size) {
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.backing_fd(), 0);
    if (at == MAP_FAILED) return "none";
    std::string content(static_cast<const char*>(at), size);
    ::munmap(at, size);
    return content;
  }

  const testing::ScratchDir scratch_{testing::ScratchDir::Where::kInMemory};
  const std::string merged_ = scratch_ / "merged";
  std::unique_ptr<TestVfs> tree_;
};

TEST_F(OverlayHostTest, ReadersToComeSeeWhatWasWritten) {
  TestVfs& t = *tree_;
  for (const char* path : {"/written", "/cut", "/changed"}) EXPECT_EQ(t.Read(path), "before");
  {
    auto writer = t.Open("/written", O_WRONLY);
    ASSERT_THAT(writer->PWrite(0, testing::AsBytes("after.")), IsOk());
  }
  t.Truncate("/cut", 3);
  t.Set("/changed", {.mode = 0600});
  auto written = t.Open("/written", O_RDONLY);
  EXPECT_EQ(testing::ReadAll(*written), "after.");
  EXPECT_EQ(MappedOf(*written, 6), "after.");
  auto cut = t.Open("/cut", O_RDONLY);
  EXPECT_EQ(testing::ReadAll(*cut), "bef");
  auto changed = t.Open("/changed", O_RDWR);
  ASSERT_THAT(changed->PWrite(0, testing::AsBytes("after.")), IsOk());
  changed.reset();
  changed = t.Open("/changed", O_RDONLY);
  EXPECT_EQ(testing::ReadAll(*changed), "after.");
  EXPECT_EQ(MappedOf(*changed, 6), "after.");
}

}  // namespace
}  // namespace stasis::gofer
