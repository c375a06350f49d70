// SPDX-License-Identifier: Apache-2.0

#include "restore/restore.h"

#include <absl/strings/str_join.h>
#include <fmt/format.h>

#include <utility>

#include "restore/fork.h"
#include "restore/image/lease.h"
#include "restore/internal/format.h"
#include "restore/internal/stopwatch.h"
#include "restore/rows.h"
#include "restore/types.h"
#include "state/check.h"
#include "state/graph_reader.h"
#include "vfs/restore_context.h"

namespace stasis::restore {

std::string RestoreReport::ToJson() const {
  const nlohmann::ordered_json json = {
      {"reference", reference},     {"digest", digest.ToString()},
      {"created", created},         {"open_ns", open_ns},
      {"load_ns", load_ns},         {"reopen_ns", reopen_ns},
      {"complete_ns", complete_ns}, {"wall_ns", wall_ns},
      {"objects", objects},         {"files", files},
      {"dentries", dentries},       {"chunks", chunks},
      {"data_bytes", data_bytes},   {"drift", nlohmann::ordered_json::parse(drift.ToJson())}};
  return DumpJson(json);
}

std::string RestoreReport::ToText() const {
  std::string text = fmt::format("{}  {}\n", PrintablePath(reference), digest.ToString());
  text += fmt::format("made   {}\n", created);
  text += fmt::format("wall   {} (open {}, load {}, reopen {}, complete {})\n",
                      FormatDuration(wall_ns), FormatDuration(open_ns), FormatDuration(load_ns),
                      FormatDuration(reopen_ns), FormatDuration(complete_ns));
  text += fmt::format("files  {} ({} names, {} objects), {} of data\n", files, dentries, objects,
                      FormatBytes(data_bytes));
  text += fmt::format("drift  {}\n", drift.Summary());
  for (const DriftFinding& finding : drift.findings)
    if (finding.policy == vfs::DriftPolicy::kWarn)
      text += fmt::format("       {}\n", finding.ToText());
  return text;
}

RestoredImage& RestoredImage::operator=(RestoredImage&& other) noexcept {
  if (this != &other) {
    Clear();
    image_ = std::move(other.image_);
    vfs_ = std::move(other.vfs_);
    roots_ = std::move(other.roots_);
    report_ = std::move(other.report_);
  }
  return *this;
}

RestoredImage::~RestoredImage() { Clear(); }

void RestoredImage::Clear() {
  roots_.clear();
  if (vfs_) vfs_->Teardown();
  vfs_.reset();
  image_.reset();
}

state::Object* RestoredImage::FindRoot(std::string_view name) const {
  for (const auto& [root_name, object] : roots_)
    if (root_name == name) return object.get();
  return nullptr;
}

std::vector<std::string> RestoredImage::root_names() const {
  std::vector<std::string> names;
  for (const auto& root : roots_) names.push_back(root.first);
  return names;
}

// One restore. What it has made goes with it, unless it gets to the end.
class Restorer {
 public:
  explicit Restorer(const RestoreRequest& request) : request_(request) {
    state::Require(request.registry != nullptr && request.clock != nullptr,
                   "a restore needs a registry and a clock");
  }

  // The steps, in this order. What a failed one says begins with the image's name.
  absl::Status Open();
  absl::Status Load(std::unique_ptr<image::ImageReader> reader);
  absl::Status Load() { return Load(std::move(reader_)); }
  absl::Status Load(std::unique_ptr<ForkedState> forked);
  absl::Status Reopen() { return Named(ReopenAll()); }
  absl::Status Complete();

  const DriftReport& drift() const { return report_.drift; }
  RestoredImage TakeResult();

 private:
  absl::Status CheckCancelled() const;
  absl::Status LoadState(const state::SavedGraph& graph, state::ChunkTable& chunks);
  absl::Status TakeRoots(const state::SavedGraph& graph, const state::LoadedGraph& loaded);
  absl::Status ReopenAll();
  absl::Status CheckRoots() const;
  void CountState(const state::SavedGraph& graph);
  absl::Status Named(const absl::Status& status) const {
    return Annotate(status, PrintablePath(report_.reference));
  }

  const RestoreRequest& request_;
  Stopwatch wall_;
  std::unique_ptr<image::ImageReader> reader_;
  RestoredImage result_;
  vfs::RestoreContext context_;  // after result_: it holds dentries
  RestoreReport report_;
};

absl::Status Restorer::Open() {
  auto layout = image::Layout::Open(request_.directory, request_.file_ops);
  if (!layout.ok()) return layout.status();
  image::ReadOptions options;
  options.known_features = KnownFeatures(*request_.registry);
  options.packs = request_.packs;
  // Of everything until it is known which image that is.
  const std::shared_ptr<image::Lease> lease = image::Lease::Take(**layout, request_.lease_name);
  options.packs.hold = lease;
  auto reader = image::ImageReader::Open(**layout, request_.tag, std::move(options));
  if (!reader.ok()) return reader.status();
  reader_ = *std::move(reader);
  if (lease != nullptr) lease->Narrow({reader_->info().manifest_digest});
  report_.open_ns = wall_.Total();
  return CheckCancelled();
}

absl::Status Restorer::CheckCancelled() const {
  if (request_.cancel == nullptr || !request_.cancel->load(std::memory_order_relaxed))
    return absl::OkStatus();
  return absl::CancelledError("the restore was cancelled");
}

absl::Status Restorer::Load(std::unique_ptr<image::ImageReader> reader) {
  result_.image_ = std::move(reader);
  const image::ImageInfo& info = result_.image_->info();
  report_.reference = info.reference;
  report_.digest = info.manifest_digest;
  report_.created = info.config.created;
  for (const image::ChunkEntry& chunk : result_.image_->chunk_entries())
    report_.data_bytes += chunk.length;
  return Named(LoadState(result_.image_->TakeGraph(), *result_.image_));
}

absl::Status Restorer::Load(std::unique_ptr<ForkedState> forked) {
  report_.reference = forked->name();
  report_.data_bytes = forked->data_bytes();
  return Named(LoadState(forked->TakeGraph(), *forked));
}

RestoredImage Restorer::TakeResult() {
  report_.wall_ns = wall_.Total();
  result_.report_ = std::move(report_);
  return std::move(result_);
}

// Exactly one, under its name: a second one would be taken down by nobody.
static absl::Status CheckOneVfs(const state::SavedGraph& graph) {
  static constexpr char kType[] = "vfs.VirtualFilesystem";
  for (const state::SavedTable& table : graph.tables) {
    if (table.type == kType && table.row_count != 1)
      return absl::DataLossError(
          fmt::format("table {}: {} rows instead of 1", kType, table.row_count));
  }
  for (const state::SavedRoot& root : graph.roots)
    if (root.name == kVfsRoot && root.type == kType) return absl::OkStatus();
  return absl::DataLossError(fmt::format("there is no root {} of type {}", kVfsRoot, kType));
}

absl::Status Restorer::LoadState(const state::SavedGraph& graph, state::ChunkTable& chunks) {
  Stopwatch watch;
  if (absl::Status s = CheckOneVfs(graph); !s.ok()) return s;
  state::LoadOptions options = request_.services;
  options.Provide(request_.clock);
  absl::StatusOr<state::LoadedGraph> loaded =
      state::LoadGraph(*request_.registry, graph, chunks, options);
  if (!loaded.ok()) return loaded.status();
  if (absl::Status s = TakeRoots(graph, *loaded); !s.ok()) return s;
  CountState(graph);
  report_.chunks = chunks.size();
  report_.load_ns = watch.Total();
  return CheckCancelled();
}

absl::Status Restorer::TakeRoots(const state::SavedGraph& graph, const state::LoadedGraph& loaded) {
  // The filesystem first: whatever goes wrong from here on, its trees are to be taken down.
  auto vfs = loaded.Root<state::Object>(kVfsRoot);
  if (!vfs.ok()) return vfs.status();
  result_.vfs_ = RefPtr<vfs::VirtualFilesystem>(dynamic_cast<vfs::VirtualFilesystem*>(vfs->get()));
  if (!result_.vfs_) return absl::DataLossError("root vfs: is not a VirtualFilesystem");
  for (const state::SavedRoot& root : graph.roots) {
    if (root.name == kVfsRoot) continue;
    auto object = loaded.Root<state::Object>(root.name);
    if (!object.ok()) return object.status();
    result_.roots_.emplace_back(root.name, *std::move(object));
  }
  return absl::OkStatus();
}

absl::Status Restorer::ReopenAll() {
  Stopwatch watch;
  context_.roots = request_.roots;
  context_.find_root = request_.find_root;
  context_.checks = request_.checks;
  context_.threads = request_.threads;
  context_.cancel = request_.cancel;
  const absl::Status reopened = result_.vfs_->Reopen(context_);
  if (absl::Status s = CheckCancelled(); !s.ok()) return s;
  // First: whoever was not given his directory has failed, too.
  if (absl::Status s = CheckRoots(); !s.ok()) return s;
  if (!reopened.ok()) return reopened;
  report_.drift = DecideDrift(*result_.vfs_, request_.rules, context_.drifts());
  report_.reopen_ns = watch.Total();
  return absl::OkStatus();
}

absl::Status Restorer::CheckRoots() const {
  std::vector<std::string> names, missing;
  for (const std::string& name : context_.asked_roots()) names.push_back(PrintablePath(name));
  for (const std::string& name : context_.missing_roots())
    missing.push_back(fmt::format("--root {}=DIR", PrintablePath(name)));
  for (const auto& [name, directory] : request_.roots) {
    if (!request_.spare_roots && !context_.asked_roots().contains(name))
      return absl::InvalidArgumentError(fmt::format(
          "the image names no host directory {}; {}", PrintablePath(name),
          names.empty() ? "it needs none at all" : "it names: " + absl::StrJoin(names, ", ")));
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "some of its files are in host directories; say where: {}", absl::StrJoin(missing, " ")));
}

absl::Status Restorer::Complete() {
  if (absl::Status drift = ErrorOf(report_.drift); !drift.ok()) return Named(drift);
  Stopwatch watch;
  absl::Status status = result_.vfs_->CompleteRestore(context_);
  context_.drifts().clear();
  report_.complete_ns = watch.Total();
  return Named(status);
}

void Restorer::CountState(const state::SavedGraph& graph) {
  report_.objects = CountRows(graph);
  report_.files = CountRowsOf(graph, *request_.registry, "vfs.Inode");
  report_.dentries = CountRowsOf(graph, *request_.registry, "vfs.Dentry");
}

absl::StatusOr<RestoredImage> Restore(const RestoreRequest& request) {
  Restorer restorer(request);
  if (absl::Status s = restorer.Open(); !s.ok()) return s;
  if (absl::Status s = restorer.Load(); !s.ok()) return s;
  if (absl::Status s = restorer.Reopen(); !s.ok()) return s;
  if (absl::Status s = restorer.Complete(); !s.ok()) return s;
  return restorer.TakeResult();
}

absl::StatusOr<RestoredImage> RestoreFork(std::unique_ptr<ForkedState> forked,
                                          const RestoreRequest& request) {
  Restorer restorer(request);
  if (absl::Status s = restorer.Load(std::move(forked)); !s.ok()) return s;
  if (absl::Status s = restorer.Reopen(); !s.ok()) return s;
  if (absl::Status s = restorer.Complete(); !s.ok()) return s;
  return restorer.TakeResult();
}

absl::StatusOr<DriftReport> DriftOf(const RestoreRequest& request) {
  Restorer restorer(request);
  if (absl::Status s = restorer.Open(); !s.ok()) return s;
  if (absl::Status s = restorer.Load(); !s.ok()) return s;
  if (absl::Status s = restorer.Reopen(); !s.ok()) return s;
  return restorer.drift();
}

absl::StatusOr<RestoredImage> Load(const RestoreRequest& request) {
  Restorer restorer(request);
  if (absl::Status s = restorer.Open(); !s.ok()) return s;
  if (absl::Status s = restorer.Load(); !s.ok()) return s;
  return restorer.TakeResult();
}

absl::StatusOr<RestoredImage> LoadFrom(std::unique_ptr<image::ImageReader> image,
                                       const RestoreRequest& request) {
  Restorer restorer(request);
  if (absl::Status s = restorer.Load(std::move(image)); !s.ok()) return s;
  return restorer.TakeResult();
}

}  // namespace stasis::restore
