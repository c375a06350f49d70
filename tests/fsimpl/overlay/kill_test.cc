// SPDX-License-Identifier: Apache-2.0
//
// A process that is killed while it copies files up leaves each as it was or as it is to be, and
// the next start finds nothing in its way.
//
// STASIS_SEED sets the seed, which is printed.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "fsimpl/gofer/filesystem.h"
#include "tests/testing/overlay_layers.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::overlay {
namespace {

using testing::TestVfs;

constexpr int kFiles = 40;
constexpr int kKills = 100;
constexpr size_t kSize = 300'000;
constexpr size_t kCut = 1000;  // of every fourth file

std::string NameOf(int i) { return "/d" + std::to_string(i % 5) + "/f" + std::to_string(i); }
std::string OldContent(int i) { return std::string(kSize, static_cast<char>('a' + i % 26)); }
std::string NewContent(int i) {
  return i % 4 == 2 ? OldContent(i).substr(0, kCut) : "changed" + OldContent(i).substr(7);
}

class KillTest : public ::testing::Test {
 protected:
  KillTest() {
    for (const char* dir : {"/lower", "/upper", "/work"}) Mkdir(dir);
    for (int i = 0; i < kFiles; ++i) {
      Mkdir("/lower" + NameOf(i).substr(0, 3));
      testing::WriteHostFile(Host("/lower" + NameOf(i)), OldContent(i));
    }
  }

  std::string Host(const std::string& path) const { return scratch_.path() + path; }
  void Mkdir(const std::string& path) const { ::mkdir(Host(path).c_str(), 0755); }

  // An overlay as root of a VFS; `metacopy` as its option.
  std::unique_ptr<TestVfs> Start(bool metacopy) {
    return std::make_unique<TestVfs>([&](vfs::VirtualFilesystem& vfs) {
      auto host =
          gofer::GoferFilesystem::Create(vfs, {.root = "data", .directory = scratch_.path()});
      if (!host.ok()) std::abort();
      const vfs::VirtualDentry root = testing::RootOf(vfs, **host);
      auto options = testing::OverlayOn(vfs, **host, {testing::DirectoryIn(vfs, root, "lower")});
      options.metacopy = metacopy;
      return RefPtr<vfs::Filesystem>(testing::MakeOverlay(vfs, options));
    });
  }

  // Runs `work` in a process of its own; kills it after `delay`, unless that is 0. Returns its exit
  // code, or -1.
  template <typename Work>
  static int InProcess(std::chrono::microseconds delay, Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      work();
      std::cout.flush();
      ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    if (delay.count() != 0) {
      std::this_thread::sleep_for(delay);
      ::kill(child, SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  void Change(bool metacopy) {
    const auto t = Start(metacopy);
    for (int i = 0; i < kFiles; ++i) {
      t->Set(NameOf(i), {.mode = 0640});
      if (i % 4 == 2) {
        t->Truncate(NameOf(i), kCut);
      } else {
        t->WriteAt(NameOf(i), 0, "changed");
      }
      if (i % 4 == 0) t->Rename(NameOf(i), NameOf(i) + "x");
    }
  }

  void Check(bool metacopy) {
    const auto t = Start(metacopy);
    EXPECT_TRUE(std::filesystem::is_empty(Host("/work/work")));
    for (int i = 0; i < kFiles; ++i) {
      const bool moved = t->Exists(NameOf(i) + "x");
      EXPECT_NE(moved, t->Exists(NameOf(i))) << i;
      const std::string content = t->Read(moved ? NameOf(i) + "x" : NameOf(i));
      EXPECT_TRUE(content == NewContent(i) || (!moved && content == OldContent(i)))
          << i << ": " << content.size() << " bytes, " << content.substr(0, 10);
    }
  }

 private:
  const testing::ScratchDir scratch_{testing::ScratchDir::Where::kInMemory};
};

TEST_F(KillTest, FilesAreOldOrNew) {
  const char* given = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
  const uint32_t seed = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 0))
                                         : std::random_device()();
  std::cout << "STASIS_SEED=" << seed << std::endl;
  std::mt19937 random(seed);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(InProcess({}, [&] { Change(true); }), 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - start);
  int killed = 0;
  for (int i = 0; i < kKills && !HasFailure(); ++i) {
    const bool metacopy = i % 2 == 0;
    std::filesystem::remove_all(Host("/upper"));
    Mkdir("/upper");
    const std::chrono::microseconds delay(1 + random() % static_cast<uint64_t>(whole.count()));
    if (InProcess(delay, [&] { Change(metacopy); }) == -1) ++killed;
    ASSERT_EQ(InProcess({}, [&] { Check(metacopy); }), 0)
        << "kill " << i << " after " << delay.count() << " us";
  }
  EXPECT_GT(killed, kKills / 4);
}

}  // namespace
}  // namespace stasis::overlay
