// SPDX-License-Identifier: Apache-2.0
//
// budget_test.cc: what many cached files take: descriptors and memory.

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/gofer/inode.h"
#include "state/base/rcu.h"
#include "tests/fsimpl/gofer/host_tree.h"

namespace stasis::gofer {
namespace {

using testing::TestVfs;

constexpr int kPerDirectory = 100;

// Sanitizers add to each allocation.
#if defined(__SANITIZE_ADDRESS__) || defined(STASIS_TSAN)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

class BudgetTest : public HostTree {
 protected:
  BudgetTest() : HostTree(testing::ScratchDir::Where::kInMemory) {}

  static std::string DirOf(int file) { return absl::StrCat("d", file / kPerDirectory); }
  static std::string NameOf(int file) { return absl::StrCat(DirOf(file), "/file", file); }
  void MakeFiles(int files) {
    for (int i = 0; i < files; ++i) {
      if (i % kPerDirectory == 0) MakeDir(DirOf(i));
      ASSERT_EQ(::mknod(Path(NameOf(i)).c_str(), S_IFREG | 0644, 0), 0);
    }
  }
  // In bytes.
  static int64_t ResidentMemory() {
    int64_t size = 0;
    int64_t resident = 0;
    std::ifstream("/proc/self/statm") >> size >> resident;
    return resident * ::sysconf(_SC_PAGESIZE);
  }
};

// STASIS_GOFER_FILES says how many (50,000).
TEST_F(BudgetTest, ACachedFileTakesLittleMemory) {
  constexpr int64_t kHold = 400;
  const char* text = std::getenv("STASIS_GOFER_FILES");  // NOLINT(concurrency-mt-unsafe)
  const int files = text == nullptr ? 50000 : std::atoi(text);
  MakeFiles(files);
  TestVfs& t = Serve();
  const int64_t before = ResidentMemory();
  for (int i = 0; i < files; ++i) EXPECT_EQ(t.Stat("/" + NameOf(i)).size, 0u);
  const int64_t each = (ResidentMemory() - before) / files;
  RecordProperty("bytes", std::to_string(each));
  std::printf("%d files, %d bytes each: a dentry of %d and an inode of %d\n", files,
              static_cast<int>(each), static_cast<int>(sizeof(vfs::Dentry)),
              static_cast<int>(sizeof(HostRegular)));
  EXPECT_TRUE(kSanitized || each <= kHold) << each;
}

TEST_F(BudgetTest, DescriptorsStayWithinTheLimit) {
  constexpr int kFiles = 20000;
  constexpr size_t kLimit = 16;
  constexpr size_t kMore = 4;  // the root, and what one operation needs
  MakeFiles(kFiles);
  const size_t before = OpenDescriptors();
  TestVfs& t = Serve({.fd_limit = kLimit});
  std::vector<RefPtr<vfs::FileDescription>> files;
  size_t most = 0;
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = "/" + NameOf(i);
    if (i % 2 == 0) t.Stat(name);
    if (i % 3 == 0) t.Set(name, {.mode = 0600});
    if (i % 1000 == 0) files.push_back(t.Open(name, O_RDWR));
    if (i % kPerDirectory != 0) continue;
    EXPECT_EQ(t.List("/" + DirOf(i)).size(), size_t{kPerDirectory});
    most = std::max(most, OpenDescriptors() - files.size());
  }
  EXPECT_LE(most, before + kLimit + kMore);
  EXPECT_EQ(fs().fds().size(), kLimit);
  for (int i = 0; i < kFiles; i += 77) EXPECT_EQ(t.Stat("/" + NameOf(i)).size, 0u);
  files.clear();
  EXPECT_LE(OpenDescriptors(), before + kLimit + kMore);
}

}  // namespace
}  // namespace stasis::gofer
