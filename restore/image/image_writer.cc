// SPDX-License-Identifier: Apache-2.0

#include "restore/image/image_writer.h"

#include <absl/time/time.h>

#include <algorithm>
#include <utility>

#include "restore/image/index.h"
#include "restore/image/internal/status.h"
#include "restore/image/lease.h"
#include "restore/image/pack_writer.h"
#include "restore/image/state_blob.h"
#include "restore/image/transaction.h"

namespace stasis::image {
namespace {

std::string Rfc3339(TimeNs time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", absl::FromUnixNanos(time), absl::UTCTimeZone());
}

Annotations ManifestAnnotations(const WriteOptions& options) {
  Annotations annotations = options.annotations;
  annotations.erase(kAnnotationRefName);  // the tag's own
  annotations[kAnnotationCreated] = Rfc3339(options.created);
  annotations[kAnnotationFormatVersion] = std::to_string(kFormatVersion);
  const size_t space = options.creator.rfind(' ');
  annotations[kAnnotationEngineName] = options.creator.substr(0, space);
  if (space != std::string::npos)
    annotations[kAnnotationEngineVersion] = options.creator.substr(space + 1);
  if (options.parent.has_value()) annotations[kAnnotationParent] = options.parent->ToString();
  return annotations;
}

Config ConfigFor(const WriteOptions& options, uint64_t content_bytes) {
  Config config;
  config.required_features = options.required_features;
  std::sort(config.required_features.begin(), config.required_features.end());
  config.creator = options.creator;
  config.created = Rfc3339(options.created);
  config.statistics = options.statistics;
  config.statistics["content_bytes"] = content_bytes;
  return config;
}

// One write, from chunks to commit. Its transaction undoes everything if it does not get that far.
class Writing {
 public:
  Writing(Layout& layout, const state::SavedGraph& graph, const WriteOptions& options)
      : layout_(layout), graph_(graph), options_(options), transaction_(layout) {}

  absl::StatusOr<WriteResult> Run() {
    IMAGE_RETURN_IF_ERROR(WritePacks());
    IMAGE_ASSIGN_OR_RETURN(manifest_.state, WriteState());
    const uint64_t content = result_.dirty_bytes + result_.reused_bytes;
    IMAGE_ASSIGN_OR_RETURN(const StoredBlob config,
                           transaction_.AddBytes(EncodeConfig(ConfigFor(options_, content))));
    manifest_.config = DescriptorOf(kMediaTypeConfig, config);
    IMAGE_RETURN_IF_ERROR(Commit());
    MarkChunks();
    return result_;
  }

 private:
  absl::Status WritePacks() {
    PackWriter writer(layout_, transaction_, options_.on_progress, options_.cancel);
    IMAGE_ASSIGN_OR_RETURN(PackedData packed, writer.Write(graph_.chunks));
    tables_ = std::move(packed.tables);
    for (const PackEntry& pack : tables_.packs)
      manifest_.packs.push_back(DescriptorOf(kMediaTypePack, {pack.digest, pack.size}));
    result_.pack_bytes_stored = packed.stored_bytes;
    result_.dirty_bytes = packed.dirty_bytes;
    result_.reused_bytes = packed.reused_bytes;
    result_.chunks = tables_.chunks.size();
    result_.frames = tables_.frames.size();
    result_.frames_written = packed.frames_written;
    result_.packs = tables_.packs.size();
    result_.packs_written = packed.packs_written;
    return absl::OkStatus();
  }

  absl::StatusOr<Descriptor> WriteState() {
    IMAGE_ASSIGN_OR_RETURN(BlobWriter blob, BlobWriter::Create(layout_, 0));
    const auto write = [&](std::span<const std::byte> bytes) -> absl::Status {
      IMAGE_RETURN_IF_ERROR(CheckCancelled());
      return blob.Append(bytes);
    };
    IMAGE_ASSIGN_OR_RETURN(const StateBlobSizes sizes, EncodeStateBlob(graph_, tables_, write));
    IMAGE_ASSIGN_OR_RETURN(const StoredBlob stored, transaction_.Add(std::move(blob)));
    result_.state_bytes = stored.size;
    result_.state_content_bytes = sizes.content;
    return DescriptorOf(kMediaTypeState, stored);
  }

  absl::Status Commit() {
    manifest_.annotations = ManifestAnnotations(options_);
    const std::string text = EncodeManifest(manifest_);
    if (text.size() > kMaxManifestSize)
      return absl::ResourceExhaustedError(
          fmt::format("the manifest has {} bytes for {} packs, registries take less than 4 MiB",
                      text.size(), manifest_.packs.size()));
    IMAGE_ASSIGN_OR_RETURN(const StoredBlob manifest, transaction_.AddBytes(text));
    result_.manifest_digest = manifest.digest;
    result_.manifest_size = manifest.size;
    IMAGE_RETURN_IF_ERROR(CheckCancelled());
    CommitOptions commit;
    commit.check = [this] { return CheckCancelled(); };
    return transaction_.Commit(
        options_.tag, EntryFor(options_.tag, manifest.digest, manifest.size, manifest_.annotations),
        commit);
  }

  absl::Status CheckCancelled() const {
    if (options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed))
      return absl::CancelledError("writing the image was cancelled");
    return absl::OkStatus();
  }

  // The image is there already: what goes wrong here only lets the next write store more.
  void MarkChunks() {
    const auto name = options_.annotations.find(kAnnotationContainerName);
    PackReaderOptions packs = options_.packs;
    packs.manifest = result_.manifest_digest;
    packs.hold = Lease::TakeOf(layout_, name == options_.annotations.end() ? "" : name->second,
                               {result_.manifest_digest});
    if (packs.hold == nullptr) return;  // what nothing keeps must not be relied on
    auto source = PackReader::Open(layout_, fmt::format("{}:{}", layout_.directory(), options_.tag),
                                   tables_.packs, tables_.frames, std::move(packs));
    if (!source.ok()) return;
    for (size_t i = 0; i < graph_.chunks.size(); ++i) {
      if (graph_.chunks[i]->HasOneRef()) continue;  // dead but for the save
      graph_.chunks[i]->MarkStored(*source, tables_.chunks[i].at);
    }
    result_.source = *std::move(source);
  }

  Layout& layout_;
  const state::SavedGraph& graph_;
  const WriteOptions& options_;
  Transaction transaction_;
  Manifest manifest_;
  DataTables tables_;
  WriteResult result_;
};

}  // namespace

absl::StatusOr<WriteResult> ImageWriter::Write(const state::SavedGraph& graph,
                                               const WriteOptions& options) {
  if (!layout_.writable())
    return absl::FailedPreconditionError(
        fmt::format("{} is open for reading only", layout_.directory()));
  IMAGE_RETURN_IF_ERROR(CheckTag(options.tag));
  return Writing(layout_, graph, options).Run();
}

}  // namespace stasis::image
