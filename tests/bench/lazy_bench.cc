// SPDX-License-Identifier: Apache-2.0
//
// lazy_bench: what a restore takes until the first read, and until everything is in memory.
//
//   lazy_bench [--files N] [--gib N] [--disk DIR]
//
// One tree: N files of 1 KiB (100,000) and one file of N GiB (4). One line of JSON for each way to
// prefetch, each in a process of its own: `first_read_ns` after the start of the restore, and
// `first_read_cpu_ns` of processors; `loaded_ns` until all that it loads is in memory (without
// prefetch: read by one thread); and what reads of 4 KiB at random took that somebody waited for,
// while it went on and while nothing did
// (`calm`).

#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "fsimpl/memfs/filesystem.h"
#include "restore/checkpoint.h"
#include "restore/image/lazy_image.h"
#include "restore/internal/stopwatch.h"
#include "restore/restore.h"
#include "restore/types.h"
#include "state/base/clock.h"

namespace stasis::restore {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kFilesOfDirectory = 1000;
constexpr int kReads = 1000;
constexpr absl::Duration kBetweenReads = absl::Microseconds(500);

struct Options {
  uint64_t files = 100'000;
  uint64_t gib = 4;
  std::string disk = "/tmp";
  std::string load;  // for the process that measures: the layout
  std::string mode = "none";
};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "lazy_bench: %s\n", what.c_str());
  std::exit(1);
}

void Check(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

// 1 MiB that zstd makes about three times smaller.
std::string Text() {
  std::mt19937_64 random(1);
  std::string text;
  while (text.size() < kMiB)
    text += "chunk " + std::to_string(random() % 1'000'000'000) + " of a frame in a pack\n";
  text.resize(kMiB);
  return text;
}

// Makes every chunk of it another one.
void Stamp(std::string& text, uint64_t number) {
  for (uint64_t at = 0; at + sizeof number <= text.size(); at += 16384)
    std::memcpy(&text[at], &number, sizeof number);
}

std::string SmallName(uint64_t i) {
  return "/dir" + std::to_string(i / kFilesOfDirectory) + "/file" + std::to_string(i);
}

class Tree {
 public:
  explicit Tree(RefPtr<vfs::VirtualFilesystem> vfs)
      : vfs_(std::move(vfs)), root_(vfs_->namespaces()[0]->root()) {}
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() {
    large_.reset();
    root_ = {};
    vfs_->Teardown();
  }

  void Fill(const Options& options) {
    std::string text = Text();
    for (uint64_t i = 0; i < options.files; ++i) {
      if (i % kFilesOfDirectory == 0 &&
          !vfs_->MkdirAt(creds_, {root_, root_, "/dir" + std::to_string(i / kFilesOfDirectory)},
                         0755))
        Die("mkdir");
      Stamp(text, i);
      Write(*Open(SmallName(i), O_WRONLY | O_CREAT), 0, std::string_view(text).substr(0, 1024));
    }
    const auto large = Open("/large", O_WRONLY | O_CREAT);
    for (uint64_t i = 0; i < options.gib * 1024; ++i) {
      Stamp(text, ~i);
      Write(*large, i * kMiB, text);
    }
  }

  vfs::VirtualFilesystem& vfs() { return *vfs_; }

  void ReadSmall(uint64_t i) { Read(*Open(SmallName(i), O_RDONLY), 0, 1024); }
  void ReadLarge(uint64_t offset, uint64_t size) {
    if (!large_) large_ = Open("/large", O_RDONLY);
    Read(*large_, offset, size);
  }

  // Median, 99th percentile and longest of reads at random; somebody waits for each.
  Json Latency(const Options& options, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<int64_t> times;
    for (int i = 0; i < kReads; ++i) {
      Stopwatch watch;
      ReadLarge(random() % (options.gib * 1024 * kMiB / 4096) * 4096, 4096);
      times.push_back(watch.Total());
      absl::SleepFor(kBetweenReads);
    }
    std::sort(times.begin(), times.end());
    return {{"median_ns", times[times.size() / 2]},
            {"p99_ns", times[times.size() * 99 / 100]},
            {"max_ns", times.back()}};
  }

 private:
  RefPtr<vfs::FileDescription> Open(const std::string& path, int flags) {
    vfs::OpenOptions options;
    options.flags = flags;
    options.mode = 0644;
    auto file = vfs_->OpenAt(creds_, {root_, root_, path}, options);
    if (!file) Die("open " + path);
    return *file;
  }
  static void Write(vfs::FileDescription& file, uint64_t offset, std::string_view text) {
    const auto n = file.PWrite(offset, std::as_bytes(std::span(text)));
    if (!n || *n != text.size()) Die("write");
  }
  void Read(vfs::FileDescription& file, uint64_t offset, uint64_t size) {
    buffer_.resize(size);
    const auto n = file.PRead(offset, buffer_);
    if (!n || *n != size) Die("read");
  }

  const vfs::Credentials creds_ = vfs::Credentials::Root();
  const RefPtr<vfs::VirtualFilesystem> vfs_;
  vfs::VirtualDentry root_;
  RefPtr<vfs::FileDescription> large_;
  std::vector<std::byte> buffer_;
};

void ReadEverything(Tree& tree, const Options& options) {
  for (uint64_t i = 0; i < options.files; ++i) tree.ReadSmall(i);
  for (uint64_t i = 0; i < options.gib * 1024; ++i) tree.ReadLarge(i * kMiB, kMiB);
}

// What the restore before has wanted: every 100th small file, and the first quarter of the other.
void ReadAsTraced(Tree& tree, const Options& options) {
  for (uint64_t i = 0; i < options.files; i += 100) tree.ReadSmall(i);
  for (uint64_t i = 0; i < options.gib * 256; ++i) tree.ReadLarge(i * kMiB, kMiB);
}

int64_t CpuTime() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

class Measured {
 public:
  Measured(const Options& options, image::PrefetchMode mode, bool record) : options_(options) {
    RegisterTypes(registry_);
    image::LazyOptions lazy;
    lazy.directory = options.load;
    lazy.mode = mode;
    lazy.record = record;
    lazy_ = std::make_unique<image::LazyImage>(std::move(lazy));
    RestoreRequest request;
    request.registry = &registry_;
    request.clock = &clock_;
    request.directory = options.load;
    request.tag = "v1";
    request.packs = lazy_->RestoreOptions();
    auto restored = Restore(request);
    Check(restored.status());
    tree_ = std::make_unique<Tree>(restored->TakeVfs());
    lazy_->Attach(restored->TakeImage());
    lazy_->Start();
    tree_->ReadSmall(0);
    first_read_ns_ = watch_.Total();
    first_read_cpu_ns_ = CpuTime() - cpu_before_;
  }
  ~Measured() { lazy_->Stop(); }

  Tree& tree() { return *tree_; }
  int64_t first_read_ns() const { return first_read_ns_; }
  // Of all threads: what it took, however busy the machine is.
  int64_t first_read_cpu_ns() const { return first_read_cpu_ns_; }
  // Waits for the end of the prefetch.
  int64_t AwaitLoaded() {
    while (lazy_->progress().state <= image::PrefetchState::kRunning)
      absl::SleepFor(absl::Milliseconds(1));
    return watch_.Total();
  }
  int64_t elapsed_ns() const { return watch_.Total(); }
  image::PrefetchProgress progress() const { return lazy_->progress(); }

 private:
  const Options& options_;
  Stopwatch watch_;
  RealClock clock_;
  state::Registry registry_;
  std::unique_ptr<image::LazyImage> lazy_;
  std::unique_ptr<Tree> tree_;
  const int64_t cpu_before_ = CpuTime();
  int64_t first_read_ns_ = 0;
  int64_t first_read_cpu_ns_ = 0;
};

int MeasureMode(const Options& options) {
  const image::PrefetchMode mode = *image::ParsePrefetchMode(options.mode);
  Json json = {{"bench", "lazy"}, {"case", options.mode}};
  {
    Measured restored(options, mode, false);
    json["first_read_ns"] = restored.first_read_ns();
    json["first_read_cpu_ns"] = restored.first_read_cpu_ns();
    if (mode == image::PrefetchMode::kNone) ReadEverything(restored.tree(), options);
    json["loaded_ns"] =
        mode == image::PrefetchMode::kNone ? restored.elapsed_ns() : restored.AwaitLoaded();
    json["loaded_bytes"] = mode == image::PrefetchMode::kNone
                               ? options.files * 1024 + options.gib * 1024 * kMiB
                               : restored.progress().done_bytes;
    if (mode == image::PrefetchMode::kTrace) {
      Stopwatch watch;
      ReadAsTraced(restored.tree(), options);
      json["traced_reads_ns"] = watch.Total();
    }
    json["holds"] = {{"first_read_200ms", restored.first_read_ns() <= 200'000'000}};
  }
  {
    Measured restored(options, mode, false);
    const char* key = mode == image::PrefetchMode::kNone ? "calm" : "meanwhile";
    json[key] = restored.tree().Latency(options, 1);
    json[std::string(key) + "_done_bytes"] = restored.progress().done_bytes;
  }
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

// What those reads take without a trace, and the trace.
int MeasureRecording(const Options& options) {
  Measured restored(options, image::PrefetchMode::kNone, true);
  Stopwatch watch;
  ReadAsTraced(restored.tree(), options);
  std::printf("%s\n", Json({{"bench", "lazy"},
                            {"case", "record"},
                            {"first_read_ns", restored.first_read_ns()},
                            {"traced_reads_ns", watch.Total()}})
                          .dump()
                          .c_str());
  return 0;
}

void SaveTree(const Options& options, const std::string& layout) {
  RealClock clock;
  state::Registry registry;
  RegisterTypes(registry);
  const auto vfs = MakeRef<vfs::VirtualFilesystem>(clock);
  (void)vfs->NewMountNamespace(memfs::MemFilesystem::Create(*vfs, {}), {});
  Tree tree(vfs);
  tree.Fill(options);
  CheckpointRequest request;
  request.vfs = vfs.get();
  request.registry = &registry;
  request.clock = &clock;
  request.directory = layout;
  request.tag = "v1";
  Check(Checkpoint(request).status());
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--files") options.files = std::stoull(argv[i + 1]);
    if (flag == "--gib") options.gib = std::stoull(argv[i + 1]);
    if (flag == "--disk") options.disk = argv[i + 1];
    if (flag == "--load") options.load = argv[i + 1];
    if (flag == "--mode") options.mode = argv[i + 1];
  }
  return options;
}

}  // namespace

int RunBenchmarks(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  if (!options.load.empty())
    return options.mode == "record" ? MeasureRecording(options) : MeasureMode(options);
  const std::string layout = options.disk + "/stasis-lazy-bench." + std::to_string(::getpid());
  SaveTree(options, layout);
  int failed = 0;
  for (const char* mode : {"none", "record", "trace", "all"}) {
    const std::string command =
        "/proc/" + std::to_string(::getpid()) + "/exe --files " + std::to_string(options.files) +
        " --gib " + std::to_string(options.gib) + " --load " + layout + " --mode " + mode;
    failed += std::system(command.c_str()) != 0 ? 1 : 0;  // NOLINT
  }
  std::filesystem::remove_all(layout);
  return failed == 0 ? 0 : 1;
}

}  // namespace stasis::restore

int main(int argc, char** argv) {
  // As the stasis program does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return stasis::restore::RunBenchmarks(argc, argv);
}
