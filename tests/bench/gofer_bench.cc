// SPDX-License-Identifier: Apache-2.0
//
// gofer_bench.cc: the operations of the VFS API on a host directory, each beside the same system
// calls on that directory; how fast a restore finds the files again; memory per file.
//
//   gofer_bench [--files=N] [BENCHMARK OPTION...]
//
// N files (100,000) are restored, twice as many are cached for the memory. The host directory is a
// new one in $STASIS_BENCH_DISK, /var/tmp if unset: on a disk, for a tmpfs would flatter. Rows with
// `Cold` begin without the kernel's caches, and are there for root only.

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "restore/checkpoint.h"
#include "restore/internal/stopwatch.h"
#include "restore/restore.h"
#include "restore/types.h"
#include "vfs/virtual_filesystem.h"

namespace stasis {
namespace {

using gofer::Interop;
using vfs::Credentials;
using vfs::PathOperation;
using vfs::VirtualDentry;
using vfs::VirtualFilesystem;

constexpr int kFilesPerDirectory = 1000;
constexpr char kDropCaches[] = "/proc/sys/vm/drop_caches";
int restored_files = 100'000;

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "gofer_bench: " << what << "\n";
  std::abort();
}

// A benchmark whose operations fail measures nothing.
template <typename T>
T Must(Result<T> result) {
  if (!result) Die("an operation failed");
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) Die(result.status().ToString());
  return *std::move(result);
}

// A new directory on the disk, with directories "0", "1", ... of a thousand files "file0", ...
// each; removed at the end.
class HostDirectory {
 public:
  explicit HostDirectory(int files) : directories_(std::max(1, files / kFilesPerDirectory)) {
    const char* base = std::getenv("STASIS_BENCH_DISK");
    path_ = absl::StrCat(base != nullptr ? base : "/var/tmp", "/stasis-bench-XXXXXX");
    if (::mkdtemp(path_.data()) == nullptr) Die(path_);
    for (int d = 0; d < directories_; ++d) {
      std::filesystem::create_directory(absl::StrCat(path_, "/", d));
      for (int f = 0; f < kFilesPerDirectory; ++f) Touch(NameOf(d, f));
    }
    std::filesystem::create_directory(path_ + "/work");
  }
  ~HostDirectory() { std::filesystem::remove_all(path_); }
  HostDirectory(const HostDirectory&) = delete;
  HostDirectory& operator=(const HostDirectory&) = delete;

  static std::string NameOf(int directory, int file) {
    return absl::StrCat("/", directory, "/file", file);
  }
  const std::string& path() const { return path_; }
  int directories() const { return directories_; }
  int files() const { return directories_ * kFilesPerDirectory; }

 private:
  void Touch(const std::string& name) {
    const int fd = ::open((path_ + name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 || ::close(fd) != 0) Die(path_ + name);
  }

  std::string path_;
  const int directories_;
};

HostDirectory& SharedHost() {
  static HostDirectory host(kFilesPerDirectory);
  return host;
}

// A tree that is a host directory.
class Tree {
 public:
  explicit Tree(const HostDirectory& host, Interop interop = Interop::kExclusive)
      : host_(host), vfs_(MakeRef<VirtualFilesystem>(clock_)) {
    gofer::GoferOptions options;
    options.root = "data";
    options.directory = host.path();
    options.interop = interop;
    root_ =
        vfs_->NewMountNamespace(Must(gofer::GoferFilesystem::Create(*vfs_, options)), {})->root();
  }
  ~Tree() {
    root_ = {};
    vfs_->Teardown();
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  PathOperation At(std::string_view path) const { return {root_, root_, path}; }
  VirtualFilesystem& vfs() { return *vfs_; }
  const Credentials& creds() const { return creds_; }

  RefPtr<vfs::FileDescription> Open(const std::string& path, int flags) {
    return Must(vfs_->OpenAt(creds_, At(path), {.flags = flags, .mode = 0644}));
  }
  void StatAll() {
    for (int d = 0; d < host_.directories(); ++d)
      for (int f = 0; f < kFilesPerDirectory; ++f)
        (void)Must(vfs_->StatAt(creds_, At(HostDirectory::NameOf(d, f))));
  }

 private:
  const HostDirectory& host_;
  RealClock clock_;
  RefPtr<VirtualFilesystem> vfs_;
  VirtualDentry root_;
  const Credentials creds_ = Credentials::Root();
};

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

// Bytes of memory per file that was looked up, dentry and inode, with short names. The first, for
// memory that others gave back would not count.
void BM_HostMemoryPerFile_vfs(benchmark::State& state) {
  const HostDirectory host(2 * restored_files);
  for (auto _ : state) {
    Tree tree(host);
    const size_t before = ResidentBytes();
    tree.StatAll();
    state.counters["bytes_per_file"] =
        static_cast<double>(ResidentBytes() - before) / static_cast<double>(host.files());
  }
}
BENCHMARK(BM_HostMemoryPerFile_vfs)->Iterations(1)->Unit(benchmark::kMillisecond);

std::vector<std::string> NamesOfFirst() {
  std::vector<std::string> names;
  for (int f = 0; f < kFilesPerDirectory; ++f) names.push_back(HostDirectory::NameOf(0, f));
  return names;
}

// The first stat of each file: what the host says is not known here, but to the kernel.
void BM_HostLookup_vfs(benchmark::State& state) {
  const std::vector<std::string> names = NamesOfFirst();
  while (state.KeepRunningBatch(kFilesPerDirectory)) {
    state.PauseTiming();
    {
      Tree tree(SharedHost());
      (void)Must(tree.vfs().StatAt(tree.creds(), tree.At("/0")));
      state.ResumeTiming();
      for (const std::string& name : names)
        benchmark::DoNotOptimize(tree.vfs().StatAt(tree.creds(), tree.At(name)));
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
}
BENCHMARK(BM_HostLookup_vfs);

void BM_HostLookup_kernel(benchmark::State& state) {
  const std::vector<std::string> names = NamesOfFirst();
  const int root = ::open(SharedHost().path().c_str(), O_PATH | O_DIRECTORY);
  struct stat st;
  while (state.KeepRunningBatch(kFilesPerDirectory))
    for (const std::string& name : names)
      benchmark::DoNotOptimize(::fstatat(root, name.c_str() + 1, &st, 0));
  ::close(root);
}
BENCHMARK(BM_HostLookup_kernel);

void MeasureStat(benchmark::State& state, Interop interop) {
  Tree tree(SharedHost(), interop);
  const PathOperation at = tree.At("/0/file7");
  for (auto _ : state) benchmark::DoNotOptimize(tree.vfs().StatAt(tree.creds(), at));
}
void BM_HostStat_vfs(benchmark::State& state) { MeasureStat(state, Interop::kExclusive); }
void BM_HostStatShared_vfs(benchmark::State& state) { MeasureStat(state, Interop::kShared); }
BENCHMARK(BM_HostStat_vfs);
BENCHMARK(BM_HostStatShared_vfs);

void BM_HostStat_kernel(benchmark::State& state) {
  const int root = ::open(SharedHost().path().c_str(), O_PATH | O_DIRECTORY);
  struct stat st;
  for (auto _ : state) benchmark::DoNotOptimize(::fstatat(root, "0/file7", &st, 0));
  ::close(root);
}
BENCHMARK(BM_HostStat_kernel);
BENCHMARK(BM_HostStat_kernel)->Name("BM_HostStatShared_kernel");

void BM_HostOpenClose_vfs(benchmark::State& state) {
  Tree tree(SharedHost());
  const PathOperation at = tree.At("/0/file7");
  for (auto _ : state)
    benchmark::DoNotOptimize(Must(tree.vfs().OpenAt(tree.creds(), at, {.flags = O_RDONLY})));
}
BENCHMARK(BM_HostOpenClose_vfs);

void BM_HostOpenClose_kernel(benchmark::State& state) {
  const int root = ::open(SharedHost().path().c_str(), O_PATH | O_DIRECTORY);
  for (auto _ : state) ::close(::openat(root, "0/file7", O_RDONLY | O_CLOEXEC));
  ::close(root);
}
BENCHMARK(BM_HostOpenClose_kernel);

// The first open of each file, after its first stat.
void BM_HostOpenFirst_vfs(benchmark::State& state) {
  const std::vector<std::string> names = NamesOfFirst();
  while (state.KeepRunningBatch(kFilesPerDirectory)) {
    state.PauseTiming();
    {
      Tree tree(SharedHost());
      tree.StatAll();
      state.ResumeTiming();
      for (const std::string& name : names) (void)tree.Open(name, O_RDONLY);
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
}
BENCHMARK(BM_HostOpenFirst_vfs);

void BM_HostOpenFirst_kernel(benchmark::State& state) {
  const std::vector<std::string> names = NamesOfFirst();
  const int root = ::open(SharedHost().path().c_str(), O_PATH | O_DIRECTORY);
  while (state.KeepRunningBatch(kFilesPerDirectory))
    for (const std::string& name : names)
      ::close(::openat(root, name.c_str() + 1, O_RDONLY | O_CLOEXEC));
  ::close(root);
}
BENCHMARK(BM_HostOpenFirst_kernel);

constexpr size_t kBlock = 4096;
constexpr size_t kBlocks = 256;

void BM_HostWrite4K_vfs(benchmark::State& state) {
  Tree tree(SharedHost());
  auto file = tree.Open("/work/data", O_CREAT | O_RDWR);
  std::array<std::byte, kBlock> buffer{};
  size_t i = 0;
  for (auto _ : state) (void)Must(file->PWrite(i++ % kBlocks * kBlock, buffer));
}
BENCHMARK(BM_HostWrite4K_vfs);

void BM_HostWrite4K_kernel(benchmark::State& state) {
  const int fd = ::open((SharedHost().path() + "/work/data").c_str(), O_CREAT | O_RDWR, 0644);
  std::array<std::byte, kBlock> buffer{};
  size_t i = 0;
  for (auto _ : state) {
    const auto offset = static_cast<off_t>(i++ % kBlocks * kBlock);
    benchmark::DoNotOptimize(::pwrite(fd, buffer.data(), kBlock, offset));
  }
  ::close(fd);
}
BENCHMARK(BM_HostWrite4K_kernel);

void FillData() {
  std::ofstream out(SharedHost().path() + "/work/data");
  out << std::string(kBlock * kBlocks, 'x');
}

void BM_HostRead4K_vfs(benchmark::State& state) {
  FillData();
  Tree tree(SharedHost());
  auto file = tree.Open("/work/data", O_RDONLY);
  std::array<std::byte, kBlock> buffer{};
  size_t i = 0;
  for (auto _ : state)
    if (Must(file->PRead(i++ % kBlocks * kBlock, buffer)) != kBlock) Die("a short read");
}
BENCHMARK(BM_HostRead4K_vfs);

void BM_HostRead4K_kernel(benchmark::State& state) {
  FillData();
  const int fd = ::open((SharedHost().path() + "/work/data").c_str(), O_RDONLY);
  std::array<std::byte, kBlock> buffer{};
  size_t i = 0;
  for (auto _ : state) {
    const auto offset = static_cast<off_t>(i++ % kBlocks * kBlock);
    benchmark::DoNotOptimize(::pread(fd, buffer.data(), kBlock, offset));
  }
  ::close(fd);
}
BENCHMARK(BM_HostRead4K_kernel);

void BM_HostCreateUnlink_vfs(benchmark::State& state) {
  Tree tree(SharedHost());
  const PathOperation at = tree.At("/work/new");
  for (auto _ : state) {
    (void)tree.Open("/work/new", O_CREAT | O_EXCL | O_RDWR);
    Must(tree.vfs().UnlinkAt(tree.creds(), at));
  }
}
BENCHMARK(BM_HostCreateUnlink_vfs);

void BM_HostCreateUnlink_kernel(benchmark::State& state) {
  const int root = ::open(SharedHost().path().c_str(), O_PATH | O_DIRECTORY);
  for (auto _ : state) {
    ::close(::openat(root, "work/new", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644));
    ::unlinkat(root, "work/new", 0);
  }
  ::close(root);
}
BENCHMARK(BM_HostCreateUnlink_kernel);

void MeasureReadDirectory(benchmark::State& state, Interop interop) {
  Tree tree(SharedHost(), interop);
  auto dir = tree.Open("/0", O_DIRECTORY);
  for (auto _ : state) {
    size_t entries = 0;
    Must(dir->IterateDirectory(0, [&](const vfs::DirectoryEntry&) { return ++entries != 0; }));
    if (entries != kFilesPerDirectory + 2) Die("names are missing");
  }
}
void BM_HostReadDirectory1000_vfs(benchmark::State& state) {
  MeasureReadDirectory(state, Interop::kExclusive);
}
void BM_HostReadDirectory1000Shared_vfs(benchmark::State& state) {
  MeasureReadDirectory(state, Interop::kShared);
}
BENCHMARK(BM_HostReadDirectory1000_vfs);
BENCHMARK(BM_HostReadDirectory1000Shared_vfs);

// The first listing of the directory.
void BM_HostReadDirectory1000First_vfs(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    {
      Tree tree(SharedHost());
      auto dir = tree.Open("/0", O_DIRECTORY);
      state.ResumeTiming();
      Must(dir->IterateDirectory(0, [](const vfs::DirectoryEntry&) { return true; }));
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
}
BENCHMARK(BM_HostReadDirectory1000First_vfs);

void BM_HostReadDirectory1000_kernel(benchmark::State& state) {
  DIR* dir = ::opendir((SharedHost().path() + "/0").c_str());
  for (auto _ : state) {
    ::rewinddir(dir);
    while (const dirent* entry = ::readdir(dir)) benchmark::DoNotOptimize(entry->d_name[0]);
  }
  ::closedir(dir);
}
BENCHMARK(BM_HostReadDirectory1000_kernel);
BENCHMARK(BM_HostReadDirectory1000_kernel)->Name("BM_HostReadDirectory1000Shared_kernel");
BENCHMARK(BM_HostReadDirectory1000_kernel)->Name("BM_HostReadDirectory1000First_kernel");

// A host directory all of whose files are known to an image.
class SavedTree {
 public:
  SavedTree() : host_(restored_files), images_(host_.path() + ".images") {
    restore::RegisterTypes(registry_);
    Tree tree(host_);
    tree.StatAll();
    restore::CheckpointRequest request;
    request.vfs = &tree.vfs();
    request.registry = &registry_;
    request.clock = &clock_;
    request.directory = images_;
    request.tag = "v1";
    (void)Must(restore::Checkpoint(request));
  }
  ~SavedTree() { std::filesystem::remove_all(images_); }
  SavedTree(const SavedTree&) = delete;
  SavedTree& operator=(const SavedTree&) = delete;

  const HostDirectory& host() const { return host_; }
  // Nanoseconds in which a restore found all files again and compared them.
  int64_t Reopen(int threads) const {
    restore::RestoreRequest request;
    request.registry = &registry_;
    request.clock = &clock_;
    request.directory = images_;
    request.tag = "v1";
    request.roots["data"] = host_.path();
    request.threads = threads;
    return Must(restore::Restore(request)).report().reopen_ns;
  }
  // The same calls without anything around: nanoseconds of a statx(2) of each file.
  int64_t StatAll(int threads) const {
    const restore::Stopwatch watch;
    std::atomic<int> next{0};
    const auto run = [&] {
      for (int d = next++; d < host_.directories(); d = next++) StatDirectory(d);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(run);
    run();
    for (std::thread& other : others) other.join();
    return watch.Total();
  }

 private:
  void StatDirectory(int d) const {
    const int dir = ::open(absl::StrCat(host_.path(), "/", d).c_str(), O_PATH | O_DIRECTORY);
    struct statx st;
    for (int f = 0; f < kFilesPerDirectory; ++f)
      if (::statx(dir, absl::StrCat("file", f).c_str(), AT_SYMLINK_NOFOLLOW,
                  STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
        Die("statx");
    ::close(dir);
  }

  const HostDirectory host_;
  const std::string images_;
  RealClock clock_;
  state::Registry registry_;
};

SavedTree& SharedSavedTree() {
  static SavedTree tree;
  return tree;
}

void DropCaches() {
  ::sync();
  std::ofstream(kDropCaches) << "3";
}

// The best round counts: what is left is the cost of the code, not of the machine's other work.
void MeasureRounds(benchmark::State& state, bool cold, int64_t (SavedTree::*round)(int) const) {
  const SavedTree& tree = SharedSavedTree();
  const int threads = static_cast<int>(state.range(0));
  if (!cold) (tree.*round)(threads);
  int64_t best = std::numeric_limits<int64_t>::max();
  for (auto _ : state) {
    if (cold) DropCaches();
    const int64_t took = (tree.*round)(threads);
    best = std::min(best, took);
    state.SetIterationTime(static_cast<double>(took) / 1e9);
  }
  state.counters["us_per_file"] = static_cast<double>(best) / 1e3 / tree.host().files();
}

void BM_HostValidate_vfs(benchmark::State& state) {
  MeasureRounds(state, false, &SavedTree::Reopen);
}
void BM_HostValidate_kernel(benchmark::State& state) {
  MeasureRounds(state, false, &SavedTree::StatAll);
}
void BM_HostValidateCold_vfs(benchmark::State& state) {
  MeasureRounds(state, true, &SavedTree::Reopen);
}
void BM_HostValidateCold_kernel(benchmark::State& state) {
  MeasureRounds(state, true, &SavedTree::StatAll);
}

void RegisterValidation(const char* name, void (*function)(benchmark::State&), int rounds) {
  benchmark::RegisterBenchmark(name, function)
      ->Arg(1)
      ->Arg(2)
      ->Iterations(rounds)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

void RegisterValidations() {
  RegisterValidation("BM_HostValidate_vfs", BM_HostValidate_vfs, 10);
  RegisterValidation("BM_HostValidate_kernel", BM_HostValidate_kernel, 10);
  if (::geteuid() != 0 || ::access(kDropCaches, W_OK) != 0) return;
  RegisterValidation("BM_HostValidateCold_vfs", BM_HostValidateCold_vfs, 3);
  RegisterValidation("BM_HostValidateCold_kernel", BM_HostValidateCold_kernel, 3);
}

void TakeFiles(int& argc, char** argv) {
  constexpr absl::string_view kFiles = "--files=";
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    if (absl::StartsWith(argv[i], kFiles)) {
      restored_files = std::atoi(argv[i] + kFiles.size());
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
}

}  // namespace
}  // namespace stasis

int main(int argc, char** argv) {
  // As the stasis program does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  stasis::TakeFiles(argc, argv);
  stasis::RegisterValidations();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
