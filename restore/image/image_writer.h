// SPDX-License-Identifier: Apache-2.0
//
// image_writer.h: a saved graph into an image.
//
//   auto layout = Layout::OpenForWriting("snaps");     // takes the lock
//   auto result = ImageWriter(**layout).Write(graph, {.tag = "v1", .creator = "stasis 0.1.0"});
//
// All or nothing: blobs are written beside, made durable, given their names, and last of all
// index.json is replaced. After a failure everything that was written is gone again and all tags
// are what they were; after a crash the next writer clears up (transaction.h).
//
// Chunks whose bytes are in the same layout already are referred to there, not written again. After
// the commit every chunk of the graph is marked as stored in the new image.

#ifndef STASIS_RESTORE_IMAGE_IMAGE_WRITER_H_
#define STASIS_RESTORE_IMAGE_IMAGE_WRITER_H_

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "restore/image/layout.h"
#include "restore/image/manifest.h"
#include "restore/image/pack_reader.h"
#include "state/base/clock.h"
#include "state/saved_graph.h"

namespace stasis::image {

struct WriteProgress {
  uint64_t chunks_done = 0;
  uint64_t chunks_total = 0;
  uint64_t content_bytes = 0;  // of dirty chunks, so far
  uint64_t stored_bytes = 0;   // of packs, so far
};

struct WriteOptions {
  std::string tag;
  std::string creator;                         // such as "stasis 0.1.0"
  TimeNs created = 0;                          // of the moment that the image shows
  std::optional<Digest> parent;                // manifest of the checkpoint before
  std::vector<std::string> required_features;  // beside those of the image format itself
  nlohmann::ordered_json statistics = nlohmann::ordered_json::object();
  Annotations annotations;                                // for manifest and index entry
  std::function<void(const WriteProgress&)> on_progress;  // from the writing thread
  const std::atomic<bool>* cancel = nullptr;  // borrowed; true stops the write with kCancelled
  PackReaderOptions packs;                    // for the reader that chunks refer to afterwards
};

struct WriteResult {
  Digest manifest_digest;
  uint64_t manifest_size = 0;
  uint64_t state_bytes = 0;          // stored size of the state blob
  uint64_t state_content_bytes = 0;  // of its messages, uncompressed
  uint64_t pack_bytes_stored = 0;    // in packs that this write added
  uint64_t dirty_bytes = 0;          // content that had to be written
  uint64_t reused_bytes = 0;         // content that was there already
  uint64_t chunks = 0;
  uint64_t frames = 0;  // in the frame table
  uint64_t frames_written = 0;
  uint64_t packs = 0;  // in the pack table
  uint64_t packs_written = 0;
  // What the chunks refer to now. Null if the packs could not be opened after the commit: then the
  // chunks have not been marked, and the next write stores them again.
  RefPtr<PackReader> source;
};

// Not thread-safe.
class ImageWriter {
 public:
  // Requires: layout.writable(). Borrowed; outlives the writer.
  explicit ImageWriter(Layout& layout) : layout_(layout) {}

  // Writes `graph` as `options.tag`, which may exist already: it then moves to the new image.
  //
  // Requires: nobody changes the chunks (their references are held by `graph`) and no other write
  // marks them. The caller drops its references to the chunks afterwards.
  // Errors: see layout.h; kDataLoss if a chunk had to be loaded from another image and could not
  // be.
  absl::StatusOr<WriteResult> Write(const state::SavedGraph& graph, const WriteOptions& options);

 private:
  Layout& layout_;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_IMAGE_WRITER_H_
