// SPDX-License-Identifier: Apache-2.0
//
// state_engine_bench: the state engine alone, on as many entries and records as the argument says.
// `s/object` and `bytes/object` count both; `zstd_bytes/entry` is per pair, at level 1.

#include <benchmark/benchmark.h>
#include <zstd.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "state/graph_reader.h"
#include "state/graph_writer.h"
#include "tests/state/model/files.h"
#include "tests/state/model/gen/types.h"

namespace {

using stasis::MakeRef;
using stasis::RefPtr;
using stasis::model::Entry;
using stasis::model::Record;
using stasis::state::SavedGraph;

constexpr uint64_t kPerDirectory = 1000;

class Quiet final : public stasis::state::Quiescence {
 public:
  bool Quiesced() const override { return true; }
};

class NoChunks final : public stasis::state::ChunkTable {
 public:
  uint32_t size() const override { return 0; }
  RefPtr<stasis::state::Chunk> Get(uint32_t) override { return nullptr; }
};

RefPtr<Entry> Add(Entry* parent, const std::string& name, uint64_t ino) {
  auto entry = MakeRef<Entry>();
  entry->name = name;
  entry->position = ino;
  entry->record = MakeRef<Record>();
  Record& record = *entry->record;
  record.mode = 0100644;
  record.uid = 1000;
  record.gid = 1000;
  record.nlink = 1;
  record.ino = ino;
  record.size = ino * 37 % 10000;
  const int64_t now = 1'700'000'000'000'000'000 + static_cast<int64_t>(ino) * 1237;
  record.atime = record.mtime = record.ctime = record.btime = now;
  if (parent != nullptr) {
    entry->parent = RefPtr<Entry>(parent);
    parent->children.push_back(entry);
  }
  return entry;
}

// `count` entries, each with its record, a thousand to a directory.
RefPtr<Entry> MakeTree(uint64_t count) {
  uint64_t ino = 1;
  auto root = Add(nullptr, "", ino++);
  RefPtr<Entry> directory;
  while (ino <= count) {
    if (directory == nullptr || directory->children.size() == kPerDirectory)
      directory = Add(root.get(), "directory" + std::to_string(ino), ino);
    else
      Add(directory.get(), "file" + std::to_string(ino) + ".txt", ino);
    ++ino;
  }
  return root;
}

void TakeApart(RefPtr<Entry> root) {
  std::vector<RefPtr<Entry>> pending;
  pending.push_back(std::move(root));
  while (!pending.empty()) {
    RefPtr<Entry> entry = std::move(pending.back());
    pending.pop_back();
    entry->parent.reset();
    for (auto& child : std::exchange(entry->children, {})) pending.push_back(std::move(child));
  }
}

SavedGraph Save(const stasis::state::Registry& registry, const Entry& root) {
  Quiet quiet;
  stasis::state::GraphWriter writer(registry, quiet);
  writer.AddRoot("root", &root);
  return std::move(writer.Finish()).value();
}

void Count(benchmark::State& state, const SavedGraph& saved, uint64_t entries) {
  size_t bytes = 0;
  size_t compressed = 0;
  for (const auto& table : saved.tables)
    for (const auto& message : table.messages) {
      const size_t size = message.size() * sizeof(capnp::word);
      std::vector<char> out(ZSTD_compressBound(size));
      bytes += size;
      compressed += ZSTD_compress(out.data(), out.size(), message.begin(), size, 1);
    }
  const auto objects = static_cast<double>(entries * 2);
  state.counters["bytes/object"] = static_cast<double>(bytes) / objects;
  state.counters["zstd_bytes/entry"] =
      static_cast<double>(compressed) / static_cast<double>(entries);
  state.counters["s/object"] = benchmark::Counter(
      objects, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void BM_SaveRows(benchmark::State& state) {
  const auto entries = static_cast<uint64_t>(state.range(0));
  stasis::state::Registry registry;
  stasis::model::gen::RegisterTypes(registry);
  RefPtr<Entry> root = MakeTree(entries);
  SavedGraph saved;
  for (auto _ : state) saved = Save(registry, *root);
  Count(state, saved, entries);
  TakeApart(std::move(root));
}
BENCHMARK(BM_SaveRows)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void BM_LoadRows(benchmark::State& state) {
  const auto entries = static_cast<uint64_t>(state.range(0));
  stasis::state::Registry registry;
  stasis::model::gen::RegisterTypes(registry);
  RefPtr<Entry> root = MakeTree(entries);
  const SavedGraph saved = Save(registry, *root);
  TakeApart(std::move(root));
  NoChunks chunks;
  for (auto _ : state) {
    auto graph = stasis::state::LoadGraph(registry, saved, chunks, {});
    state.PauseTiming();
    TakeApart(*graph->Root<Entry>("root"));
    graph = stasis::state::LoadedGraph();
    state.ResumeTiming();
  }
  Count(state, saved, entries);
}
BENCHMARK(BM_LoadRows)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
