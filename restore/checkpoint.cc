// SPDX-License-Identifier: Apache-2.0

#include "restore/checkpoint.h"

#include <utility>

#include "restore/internal/format.h"
#include "restore/internal/huge_pages.h"
#include "restore/internal/stopwatch.h"
#include "restore/state_point.h"
#include "restore/types.h"
#include "state/check.h"

namespace stasis::restore {
namespace {

// Programs that may be frozen. They run again when this ends, unless Keep() was called.
class Frozen {
 public:
  explicit Frozen(Freezer& freezer) : freezer_(freezer) {}
  ~Frozen() {
    if (frozen_) freezer_.Thaw().IgnoreError();  // some other error is being reported
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

  absl::Status Freeze() {
    absl::Status status = freezer_.Freeze();
    frozen_ = status.ok();
    return Annotate(status, "cannot freeze the programs");
  }
  absl::Status Thaw() {
    frozen_ = false;
    return Annotate(freezer_.Thaw(), "cannot thaw the programs");
  }
  void Keep() { frozen_ = false; }

 private:
  Freezer& freezer_;
  bool frozen_ = false;
};

}  // namespace

// One checkpoint.
class Checkpointer {
 public:
  explicit Checkpointer(const CheckpointRequest& request)
      : request_(request),
        freezer_(request.freezer != nullptr ? *request.freezer : no_freezer_),
        frozen_(freezer_) {}

  absl::StatusOr<CheckpointReport> Run();

 private:
  absl::Status Begin();
  absl::Status Pause();
  absl::Status TakePoint();
  absl::Status FinishRows();
  absl::Status Write();
  absl::Status CheckCancelled() const;
  void CountState();
  image::WriteOptions OptionsForWrite() const;

  const CheckpointRequest& request_;
  NoFreezer no_freezer_;
  Freezer& freezer_;
  Frozen frozen_;
  Stopwatch wall_;
  std::unique_ptr<image::Layout> layout_;
  std::unique_ptr<StatePoint> point_;
  state::SavedGraph graph_;
  TimeNs moment_ = 0;
  absl::Status thawed_;
  CheckpointReport report_;
};

absl::StatusOr<CheckpointReport> Checkpointer::Run() {
  if (absl::Status s = Begin(); !s.ok()) return s;
  if (absl::Status s = Pause(); !s.ok()) return s;
  if (request_.on_resumed) request_.on_resumed(report_);
  if (absl::Status s = FinishRows(); !s.ok()) return s;
  if (absl::Status s = Write(); !s.ok()) return s;
  frozen_.Keep();
  report_.wall_ns = wall_.Total();
  if (!thawed_.ok()) return thawed_;
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
  Stopwatch watch;
  if (absl::Status s = freezer_.Flush(); !s.ok()) return Annotate(s, "cannot flush");
  if (request_.rows == RowsPlace::kOutsidePause) GatherHugePages();
  report_.preflush_ns = watch.Total();
  return CheckCancelled();
}

absl::Status Checkpointer::Pause() {
  Stopwatch pause;
  if (absl::Status s = frozen_.Freeze(); !s.ok()) return s;
  report_.freeze_ns = pause.Lap();
  if (absl::Status s = freezer_.Flush(); !s.ok()) return Annotate(s, "cannot flush");
  report_.flush_ns = pause.Lap();
  if (absl::Status s = CheckCancelled(); !s.ok()) return s;
  moment_ = request_.clock->Now();
  if (absl::Status s = TakePoint(); !s.ok()) return s;
  pause.Lap();
  // What is saved stays good although the programs could not be woken: the image is written anyway.
  if (!request_.stay_frozen) thawed_ = frozen_.Thaw();
  report_.thaw_ns = pause.Lap();
  report_.pause_ns = pause.Total();
  return absl::OkStatus();
}

absl::Status Checkpointer::TakePoint() {
  if (request_.rows == RowsPlace::kInPause) {
    absl::StatusOr<Rows> rows = SaveRows(*request_.vfs, *request_.registry, request_.roots);
    if (!rows.ok()) return rows.status();
    report_.rows = rows->times;
    graph_ = std::move(rows->graph);
    return absl::OkStatus();
  }
  auto point = StatePoint::Take(*request_.vfs, *request_.registry, request_.roots);
  if (!point.ok()) return point.status();
  point_ = *std::move(point);
  report_.rows = point_->times();
  if (!point_->warning().empty()) report_.warnings.push_back(point_->warning());
  return absl::OkStatus();
}

absl::Status Checkpointer::FinishRows() {
  if (point_ != nullptr) {
    Stopwatch watch;
    absl::StatusOr<state::SavedGraph> graph = point_->Finish(request_.cancel);
    point_.reset();
    if (!graph.ok()) return graph.status();
    graph_ = *std::move(graph);
    report_.build_ns = watch.Total();
  }
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
  options.created = moment_;
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

absl::Status Checkpointer::CheckCancelled() const {
  if (request_.cancel != nullptr && request_.cancel->load(std::memory_order_relaxed))
    return absl::CancelledError("the checkpoint was cancelled");
  return absl::OkStatus();
}

absl::StatusOr<CheckpointReport> Checkpoint(const CheckpointRequest& request) {
  return Checkpointer(request).Run();
}

}  // namespace stasis::restore
