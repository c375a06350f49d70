// SPDX-License-Identifier: Apache-2.0

#include "restore/restore.h"

#include <fmt/format.h>

#include <utility>

#include "restore/internal/format.h"
#include "restore/internal/stopwatch.h"
#include "restore/rows.h"
#include "restore/types.h"
#include "state/check.h"
#include "state/graph_reader.h"
#include "vfs/restore_context.h"

namespace stasis::restore {

std::string RestoreReport::ToJson() const {
  const nlohmann::ordered_json json = {{"reference", reference}, {"digest", digest.ToString()},
                                       {"created", created},     {"open_ns", open_ns},
                                       {"load_ns", load_ns},     {"complete_ns", complete_ns},
                                       {"wall_ns", wall_ns},     {"objects", objects},
                                       {"files", files},         {"dentries", dentries},
                                       {"chunks", chunks},       {"data_bytes", data_bytes}};
  return DumpJson(json);
}

std::string RestoreReport::ToText() const {
  std::string text = fmt::format("{}  {}\n", PrintablePath(reference), digest.ToString());
  text += fmt::format("made   {}\n", created);
  text +=
      fmt::format("wall   {} (open {}, load {}, complete {})\n", FormatDuration(wall_ns),
                  FormatDuration(open_ns), FormatDuration(load_ns), FormatDuration(complete_ns));
  text += fmt::format("files  {} ({} names, {} objects), {} of data\n", files, dentries, objects,
                      FormatBytes(data_bytes));
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

  absl::Status Open();
  absl::StatusOr<RestoredImage> Run(std::unique_ptr<image::ImageReader> reader);
  std::unique_ptr<image::ImageReader> TakeReader() { return std::move(reader_); }

 private:
  absl::Status Load();
  absl::Status TakeRoots(const state::SavedGraph& graph, const state::LoadedGraph& loaded);
  absl::Status Complete();
  void CountState(const state::SavedGraph& graph);

  const RestoreRequest& request_;
  Stopwatch wall_;
  std::unique_ptr<image::ImageReader> reader_;
  RestoredImage result_;
  RestoreReport report_;
};

absl::Status Restorer::Open() {
  auto layout = image::Layout::Open(request_.directory, request_.file_ops);
  if (!layout.ok()) return layout.status();
  image::ReadOptions options;
  options.known_features = KnownFeatures(*request_.registry);
  options.packs = request_.packs;
  auto reader = image::ImageReader::Open(**layout, request_.tag, std::move(options));
  if (!reader.ok()) return reader.status();
  reader_ = *std::move(reader);
  report_.open_ns = wall_.Total();
  return absl::OkStatus();
}

absl::StatusOr<RestoredImage> Restorer::Run(std::unique_ptr<image::ImageReader> reader) {
  result_.image_ = std::move(reader);
  const image::ImageInfo& info = result_.image_->info();
  report_.reference = info.reference;
  report_.digest = info.manifest_digest;
  report_.created = info.config.created;
  if (absl::Status s = Load(); !s.ok()) return Annotate(s, PrintablePath(info.reference));
  if (absl::Status s = Complete(); !s.ok()) return Annotate(s, PrintablePath(info.reference));
  report_.wall_ns = wall_.Total();
  result_.report_ = report_;
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

absl::Status Restorer::Load() {
  Stopwatch watch;
  const state::SavedGraph graph = result_.image_->TakeGraph();
  if (absl::Status s = CheckOneVfs(graph); !s.ok()) return s;
  state::LoadOptions options = request_.services;
  options.Provide(request_.clock);
  absl::StatusOr<state::LoadedGraph> loaded =
      state::LoadGraph(*request_.registry, graph, *result_.image_, options);
  if (!loaded.ok()) return loaded.status();
  if (absl::Status s = TakeRoots(graph, *loaded); !s.ok()) return s;
  CountState(graph);
  report_.load_ns = watch.Total();
  return absl::OkStatus();
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

absl::Status Restorer::Complete() {
  Stopwatch watch;
  vfs::RestoreContext context;
  context.roots = request_.roots;
  absl::Status status = result_.vfs_->Reopen(context);
  if (status.ok()) status = result_.vfs_->CompleteRestore(context);
  report_.complete_ns = watch.Total();
  return status;
}

void Restorer::CountState(const state::SavedGraph& graph) {
  report_.objects = CountRows(graph);
  report_.files = CountRowsOf(graph, *request_.registry, "vfs.Inode");
  report_.dentries = CountRowsOf(graph, *request_.registry, "vfs.Dentry");
  report_.chunks = result_.image_->size();
  for (const image::ChunkEntry& chunk : result_.image_->chunk_entries())
    report_.data_bytes += chunk.length;
}

absl::StatusOr<RestoredImage> Restore(const RestoreRequest& request) {
  Restorer restorer(request);
  if (absl::Status s = restorer.Open(); !s.ok()) return s;
  return restorer.Run(restorer.TakeReader());
}

absl::StatusOr<RestoredImage> RestoreFrom(std::unique_ptr<image::ImageReader> image,
                                          const RestoreRequest& request) {
  return Restorer(request).Run(std::move(image));
}

}  // namespace stasis::restore
