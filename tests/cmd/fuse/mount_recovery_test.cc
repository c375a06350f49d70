// SPDX-License-Identifier: Apache-2.0
//
// Servers that are killed while programs use their mount, one after the other. Each runs the whole
// journal on an empty tree and goes on.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <random>
#include <string>
#include <thread>

#include "cmd/fuse/journal.h"
#include "cmd/fuse/mount.h"
#include "cmd/fuse/replay.h"
#include "state/base/memory_file.h"
#include "state/chunk_memory.h"
#include "tests/cmd/fuse/fake_kernel.h"
#include "tests/cmd/fuse/mounted_tree.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/seed.h"
#include "tests/testing/storm.h"

namespace stasis::fuse {
namespace {

using stasis::testing::KernelCalls;
using stasis::testing::ScratchDir;
using stasis::testing::Storm;

constexpr int kWatchdogSeconds = 120;
constexpr uint64_t kCapacity = uint64_t{512} << 20;  // no checkpoint makes room

int Kills() {
  const char* wanted = std::getenv("STASIS_KILLS");
  return wanted != nullptr ? std::atoi(wanted) : 10;
}

[[noreturn]] void Die(const std::string& why) {
  std::cerr << why << std::endl;
  _exit(1);
}

// Shared with children.
class SharedFlag {
 public:
  SharedFlag() {
    if (!memory_.Map(4096)) Die("no memory");
  }
  std::atomic<bool>& flag() const { return *static_cast<std::atomic<bool>*>(memory_.data()); }

 private:
  SparseZeros memory_;
};

// What the keeper of a sandbox has, and how it starts servers. This process does not use the mount:
// programs that do are children of it.
class KilledServers {
 public:
  KilledServers() : journal_(*Journal::Create(kCapacity)) {
    const MountedTree for_its_namespace;
    mkdir(path().c_str(), 0755);
    device_ = *OpenAndMount(path(), {});
    Start();
  }
  ~KilledServers() {
    Kill();
    device_.reset();  // the last one: the connection ends
    umount2(path().c_str(), MNT_DETACH);
  }

  std::string path() const { return directory_ / "mount"; }
  void KillAndRestart() {
    Kill();
    Start();
  }
  // Calls `program` in a child, again and again until enough servers were killed under it. It
  // returns 0 if all was well.
  void Torture(const std::function<int(int round)>& program) {
    std::mt19937_64 random(seed_);
    SharedFlag enough;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      device_.reset();
      for (int round = 0; !enough.flag(); ++round)
        if (program(round) != 0) _exit(1);
      _exit(0);
    }
    int status = 0;
    const time_t end = time(nullptr) + kWatchdogSeconds;
    for (int kills = 0; kills < Kills(); ++kills) {
      usleep(static_cast<useconds_t>(random() % 60'000));
      ASSERT_EQ(waitpid(child, &status, WNOHANG), 0) << "it ended after " << kills << " kills";
      KillAndRestart();
    }
    enough.flag() = true;
    while (waitpid(child, &status, WNOHANG) == 0 && time(nullptr) < end) usleep(10'000);
    if (time(nullptr) >= end) {
      device_.reset();
      Kill();
      FAIL() << "the program hangs";
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }

 private:
  void Kill() {
    if (server_ <= 0) return;
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    server_ = -1;
  }
  void Start() {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) Die("pipe2");
    server_ = fork();
    if (server_ == 0) {
      close(ready[0]);
      Serve(ready[1], !first_);
    }
    close(ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1) Die("the server did not start");
    close(ready[0]);
    first_ = false;
  }
  [[noreturn]] void Serve(int ready, bool resend) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)state::ChunkMemory::Get();
    auto journal = Journal::Open(UniqueFd(dup(journal_->fd())), 0);
    if (!journal.ok()) Die(journal.status().ToString());
    TestTree tree;
    ServerOptions options;
    options.journal = journal->get();
    options.resend = resend;
    options.reader_threads = 3;
    Server server(tree.vfs(), tree.root(), options);
    const auto report = Replay(**journal, 0, [&](uint32_t) { return &server; });
    if (!report.ok()) Die(report.status().ToString());
    if (!(*journal)->GoOn(report->end).ok()) Die("the journal is closed");
    const absl::Status serving = server.Serve(UniqueFd(dup(device_.get())));
    if (!serving.ok()) Die(serving.ToString());
    (void)!write(ready, "r", 1);
    for (;;) pause();
  }

  const uint64_t seed_ = stasis::testing::NewSeed();
  const ScratchDir directory_;
  std::unique_ptr<Journal> journal_;
  UniqueFd device_;
  pid_t server_ = -1;
  bool first_ = true;
};

class MountRecoveryTest : public ::testing::Test {
 protected:
  KilledServers servers_;
};

// O_EXCL, link, unlink, rename: each done twice would fail, each lost would be missed.
TEST_F(MountRecoveryTest, EveryNameIsWhatItsOwnerMadeOfIt) {
  servers_.Torture([this](int round) {
    const std::string directory = servers_.path() + "/" + std::to_string(round);
    if (mkdir(directory.c_str(), 0755) != 0) return 1;
    KernelCalls calls(directory);
    Storm storm(calls);
    storm.Run({.steps = 500});
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

// Says what is wrong, as a program would have to take it.
#define CHECKED(condition) \
  if (!(condition))        \
  Die(std::string("line ") + std::to_string(__LINE__) + ": " + #condition + ": " + strerror(errno))

// Appends must be there once, in order; so must what is written anywhere.
int WriteAndCheck(const std::string& directory, int files, int rounds) {
  std::mt19937 random(static_cast<unsigned>(files));
  for (int f = 0; f < files; ++f) {
    const std::string path = directory + "/file" + std::to_string(f);
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0644);
    CHECKED(fd >= 0);
    std::string expected;
    for (int i = 0; i < rounds; ++i) {
      std::string piece(1 + random() % (i % 10 == 0 ? 300'000 : 3000),
                        static_cast<char>('a' + i % 26));
      CHECKED(write(fd, piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()));
      expected += piece;
      if (i % 7 == 0) CHECKED(fsync(fd) == 0);
      struct stat st;
      CHECKED(fstat(fd, &st) == 0);
      CHECKED(static_cast<size_t>(st.st_size) == expected.size());
    }
    std::string found(expected.size(), ' ');
    CHECKED(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    CHECKED(pread(fd, found.data(), found.size(), 0) == static_cast<ssize_t>(found.size()));
    CHECKED(found == expected);
    CHECKED(close(fd) == 0);
    CHECKED(rename(path.c_str(), (path + ".done").c_str()) == 0);
    if (f % 2 == 0) CHECKED(unlink((path + ".done").c_str()) == 0);
  }
  return 0;
}

TEST_F(MountRecoveryTest, DataIsThereAndThereOnce) {
  servers_.Torture([this](int round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      const std::string directory =
          servers_.path() + "/" + std::to_string(round) + "." + std::to_string(t);
      CHECKED(mkdir(directory.c_str(), 0755) == 0);
      threads.emplace_back([directory] { WriteAndCheck(directory, 2, 60); });
    }
    for (std::thread& thread : threads) thread.join();
    return 0;
  });
}

// A file that is open and has no name, and is mapped.
TEST_F(MountRecoveryTest, OpenFilesStayOpen) {
  servers_.Torture([this](int round) {
    const std::string path = servers_.path() + "/file";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECKED(fd >= 0);
    CHECKED(ftruncate(fd, 8192) == 0);
    CHECKED(unlink(path.c_str()) == 0);
    void* data = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECKED(data != MAP_FAILED);
    std::memset(data, round, 8192);
    CHECKED(msync(data, 8192, MS_SYNC) == 0);
    CHECKED(munmap(data, 8192) == 0);
    char byte = 0;
    CHECKED(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    CHECKED(pread(fd, &byte, 1, 5000) == 1);
    CHECKED(byte == static_cast<char>(round));
    CHECKED(close(fd) == 0);
    return 0;
  });
}

}  // namespace
}  // namespace stasis::fuse
