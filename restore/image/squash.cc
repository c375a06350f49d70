// SPDX-License-Identifier: Apache-2.0

#include "restore/image/squash.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_split.h>

#include <map>
#include <tuple>
#include <utility>

#include "restore/image/index.h"
#include "restore/image/internal/open_image.h"
#include "restore/image/internal/status.h"
#include "restore/image/pack_reader.h"
#include "restore/image/pack_writer.h"
#include "restore/image/state_blob.h"
#include "restore/image/transaction.h"

namespace stasis::image {
namespace {

// Digests that one annotation remembers.
constexpr size_t kMaxSquashed = 16;
constexpr size_t kDigestText = 71;

class Squashing {
 public:
  Squashing(Layout& layout, const std::string& tag, const SquashOptions& options)
      : layout_(layout), tag_(tag), options_(options), transaction_(layout) {}

  absl::StatusOr<SquashReport> Run() {
    IMAGE_RETURN_IF_ERROR(Open());
    IMAGE_RETURN_IF_ERROR(WritePacks());
    IMAGE_ASSIGN_OR_RETURN(const Descriptor state, WriteState());
    report_.after = report_.before;
    if (state.digest == info_.manifest.state.digest) return report_;  // nothing would change
    IMAGE_RETURN_IF_ERROR(Commit(state));
    return report_;
  }

 private:
  absl::Status Open() {
    IMAGE_ASSIGN_OR_RETURN(info_, ReadImageInfo(layout_, tag_, options_.known_features));
    IMAGE_ASSIGN_OR_RETURN(state_, OpenState(layout_, info_));
    const DataTables& data = state_.data;
    IMAGE_ASSIGN_OR_RETURN(source_,
                           PackReader::Open(layout_, info_.reference, data.packs, data.frames, {}));
    report_.reference = info_.reference;
    report_.before = info_.manifest_digest;
    report_.chunks = data.chunks.size();
    report_.packs_before = data.packs.size();
    report_.frames_before = data.frames.size();
    return absl::OkStatus();
  }

  absl::Status CheckCancelled() const {
    if (options_.cancel == nullptr || !options_.cancel->load(std::memory_order_relaxed))
      return absl::OkStatus();
    return absl::CancelledError("squashing the image was cancelled");
  }

  // The packs of the nearest ancestors, as far as the layout still has their manifests.
  absl::flat_hash_set<Digest> AncestorPacks() const {
    absl::flat_hash_set<Digest> packs;
    if (options_.depth == 0) return packs;
    const std::map<std::string, std::string> became = SquashedImages();
    std::string parent = info_.parent;
    for (uint32_t i = 0; i < options_.depth && !parent.empty(); ++i) {
      const auto now = became.find(parent);
      const auto manifest = ReadManifest(now == became.end() ? parent : now->second);
      if (!manifest.ok()) break;
      for (const Descriptor& pack : manifest->packs) packs.insert(pack.digest);
      const auto next = manifest->annotations.find(kAnnotationParent);
      parent = next == manifest->annotations.end() ? std::string() : next->second;
    }
    return packs;
  }

  // What images were before they were squashed, and what they are now.
  std::map<std::string, std::string> SquashedImages() const {
    std::map<std::string, std::string> became;
    const auto tags = layout_.List();
    if (!tags.ok()) return became;
    for (const TagEntry& entry : *tags) {
      const std::string digest = entry.descriptor.digest.ToString();
      const auto manifest = ReadManifest(digest);
      if (!manifest.ok()) continue;
      const auto squashed = manifest->annotations.find(kAnnotationSquashed);
      if (squashed == manifest->annotations.end()) continue;
      for (const absl::string_view old : absl::StrSplit(squashed->second, ','))
        became.emplace(old, digest);
    }
    return became;
  }

  absl::StatusOr<Manifest> ReadManifest(const std::string& digest) const {
    Descriptor descriptor;
    IMAGE_ASSIGN_OR_RETURN(descriptor.digest, Digest::Parse(digest));
    IMAGE_ASSIGN_OR_ERRNO(const struct stat st,
                          layout_.ops().StatAt(layout_.blobs_fd(), descriptor.digest.Hex()),
                          "cannot examine a manifest");
    descriptor.size = static_cast<uint64_t>(st.st_size);
    IMAGE_ASSIGN_OR_RETURN(const std::string text, layout_.ReadBlob(descriptor, kMaxManifestSize));
    return ParseManifest(text);
  }

  // Chunks that share their bytes are written once.
  void CollectChunks() {
    absl::flat_hash_map<std::tuple<uint32_t, uint32_t, uint32_t>, uint32_t> rows;
    for (const ChunkEntry& chunk : state_.data.chunks) {
      const auto [it, added] = rows.try_emplace(
          std::tuple(chunk.at.frame, chunk.at.offset, chunk.length), chunks_.size());
      if (added) {
        chunks_.push_back(state::Chunk::Stored(source_, chunk.at, chunk.length));
        report_.content_bytes += chunk.length;
      }
      rows_.push_back(it->second);
    }
  }

  absl::Status WritePacks() {
    CollectChunks();
    PackWriter writer(layout_, transaction_, options_.on_progress, options_.cancel);
    writer.ReferOnlyTo(AncestorPacks());
    auto packed = writer.Write(chunks_);
    if (!packed.ok()) return Prefix(packed.status(), info_.reference);
    tables_ = std::move(packed->tables);
    unique_ = tables_.chunks;
    tables_.chunks.clear();
    for (const uint32_t row : rows_) tables_.chunks.push_back(unique_[row]);
    report_.written_bytes = packed->dirty_bytes;
    report_.packs_after = tables_.packs.size();
    report_.frames_after = tables_.frames.size();
    for (const PackEntry& pack : tables_.packs) report_.stored_bytes += pack.size;
    return absl::OkStatus();
  }

  absl::StatusOr<Descriptor> WriteState() {
    IMAGE_ASSIGN_OR_RETURN(BlobWriter blob, BlobWriter::Create(layout_, 0));
    const auto write = [&](std::span<const std::byte> bytes) -> absl::Status {
      IMAGE_RETURN_IF_ERROR(CheckCancelled());
      return blob.Append(bytes);
    };
    IMAGE_ASSIGN_OR_RETURN(const StateBlobSizes sizes,
                           EncodeStateBlob(state_.graph, tables_, write));
    state_.graph = {};
    (void)sizes;
    IMAGE_ASSIGN_OR_RETURN(const StoredBlob stored, transaction_.Add(std::move(blob)));
    return DescriptorOf(kMediaTypeState, stored);
  }

  // Children name their parent by its digest: this is how they find it again.
  std::string Squashed() const {
    std::string digests = info_.manifest_digest.ToString();
    const auto before = info_.manifest.annotations.find(kAnnotationSquashed);
    if (before != info_.manifest.annotations.end()) digests += "," + before->second;
    constexpr size_t kMax = kMaxSquashed * (kDigestText + 1) - 1;
    return digests.substr(0, kMax);
  }

  absl::Status Commit(const Descriptor& state) {
    Manifest manifest = info_.manifest;
    manifest.state = state;
    manifest.packs.clear();
    for (const PackEntry& pack : tables_.packs)
      manifest.packs.push_back(DescriptorOf(kMediaTypePack, {pack.digest, pack.size}));
    manifest.annotations[kAnnotationSquashed] = Squashed();
    const std::string text = EncodeManifest(manifest);
    if (text.size() > kMaxManifestSize)
      return absl::ResourceExhaustedError(
          fmt::format("the manifest has {} bytes for {} packs, registries take less than 4 MiB",
                      text.size(), manifest.packs.size()));
    IMAGE_ASSIGN_OR_RETURN(const StoredBlob stored, transaction_.AddBytes(text));
    report_.after = stored.digest;
    const Descriptor entry = EntryFor(tag_, stored.digest, stored.size, manifest.annotations);
    CommitOptions how;
    how.check = [&] { return Compare(entry); };
    return transaction_.Commit(tag_, entry, how);
  }

  // The new image, read as anybody would, has what the old one has.
  absl::Status Compare(const Descriptor& entry) const {
    IMAGE_ASSIGN_OR_RETURN(ImageInfo info, OpenManifest(layout_, tag_, entry));
    IMAGE_RETURN_IF_ERROR(OpenConfig(layout_, options_.known_features, info));
    IMAGE_ASSIGN_OR_RETURN(const DecodedState state, OpenState(layout_, info));
    if (state.data.chunks != tables_.chunks)
      return DataLoss("{}: the chunk table is not what was written", info.reference);
    IMAGE_ASSIGN_OR_RETURN(
        const RefPtr<PackReader> reader,
        PackReader::Open(layout_, info.reference, state.data.packs, state.data.frames, {}));
    std::vector<std::byte> old_bytes, new_bytes;
    for (size_t i = 0; i < chunks_.size(); ++i) {
      IMAGE_RETURN_IF_ERROR(CheckCancelled());
      old_bytes.resize(unique_[i].length);
      new_bytes.resize(unique_[i].length);
      IMAGE_RETURN_IF_ERROR(source_->ReadChunk(chunks_[i]->stored().at, old_bytes));
      IMAGE_RETURN_IF_ERROR(reader->ReadChunk(unique_[i].at, new_bytes));
      if (old_bytes != new_bytes)
        return DataLoss("{}: chunk {} is not what was written", info.reference, i);
    }
    return absl::OkStatus();
  }

  Layout& layout_;
  const std::string tag_;
  const SquashOptions& options_;
  Transaction transaction_;
  ImageInfo info_;
  DecodedState state_;
  RefPtr<PackReader> source_;
  std::vector<RefPtr<const state::Chunk>> chunks_;  // each with bytes of its own
  std::vector<uint32_t> rows_;                      // by chunk of the image: row of chunks_
  std::vector<ChunkEntry> unique_;                  // by row of chunks_: where it is now
  DataTables tables_;
  SquashReport report_;
};

}  // namespace

absl::StatusOr<SquashReport> SquashImage(Layout& layout, const std::string& tag,
                                         const SquashOptions& options) {
  return Squashing(layout, tag, options).Run();
}

}  // namespace stasis::image
