// SPDX-License-Identifier: Apache-2.0

#include <absl/cleanup/cleanup.h>

#include "cmd/stasis/daemon/tasks.h"
#include "cmd/stasis/overlay_parts.h"

namespace stasis::cli {

// What is in the kernel only, of mappings, does not count.
absl::StatusOr<control::Report> DiffBox(Box& box, const control::ProgressCallback& on_progress,
                                        const std::atomic<bool>* cancel) {
  if (absl::Status begun = box.Begin("comparing"); !begun.ok()) return begun;
  const absl::Cleanup done = [&box] { box.Done(); };
  restore::DiffOptions how;
  how.cancel = cancel;
  how.on_progress = [&on_progress](const restore::TransferProgress& progress) {
    on_progress({"diff", progress.files, 0, progress.bytes});
  };
  const absl::StatusOr<restore::DiffReport> report =
      DiffOverlay(box.sandbox()->tree(), box.name(), how);
  if (!report.ok()) return report.status();
  return control::Report{report->ToJson(), report->ToText()};
}

absl::StatusOr<control::Report> CommitBox(Box& box, const control::CommitParams& params,
                                          const control::ProgressCallback& on_progress,
                                          const std::atomic<bool>* cancel) {
  if (absl::Status begun = box.Begin("committing"); !begun.ok()) return begun;
  const absl::Cleanup done = [&box] { box.Done(); };
  OverlayCommit commit;
  commit.base = box.origin().base_image;
  commit.directory = params.directory;
  commit.tag = params.tag;
  absl::StatusOr<oci::Compression> compression = oci::ParseCompression(params.compression);
  if (!compression.ok()) return compression.status();
  commit.options.compression = *compression;
  commit.options.author = params.author;
  commit.options.comment = params.message;
  commit.options.cancel = cancel;
  commit.options.on_progress = [&on_progress](const restore::TransferProgress& progress) {
    on_progress({"commit", progress.files, 0, progress.bytes});
  };
  commit.types = &box.types();
  box.sandbox()->freezer().set_limits({});  // not those of the last checkpoint
  commit.freezer = &box.sandbox()->freezer();
  const absl::StatusOr<oci::CommitReport> report =
      CommitOverlay(box.sandbox()->tree(), box.name(), commit);
  if (!report.ok()) return report.status();
  return control::Report{report->ToJson(), report->ToText()};
}

}  // namespace stasis::cli
