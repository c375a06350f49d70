// SPDX-License-Identifier: Apache-2.0
//
// escape_test.cc: somebody on the host swaps what paths lead over while programs use them.
//
// STASIS_ESCAPE_SECONDS says how long (1).

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "state/base/unique_fd.h"
#include "tests/fsimpl/gofer/faulty_host_ops.h"
#include "tests/fsimpl/gofer/host_tree.h"

namespace stasis::gofer {
namespace {

using testing::AsBytes;
using testing::TestVfs;

constexpr std::string_view kInside = "inside";
// From the outermost to the innermost.
const std::array<std::string, 4> kNames = {"a", "a/b", "a/b/c", "a/b/c/file"};
constexpr std::string_view kSecret = "secret";

class EscapeTest : public HostTree {
 protected:
  EscapeTest() : HostTree(testing::ScratchDir::Where::kInMemory) {}

  // The same names inside and outside, so that a path that went wrong would find something.
  void SetUp() override {
    MakeDir("a");
    MakeDir("a/b");
    MakeDir("a/b/c");
    for (const char* dir : {"a", "a/b", "a/b/c"}) {
      Put(absl::StrCat(dir, "/file"), kInside);
      ASSERT_EQ(::chmod(Path(dir).c_str(), 0777), 0);
    }
    for (const char* dir : {"", "/b", "/b/c", "/c"}) {
      const std::string path = outside_.path() + dir;
      std::filesystem::create_directories(path);
      testing::WriteHostFile(path + "/file", kSecret);
      ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
    }
    for (const char* link : {"a-link", "a/b-link", "a/b/c-link"})
      std::filesystem::create_symlink(outside_.path(), Path(link));
    std::filesystem::create_symlink(outside_ / "file", Path("a/b/c/file-link"));
    Watch();
  }

  // Hears of whatever is done to files and directories outside.
  void Watch() {
    events_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    for (const char* dir : {"", "/b", "/b/c", "/c"})
      ASSERT_GE(::inotify_add_watch(events_.get(), (outside_.path() + dir).c_str(), IN_ALL_EVENTS),
                0);
  }
  void ExpectNoEvents() {
    alignas(inotify_event) std::array<char, 4096> buffer;
    ASSERT_EQ(::read(events_.get(), buffer.data(), buffer.size()), -1)
        << "event " << reinterpret_cast<inotify_event*>(buffer.data())->mask << " of "
        << reinterpret_cast<inotify_event*>(buffer.data())->name;
    ASSERT_EQ(errno, EAGAIN);
  }

  static const std::string& SomeName(std::mt19937& random) {
    return kNames[random() % kNames.size()];
  }
  bool IsLink(const std::string& name) const {
    struct stat stat {};
    return ::lstat(Path(name).c_str(), &stat) == 0 && S_ISLNK(stat.st_mode);
  }
  void Swap(const std::string& name) const {
    ::renameat2(AT_FDCWD, Path(name).c_str(), AT_FDCWD, Path(name + "-link").c_str(),
                RENAME_EXCHANGE);
  }
  // Out of the tree, and back.
  void MoveOut(const std::string& name, const std::function<void()>& meanwhile) const {
    const std::string there = parking_ / "moved";
    if (::rename(Path(name).c_str(), there.c_str()) != 0) return;
    meanwhile();
    // A program may have made something in its place.
    while (::rename(there.c_str(), Path(name).c_str()) != 0 && !stop_) {
      ASSERT_TRUE(errno == ENOTEMPTY || errno == ENOTDIR || errno == EISDIR || errno == EEXIST)
          << errno;
      std::filesystem::remove_all(Path(name));
    }
  }
  void Attack(std::mt19937& random) {
    absl::MutexLock lock(&attack_mu_);
    for (const std::string& name : kNames)
      if (IsLink(name)) Swap(name);
    const std::string& name = SomeName(random);
    switch (random() % 3) {
      case 0:
        MoveOut(name, [] { std::this_thread::yield(); });
        break;
      case 1:  // a link in its place
        MoveOut(name, [&] {
          const std::string target = outside_.path();
          if (::symlink(target.c_str(), Path(name).c_str()) == 0) std::this_thread::yield();
          ::unlink(Path(name).c_str());
        });
        break;
      default:
        Swap(name);
        std::this_thread::yield();
        Swap(name);
    }
  }

  void Use(std::mt19937& random);
  void Read(const vfs::Credentials& creds, const vfs::PathOperation& at);

  const testing::ScratchDir outside_{testing::ScratchDir::Where::kInMemory};
  const testing::ScratchDir parking_{testing::ScratchDir::Where::kInMemory};
  UniqueFd events_;
  absl::Mutex attack_mu_;  // one attack at a time: its own paths must not lead outside
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> reads_{0};
  std::atomic<uint64_t> changes_{0};
};

void EscapeTest::Read(const vfs::Credentials& creds, const vfs::PathOperation& at) {
  auto file = tree().vfs().OpenAt(creds, at, {.flags = O_RDWR});
  if (!file || !S_ISREG((*file)->GetStat()->mode)) return;
  std::string content(100, '\0');
  const auto size = (*file)->PRead(0, std::as_writable_bytes(std::span(content)));
  if (!size) return;
  content.resize(*size);
  EXPECT_TRUE(content.empty() || content == kInside) << content;
  if ((*file)->PWrite(0, AsBytes(kInside))) reads_.fetch_add(1);
}

void EscapeTest::Use(std::mt19937& random) {
  static const vfs::Credentials alice = vfs::Credentials::User(1000, 1000);
  const std::array<std::string, 4> dirs = {"/a", "/a/b", "/a/b/c", "/a/b/c/../../b"};
  const std::string& dir = dirs[random() % dirs.size()];
  const std::string file = dir + "/file";
  const std::string mine = absl::StrCat(dir, "/new", random() % 4);
  vfs::VirtualFilesystem& v = tree().vfs();
  const vfs::Credentials& creds = random() % 2 == 0 ? tree().creds() : alice;
  const bool follow = random() % 2 == 0;
  bool done = false;
  switch (random() % 10) {
    case 0:
      if (auto stat = v.StatAt(creds, tree().At(file, follow)); stat && S_ISREG(stat->mode)) {
        EXPECT_EQ(stat->size, kInside.size());
      }
      break;
    case 1:
    case 2:
      Read(tree().creds(), tree().At(file, follow));
      break;
    case 3: {
      auto created =
          v.OpenAt(creds, tree().At(mine, follow), {.flags = O_CREAT | O_RDWR, .mode = 0666});
      done = created && (*created)->PWrite(0, AsBytes(kInside));
      break;
    }
    case 4:
      done =
          v.RenameAt(creds, tree().At(mine), tree().At(dirs[random() % 3] + "/new0")).has_value();
      break;
    case 5:
      done = v.SetAttributesAt(creds, tree().At(file, follow), {.mode = 0600 | (random() & 077)})
                 .has_value();
      break;
    case 6:
      done = v.MkdirAt(creds, tree().At(mine), 0777).has_value();
      break;
    case 7:
      done = v.UnlinkAt(creds, tree().At(mine)).has_value() ||
             v.RmdirAt(creds, tree().At(mine)).has_value();
      break;
    case 8:
      done = v.SetXattrAt(creds, tree().At(dir, follow), "user.a", "A", 0).has_value();
      break;
    default:
      // In a directory that is open, wherever it is by now.
      if (auto open = v.OpenAt(creds, tree().At(dir), {.flags = O_RDONLY | O_DIRECTORY})) {
        (void)(*open)->IterateDirectory(0, [](const auto&) { return true; });
        Read(tree().creds(), {tree().root(), (*open)->at(), "file", follow});
        Read(tree().creds(), {tree().root(), (*open)->at(), "../file", follow});
      }
  }
  if (done) changes_.fetch_add(1);
}

TEST_F(EscapeTest, NothingOutsideIsReached) {
  const char* text = std::getenv("STASIS_ESCAPE_SECONDS");  // NOLINT(concurrency-mt-unsafe)
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(text == nullptr ? 1 : std::atoi(text));
  // The worst moment is when a path was looked at and is about to be opened.
  const auto ops = std::make_shared<FaultyHostOps>();
  ops->Pause(true);
  ops->before_open = [this] {
    thread_local std::mt19937 random(4);
    if (random() % 4 != 0 || !attack_mu_.TryLock()) return;
    Swap(SomeName(random));
    attack_mu_.Unlock();
  };
  Serve({.interop = Interop::kShared, .fd_limit = 2, .ops = ops});
  std::vector<std::thread> threads;
  for (unsigned seed : {1u, 2u, 3u})
    threads.emplace_back([this, seed] {
      std::mt19937 random(seed);
      while (!stop_) Use(random);
    });
  std::mt19937 random(0);
  uint64_t attacks = 0;
  for (; std::chrono::steady_clock::now() < end && !HasFailure(); ++attacks) Attack(random);
  stop_ = true;
  for (std::thread& thread : threads) thread.join();
  ExpectNoEvents();
  EXPECT_TRUE(std::filesystem::is_empty(parking_.path()));
  // The test has tested something.
  EXPECT_GT(attacks, 10u);
  EXPECT_GT(reads_, 10u);
  EXPECT_GT(changes_, 10u);
  RecordProperty("attacks", std::to_string(attacks));
  RecordProperty("reads", std::to_string(reads_));
  RecordProperty("changes", std::to_string(changes_));
}

}  // namespace
}  // namespace stasis::gofer
