// SPDX-License-Identifier: Apache-2.0

#include "restore/image/copy_image.h"

#include <algorithm>
#include <utility>

#include "restore/image/contents.h"
#include "restore/image/index.h"
#include "restore/image/internal/files.h"
#include "restore/image/internal/open_image.h"
#include "restore/image/internal/status.h"
#include "restore/image/lease.h"
#include "restore/image/transaction.h"

namespace stasis::image {
namespace {

constexpr size_t kPiece = 1024 * 1024;

class Copying {
 public:
  Copying(const Layout& from, Layout& to, const CopyOptions& options)
      : from_(from), to_(to), options_(options), transaction_(to) {}

  absl::StatusOr<CopyReport> Run(const std::string& from_tag, const std::string& to_tag) {
    // Nobody takes away what is being copied.
    const std::shared_ptr<Lease> lease = Lease::Take(from_, "");
    IMAGE_ASSIGN_OR_RETURN(const Descriptor entry, from_.Resolve(from_tag));
    if (lease != nullptr) lease->Narrow({entry.digest});
    IMAGE_ASSIGN_OR_RETURN(const ImageInfo info, OpenManifest(from_, from_tag, entry));
    report_.digest = entry.digest;
    Want({info.manifest.config.digest, info.manifest.config.size});
    Want({info.manifest.state.digest, info.manifest.state.size});
    for (const Descriptor& pack : info.manifest.packs) Want({pack.digest, pack.size});
    IMAGE_RETURN_IF_ERROR(FindReferrers());
    Want({entry.digest, entry.size});
    for (const StoredBlob& blob : wanted_) IMAGE_RETURN_IF_ERROR(CopyBlob(blob));
    IMAGE_RETURN_IF_ERROR(FindOldTraces());
    CommitOptions how;
    how.change_index = [this](Index& index) { AddReferrers(index); };
    IMAGE_RETURN_IF_ERROR(transaction_.Commit(
        to_tag, EntryFor(to_tag, entry.digest, entry.size, info.manifest.annotations), how));
    return std::move(report_);
  }

 private:
  void Want(const StoredBlob& blob) {
    const bool twice = std::any_of(wanted_.begin(), wanted_.end(), [&](const StoredBlob& other) {
      return other.digest == blob.digest;
    });
    if (twice) return;
    wanted_.push_back(blob);
    progress_.bytes_total += blob.size;
    ++progress_.blobs_total;
  }

  // What refers to the image without a tag of its own. One that is damaged stays behind.
  absl::Status FindReferrers() {
    IMAGE_ASSIGN_OR_RETURN(auto entries, ReadEntries(from_));
    for (IndexEntry& entry : entries) {
      if (!entry.tag.empty()) continue;
      if (!entry.status.ok())
        report_.warnings.push_back(fmt::format("not copied, if it is about the image: {}",
                                               std::string(entry.status.message())));
      if (entry.contents.subject != report_.digest) continue;
      std::vector<StoredBlob> blobs;
      for (const Digest& digest : entry.contents.blobs) {
        const auto st = from_.ops().StatAt(from_.blobs_fd(), digest.Hex());
        if (!st) continue;
        const StoredBlob blob{digest, static_cast<uint64_t>(st->st_size)};
        IMAGE_ASSIGN_OR_RETURN(const bool intact, IsIntact(from_, blob));
        if (intact) blobs.push_back(blob);
      }
      if (blobs.size() != entry.contents.blobs.size()) {
        report_.warnings.push_back(
            fmt::format("{}: {} is not copied: a blob of it is missing or damaged",
                        from_.directory(), entry.Name()));
        continue;
      }
      for (const StoredBlob& blob : blobs) Want(blob);
      referrers_.push_back(std::move(entry));
    }
    report_.referrers = referrers_.size();
    return absl::OkStatus();
  }

  absl::Status CheckCancelled() const {
    if (options_.cancel == nullptr || !options_.cancel->load(std::memory_order_relaxed))
      return absl::OkStatus();
    return absl::CancelledError("copying the image was cancelled");
  }

  void Progress(uint64_t bytes) {
    progress_.bytes_done += bytes;
    if (options_.on_progress) options_.on_progress(progress_);
  }

  absl::Status CopyBlob(const StoredBlob& blob) {
    IMAGE_RETURN_IF_ERROR(CheckCancelled());
    bool present = to_.HasBlob(blob.digest, blob.size);
    if (present) {
      IMAGE_ASSIGN_OR_RETURN(present, IsIntact(to_, blob));
    }
    if (present) {
      ++report_.blobs_present;
      report_.bytes_present += blob.size;
      Progress(blob.size);
    } else {
      IMAGE_RETURN_IF_ERROR(CopyBytes(blob));
      ++report_.blobs_copied;
      report_.bytes_copied += blob.size;
    }
    ++progress_.blobs_done;
    return absl::OkStatus();
  }

  absl::Status CopyBytes(const StoredBlob& blob) {
    const std::string what = fmt::format("{}: blob {}", from_.directory(), blob.digest.ToString());
    IMAGE_ASSIGN_OR_RETURN(const UniqueFd fd, from_.OpenBlob(blob.digest, blob.size));
    IMAGE_ASSIGN_OR_RETURN(BlobWriter writer, BlobWriter::Create(to_, blob.size));
    std::vector<std::byte> buffer(std::min<uint64_t>(kPiece, blob.size));
    for (uint64_t at = 0; at < blob.size; at += buffer.size()) {
      IMAGE_RETURN_IF_ERROR(CheckCancelled());
      const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), blob.size - at));
      IMAGE_RETURN_IF_ERROR(ReadFully(from_.ops(), fd.get(), piece, at, what));
      IMAGE_RETURN_IF_ERROR(writer.Append(piece));
      Progress(piece.size());
    }
    IMAGE_ASSIGN_OR_RETURN(const StoredBlob stored, transaction_.Add(std::move(writer)));
    if (stored.digest != blob.digest)
      return DataLoss("{} is damaged: its content has digest {}", what, stored.digest.ToString());
    return absl::OkStatus();
  }

  bool BringsTrace() const {
    return std::any_of(referrers_.begin(), referrers_.end(), [](const IndexEntry& entry) {
      return entry.contents.artifact_type.starts_with(kTraceTypes);
    });
  }

  // An image has one trace at most: the one that comes replaces the one that is there.
  absl::Status FindOldTraces() {
    if (!BringsTrace()) return absl::OkStatus();
    IMAGE_ASSIGN_OR_RETURN(const auto entries, ReadEntries(to_));
    for (const IndexEntry& entry : entries)
      if (entry.tag.empty() && entry.contents.subject == report_.digest &&
          entry.contents.artifact_type.starts_with(kTraceTypes))
        old_traces_.push_back(entry.descriptor.digest);
    return absl::OkStatus();
  }

  void AddReferrers(Index& index) const {
    for (const Digest& digest : old_traces_) index.RemoveUntagged(digest);
    for (const IndexEntry& entry : referrers_) index.AddUntagged(entry.descriptor);
  }

  const Layout& from_;
  Layout& to_;
  const CopyOptions& options_;
  Transaction transaction_;
  std::vector<StoredBlob> wanted_;  // the manifest last
  std::vector<IndexEntry> referrers_;
  std::vector<Digest> old_traces_;
  CopyProgress progress_;
  CopyReport report_;
};

}  // namespace

absl::StatusOr<CopyReport> CopyImage(const Layout& from, const std::string& from_tag, Layout& to,
                                     const std::string& to_tag, const CopyOptions& options) {
  IMAGE_RETURN_IF_ERROR(CheckTag(to_tag));
  return Copying(from, to, options).Run(from_tag, to_tag);
}

}  // namespace stasis::image
