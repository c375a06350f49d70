// SPDX-License-Identifier: Apache-2.0

#include "restore/checkpoint.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <optional>

#include "cmd/stasis/companion.h"
#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/open_files.h"
#include "cmd/stasis/daemon/tasks.h"
#include "cmd/stasis/daemon/timed_cancel.h"
#include "cmd/stasis/series.h"
#include "fsimpl/gofer/filesystem.h"

namespace stasis::cli {
namespace {

// After `checkpoint --stop`: for the answer to get out. The caller then asks for the end itself.
constexpr absl::Duration kAnswerTime = absl::Seconds(2);

std::optional<gofer::DigestScope> ParseDigestScope(const std::string& text) {
  if (text == "none" || text.empty()) return gofer::DigestScope::kNone;
  if (text == "open") return gofer::DigestScope::kOpen;
  if (text == "all") return gofer::DigestScope::kAll;
  return std::nullopt;
}

void SetDigestScope(const vfs::VirtualFilesystem& vfs, gofer::DigestScope scope) {
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems())
    if (auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get())) host->set_digest_scope(scope);
}

// Says what is being done until the image is written; has looked at what programs have open before
// the state is taken.
class ReportingFreezer final : public restore::Freezer {
 public:
  ReportingFreezer(restore::Freezer& freezer, OpenFileTable& open_files,
                   const control::ProgressCallback& on_progress)
      : freezer_(freezer), open_files_(open_files), on_progress_(on_progress) {}

  absl::Status Flush() override {
    on_progress_({"flush", 0, 0, 0});
    absl::Status flushed = freezer_.Flush();
    if (frozen_)
      open_files_.Finish();
    else
      open_files_.Prepare();
    if (frozen_) on_progress_({"save", 0, 0, 0});
    return flushed;
  }
  absl::Status Freeze() override {
    on_progress_({"freeze", 0, 0, 0});
    absl::Status stopped = freezer_.Freeze();
    frozen_ = stopped.ok();
    if (frozen_) open_files_.Start();
    return stopped;
  }
  absl::Status Thaw() override {
    frozen_ = false;
    open_files_.Finish();
    return freezer_.Thaw();
  }

 private:
  restore::Freezer& freezer_;
  OpenFileTable& open_files_;
  const control::ProgressCallback& on_progress_;
  bool frozen_ = false;
};

restore::CheckpointRequest Request(Box& box, const control::CheckpointParams& params) {
  restore::CheckpointRequest request = RequestFor(box);
  request.directory = params.directory;
  request.tag = params.tag;
  request.creator = Creator();
  const Origin origin = box.origin();
  request.annotations = BaseAnnotations(origin.base_image, origin.base_config);
  request.annotations[image::kAnnotationContainerName] = box.name();
  if (!params.series.empty()) request.annotations[kAnnotationSeries] = params.series;
  if (!params.companion.empty()) request.annotations[kAnnotationCompanion] = params.companion;
  request.stay_frozen = params.stop;
  if (params.max_extra_memory != 0) request.max_extra_memory = params.max_extra_memory;
  request.parent = box.ParentIn(params.directory);
  request.packs = box.lazy()->LaterOptions();
  return request;
}

absl::Status TimeIsOver(const control::CheckpointParams& params) {
  return absl::DeadlineExceededError(absl::StrCat(
      "the checkpoint was given up: it took longer than ", absl::FormatDuration(params.timeout),
      "; every tag is what it was, and the programs run on"));
}

}  // namespace

restore::CheckpointRequest RequestFor(Box& box) {
  restore::CheckpointRequest request;
  request.vfs = &box.sandbox()->vfs();
  request.registry = &box.types().registry();
  request.clock = &box.types().clock();
  request.freezer = &box.sandbox()->freezer();
  for (const auto& [name, state] : box.sandbox()->served().States())
    request.roots.push_back({name, state.get()});
  if (const auto& kept = box.sandbox()->tree().kept; kept && !kept->List().empty())
    request.roots.push_back({sandbox::kKeptFiles, kept.get()});
  return request;
}

absl::StatusOr<restore::CheckpointReport> SaveBox(Box& box, const control::CheckpointParams& params,
                                                  const control::ProgressCallback& on_progress,
                                                  const std::atomic<bool>* cancel) {
  const std::optional<gofer::DigestScope> digest = ParseDigestScope(params.digest);
  if (!digest.has_value())
    return absl::InvalidArgumentError(
        absl::StrCat("'", params.digest, "' is no scope of digests: none, open or all"));
  const absl::Time deadline =
      params.timeout > absl::ZeroDuration() ? absl::Now() + params.timeout : absl::InfiniteFuture();
  sandbox::Sandbox& sandbox = *box.sandbox();
  EndUnusedFilesystems(box);
  SetDigestScope(sandbox.vfs(), *digest);
  // A fork's, an upgrade's and the keeper's state has none: nobody pays for them in a pause.
  const absl::Cleanup no_digests = [&sandbox] {
    SetDigestScope(sandbox.vfs(), gofer::DigestScope::kNone);
  };
  sandbox.freezer().set_limits({deadline, params.freeze_timeout});
  OpenFileTable open_files(box);
  ReportingFreezer freezer(sandbox.freezer(), open_files, on_progress);
  const TimedCancel stop(cancel, deadline);
  restore::CheckpointRequest request = Request(box, params);
  request.freezer = &freezer;
  request.roots.push_back({sandbox::kOpenFiles, &open_files.files()});
  request.cancel = stop.flag();
  request.on_progress = [&on_progress](const image::WriteProgress& progress) {
    on_progress({"write", progress.chunks_done, progress.chunks_total, progress.content_bytes});
  };
  absl::StatusOr<restore::CheckpointReport> report = restore::Checkpoint(request);
  const bool given_up =
      absl::IsCancelled(report.status()) || absl::IsDeadlineExceeded(report.status());
  // Whoever waits in whole milliseconds gives up a little before it is.
  if (given_up && absl::Now() + absl::Milliseconds(20) >= deadline) report = TimeIsOver(params);
  if (!report.ok()) {
    box.log().warn("checkpoint {}:{}: {}", params.directory, params.tag,
                   std::string(report.status().message()));
    return report;
  }
  if (const std::string& why = open_files.files().incomplete(); !why.empty())
    report->warnings.push_back(
        absl::StrCat("the table of open files in the image is not complete: ", why));
  box.log().info("checkpoint {}", report->ToJson());
  box.log().info("{} open files were listed in {} us", open_files.files().files().size(),
                 absl::ToInt64Microseconds(open_files.took()));
  box.SetAncestor({report->digest, params.directory});
  return report;
}

absl::StatusOr<control::Report> CheckpointBox(Box& box, const control::CheckpointParams& params,
                                              const control::ProgressCallback& on_progress,
                                              const std::atomic<bool>* cancel) {
  if (absl::Status begun = box.Begin("checkpointing"); !begun.ok()) return begun;
  const absl::Cleanup done = [&box] { box.Done(); };
  const absl::StatusOr<restore::CheckpointReport> report =
      SaveBox(box, params, on_progress, cancel);
  if (!report.ok()) return report.status();
  if (params.stop) box.EndAt(absl::Now() + kAnswerTime, absl::ZeroDuration());
  // So that the next daemon, too, knows what is stored where, and memory can be let go of.
  if (Keeping* keeping = box.keeping(); keeping != nullptr && !params.stop) keeping->KeepNow();
  return control::Report{report->ToJson(), report->ToText()};
}

}  // namespace stasis::cli
