// SPDX-License-Identifier: Apache-2.0
//
// revalidate_test.cc: a shared tree whose host renames, replaces and deletes files all the time.

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "tests/fsimpl/gofer/tree_text.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::gofer {
namespace {

using testing::IsOk;
using testing::TestVfs;

constexpr int kHostSteps = 4000;
const std::array<std::string, 3> kDirs = {"d0", "d1", "d0/d2"};

// A file says by its content, size and time which version of it that is.
size_t SizeOf(int64_t version) { return 10 + static_cast<size_t>(version % 90); }
std::string ContentOf(int64_t version) {
  std::string content = absl::StrCat(version, ":");
  content.resize(SizeOf(version), 'x');
  return content;
}

class RevalidateTest : public HostTree {
 protected:
  RevalidateTest() : HostTree(testing::ScratchDir::Where::kInMemory) {}

  void SetUp() override {
    MakeDir("new");
    for (const std::string& dir : kDirs) MakeDir(dir);
    for (int i = 0; i < 50; ++i) ChangeHost();
  }

  std::string SomeName(std::mt19937& random, std::string_view kinds) const {
    return absl::StrCat(kDirs[random() % kDirs.size()], "/",
                        std::string(1, kinds[random() % kinds.size()]), random() % 3);
  }

  // Makes a file "f..", a link "l.." or anything "x..", in one step.
  void Replace(const std::string& name, bool link) {
    const int64_t version = ++version_;
    const std::string made = Path("new/made");
    if (link) {
      ASSERT_EQ(::symlink(ContentOf(version).c_str(), made.c_str()), 0);
    } else {
      testing::WriteHostFile(made, ContentOf(version));
    }
    const std::array<timespec, 2> times = {timespec{version, 0}, timespec{version, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, made.c_str(), times.data(), AT_SYMLINK_NOFOLLOW), 0);
    if (::rename(made.c_str(), Path(name).c_str()) != 0) ::unlink(made.c_str());
  }
  void ChangeHost() {
    switch (random_() % 8) {
      case 0:
      case 1:
        return Replace(SomeName(random_, "fx"), false);
      case 2:
        return Replace(SomeName(random_, "lx"), true);
      case 3:
        ::unlink(Path(SomeName(random_, "flx")).c_str());
        return;
      case 4:
        ::rename(Path(SomeName(random_, "f")).c_str(), Path(SomeName(random_, "fx")).c_str());
        return;
      case 5: {
        const std::string name = Path(SomeName(random_, "x"));
        if (::unlink(name.c_str()) != 0) ::rmdir(name.c_str());
        ::mkdir(name.c_str(), 0755);
        return;
      }
      case 6:
        ::link(Path(SomeName(random_, "f")).c_str(), Path(SomeName(random_, "fx")).c_str());
        return;
      default:
        // Whole directories, with what is in them.
        ::renameat2(AT_FDCWD, Path("d1").c_str(), AT_FDCWD, Path("d0/d2").c_str(), RENAME_EXCHANGE);
    }
  }

  static bool MayHappen(Errno error) {
    return error == Errno(ENOENT) || error == Errno(ENOTDIR) || error == Errno(ESTALE) ||
           error == Errno(ELOOP);
  }
  template <typename T>
  static bool Worked(const Result<T>& result, const std::string& what) {
    EXPECT_TRUE(result || MayHappen(result.error())) << what << ": " << ErrnoName(result.error());
    return result.has_value();
  }

  static void CheckStat(const std::string& name, const vfs::Stat& stat) {
    const char kind = name[name.size() - 2];
    EXPECT_TRUE(kind != 'f' || S_ISREG(stat.mode)) << name << " " << stat.mode;
    EXPECT_TRUE(kind != 'l' || S_ISLNK(stat.mode)) << name << " " << stat.mode;
    if (kind == 'd' || S_ISDIR(stat.mode)) return;
    EXPECT_EQ(stat.size, SizeOf(stat.mtime / 1'000'000'000)) << name;
  }
  static void CheckContent(const std::string& name, const std::string& content) {
    EXPECT_EQ(content, ContentOf(std::atoi(content.c_str()))) << name;
  }
  void CheckList(const std::string& dir) {
    vfs::VirtualFilesystem& v = tree().vfs();
    auto open = v.OpenAt(tree().creds(), tree().At("/" + dir), {.flags = O_RDONLY | O_DIRECTORY});
    if (!Worked(open, "open " + dir)) return;
    std::vector<std::string> names;
    auto listed = (*open)->IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
      if (entry.dentry != nullptr) names.emplace_back(entry.name);
      return true;
    });
    if (!Worked(listed, "list " + dir)) return;
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
    for (const std::string& name : names)
      EXPECT_TRUE(name.size() == 2 && std::string_view("dflx").find(name[0]) != std::string::npos)
          << dir << "/" << name;
  }
  void Look(std::mt19937& random) {
    vfs::VirtualFilesystem& v = tree().vfs();
    const vfs::Credentials& creds = tree().creds();
    const std::string name = "/" + SomeName(random, "flx");
    switch (random() % 4) {
      case 0: {
        auto stat = v.StatAt(creds, tree().At(name));
        if (Worked(stat, "stat " + name)) CheckStat(name, *stat);
        break;
      }
      case 1: {
        auto target = v.ReadLinkAt(creds, tree().At(name));
        if (!target && target.error() == Errno(EINVAL)) break;
        if (Worked(target, "readlink " + name)) CheckContent(name, *target);
        break;
      }
      case 2: {
        auto file = v.OpenAt(creds, tree().At(name), {.flags = O_RDONLY});
        if (!Worked(file, "open " + name)) break;
        const auto stat = (*file)->GetStat();
        if (!S_ISREG(stat->mode)) break;
        CheckStat(name, *stat);
        CheckContent(name, testing::ReadAll(**file));
        break;
      }
      default:
        CheckList(kDirs[random() % kDirs.size()]);
    }
    looks_.fetch_add(1);
  }

  std::mt19937 random_{7};
  int64_t version_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> looks_{0};
};

TEST_F(RevalidateTest, EachAnswerWasTrueAtSomeMoment) {
  Serve({.interop = Interop::kShared, .fd_limit = 4});
  std::vector<std::thread> threads;
  for (unsigned seed : {1u, 2u, 3u})
    threads.emplace_back([this, seed] {
      std::mt19937 random(seed);
      while (!stop_) Look(random);
    });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (int i = 0; i < kHostSteps && std::chrono::steady_clock::now() < end && !HasFailure(); ++i) {
    ChangeHost();
    // At the pace of those who look.
    const uint64_t seen = looks_;
    while (looks_ == seen) std::this_thread::yield();
  }
  stop_ = true;
  for (std::thread& thread : threads) thread.join();

  TestVfs fresh([&](vfs::VirtualFilesystem& vfs) {
    return RefPtr<vfs::Filesystem>(
        *GoferFilesystem::Create(vfs, {.root = "data", .directory = Path("")}));
  });
  EXPECT_EQ(TextOf(tree()), TextOf(fresh));
}

TEST_F(RevalidateTest, ADirectoryThatTheHostHasEmptiedCanBeRemoved) {
  TestVfs& t = Serve({.interop = Interop::kShared});
  MakeDir("e");
  Put("e/f", "x");
  EXPECT_EQ(t.Read("/e/f"), "x");
  std::filesystem::remove(Path("e/f"));
  EXPECT_THAT(t.vfs().RmdirAt(t.creds(), t.At("/e")), IsOk());
  EXPECT_FALSE(OnHost("e"));
}

TEST_F(RevalidateTest, AFileIsFoundByWhicheverNameIsLeft) {
  TestVfs& t = Serve({.interop = Interop::kShared, .fd_limit = 1});
  for (const char* gone : {"a", "b"}) {
    Put("a", "x");
    std::filesystem::create_hard_link(Path("a"), Path("b"));
    EXPECT_EQ(t.Stat("/a").ino, t.Stat("/b").ino);
    std::filesystem::remove(Path(gone));
    const std::string left = *gone == 'a' ? "b" : "a";
    t.Set("/" + left, {.mode = 0600});
    EXPECT_EQ(HostStatOf(left).st_mode & 07777, 0600u);
    std::filesystem::remove(Path(left));
  }
}

TEST_F(RevalidateTest, AFileThatTheHostPutInPlaceOfARemovedOneIsAnother) {
  Put("f", "one");
  TestVfs& t = Serve({.interop = Interop::kShared});
  auto file = t.Open("/f", O_RDONLY);
  // Removed under one name, and there under another that nobody here knew of.
  std::filesystem::create_hard_link(Path("f"), Path("other"));
  EXPECT_EQ(file->GetStat()->nlink, 2u);
  std::filesystem::remove(Path("other"));
  EXPECT_EQ(file->GetStat()->nlink, 1u);
  std::filesystem::create_hard_link(Path("f"), Path("other"));
  t.Unlink("/f");
  EXPECT_EQ(t.Stat("/other").nlink, 1u);
  EXPECT_EQ(t.Read("/other"), "one");
  t.Unlink("/other");
  EXPECT_FALSE(OnHost("other"));
}

}  // namespace
}  // namespace stasis::gofer
