// SPDX-License-Identifier: Apache-2.0

#include "restore/image/gc.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "restore/image/contents.h"
#include "restore/image/index.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

struct Found {
  Digest digest;
  uint64_t size = 0;
  TimeNs changed = 0;
};

TimeNs Nanoseconds(const struct timespec& time) {
  return TimeNs{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

class Collection {
 public:
  Collection(Layout& layout, const GcOptions& options) : layout_(layout), options_(options) {}

  absl::StatusOr<GcReport> Run() {
    IMAGE_RETURN_IF_ERROR(ListBlobs());
    IMAGE_ASSIGN_OR_RETURN(entries_, ReadEntries(layout_));
    IMAGE_RETURN_IF_ERROR(MarkRoots());
    IMAGE_RETURN_IF_ERROR(MarkLeased());
    if (everything_) return Summary();
    MarkReferrers();
    IMAGE_RETURN_IF_ERROR(Choose());
    if (!options_.dry_run) IMAGE_RETURN_IF_ERROR(Remove());
    return Summary();
  }

 private:
  // Regular files with the name of a digest.
  absl::Status ListBlobs() {
    FileOps& ops = layout_.ops();
    const std::string folder = layout_.directory() + "/blobs/sha256";
    IMAGE_ASSIGN_OR_ERRNO(const auto names, ops.List(layout_.blobs_fd()), "cannot list " + folder);
    for (const std::string& name : names) {
      const auto digest = Digest::Parse("sha256:" + name);
      const auto st = ops.StatAt(layout_.blobs_fd(), name);
      if (!st && st.error() == Errno(ENOENT)) continue;
      if (!st) return ErrnoStatus(st.error(), fmt::format("cannot examine a blob in {}", folder));
      if (!digest.ok() || !S_ISREG(st->st_mode)) {
        ++report_.unknown_files;
        continue;
      }
      blobs_[*digest] = {*digest, static_cast<uint64_t>(st->st_size),
                         std::max(Nanoseconds(st->st_mtim), Nanoseconds(st->st_ctim))};
    }
    return absl::OkStatus();
  }

  void Mark(const Contents& contents) {
    needed_.insert(contents.blobs.begin(), contents.blobs.end());
  }

  // True for what lives and dies with another image.
  static bool IsReferrer(const IndexEntry& entry) {
    return entry.tag.empty() && entry.status.ok() && entry.contents.subject.has_value();
  }
  // A hint that cannot be read is no loss.
  static bool IsSpoiltHint(const IndexEntry& entry) {
    return entry.tag.empty() && absl::IsDataLoss(entry.status) &&
           entry.descriptor.artifact_type.starts_with(kTraceTypes);
  }

  absl::Status MarkRoots() {
    for (const IndexEntry& entry : entries_) {
      if (IsReferrer(entry)) continue;
      if (IsSpoiltHint(entry)) {
        report_.removed_entries.push_back(entry.descriptor.digest);
        continue;
      }
      if (!entry.status.ok())
        return absl::Status(
            entry.status.code(),
            fmt::format("{}; nothing is removed, because nobody knows what it needs",
                        std::string(entry.status.message())));
      Mark(entry.contents);
    }
    for (const Digest& digest : needed_)
      if (const auto blob = blobs_.find(digest); blob != blobs_.end()) Keep(blob->second);
    return absl::OkStatus();
  }

  void Keep(const Found& blob) {
    ++report_.kept_blobs;
    report_.kept_bytes += blob.size;
  }

  absl::Status MarkLeased() {
    IMAGE_ASSIGN_OR_RETURN(const Leases leases, ReadLeases(layout_, !options_.dry_run));
    report_.dead_leases = leases.dead;
    for (const LeaseInfo& lease : leases.live) {
      LeasedBlobs leased;
      leased.lease = lease;
      if (lease.everything) {
        everything_ = true;
        for (const auto& [digest, blob] : blobs_) AddLeased(digest, leased);
      }
      for (const Digest& manifest : lease.manifests) {
        auto contents = ReadContentsOf(layout_, manifest);
        if (absl::IsNotFound(contents.status())) continue;  // taken away by somebody else
        if (!contents.ok())
          return Prefix(contents.status(), fmt::format("in use by {}", lease.Holder()));
        for (const Digest& digest : contents->blobs) AddLeased(digest, leased);
        leased_.insert(contents->blobs.begin(), contents->blobs.end());
      }
      if (leased.blobs > 0) report_.leased.push_back(std::move(leased));
    }
    needed_.insert(leased_.begin(), leased_.end());
    return absl::OkStatus();
  }

  void AddLeased(const Digest& digest, LeasedBlobs& leased) const {
    const auto blob = blobs_.find(digest);
    if (blob == blobs_.end() || needed_.contains(digest)) return;
    ++leased.blobs;
    leased.bytes += blob->second.size;
  }

  // A referrer stays with its subject; one may be the subject of another.
  void MarkReferrers() {
    std::vector<const IndexEntry*> open;
    for (const IndexEntry& entry : entries_)
      if (IsReferrer(entry)) open.push_back(&entry);
    for (size_t before = 0; before != open.size();) {
      before = open.size();
      std::erase_if(open, [this](const IndexEntry* entry) {
        if (!Stays(*entry)) return false;
        for (const Digest& digest : entry->contents.blobs)
          if (const auto blob = blobs_.find(digest);
              needed_.insert(digest).second && blob != blobs_.end())
            Keep(blob->second);
        return true;
      });
    }
    for (const IndexEntry* entry : open)
      report_.removed_entries.push_back(entry->descriptor.digest);
  }

  // The subject of another program's may be in another layout, or about to be named.
  bool Stays(const IndexEntry& entry) {
    const Digest& subject = *entry.contents.subject;
    if (needed_.contains(subject)) return true;
    if (entry.contents.IsOurs()) return false;
    const auto blob = blobs_.find(subject);
    return blob == blobs_.end() || (IsYoung(blob->second) && !OursAt(blob->second).has_value());
  }

  bool IsYoung(const Found& blob) const {
    return options_.older_than > 0 && blob.changed > options_.now - options_.older_than;
  }

  // What a blob needs, if it is a manifest that only Stasis writes.
  std::optional<Contents> OursAt(const Found& blob) const {
    if (blob.size > kMaxManifestSize) return std::nullopt;
    auto contents = ReadContentsOf(layout_, blob.digest);
    if (!contents.ok() || !contents->IsOurs()) return std::nullopt;
    return *std::move(contents);
  }

  // Packs and states say of themselves whose they are only through their manifest: so it goes last.
  absl::Status Choose() {
    std::vector<Found> open;
    for (const auto& [digest, blob] : blobs_)
      if (!needed_.contains(digest)) open.push_back(blob);
    std::sort(open.begin(), open.end(),
              [](const Found& a, const Found& b) { return a.digest < b.digest; });
    absl::flat_hash_set<Digest> manifests, ours;
    for (const Found& blob : open) {
      const std::optional<Contents> contents = OursAt(blob);
      if (!contents.has_value()) continue;
      manifests.insert(blob.digest);
      ours.insert(contents->blobs.begin(), contents->blobs.end());
    }
    for (const bool last : {false, true}) {
      for (const Found& blob : open) {
        if (manifests.contains(blob.digest) != last) continue;
        if (ours.contains(blob.digest) || !IsYoung(blob)) {
          report_.removed.push_back({blob.digest, blob.size});
          report_.removed_bytes += blob.size;
        } else {
          ++report_.young_blobs;
          report_.young_bytes += blob.size;
        }
      }
      if (!last) manifests_at_ = report_.removed.size();
    }
    return absl::OkStatus();
  }

  absl::Status Remove() {
    if (!report_.removed_entries.empty()) {
      IMAGE_ASSIGN_OR_RETURN(const std::string text, layout_.ReadIndex());
      IMAGE_ASSIGN_OR_RETURN(Index index, Index::Parse(text));
      for (const Digest& digest : report_.removed_entries) index.RemoveUntagged(digest);
      IMAGE_RETURN_IF_ERROR(layout_.ReplaceIndex(index.Encode()));
    }
    for (size_t i = 0; i < report_.removed.size(); ++i) {
      if (i == manifests_at_ && i > 0) IMAGE_RETURN_IF_ERROR(Sync());
      const Digest& digest = report_.removed[i].digest;
      const auto removed = layout_.ops().UnlinkAt(layout_.blobs_fd(), digest.Hex());
      if (!removed && removed.error() != Errno(ENOENT))
        return ErrnoStatus(removed.error(), fmt::format("{}: cannot remove blob {}",
                                                        layout_.directory(), digest.ToString()));
    }
    return report_.removed.empty() ? absl::OkStatus() : Sync();
  }

  absl::Status Sync() {
    IMAGE_RETURN_IF_ERRNO(layout_.ops().SyncDirectory(layout_.blobs_fd()),
                          fmt::format("cannot write {}/blobs/sha256", layout_.directory()));
    return absl::OkStatus();
  }

  GcReport Summary() { return std::move(report_); }

  Layout& layout_;
  const GcOptions& options_;
  absl::flat_hash_map<Digest, Found> blobs_;  // that are there
  std::vector<IndexEntry> entries_;
  absl::flat_hash_set<Digest> needed_;
  absl::flat_hash_set<Digest> leased_;
  bool everything_ = false;  // is leased
  size_t manifests_at_ = 0;  // from here on, `removed` has manifests
  GcReport report_;
};

}  // namespace

absl::StatusOr<GcReport> CollectGarbage(Layout& layout, const GcOptions& options) {
  return Collection(layout, options).Run();
}

}  // namespace stasis::image
