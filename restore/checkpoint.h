// SPDX-License-Identifier: Apache-2.0
//
// checkpoint.h: a live filesystem into an image.
//
//   CheckpointRequest request;
//   request.vfs = vfs.get();
//   request.registry = &registry;
//   request.roots = {{"fuse", server.state()}};
//   request.freezer = &freezer;
//   request.clock = &clock;
//   request.directory = "snaps";
//   request.tag = "v1";
//   absl::StatusOr<CheckpointReport> report = Checkpoint(request);
//
// The programs wait from Freeze to Thaw only; compressing and writing happen afterwards, in the
// caller's thread, while they run. The phases are in docs/checkpoint.md. Whatever fails, the gate
// is open again, the programs run, and the layout is what it was.

#ifndef STASIS_RESTORE_CHECKPOINT_H_
#define STASIS_RESTORE_CHECKPOINT_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "restore/freezer.h"
#include "restore/image/image_writer.h"
#include "restore/rows.h"
#include "state/base/clock.h"
#include "state/registry.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

// Where the state is turned into rows: by a process that is forked in the pause and works while the
// programs run, or in the pause itself, which takes longer the more files there are but needs
// neither the process nor a copy of what changes meanwhile.
enum class RowsPlace { kOutsidePause, kInPause };

uint64_t DefaultExtraMemory();

struct CheckpointRequest {
  // Borrowed.
  vfs::VirtualFilesystem* vfs = nullptr;
  const state::Registry* registry = nullptr;
  const Clock* clock = nullptr;
  Freezer* freezer = nullptr;  // null: nobody to freeze

  std::vector<ExtraRoot> roots;  // saved after the VirtualFilesystem, in this order

  // The layout directory (made if missing, its parents not) and the tag in it.
  std::string directory;
  std::string tag;
  std::shared_ptr<image::FileOps> file_ops;  // null: the host's
  std::optional<image::Digest> parent;       // manifest of the checkpoint before
  std::string creator = "stasis";            // such as "stasis 0.1.0"
  image::Annotations annotations;

  // Bytes that copies of file data may take which programs change while the image is written. Each
  // of their writes then waits a little, until it is. The default is a quarter of the memory.
  uint64_t max_extra_memory = DefaultExtraMemory();

  // True: the programs stay frozen after success, for a caller that ends them. The gate is open.
  bool stay_frozen = false;

  RowsPlace rows = RowsPlace::kOutsidePause;

  // Called once, when the programs run again (or, with stay_frozen, could), before the rows are
  // there and the image is written: with the report as far as it is known.
  std::function<void(const struct CheckpointReport&)> on_resumed;
  std::function<void(const image::WriteProgress&)> on_progress;
  const std::atomic<bool>* cancel = nullptr;  // borrowed; true: stop, with kCancelled
  image::PackReaderOptions packs;             // for the chunks, which refer to the image afterwards
};

// What taking a moment took, in nanoseconds.
struct PauseTimes {
  int64_t preflush_ns = 0;  // before the pause
  int64_t pause_ns = 0;     // what programs felt: from before Freeze to after Thaw
  int64_t freeze_ns = 0;
  int64_t flush_ns = 0;  // the second flush, in the pause
  RowsTimes rows;
  int64_t thaw_ns = 0;
  int64_t build_ns = 0;  // after the pause: waiting for the rows
};

struct CheckpointReport : PauseTimes {
  std::string reference;  // "DIR:TAG"
  image::Digest digest;   // of the manifest: the image's name
  std::string parent;     // its digest; empty if none

  // Nanoseconds.
  int64_t write_ns = 0;  // after the rows
  int64_t wall_ns = 0;   // all of it

  uint64_t objects = 0;
  uint64_t files = 0;  // inodes, deleted but open ones too
  uint64_t dentries = 0;
  uint64_t chunks = 0;
  uint64_t dirty_bytes = 0;          // file data that had to be written
  uint64_t reused_bytes = 0;         // file data that the layout had already
  uint64_t stored_bytes = 0;         // what the image adds to the layout: state and packs
  uint64_t state_bytes = 0;          // the state blob
  uint64_t state_content_bytes = 0;  // the same, uncompressed
  uint64_t pack_bytes = 0;           // packs that were added
  uint64_t extra_memory_bytes = 0;   // file data that was copied since, because it was being saved
  std::vector<std::string> warnings;

  // One line, compact; every field, under stable names.
  std::string ToJson() const;
  // A few lines for people.
  std::string ToText() const;
};

// Requires: not called from inside the gate; one checkpoint of a VirtualFilesystem at a time.
// Errors: those of image/layout.h; of the Freezer, of PrepareSave, of GraphWriter. A failing Thaw
// fails the checkpoint, with the image committed.
absl::StatusOr<CheckpointReport> Checkpoint(const CheckpointRequest& request);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_CHECKPOINT_H_
