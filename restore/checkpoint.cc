// SPDX-License-Identifier: Apache-2.0

#include "restore/checkpoint.h"

#include <unistd.h>

#include <utility>

#include "restore/internal/pause.h"
#include "restore/internal/stopwatch.h"
#include "restore/types.h"
#include "state/check.h"
#include "state/copy_budget.h"

namespace stasis::restore {

uint64_t DefaultExtraMemory() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 4;
}

// One checkpoint.
class Checkpointer {
 public:
  explicit Checkpointer(const CheckpointRequest& request) : request_(request), pause_(request) {}

  absl::StatusOr<CheckpointReport> Run();

 private:
  absl::Status Begin();
  absl::Status Pause();
  absl::Status FinishRows();
  absl::Status Write();
  void CountState();
  image::WriteOptions OptionsForWrite() const;

  const CheckpointRequest& request_;
  Stopwatch wall_;
  PausedSave pause_;
  std::unique_ptr<image::Layout> layout_;
  state::SavedGraph graph_;
  std::optional<state::CopyBudget> copies_;  // as long as graph_ holds chunks
  CheckpointReport report_;
};

absl::StatusOr<CheckpointReport> Checkpointer::Run() {
  if (absl::Status s = Begin(); !s.ok()) return s;
  if (absl::Status s = Pause(); !s.ok()) return s;
  if (request_.on_resumed) request_.on_resumed(report_);
  if (absl::Status s = FinishRows(); !s.ok()) return s;
  if (absl::Status s = Write(); !s.ok()) return s;
  pause_.KeepFrozen();
  report_.wall_ns = wall_.Total();
  if (!pause_.thawed().ok()) return pause_.thawed();
  return std::move(report_);
}

// Everything that can fail without making the programs wait.
absl::Status Checkpointer::Begin() {
  state::Require(
      request_.vfs != nullptr && request_.registry != nullptr && request_.clock != nullptr,
      "a checkpoint needs a vfs, a registry and a clock");
  if (absl::Status s = image::CheckTag(request_.tag); !s.ok()) return s;
  auto layout = image::Layout::OpenForWriting(request_.directory, request_.file_ops);
  if (!layout.ok()) return layout.status();
  layout_ = *std::move(layout);
  report_.reference = request_.directory + ":" + request_.tag;
  if (request_.parent.has_value()) report_.parent = request_.parent->ToString();
  return pause_.Prepare();
}

absl::Status Checkpointer::Pause() {
  copies_.emplace(request_.max_extra_memory);
  if (absl::Status s = pause_.Pause(); !s.ok()) return s;
  static_cast<PauseTimes&>(report_) = pause_.times();
  if (!pause_.warning().empty()) report_.warnings.push_back(pause_.warning());
  return absl::OkStatus();
}

absl::Status Checkpointer::FinishRows() {
  absl::StatusOr<state::SavedGraph> graph = pause_.TakeRows();
  if (!graph.ok()) return graph.status();
  graph_ = *std::move(graph);
  report_.build_ns = pause_.times().build_ns;
  CountState();
  return absl::OkStatus();
}

void Checkpointer::CountState() {
  report_.objects = CountRows(graph_);
  report_.files = CountRowsOf(graph_, *request_.registry, "vfs.Inode");
  report_.dentries = CountRowsOf(graph_, *request_.registry, "vfs.Dentry");
  report_.chunks = graph_.chunks.size();
}

image::WriteOptions Checkpointer::OptionsForWrite() const {
  image::WriteOptions options;
  options.tag = request_.tag;
  options.creator = request_.creator;
  options.created = pause_.moment();
  options.parent = request_.parent;
  options.required_features = RequiredFeatures(graph_, *request_.registry);
  // Only what the state determines: the same state gives the same image.
  options.statistics = {{"objects", report_.objects},
                        {"files", report_.files},
                        {"dentries", report_.dentries},
                        {"chunks", report_.chunks}};
  options.annotations = request_.annotations;
  options.on_progress = request_.on_progress;
  options.cancel = request_.cancel;
  options.packs = request_.packs;
  return options;
}

absl::Status Checkpointer::Write() {
  Stopwatch watch;
  absl::StatusOr<image::WriteResult> written =
      image::ImageWriter(*layout_).Write(graph_, OptionsForWrite());
  // Whoever writes to a chunk that the graph holds has to copy it.
  graph_ = state::SavedGraph();
  report_.extra_memory_bytes = copies_->copied();
  copies_.reset();
  if (!written.ok()) return written.status();
  report_.digest = written->manifest_digest;
  report_.dirty_bytes = written->dirty_bytes;
  report_.reused_bytes = written->reused_bytes;
  report_.state_bytes = written->state_bytes;
  report_.state_content_bytes = written->state_content_bytes;
  report_.pack_bytes = written->pack_bytes_stored;
  report_.stored_bytes = written->state_bytes + written->pack_bytes_stored;
  report_.write_ns = watch.Total();
  return absl::OkStatus();
}

absl::StatusOr<CheckpointReport> Checkpoint(const CheckpointRequest& request) {
  return Checkpointer(request).Run();
}

}  // namespace stasis::restore
