// SPDX-License-Identifier: Apache-2.0
//
// fuse_bench: file operations through the FUSE mount of a memfs, beside the same on the host's
// tmpfs. Prints JSON: per operation nanoseconds on both and their ratio. Needs root.
//
// The rows "passthrough_..." are of files of that tmpfs through a second mount, which the kernel
// reads and writes without asking. The rows "journal_..." compare a mount whose server keeps a
// journal with one whose server does not.
//
// The servers are child processes, as in real use. Both sides alternate, and the best of some
// rounds counts: what is left is the cost of the code, not of the machine's other work.

#include <absl/strings/str_format.h>
#include <absl/synchronization/mutex.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "cmd/fuse/journal.h"
#include "cmd/fuse/mount.h"
#include "cmd/fuse/server.h"
#include "fsimpl/memfs/filesystem.h"
#include "state/base/clock.h"
#include "tests/cmd/fuse/host_files.h"

namespace stasis::fuse {
namespace {

constexpr int kRounds = 5;
constexpr int kWatchdogSeconds = 300;
constexpr size_t kFileSize = size_t{64} << 20;

void Require(bool condition, const std::string& what) {
  if (condition) return;
  perror(what.c_str());
  exit(1);
}

UniqueFd Open(const std::string& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
  Require(fd.valid(), path);
  return fd;
}

// As if a checkpoint took no time.
void ReleaseOnAndOn(Journal& journal, vfs::OperationGate& gate) {
  for (;;) {
    if (!journal.AwaitCheckpoint(absl::Seconds(1))) continue;
    gate.Close();
    const auto mark = journal.Mark(absl::Seconds(10));
    gate.Open();
    Require(mark.ok(), "Journal::Mark");
    journal.Release(*mark);
  }
}

struct Served {
  std::string directory;
  std::string host_directory = {};  // empty: a memfs
  bool journal = false;
};

// Serves until the parent is gone or the watchdog barks.
[[noreturn]] void Serve(const Served& served, int ready) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(kWatchdogSeconds);
  RealClock clock;
  auto vfs = MakeRef<vfs::VirtualFilesystem>(clock);
  RefPtr<vfs::Filesystem> root = memfs::MemFilesystem::Create(*vfs, {});
  if (!served.host_directory.empty())
    root = HostFiles::Create(*vfs, {.directory = served.host_directory});
  auto ns = vfs->NewMountNamespace(std::move(root), {});
  auto device = OpenAndMount(served.directory, {});
  if (!device.ok()) {
    std::cerr << device.status() << "\n";
    _exit(1);
  }
  const auto journal = served.journal ? *Journal::Create() : nullptr;
  ServerOptions options;
  options.journal = journal.get();
  Server server(vfs, ns->root(), options);
  Require(server.Serve(*std::move(device)).ok(), "Serve");
  if (journal) std::thread([&] { ReleaseOnAndOn(*journal, vfs->gate()); }).detach();
  Require(write(ready, "r", 1) == 1, "write");
  server.WaitUntilUnmounted();
  _exit(0);
}

// A directory on each side.
class Sides {
 public:
  Sides() {
    Require(unshare(CLONE_NEWNS) == 0, "unshare (run as root)");
    Require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0,
            "mount --make-private");
    char directory[] = "/tmp/fuse-bench-XXXXXX";
    Require(mkdtemp(directory) != nullptr, "mkdtemp");
    base_ = directory;
    for (const std::string& side : {fuse(), journal(), passthrough(), tmpfs()})
      Require(mkdir(side.c_str(), 0755) == 0, side);
    Require(mount("tmpfs", tmpfs().c_str(), "tmpfs", 0, nullptr) == 0, "mounting tmpfs");
    const std::string host_directory = tmpfs() + "/passthrough";
    Require(mkdir(host_directory.c_str(), 0755) == 0, host_directory);
    Start({.directory = fuse()});
    Start({.directory = journal(), .journal = true});
    Start({.directory = passthrough(), .host_directory = host_directory});
  }
  ~Sides() {
    for (const std::string& side : {tmpfs(), passthrough(), journal(), fuse()})
      umount2(side.c_str(), MNT_DETACH);
    for (pid_t server : servers_) {
      kill(server, SIGKILL);
      waitpid(server, nullptr, 0);
    }
    for (const std::string& side : {fuse(), journal(), passthrough(), tmpfs(), base_})
      rmdir(side.c_str());
  }
  Sides(const Sides&) = delete;
  Sides& operator=(const Sides&) = delete;

  std::string fuse() const { return base_ + "/fuse"; }
  std::string journal() const { return base_ + "/journal"; }
  std::string passthrough() const { return base_ + "/passthrough"; }
  std::string tmpfs() const { return base_ + "/tmpfs"; }

 private:
  void Start(const Served& served) {
    int ready[2];
    Require(pipe(ready) == 0, "pipe");
    const pid_t server = fork();
    if (server == 0) Serve(served, ready[1]);
    close(ready[1]);
    char c;
    Require(read(ready[0], &c, 1) == 1, "the server did not start");
    close(ready[0]);
    servers_.push_back(server);
  }

  std::string base_;
  std::vector<pid_t> servers_;
};

struct Benchmark {
  std::string name;
  int count;                                            // operations per round
  std::function<void(const std::string& dir)> prepare;  // once per side
  std::function<void(const std::string& dir, int count)> run;
  enum { kFuse, kJournal, kPassthrough } side = kFuse;
};

double Time(const Benchmark& benchmark, const std::string& dir) {
  const auto start = std::chrono::steady_clock::now();
  benchmark.run(dir, benchmark.count);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / benchmark.count;
}

void Fill(const std::string& path, size_t size) {
  UniqueFd fd = Open(path, O_CREAT | O_WRONLY);
  const std::vector<char> block(size_t{1} << 20, 'x');
  for (size_t done = 0; done < size; done += block.size()) {
    Require(write(fd.get(), block.data(), block.size()) > 0, path);
  }
}

void Stat(const std::string& dir, int count) {
  const std::string path = dir + "/file";
  struct stat status;
  for (int i = 0; i < count; ++i) Require(stat(path.c_str(), &status) == 0, path);
}

// The attributes are forgotten before each: every stat asks the server.
void ColdStat(const std::string& dir, int count) {
  const std::string path = dir + "/file";
  for (int i = 0; i < count; ++i) {
    struct statx status;
    Require(statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status) == 0,
            path);
  }
}

void OpenClose(const std::string& dir, int count) {
  const std::string path = dir + "/file";
  for (int i = 0; i < count; ++i) Open(path, O_RDONLY);
}

void CreateUnlink(const std::string& dir, int count) {
  for (int i = 0; i < count; ++i) {
    const std::string path = dir + "/new" + std::to_string(i % 100);
    Open(path, O_CREAT | O_EXCL | O_WRONLY);
    Require(unlink(path.c_str()) == 0, path);
  }
}

void MkdirRmdir(const std::string& dir, int count) {
  const std::string path = dir + "/newdir";
  for (int i = 0; i < count; ++i) {
    Require(mkdir(path.c_str(), 0755) == 0 && rmdir(path.c_str()) == 0, path);
  }
}

void RenameBackAndForth(const std::string& dir, int count) {
  const std::string a = dir + "/file", b = dir + "/renamed";
  for (int i = 0; i < count / 2; ++i) {
    Require(rename(a.c_str(), b.c_str()) == 0 && rename(b.c_str(), a.c_str()) == 0, a);
  }
}

template <size_t kSize, bool kCold>
void Read(const std::string& dir, int count) {
  UniqueFd fd = Open(dir + "/big", O_RDONLY);
  if (kCold) posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  std::vector<char> buffer(kSize);
  for (int i = 0; i < count; ++i) {
    const auto offset = static_cast<off_t>(static_cast<size_t>(i) * kSize % kFileSize);
    Require(pread(fd.get(), buffer.data(), kSize, offset) == kSize, "pread");
  }
}

template <size_t kSize>
void Write(const std::string& dir, int count) {
  UniqueFd fd = Open(dir + "/big", O_WRONLY);
  const std::vector<char> buffer(kSize, 'y');
  for (int i = 0; i < count; ++i) {
    const auto offset = static_cast<off_t>(static_cast<size_t>(i) * kSize % kFileSize);
    Require(pwrite(fd.get(), buffer.data(), kSize, offset) == kSize, "pwrite");
  }
}

constexpr int kEntries = 1000;

void MakeEntries(const std::string& dir) {
  Require(mkdir((dir + "/entries").c_str(), 0755) == 0, dir);
  for (int i = 0; i < kEntries; ++i) Open(dir + "/entries/" + std::to_string(i), O_CREAT | O_RDWR);
}

// The directory changes before each, so that no cached list will do.
void Readdir(const std::string& dir, int count) {
  const std::string path = dir + "/entries";
  for (int i = 0; i < count; ++i) {
    const std::string extra = path + "/extra";
    Open(extra, O_CREAT | O_RDWR);
    Require(unlink(extra.c_str()) == 0, extra);
    DIR* stream = opendir(path.c_str());
    int seen = 0;
    while (readdir(stream) != nullptr) ++seen;
    closedir(stream);
    Require(seen == kEntries + 2, "readdir");
  }
}

std::vector<Benchmark> Benchmarks() {
  const auto nothing = [](const std::string&) {};
  const auto fill = [](const std::string& dir) { Fill(dir + "/big", kFileSize); };
  return {
      {"stat", 200'000, [](const std::string& dir) { Open(dir + "/file", O_CREAT | O_RDWR); },
       Stat},
      {"stat_forced", 5'000, nothing, ColdStat},
      {"open_close", 5'000, nothing, OpenClose},
      {"create_unlink", 2'000, nothing, CreateUnlink},
      {"mkdir_rmdir", 2'000, nothing, MkdirRmdir},
      {"rename", 4'000, nothing, RenameBackAndForth},
      {"write_4k", 8'000, fill, Write<4096>},
      {"write_1m", 128, nothing, Write<1 << 20>},
      {"read_4k_cached", 16'384, nothing, Read<4096, false>},
      {"read_4k_cold", 16'384, nothing, Read<4096, true>},
      {"read_1m_cold", 64, nothing, Read<1 << 20, true>},
      {"readdir_1000", 50, MakeEntries, Readdir},
      {"journal_create_unlink", 4'000, nothing, CreateUnlink, Benchmark::kJournal},
      {"journal_mkdir_rmdir", 4'000, nothing, MkdirRmdir, Benchmark::kJournal},
      {"journal_rename", 8'000,
       [](const std::string& dir) { Open(dir + "/file", O_CREAT | O_RDWR); }, RenameBackAndForth,
       Benchmark::kJournal},
      {"journal_write_4k", 16'000, fill, Write<4096>, Benchmark::kJournal},
      {"journal_write_1m", 128, nothing, Write<1 << 20>, Benchmark::kJournal},
      {"passthrough_open_close", 5'000, [](const std::string& dir) { Fill(dir + "/file", 4096); },
       OpenClose, Benchmark::kPassthrough},
      {"passthrough_write_4k", 100'000, fill, Write<4096>, Benchmark::kPassthrough},
      {"passthrough_write_1m", 256, nothing, Write<1 << 20>, Benchmark::kPassthrough},
      {"passthrough_read_4k", 100'000, nothing, Read<4096, false>, Benchmark::kPassthrough},
      {"passthrough_read_1m", 256, nothing, Read<1 << 20, false>, Benchmark::kPassthrough},
  };
}

int Main() {
  const Sides sides;
  bool first = true;
  std::cout << "{\n  \"benchmark\": \"fuse\", \"unit\": \"ns per operation\",\n  \"results\": [";
  for (const Benchmark& benchmark : Benchmarks()) {
    double best[2] = {std::numeric_limits<double>::max(), std::numeric_limits<double>::max()};
    const bool journal = benchmark.side == Benchmark::kJournal;
    const std::string dirs[2] = {journal                                     ? sides.journal()
                                 : benchmark.side == Benchmark::kPassthrough ? sides.passthrough()
                                                                             : sides.fuse(),
                                 journal ? sides.fuse() : sides.tmpfs()};
    for (const std::string& dir : dirs) benchmark.prepare(dir);
    for (int round = 0; round < kRounds; ++round) {
      for (int side = 0; side < 2; ++side) {
        best[side] = std::min(best[side], Time(benchmark, dirs[side]));
      }
    }
    std::cout << absl::StreamFormat(
        "%s\n    {\"name\": \"%s\", \"%s_ns\": %.0f, \"%s_ns\": %.0f, \"ratio\": %.2f}",
        first ? "" : ",", benchmark.name, journal ? "journal" : "fuse", best[0],
        journal ? "fuse" : "tmpfs", best[1], best[0] / best[1]);
    std::cout.flush();
    first = false;
  }
  std::cout << "\n  ]\n}\n";
  return 0;
}

}  // namespace
}  // namespace stasis::fuse

int main() {
  // As the stasis program does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return stasis::fuse::Main();
}
