// SPDX-License-Identifier: Apache-2.0
//
// vfs_bench.cc: the operations of the VFS API on memfs, each beside the kernel's on a tmpfs.
//
// Names: BM_<operation>/<vfs or kernel>/<argument>. Depth d is a path of d components, walked by an
// unprivileged user. The kernel's directory is $STASIS_BENCH_TMPFS, /dev/shm if unset.

#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "fsimpl/memfs/filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis {
namespace {

using vfs::Credentials;
using vfs::PathOperation;
using vfs::VirtualDentry;
using vfs::VirtualFilesystem;

constexpr int kDepth = 100;

// A benchmark whose operations fail measures nothing.
template <typename T>
T Must(Result<T> result) {
  if (!result) std::abort();
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// "/d/d/.../f" with `depth` components.
std::string PathOfDepth(int depth) {
  std::string path;
  for (int i = 1; i < depth; ++i) path += "/d";
  return path + "/f";
}

// A memfs with a file at every depth. Shared by the threads of a benchmark.
class Tree {
 public:
  Tree() : vfs_(MakeRef<VirtualFilesystem>(clock_)) {
    ns_ = vfs_->NewMountNamespace(memfs::MemFilesystem::Create(*vfs_, {}), {});
    root_ = ns_->root();
    std::string dir;
    for (int depth = 1; depth <= kDepth; ++depth) {
      Touch(PathOfDepth(depth));
      dir += "/d";
      Must(vfs_->MkdirAt(owner_, At(dir), 0755));
    }
    Must(vfs_->MkdirAt(owner_, At("/work"), 0777));
  }
  ~Tree() { vfs_->Teardown(); }

  PathOperation At(std::string_view path) const { return {root_, root_, path}; }
  VirtualFilesystem& vfs() { return *vfs_; }
  vfs::MountNamespace& ns() { return *ns_; }
  const Credentials& owner() const { return owner_; }
  const Credentials& user() const { return user_; }

  RefPtr<vfs::FileDescription> Touch(const std::string& path) {
    return Must(vfs_->OpenAt(owner_, At(path), {.flags = O_CREAT | O_RDWR, .mode = 0644}));
  }

 private:
  RealClock clock_;
  RefPtr<VirtualFilesystem> vfs_;
  RefPtr<vfs::MountNamespace> ns_;
  VirtualDentry root_;
  const Credentials owner_ = Credentials::Root();
  const Credentials user_ = Credentials::User(1000, 1000);
};

Tree& SharedTree() {
  static auto* tree = new Tree();
  return *tree;
}

// The same in a directory of the kernel's tmpfs, removed at exit.
class KernelTree {
 public:
  KernelTree() {
    const char* base = std::getenv("STASIS_BENCH_TMPFS");
    root_ = (base != nullptr ? base : "/dev/shm") + std::string("/stasis-bench-XXXXXX");
    if (::mkdtemp(root_.data()) == nullptr) std::abort();
    for (int depth = 1; depth <= kDepth; ++depth) {
      const std::string path = root_ + PathOfDepth(depth);
      std::filesystem::create_directories(std::filesystem::path(path).parent_path());
      std::ofstream{path};
    }
    std::filesystem::create_directory(root_ + "/work");
  }
  ~KernelTree() { std::filesystem::remove_all(root_); }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

KernelTree& SharedKernelTree() {
  static KernelTree tree;
  return tree;
}

void BM_Stat_vfs(benchmark::State& state) {
  Tree& tree = SharedTree();
  const std::string path = PathOfDepth(static_cast<int>(state.range(0)));
  const PathOperation at = tree.At(path);
  for (auto _ : state) benchmark::DoNotOptimize(tree.vfs().StatAt(tree.user(), at));
}
BENCHMARK(BM_Stat_vfs)->Arg(1)->Arg(2)->Arg(3)->Arg(8)->Arg(64)->Arg(100)->UseRealTime();
BENCHMARK(BM_Stat_vfs)->Arg(1)->Arg(8)->Arg(100)->Threads(2)->UseRealTime();

void BM_Stat_kernel(benchmark::State& state) {
  const std::string path =
      SharedKernelTree().root() + PathOfDepth(static_cast<int>(state.range(0)));
  const int dir = ::open(SharedKernelTree().root().c_str(), O_PATH | O_DIRECTORY);
  const char* relative = path.c_str() + SharedKernelTree().root().size() + 1;
  struct stat st;
  for (auto _ : state) benchmark::DoNotOptimize(::fstatat(dir, relative, &st, 0));
  ::close(dir);
}
BENCHMARK(BM_Stat_kernel)->Arg(1)->Arg(2)->Arg(3)->Arg(8)->Arg(64)->Arg(100)->UseRealTime();
BENCHMARK(BM_Stat_kernel)->Arg(1)->Arg(8)->Arg(100)->Threads(2)->UseRealTime();

// One component in the first mount, one in the second.
void BM_StatAcrossMount_vfs(benchmark::State& state) {
  Tree tree;
  Must(tree.vfs().MkdirAt(tree.owner(), tree.At("/mnt"), 0755));
  Must(tree.vfs().MountAt(tree.owner(), tree.ns(), tree.At("/mnt"),
                          memfs::MemFilesystem::Create(tree.vfs(), {}), {}));
  tree.Touch("/mnt/f");
  const PathOperation at = tree.At("/mnt/f");
  for (auto _ : state) benchmark::DoNotOptimize(tree.vfs().StatAt(tree.user(), at));
}
BENCHMARK(BM_StatAcrossMount_vfs);

// "/mnt/mnt/.../f": as many mounts, one for each component but the last.
std::string PathAcross(int64_t mounts) {
  std::string path;
  for (int64_t i = 0; i < mounts; ++i) path += "/mnt";
  return path + "/f";
}

void BM_StatAcrossMounts_vfs(benchmark::State& state) {
  Tree tree;
  std::string at;
  for (int64_t i = 0; i < state.range(0); ++i) {
    at += "/mnt";
    Must(tree.vfs().MkdirAt(tree.owner(), tree.At(at), 0755));
    Must(tree.vfs().MountAt(tree.owner(), tree.ns(), tree.At(at),
                            memfs::MemFilesystem::Create(tree.vfs(), {}), {}));
  }
  const std::string path = PathAcross(state.range(0));
  tree.Touch(path);
  for (auto _ : state) benchmark::DoNotOptimize(tree.vfs().StatAt(tree.user(), tree.At(path)));
}
BENCHMARK(BM_StatAcrossMounts_vfs)->Arg(1)->Arg(8)->Arg(64);

// In a mount namespace of its own, which takes root.
void BM_StatAcrossMounts_kernel(benchmark::State& state) {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    state.SkipWithError("needs root");
    return;
  }
  const std::string& root = SharedKernelTree().root();
  std::string at = root;
  for (int64_t i = 0; i < state.range(0); ++i) {
    at += "/mnt";
    std::filesystem::create_directory(at);
    if (::mount("tmpfs", at.c_str(), "tmpfs", 0, nullptr) != 0) std::abort();
  }
  const std::string path = root + PathAcross(state.range(0));
  std::ofstream{path};
  const int dir = ::open(root.c_str(), O_PATH | O_DIRECTORY);
  const char* relative = path.c_str() + root.size() + 1;
  struct stat st;
  for (auto _ : state) benchmark::DoNotOptimize(::fstatat(dir, relative, &st, 0));
  ::close(dir);
  ::umount2((root + "/mnt").c_str(), MNT_DETACH);
}
BENCHMARK(BM_StatAcrossMounts_kernel)->Arg(1)->Arg(8)->Arg(64);

void BM_OpenClose_vfs(benchmark::State& state) {
  Tree& tree = SharedTree();
  const PathOperation at = tree.At("/f");
  for (auto _ : state)
    benchmark::DoNotOptimize(tree.vfs().OpenAt(tree.user(), at, {.flags = O_RDONLY}));
}
BENCHMARK(BM_OpenClose_vfs)->Threads(1)->Threads(2)->UseRealTime();

void BM_OpenClose_kernel(benchmark::State& state) {
  const std::string path = SharedKernelTree().root() + "/f";
  for (auto _ : state) ::close(::open(path.c_str(), O_RDONLY));
}
BENCHMARK(BM_OpenClose_kernel)->Threads(1)->Threads(2)->UseRealTime();

void BM_CreateUnlink_vfs(benchmark::State& state) {
  Tree& tree = SharedTree();
  const std::string path = "/work/new" + std::to_string(state.thread_index());
  const PathOperation at = tree.At(path);
  for (auto _ : state) {
    tree.Touch(path);
    Must(tree.vfs().UnlinkAt(tree.owner(), at));
  }
}
BENCHMARK(BM_CreateUnlink_vfs)->Threads(1)->Threads(2)->UseRealTime();

void BM_CreateUnlink_kernel(benchmark::State& state) {
  const std::string path =
      SharedKernelTree().root() + "/work/new" + std::to_string(state.thread_index());
  for (auto _ : state) {
    ::close(::open(path.c_str(), O_CREAT | O_RDWR, 0644));
    ::unlink(path.c_str());
  }
}
BENCHMARK(BM_CreateUnlink_kernel)->Threads(1)->Threads(2)->UseRealTime();

constexpr size_t kBlock = 4096;
constexpr size_t kBlocks = 256;

void BM_Write4K_vfs(benchmark::State& state) {
  auto file = SharedTree().Touch("/work/data");
  std::array<std::byte, kBlock> buffer{};
  size_t i = 0;
  for (auto _ : state) Must(file->PWrite(i++ % kBlocks * kBlock, buffer));
}
BENCHMARK(BM_Write4K_vfs);

void BM_Write4K_kernel(benchmark::State& state) {
  const std::string path = SharedKernelTree().root() + "/work/data";
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR, 0644);
  std::array<std::byte, kBlock> buffer{};
  size_t i = 0;
  for (auto _ : state) {
    const auto offset = static_cast<off_t>(i++ % kBlocks * kBlock);
    benchmark::DoNotOptimize(::pwrite(fd, buffer.data(), kBlock, offset));
  }
  ::close(fd);
}
BENCHMARK(BM_Write4K_kernel);

// A file of 32 MiB of new data, which is freed again outside of the time.
void BM_WriteNew_vfs(benchmark::State& state) {
  Tree& tree = SharedTree();
  const auto length = static_cast<size_t>(state.range(0));
  const std::vector<std::byte> buffer(length, std::byte{1});
  constexpr size_t kTotal = 32 * 1024 * 1024;
  for (auto _ : state) {
    auto file = tree.Touch("/work/fresh");
    for (size_t at = 0; at < kTotal; at += length) Must(file->PWrite(at, buffer));
    state.PauseTiming();
    Must(tree.vfs().UnlinkAt(tree.owner(), tree.At("/work/fresh")));
    file.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(static_cast<int64_t>(kTotal) * state.iterations());
}
BENCHMARK(BM_WriteNew_vfs)->Arg(4096)->Arg(128 * 1024)->Unit(benchmark::kMillisecond);

// 1000 files of 200 to 9000 bytes, made and removed.
void BM_SmallFiles_vfs(benchmark::State& state) {
  Tree& tree = SharedTree();
  const std::vector<std::byte> buffer(9000, std::byte{1});
  for (auto _ : state) {
    for (size_t i = 0; i < 1000; ++i) {
      auto file = tree.Touch("/work/small" + std::to_string(i));
      Must(file->PWrite(0, std::span(buffer).first(200 + i * 7919 % 8800)));
    }
    for (size_t i = 0; i < 1000; ++i)
      Must(tree.vfs().UnlinkAt(tree.owner(), tree.At("/work/small" + std::to_string(i))));
  }
}
BENCHMARK(BM_SmallFiles_vfs)->Unit(benchmark::kMicrosecond);

void BM_Read4K_vfs(benchmark::State& state) {
  auto file = SharedTree().Touch("/work/data");
  std::array<std::byte, kBlock> buffer{};
  for (size_t i = 0; i < kBlocks; ++i) Must(file->PWrite(i * kBlock, buffer));
  size_t i = 0;
  for (auto _ : state) Must(file->PRead(i++ % kBlocks * kBlock, buffer));
}
BENCHMARK(BM_Read4K_vfs);

void BM_Read4K_kernel(benchmark::State& state) {
  const std::string path = SharedKernelTree().root() + "/work/data";
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR, 0644);
  std::array<std::byte, kBlock> buffer{};
  for (size_t i = 0; i < kBlocks; ++i) {
    const auto offset = static_cast<off_t>(i * kBlock);
    benchmark::DoNotOptimize(::pwrite(fd, buffer.data(), kBlock, offset));
  }
  size_t i = 0;
  for (auto _ : state) {
    const auto offset = static_cast<off_t>(i++ % kBlocks * kBlock);
    benchmark::DoNotOptimize(::pread(fd, buffer.data(), kBlock, offset));
  }
  ::close(fd);
}
BENCHMARK(BM_Read4K_kernel);

void BM_ReadDirectory1000_vfs(benchmark::State& state) {
  Tree tree;
  Must(tree.vfs().MkdirAt(tree.owner(), tree.At("/many"), 0755));
  for (int i = 0; i < 1000; ++i) tree.Touch("/many/file" + std::to_string(i));
  auto dir = Must(tree.vfs().OpenAt(tree.user(), tree.At("/many"), {.flags = O_DIRECTORY}));
  for (auto _ : state) {
    size_t bytes = 0;
    Must(dir->IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
      bytes += entry.name.size();
      return true;
    }));
    benchmark::DoNotOptimize(bytes);
  }
}
BENCHMARK(BM_ReadDirectory1000_vfs);

void BM_ReadDirectory1000_kernel(benchmark::State& state) {
  const std::string path = SharedKernelTree().root() + "/many";
  std::filesystem::create_directory(path);
  for (int i = 0; i < 1000; ++i) std::ofstream{path + "/file" + std::to_string(i)};
  DIR* dir = ::opendir(path.c_str());
  for (auto _ : state) {
    ::rewinddir(dir);
    while (const dirent* entry = ::readdir(dir)) benchmark::DoNotOptimize(entry->d_name[0]);
  }
  ::closedir(dir);
}
BENCHMARK(BM_ReadDirectory1000_kernel);

void BM_Rename_vfs(benchmark::State& state) {
  Tree& tree = SharedTree();
  tree.Touch("/work/a");
  const PathOperation a = tree.At("/work/a");
  const PathOperation b = tree.At("/work/b");
  for (auto _ : state) {
    Must(tree.vfs().RenameAt(tree.owner(), a, b));
    Must(tree.vfs().RenameAt(tree.owner(), b, a));
  }
  state.SetItemsProcessed(state.iterations() * 2);
}
BENCHMARK(BM_Rename_vfs);

void BM_Rename_kernel(benchmark::State& state) {
  const std::string a = SharedKernelTree().root() + "/work/a";
  const std::string b = SharedKernelTree().root() + "/work/b";
  std::ofstream{a};
  for (auto _ : state) {
    ::rename(a.c_str(), b.c_str());
    ::rename(b.c_str(), a.c_str());
  }
  state.SetItemsProcessed(state.iterations() * 2);
}
BENCHMARK(BM_Rename_kernel);

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

// Bytes of memory per empty file, dentry and inode, with short names.
void BM_MemoryPerFile_vfs(benchmark::State& state) {
  constexpr int kFiles = 1'000'000;
  for (auto _ : state) {
    Tree tree;
    const size_t before = ResidentBytes();
    for (int d = 0; d < kFiles / 1000; ++d) {
      const std::string dir = "/work/" + std::to_string(d);
      Must(tree.vfs().MkdirAt(tree.owner(), tree.At(dir), 0755));
      for (int f = 0; f < 1000; ++f) tree.Touch(dir + "/file" + std::to_string(f));
    }
    state.counters["bytes_per_file"] =
        static_cast<double>(ResidentBytes() - before) / static_cast<double>(kFiles);
  }
}
BENCHMARK(BM_MemoryPerFile_vfs)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stasis

int main(int argc, char** argv) {
  // As the stasis program does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
