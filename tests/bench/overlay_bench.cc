// SPDX-License-Identifier: Apache-2.0
//
// overlay_bench.cc: an overlay beside the kernel's overlayfs. Needs root: the kernel's is mounted
// in a mount namespace of its own.
//
// Names: BM_Overlay<What>_<vfs or kernel>/<argument>. Layers of the kernel are directories of
// $STASIS_BENCH_TMPFS, /dev/shm if unset; ours are memfs, or (Host) directories there.

#include <absl/synchronization/mutex.h>
#include <benchmark/benchmark.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/memfs/filesystem.h"
#include "fsimpl/overlay/filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis {
namespace {

using vfs::Credentials;
using vfs::VirtualDentry;

// A benchmark whose operations fail measures nothing.
template <typename T>
T Must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", ErrnoName(result.error()).c_str());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
void Must(bool done) {
  if (done) return;
  std::perror("overlay_bench");
  std::abort();
}

// A directory of the host for one benchmark, and the kernel's overlay in it.
class Scratch {
 public:
  Scratch() {
    const char* base = std::getenv("STASIS_BENCH_TMPFS");
    path_ = std::string(base != nullptr ? base : "/dev/shm") + "/overlay_bench.XXXXXX";
    Must(::mkdtemp(path_.data()) != nullptr);
    for (const char* name : {"upper", "work", "merged"}) Mkdir(name);
  }
  ~Scratch() {
    ::umount2(Path("merged").c_str(), MNT_DETACH);
    std::filesystem::remove_all(path_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string Path(const std::string& name) const { return path_ + "/" + name; }
  void Mkdir(const std::string& name) const { ::mkdir(Path(name).c_str(), 0755); }
  void Mount(const std::vector<std::string>& lowers) const {
    std::string dirs;
    for (const std::string& lower : lowers) dirs += (dirs.empty() ? "" : ":") + Path(lower);
    const std::string options =
        "lowerdir=" + dirs + ",upperdir=" + Path("upper") + ",workdir=" + Path("work");
    Must(::mount("overlay", Path("merged").c_str(), "overlay", 0, options.c_str()) == 0);
  }

 private:
  std::string path_;
};

// An overlay of ours, with a memfs or a directory of the host as upper layer.
class Overlay {
 public:
  Overlay() : vfs_(MakeRef<vfs::VirtualFilesystem>(clock_)) {}
  ~Overlay() {
    root_ = {};
    ns_.reset();
    lowers_.clear();
    vfs_->Teardown();
  }
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  VirtualDentry AddMemfs() { return Add(memfs::MemFilesystem::Create(*vfs_, {})); }
  VirtualDentry AddHost(const std::string& directory) {
    auto fs = gofer::GoferFilesystem::Create(*vfs_, {.root = directory, .directory = directory});
    if (!fs.ok()) std::abort();
    return Add(*fs);
  }
  void AddLower(VirtualDentry lower) { lowers_.insert(lowers_.begin(), std::move(lower)); }

  void Mount(const VirtualDentry& top, bool lazy) {
    overlay::OverlayOptions options;
    options.upper = Directory(top, "upper");
    options.work = Directory(top, "work");
    options.lowers = lowers_;
    options.lazy_data = lazy;
    ns_ = vfs_->NewMountNamespace(Must(overlay::OverlayFilesystem::Create(*vfs_, options)), {});
    root_ = ns_->root();
  }
  VirtualDentry Directory(const VirtualDentry& in, const std::string& name) {
    std::ignore = vfs_->MkdirAt(creds_, {in, in, name}, 0755);
    return Must(vfs_->GetDentryAt(creds_, {in, in, name}));
  }
  void Touch(const VirtualDentry& in, const std::string& path) {
    Must(vfs_->MknodAt(creds_, {in, in, path}, {.mode = S_IFREG | 0644}));
  }

  vfs::VirtualFilesystem& vfs() { return *vfs_; }
  const Credentials& creds() const { return creds_; }
  vfs::PathOperation At(std::string_view path) const { return {root_, root_, path}; }
  RefPtr<vfs::FileDescription> Open(std::string_view path, int flags) {
    return Must(vfs_->OpenAt(creds_, At(path), {.flags = flags}));
  }

 private:
  VirtualDentry Add(const RefPtr<vfs::Filesystem>& fs) {
    return {vfs_->MakePrivateMount(*fs, {}), RefPtr<vfs::Dentry>(&fs->root())};
  }

  const RealClock clock_;
  const Credentials creds_ = Credentials::Root();
  RefPtr<vfs::VirtualFilesystem> vfs_;
  std::vector<VirtualDentry> lowers_;
  RefPtr<vfs::MountNamespace> ns_;
  VirtualDentry root_;
};

// stat(2) of a file that is in the lowest of so many layers.
void BM_OverlayStat_vfs(benchmark::State& state) {
  Overlay overlay;
  for (int i = 0; i < state.range(0); ++i) {
    const VirtualDentry lower = overlay.AddMemfs();
    const VirtualDentry dir = overlay.Directory(lower, "d");
    if (i == 0) overlay.Touch(dir, "f");
    overlay.AddLower(lower);
  }
  overlay.Mount(overlay.AddMemfs(), true);
  for (auto _ : state)
    benchmark::DoNotOptimize(Must(overlay.vfs().StatAt(overlay.creds(), overlay.At("/d/f"))));
}
void BM_OverlayStat_kernel(benchmark::State& state) {
  const Scratch scratch;
  std::vector<std::string> lowers;
  for (int i = 0; i < state.range(0); ++i) {
    const std::string name = "l" + std::to_string(i);
    scratch.Mkdir(name);
    scratch.Mkdir(name + "/d");
    if (i == 0) std::ofstream(scratch.Path(name + "/d/f")) << "x";
    lowers.insert(lowers.begin(), name);
  }
  scratch.Mount(lowers);
  const std::string path = scratch.Path("merged/d/f");
  struct stat stat {};
  for (auto _ : state) Must(::stat(path.c_str(), &stat) == 0);
}
BENCHMARK(BM_OverlayStat_vfs)->Arg(1)->Arg(8)->Arg(64);
BENCHMARK(BM_OverlayStat_kernel)->Arg(1)->Arg(8)->Arg(64);

void MakeFile(const std::string& path, int64_t size) {
  std::ofstream file(path, std::ios::binary);
  const std::string block(1 << 20, 'x');
  for (int64_t at = 0; at < size; at += static_cast<int64_t>(block.size())) file << block;
  Must(file.good());
}

constexpr int64_t kMiB = 1 << 20;

// The first write, of one byte, to a lower file of so many MiB.
void BM_OverlayFirstWrite_vfs(benchmark::State& state) {
  const Scratch scratch;
  scratch.Mkdir("lower");
  MakeFile(scratch.Path("lower/f"), state.range(0) * kMiB);
  for (auto _ : state) {
    state.PauseTiming();
    auto overlay = std::make_unique<Overlay>();
    overlay->AddLower(overlay->AddHost(scratch.Path("lower")));
    overlay->Mount(overlay->AddMemfs(), true);
    state.ResumeTiming();
    Must(overlay->Open("/f", O_WRONLY)->PWrite(0, std::as_bytes(std::span("y", 1))));
    state.PauseTiming();
    overlay.reset();
    state.ResumeTiming();
  }
}

// The same with an upper layer on the host, to which all of the file is copied.
void BM_OverlayHostCopyUp_vfs(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    const Scratch scratch;
    scratch.Mkdir("lower");
    MakeFile(scratch.Path("lower/f"), state.range(0) * kMiB);
    auto overlay = std::make_unique<Overlay>();
    overlay->AddLower(overlay->AddHost(scratch.Path("lower")));
    scratch.Mkdir("top");
    overlay->Mount(overlay->AddHost(scratch.Path("top")), false);
    state.ResumeTiming();
    Must(overlay->Open("/f", O_WRONLY)->PWrite(0, std::as_bytes(std::span("y", 1))));
    state.PauseTiming();
    overlay.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0) * kMiB);
}
void CopyUpByTheKernel(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    const Scratch scratch;
    scratch.Mkdir("lower");
    MakeFile(scratch.Path("lower/f"), state.range(0) * kMiB);
    scratch.Mount({"lower"});
    state.ResumeTiming();
    const int fd = ::open(scratch.Path("merged/f").c_str(), O_WRONLY | O_CLOEXEC);
    Must(::pwrite(fd, "y", 1, 0) == 1);
    ::close(fd);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0) * kMiB);
}
void BM_OverlayFirstWrite_kernel(benchmark::State& state) { CopyUpByTheKernel(state); }
void BM_OverlayHostCopyUp_kernel(benchmark::State& state) { CopyUpByTheKernel(state); }
BENCHMARK(BM_OverlayFirstWrite_vfs)->Arg(1024)->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_OverlayFirstWrite_kernel)->Arg(1024)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_OverlayHostCopyUp_vfs)->Arg(64)->Iterations(5)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_OverlayHostCopyUp_kernel)->Arg(64)->Iterations(5)->Unit(benchmark::kMillisecond);

constexpr int kDirectories = 100;
constexpr int kLayers = 2;

// Each layer has the same directories, and files of its own in them.
std::string DirName(int dir) { return "d" + std::to_string(dir); }
std::string FileName(int layer, int file) {
  return "l" + std::to_string(layer) + "f" + std::to_string(file);
}

void FillHost(const Scratch& scratch, int64_t files) {
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string root = "l" + std::to_string(layer);
    scratch.Mkdir(root);
    for (int d = 0; d < kDirectories; ++d) {
      scratch.Mkdir(root + "/" + DirName(d));
      for (int f = 0; f < files / kLayers / kDirectories; ++f) {
        const std::string path = scratch.Path(root + "/" + DirName(d) + "/" + FileName(layer, f));
        Must(::mknod(path.c_str(), S_IFREG | 0644, 0) == 0);
      }
    }
  }
}

size_t CountAll(Overlay& overlay) {
  size_t count = 0;
  std::vector<std::string> dirs = {"/"};
  while (!dirs.empty()) {
    const std::string dir = std::move(dirs.back());
    dirs.pop_back();
    std::vector<std::string> names;
    Must(overlay.Open(dir, O_RDONLY | O_DIRECTORY)
             ->IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
               if (entry.dentry != nullptr) names.emplace_back(entry.name);
               return true;
             }));
    for (const std::string& name : names) {
      std::string path = dir;
      path += dir.size() > 1 ? "/" : "";
      path += name;
      const vfs::Stat stat = Must(overlay.vfs().StatAt(overlay.creds(), overlay.At(path)));
      if (S_ISDIR(stat.mode)) dirs.push_back(std::move(path));
      ++count;
    }
  }
  return count;
}

// Lists all directories of a tree that nobody has looked at, and stats each file, as find -size.
template <typename AddLayers>
void Find(benchmark::State& state, AddLayers add_layers) {
  for (auto _ : state) {
    state.PauseTiming();
    auto overlay = std::make_unique<Overlay>();
    add_layers(*overlay);
    overlay->Mount(overlay->AddMemfs(), true);
    state.ResumeTiming();
    Must(CountAll(*overlay) == static_cast<size_t>(state.range(0) + kDirectories));
    state.PauseTiming();
    overlay.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
void BM_OverlayFind_vfs(benchmark::State& state) {
  Find(state, [&](Overlay& overlay) {
    for (int layer = 0; layer < kLayers; ++layer) {
      const VirtualDentry root = overlay.AddMemfs();
      for (int d = 0; d < kDirectories; ++d) {
        const VirtualDentry dir = overlay.Directory(root, DirName(d));
        for (int f = 0; f < state.range(0) / kLayers / kDirectories; ++f)
          overlay.Touch(dir, FileName(layer, f));
      }
      overlay.AddLower(root);
    }
  });
}
void BM_OverlayHostFind_vfs(benchmark::State& state) {
  const Scratch scratch;
  FillHost(scratch, state.range(0));
  Find(state, [&](Overlay& overlay) {
    for (int layer = 0; layer < kLayers; ++layer)
      overlay.AddLower(overlay.AddHost(scratch.Path("l" + std::to_string(layer))));
  });
}
void FindByTheKernel(benchmark::State& state) {
  const Scratch scratch;
  FillHost(scratch, state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    scratch.Mount({"l1", "l0"});
    state.ResumeTiming();
    size_t count = 0;
    std::vector<std::string> dirs = {scratch.Path("merged")};
    while (!dirs.empty()) {
      const std::string dir = std::move(dirs.back());
      dirs.pop_back();
      DIR* stream = ::opendir(dir.c_str());
      Must(stream != nullptr);
      while (const dirent* entry = ::readdir(stream)) {
        if (entry->d_name[0] == '.') continue;
        struct stat stat {};
        Must(::fstatat(::dirfd(stream), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0);
        if (S_ISDIR(stat.st_mode)) dirs.push_back(dir + "/" + entry->d_name);
        ++count;
      }
      ::closedir(stream);
    }
    Must(count == static_cast<size_t>(state.range(0) + kDirectories));
    state.PauseTiming();
    Must(::umount(scratch.Path("merged").c_str()) == 0);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
void BM_OverlayFind_kernel(benchmark::State& state) { FindByTheKernel(state); }
void BM_OverlayHostFind_kernel(benchmark::State& state) { FindByTheKernel(state); }
BENCHMARK(BM_OverlayFind_vfs)->Arg(100'000)->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_OverlayFind_kernel)->Arg(100'000)->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_OverlayHostFind_vfs)->Arg(100'000)->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_OverlayHostFind_kernel)->Arg(100'000)->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stasis

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  stasis::Must(::unshare(CLONE_NEWNS) == 0);
  stasis::Must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
