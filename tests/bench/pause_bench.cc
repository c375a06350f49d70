// SPDX-License-Identifier: Apache-2.0
//
// pause_bench: what a program notices of a checkpoint.
//
//   pause_bench [--files N] [--dirty-mib N] [--rounds N] [--disk DIR] [--rows inside]
//
// A tree of N small files and so many MiB of new data; a thread that writes 4 KiB at random
// positions of a file of 64 MiB, without a pause; and checkpoints. One line of JSON: how long the
// gate was closed (median and worst, and its parts), the longest write and the rate of writes
// before and during the checkpoints, what it took. `--rows inside` is the peer: the same with the
// rows built in the pause.

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fsimpl/memfs/filesystem.h"
#include "restore/checkpoint.h"
#include "restore/internal/stopwatch.h"
#include "restore/types.h"
#include "state/base/clock.h"

namespace stasis::restore {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  int files = 100'000;
  int dirty_mib = 100;
  int rounds = 5;
  std::string disk = "/var/tmp";
  RowsPlace rows = RowsPlace::kOutsidePause;
};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "pause_bench: %s\n", what.c_str());
  std::exit(1);
}
void Check(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

class Tree {
 public:
  Tree() {
    RegisterTypes(registry_);
    vfs_ = MakeRef<vfs::VirtualFilesystem>(clock_);
    root_ = vfs_->NewMountNamespace(memfs::MemFilesystem::Create(*vfs_, {}), {})->root();
  }
  ~Tree() {
    root_ = {};
    vfs_->Teardown();
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  RefPtr<vfs::FileDescription> Open(const std::string& path, int flags) {
    vfs::OpenOptions options;
    options.flags = flags;
    options.mode = 0644;
    auto file = vfs_->OpenAt(creds_, {root_, root_, path}, options);
    if (!file) Die("open " + path);
    return *file;
  }
  void Mkdir(const std::string& path) {
    if (!vfs_->MkdirAt(creds_, {root_, root_, path}, 0755)) Die("mkdir " + path);
  }
  void MakeFiles(int count) {
    const std::string text(100, 'x');
    for (int i = 0; i < count; ++i) {
      const std::string directory = "/d" + std::to_string(i / 1000);
      if (i % 1000 == 0) Mkdir(directory);
      Write(*Open(directory + "/file" + std::to_string(i), O_CREAT | O_WRONLY), 0, text);
    }
  }
  static void Write(vfs::FileDescription& file, uint64_t offset, const std::string& text) {
    const auto bytes = std::as_bytes(std::span(text));
    if (const auto n = file.PWrite(offset, bytes); !n || *n != bytes.size()) Die("write");
  }
  CheckpointReport Checkpoint(const Options& options, int round) {
    CheckpointRequest request;
    request.vfs = vfs_.get();
    request.registry = &registry_;
    request.clock = &clock_;
    request.directory = options.disk + "/pause_bench_snaps";
    request.tag = "v" + std::to_string(round);
    request.rows = options.rows;
    auto report = restore::Checkpoint(request);
    Check(report.status());
    return *report;
  }

 private:
  const vfs::Credentials creds_ = vfs::Credentials::Root();
  RealClock clock_;
  state::Registry registry_;
  RefPtr<vfs::VirtualFilesystem> vfs_;
  vfs::VirtualDentry root_;
};

// Writes all the time and notes how long each write took, also by the thread's own CPU time: on a
// busy machine others' turns are in the former only.
class Writer {
 public:
  explicit Writer(RefPtr<vfs::FileDescription> file) : file_(std::move(file)) {
    thread_ = std::thread([this] { Run(); });
  }
  ~Writer() {
    stop_ = true;
    thread_.join();
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  struct Seen {
    std::vector<int64_t> ns;
    int64_t of_ns = 0;

    int64_t Quantile(double q) {
      if (ns.empty()) return 0;
      std::sort(ns.begin(), ns.end());
      return ns[static_cast<size_t>(q * static_cast<double>(ns.size() - 1))];
    }
    double Rate() const {
      return static_cast<double>(ns.size()) * 1e9 / static_cast<double>(of_ns);
    }
  };
  // What was noted since the last call.
  Seen Take() {
    const std::lock_guard lock(mu_);
    Seen seen{std::move(ns_), watch_.Lap()};
    ns_.clear();
    return seen;
  }

 private:
  static constexpr uint64_t kPages = 16384;

  void Run() {
    std::mt19937_64 random(1);
    const std::string page(4096, 'w');
    while (!stop_) {
      const Stopwatch watch;
      Tree::Write(*file_, random() % kPages * 4096, page);
      const std::lock_guard lock(mu_);
      ns_.push_back(watch.Total());
    }
  }

  RefPtr<vfs::FileDescription> file_;
  std::atomic<bool> stop_{false};
  std::mutex mu_;
  std::vector<int64_t> ns_;
  Stopwatch watch_;
  std::thread thread_;
};

Json Milliseconds(std::vector<int64_t> ns) {
  std::sort(ns.begin(), ns.end());
  return {{"median_ms", static_cast<double>(ns[ns.size() / 2]) / 1e6},
          {"worst_ms", static_cast<double>(ns.back()) / 1e6}};
}

void Run(const Options& options) {
  Tree tree;
  tree.MakeFiles(options.files);
  auto hot = tree.Open("/hot", O_CREAT | O_RDWR);
  Tree::Write(*hot, 0, std::string(size_t{64} << 20, 'h'));
  const std::string mib(size_t{1} << 20, 'd');
  std::vector<int64_t> gate, drain, rows, build, write;
  Writer::Seen idle, busy;
  Writer writer(hot);
  for (int round = 0; round < options.rounds; ++round) {
    auto file = tree.Open("/dirty", O_CREAT | O_RDWR | O_TRUNC);
    for (int i = 0; i < options.dirty_mib; ++i) Tree::Write(*file, uint64_t(i) << 20, mib);
    writer.Take();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const auto before = writer.Take();
    const CheckpointReport report = tree.Checkpoint(options, round);
    const auto during = writer.Take();
    idle.ns.insert(idle.ns.end(), before.ns.begin(), before.ns.end());
    idle.of_ns += before.of_ns;
    busy.ns.insert(busy.ns.end(), during.ns.begin(), during.ns.end());
    busy.of_ns += during.of_ns;
    gate.push_back(report.rows.drain_ns + report.rows.prepare_ns + report.rows.rows_ns +
                   report.rows.resume_ns);
    drain.push_back(report.rows.drain_ns);
    rows.push_back(report.rows.rows_ns);
    build.push_back(report.build_ns);
    write.push_back(report.write_ns);
  }
  const auto ms = [](int64_t ns) { return static_cast<double>(ns) / 1e6; };
  const Json json = {
      {"bench", "pause"},
      {"rows", options.rows == RowsPlace::kInPause ? "inside" : "outside"},
      {"files", options.files},
      {"dirty_mib", options.dirty_mib},
      {"gate_closed", Milliseconds(gate)},
      {"drain", Milliseconds(drain)},
      {"take", Milliseconds(rows)},
      {"build", Milliseconds(build)},
      {"write", Milliseconds(write)},
      {"write_4k_before",
       {{"p50_us", ms(idle.Quantile(0.5)) * 1e3},
        {"p99_us", ms(idle.Quantile(0.99)) * 1e3},
        {"worst_ms", ms(idle.Quantile(1))}}},
      {"write_4k_during",
       {{"p50_us", ms(busy.Quantile(0.5)) * 1e3},
        {"p99_us", ms(busy.Quantile(0.99)) * 1e3},
        {"worst_ms", ms(busy.Quantile(1))}}},
      {"rate_during_of_before", busy.Rate() / idle.Rate()},
  };
  std::printf("%s\n", json.dump().c_str());
  std::error_code ignored;
  std::filesystem::remove_all(options.disk + "/pause_bench_snaps", ignored);
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--files")
      options.files = std::stoi(value);
    else if (name == "--dirty-mib")
      options.dirty_mib = std::stoi(value);
    else if (name == "--rounds")
      options.rounds = std::stoi(value);
    else if (name == "--disk")
      options.disk = value;
    else if (name == "--rows" && value == "inside")
      options.rows = RowsPlace::kInPause;
    else
      Die("unknown option " + name);
  }
  return options;
}

}  // namespace
}  // namespace stasis::restore

int main(int argc, char** argv) {
  stasis::restore::Run(stasis::restore::Parse(argc, argv));
  return 0;
}
