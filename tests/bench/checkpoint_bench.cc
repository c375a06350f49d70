// SPDX-License-Identifier: Apache-2.0
//
// checkpoint_bench: how long a checkpoint and a restore take, beside tar and zstd on the same tree.
//
//   checkpoint_bench [--files N] [--gib N] [--disk DIR] [--memory DIR]
//
// Two cases: N files of 1 KiB (100,000), and one file of N GiB (1). One line of JSON for each
// measurement. `peer_ns` is `tar | zstd -1 -T2` from a tmpfs to the disk and back, and `ratio` ours
// against theirs; `holds` compares with the figures that are to be held on a machine of two cores.

#include <absl/synchronization/mutex.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fsimpl/memfs/filesystem.h"
#include "restore/checkpoint.h"
#include "restore/internal/stopwatch.h"
#include "restore/restore.h"
#include "restore/transfer/export.h"
#include "restore/transfer/import.h"
#include "restore/types.h"
#include "state/base/clock.h"

namespace stasis::restore {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  uint64_t files = 100'000;
  uint64_t gib = 1;
  std::string disk = "/tmp";
  std::string memory = "/dev/shm";
  // For the process that measures a restore.
  std::string load;
  std::string first_file;
  std::string name;
  int64_t peer_load = 0;
};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "checkpoint_bench: %s\n", what.c_str());
  std::exit(1);
}

void Check(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

// Text that zstd makes about three times smaller; different for each seed.
class TextSource {
 public:
  explicit TextSource(uint64_t seed) : state_(seed * 2654435761 + 1) {}

  void Fill(std::string& out, size_t size) {
    static constexpr const char* kWords[] = {"inode", "dentry", "mount", "chunk",
                                             "pack",  "frame",  "gate",  "epoch"};
    out.clear();
    char number[24];
    while (out.size() < size) {
      const uint64_t r = Next();
      out += kWords[r % 8];
      std::snprintf(number, sizeof number, " %x ", static_cast<unsigned>(r >> 40));
      out += number;
    }
    out.resize(size);
  }

 private:
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint64_t state_;
};

uint64_t ProcStatusKiB(const char* field) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.rfind(field, 0) == 0)
      return std::strtoull(line.c_str() + std::strlen(field), nullptr, 10);
  return 0;
}

// Bytes by which the peak of resident memory goes past what was resident at the start.
class PeakMemory {
 public:
  PeakMemory() {
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";
    before_ = ProcStatusKiB("VmRSS:");
  }
  uint64_t Growth() const { return (ProcStatusKiB("VmHWM:") - before_) * 1024; }

 private:
  uint64_t before_;
};

int64_t TimeCommand(const std::string& command) {
  Stopwatch watch;
  if (std::system(command.c_str()) != 0) Die("failed: " + command);  // NOLINT
  return watch.Total();
}

double PerSecond(uint64_t count, int64_t ns) {
  return static_cast<double>(count) * 1e9 / static_cast<double>(ns);
}
double Ratio(int64_t ours, int64_t theirs) {
  return static_cast<double>(ours) / static_cast<double>(theirs);
}
void Print(const Json& json) {
  std::printf("%s\n", json.dump().c_str());
  std::fflush(stdout);
}

void ReadFirst(vfs::VirtualFilesystem& vfs, const std::string& path) {
  const vfs::VirtualDentry root = vfs.namespaces()[0]->root();
  const auto file = vfs.OpenAt(vfs::Credentials::Root(), {root, root, path}, {});
  if (!file) Die("open " + path);
  std::vector<std::byte> buffer(4096);
  if (const auto n = (*file)->PRead(0, buffer); !n || *n == 0) Die("read " + path);
}

int LoadInThisProcess(const Options& options) {
  RealClock clock;
  state::Registry registry;
  RegisterTypes(registry);
  RestoreRequest request;
  request.registry = &registry;
  request.clock = &clock;
  request.directory = options.load;
  request.tag = "v1";
  const PeakMemory memory;
  Stopwatch watch;
  auto image = Restore(request);
  Check(image.status());
  ReadFirst(image->vfs(), options.first_file);
  const int64_t first_read = watch.Total();
  Json json = {{"bench", "load"}, {"case", options.name}};
  json.update(Json::parse(image->report().ToJson()));
  json["first_read_ns"] = first_read;
  json["objects_per_s"] = PerSecond(image->report().objects, image->report().load_ns);
  json["extra_bytes"] = memory.Growth();
  json["peer_ns"] = options.peer_load;
  json["ratio"] = Ratio(first_read, options.peer_load);
  json["holds"] = {{"first_read_300ms", first_read <= 300'000'000}};
  Print(json);
  return 0;
}

class Case {
 public:
  Case(std::string name, const Options& options)
      : name_(std::move(name)),
        disk_(options.disk + "/stasis-bench." + std::to_string(::getpid())),
        memory_(options.memory + "/stasis-bench." + std::to_string(::getpid())) {
    RegisterTypes(registry_);
    std::filesystem::create_directories(disk_);
    std::filesystem::create_directories(memory_);
    vfs_ = MakeRef<vfs::VirtualFilesystem>(clock_);
    root_ = vfs_->NewMountNamespace(memfs::MemFilesystem::Create(*vfs_, {}), {})->root();
  }
  ~Case() {
    root_ = {};
    if (vfs_) vfs_->Teardown();
    std::filesystem::remove_all(disk_);
    std::filesystem::remove_all(memory_);
  }

  void Run(const std::function<std::string(Case&)>& fill) {
    first_file_ = fill(*this);
    MeasurePeer();
    MeasureSave("save", "v1");
    MeasureSave("save_unchanged", "v2");
    root_ = {};
    vfs_->Teardown();
    vfs_.reset();
    MeasureLoad();
  }

  vfs::VirtualDentry MakeDirectory(const std::string& name) {
    if (!vfs_->MkdirAt(creds_, {root_, root_, name}, 0755)) Die("mkdir");
    return *vfs_->GetDentryAt(creds_, {root_, root_, name});
  }
  RefPtr<vfs::FileDescription> MakeFile(const vfs::VirtualDentry& dir, const std::string& name) {
    vfs::OpenOptions options;
    options.flags = O_WRONLY | O_CREAT | O_EXCL;
    options.mode = 0644;
    auto file = vfs_->OpenAt(creds_, {root_, dir, name}, options);
    if (!file) Die("create " + name);
    return *file;
  }
  static void Append(vfs::FileDescription& file, uint64_t offset, const std::string& text) {
    const auto bytes = std::as_bytes(std::span(text));
    if (const auto n = file.PWrite(offset, bytes); !n || *n != bytes.size()) Die("write");
  }

 private:
  void MeasurePeer() {
    const std::string tree = memory_ + "/tree";
    const auto exported = ExportDirectory(*vfs_, root_, tree);
    Check(exported.status());
    const int64_t import_ns = MeasureImport(tree);
    const std::string archive = disk_ + "/peer.tar.zst";
    peer_save_ = TimeCommand("tar -C " + tree + " -cf - . | zstd -q -1 -T2 -o " + archive +
                             " && sync " + archive);
    std::filesystem::remove_all(tree);
    std::filesystem::create_directory(tree);
    peer_load_ = TimeCommand("zstd -q -dc " + archive + " | tar -C " + tree + " -xf -");
    Print({{"bench", "peer"},
           {"case", name_},
           {"save_ns", peer_save_},
           {"load_ns", peer_load_},
           {"stored_bytes", std::filesystem::file_size(archive)},
           {"export_ns", exported->wall_ns},
           {"import_ns", import_ns}});
    std::filesystem::remove_all(tree);
  }

  int64_t MeasureImport(const std::string& tree) {
    const auto vfs = MakeRef<vfs::VirtualFilesystem>(clock_);
    auto root = vfs->NewMountNamespace(memfs::MemFilesystem::Create(*vfs, {}), {})->root();
    const auto imported = ImportDirectory(tree, *vfs, root);
    Check(imported.status());
    root = {};
    vfs->Teardown();
    return imported->wall_ns;
  }

  void MeasureSave(const std::string& bench, const std::string& tag) {
    CheckpointRequest request;
    request.vfs = vfs_.get();
    request.registry = &registry_;
    request.clock = &clock_;
    request.directory = disk_ + "/snaps";
    request.tag = tag;
    const PeakMemory memory;
    const auto report = Checkpoint(request);
    Check(report.status());
    const uint64_t extra = memory.Growth();
    const double per_dentry =
        static_cast<double>(report->state_bytes) / static_cast<double>(report->dentries);
    Json json = {{"bench", bench}, {"case", name_}};
    json.update(Json::parse(report->ToJson()));
    json["objects_per_s"] = PerSecond(report->objects, report->rows.rows_ns);
    json["state_bytes_per_dentry"] = per_dentry;
    json["extra_bytes"] = extra;
    json["peer_ns"] = peer_save_;
    json["ratio"] = Ratio(report->wall_ns, peer_save_);
    if (report->dentries > 1000)
      json["holds"] = {{"wall_1s", report->wall_ns <= 1'000'000'000},
                       {"extra_150MB", extra <= 150'000'000},
                       {"state_40B", per_dentry <= 40.0}};
    Print(json);
  }

  // In a process of its own, as a restore is.
  void MeasureLoad() const {
    const std::string command = "/proc/" + std::to_string(::getpid()) + "/exe --load " + disk_ +
                                "/snaps --first " + first_file_ + " --case " + name_ + " --peer " +
                                std::to_string(peer_load_);
    TimeCommand(command);
  }

  const std::string name_;
  const std::string disk_;
  const std::string memory_;
  const vfs::Credentials creds_ = vfs::Credentials::Root();
  RealClock clock_;
  state::Registry registry_;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  vfs::VirtualDentry root_;
  std::string first_file_;
  int64_t peer_save_ = 0;
  int64_t peer_load_ = 0;
};

// A few names, saved, restored and taken down again and again: medians, on the disk and in memory.
class TinyTree {
 public:
  TinyTree(std::string name, std::string directory)
      : name_(std::move(name)), directory_(std::move(directory)) {
    RegisterTypes(registry_);
    vfs_ = MakeRef<vfs::VirtualFilesystem>(clock_);
    const auto root = vfs_->NewMountNamespace(memfs::MemFilesystem::Create(*vfs_, {}), {})->root();
    const vfs::Credentials creds = vfs::Credentials::Root();
    for (const char* dir : {"/a", "/b", "/b/c"})
      if (!vfs_->MkdirAt(creds, {root, root, dir}, 0755)) Die("mkdir");
  }
  ~TinyTree() {
    vfs_->Teardown();
    std::filesystem::remove_all(directory_);
  }

  void Run() {
    constexpr int kRounds = 101;
    std::vector<int64_t> save;
    std::vector<int64_t> load;
    std::vector<int64_t> teardown;
    for (int i = 0; i < kRounds; ++i) {
      // A new layout now and then, so that the index stays as small as the tree.
      if (i % 8 == 0) std::filesystem::remove_all(directory_);
      save.push_back(Timed([&] { Save(); }));
      RefPtr<vfs::VirtualFilesystem> restored;
      load.push_back(Timed([&] { restored = Load(); }));
      std::swap(vfs_, restored);
      teardown.push_back(Timed([&] { restored->Teardown(); }));
    }
    Print({{"bench", "tiny"},
           {"case", name_},
           {"save_ns", Median(save)},
           {"load_ns", Median(load)},
           {"teardown_ns", Median(teardown)}});
  }

 private:
  static int64_t Timed(const std::function<void()>& what) {
    Stopwatch watch;
    what();
    return watch.Total();
  }
  static int64_t Median(std::vector<int64_t>& values) {
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
  }
  void Save() {
    CheckpointRequest request;
    request.vfs = vfs_.get();
    request.registry = &registry_;
    request.clock = &clock_;
    request.directory = directory_;
    request.tag = "tiny";
    Check(Checkpoint(request).status());
  }
  RefPtr<vfs::VirtualFilesystem> Load() {
    RestoreRequest request;
    request.registry = &registry_;
    request.clock = &clock_;
    request.directory = directory_;
    request.tag = "tiny";
    auto image = Restore(request);
    Check(image.status());
    return image->TakeVfs();
  }

  const std::string name_;
  const std::string directory_;
  RealClock clock_;
  state::Registry registry_;
  RefPtr<vfs::VirtualFilesystem> vfs_;
};

void MeasureTiny(const std::string& name, const std::string& where) {
  TinyTree(name, where + "/stasis-bench-tiny." + std::to_string(::getpid())).Run();
}

// 1,000 files of 1 KiB in each directory.
std::string FillSmall(Case& c, uint64_t files) {
  std::string text;
  vfs::VirtualDentry dir;
  for (uint64_t i = 0; i < files; ++i) {
    if (i % 1000 == 0) dir = c.MakeDirectory("dir" + std::to_string(i / 1000));
    TextSource(i + 1).Fill(text, 1024);
    Case::Append(*c.MakeFile(dir, "file" + std::to_string(i)), 0, text);
  }
  return "/dir0/file0";
}

std::string FillLarge(Case& c, uint64_t gib) {
  std::string text;
  const auto file = c.MakeFile(c.MakeDirectory("dir"), "large");
  constexpr uint64_t kPiece = 1 << 20;
  for (uint64_t i = 0; i < gib * 1024; ++i) {
    TextSource(i + 1).Fill(text, kPiece);
    Case::Append(*file, i * kPiece, text);
  }
  return "/dir/large";
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--files") options.files = std::stoull(argv[i + 1]);
    if (flag == "--gib") options.gib = std::stoull(argv[i + 1]);
    if (flag == "--disk") options.disk = argv[i + 1];
    if (flag == "--memory") options.memory = argv[i + 1];
    if (flag == "--load") options.load = argv[i + 1];
    if (flag == "--first") options.first_file = argv[i + 1];
    if (flag == "--case") options.name = argv[i + 1];
    if (flag == "--peer") options.peer_load = std::stoll(argv[i + 1]);
  }
  return options;
}

}  // namespace

int RunBenchmarks(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  if (!options.load.empty()) return LoadInThisProcess(options);
  MeasureTiny("tiny_disk", options.disk);
  MeasureTiny("tiny_memory", options.memory);
  if (options.files > 0) {
    Case c("files_" + std::to_string(options.files) + "_1k", options);
    c.Run([&](Case& self) { return FillSmall(self, options.files); });
  }
  if (options.gib > 0) {
    Case c("file_" + std::to_string(options.gib) + "g", options);
    c.Run([&](Case& self) { return FillLarge(self, options.gib); });
  }
  return 0;
}

}  // namespace stasis::restore

int main(int argc, char** argv) {
  // As the stasis program does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return stasis::restore::RunBenchmarks(argc, argv);
}
