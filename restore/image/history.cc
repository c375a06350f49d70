// SPDX-License-Identifier: Apache-2.0

#include "restore/image/history.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_split.h>
#include <absl/time/time.h>

#include <algorithm>
#include <map>
#include <utility>

#include "restore/image/contents.h"
#include "restore/image/internal/open_image.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

std::string AnnotationOf(const Annotations& annotations, const char* key) {
  const auto found = annotations.find(key);
  return found == annotations.end() ? std::string() : found->second;
}

std::optional<uint64_t> NumberOf(const nlohmann::ordered_json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<uint64_t>();
}

absl::Time TimeOf(const std::string& rfc3339) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, rfc3339, &time, nullptr)) return absl::InfinitePast();
  return time;
}

class Historian {
 public:
  explicit Historian(const Layout& layout) : layout_(layout) {}

  absl::StatusOr<History> Run() {
    IMAGE_ASSIGN_OR_RETURN(index_, ReadEntries(layout_));
    IMAGE_RETURN_IF_ERROR(MeasureBlobs());
    // If leases cannot be read, nothing is known to be leased.
    if (auto leases = ReadLeases(layout_); leases.ok()) leases_ = *std::move(leases);
    for (const IndexEntry& entry : index_)
      if (!entry.tag.empty()) AddEntry(entry);
    CountUsers();
    for (size_t i = 0; i < history_.entries.size(); ++i) Measure(i);
    for (size_t i = 0; i < history_.entries.size(); ++i) FindParent(history_.entries[i]);
    std::reverse(history_.entries.begin(), history_.entries.end());
    std::stable_sort(history_.entries.begin(), history_.entries.end(),
                     [](const HistoryEntry& a, const HistoryEntry& b) {
                       return TimeOf(a.created) > TimeOf(b.created);
                     });
    return std::move(history_);
  }

 private:
  absl::Status MeasureBlobs() {
    IMAGE_ASSIGN_OR_ERRNO(const auto names, layout_.ops().List(layout_.blobs_fd()),
                          fmt::format("cannot list {}/blobs/sha256", layout_.directory()));
    for (const std::string& name : names) {
      const auto digest = Digest::Parse("sha256:" + name);
      const auto st = layout_.ops().StatAt(layout_.blobs_fd(), name);
      if (!digest.ok() || !st || !S_ISREG(st->st_mode)) continue;
      sizes_[*digest] = static_cast<uint64_t>(st->st_size);
      ++history_.blobs;
      history_.total_bytes += static_cast<uint64_t>(st->st_size);
    }
    return absl::OkStatus();
  }

  void AddEntry(const IndexEntry& from) {
    HistoryEntry& entry = history_.entries.emplace_back();
    entry.tag = from.tag;
    entry.digest = from.descriptor.digest;
    entry.artifact_type = from.contents.artifact_type;
    entry.created = AnnotationOf(from.descriptor.annotations, kAnnotationCreated);
    entry.name = AnnotationOf(from.descriptor.annotations, kAnnotationContainerName);
    entry.is_checkpoint = entry.artifact_type == kMediaTypeConfig ||
                          from.descriptor.artifact_type == kMediaTypeConfig;
    entry.status = from.status;
    for (const LeaseInfo& lease : leases_.live)
      if (lease.Names(entry.digest)) entry.leases.push_back(lease);
    if (entry.status.ok() && !tags_.insert(entry.tag).second)
      entry.status = DataLoss("index.json: tag \"{}\" is there twice", entry.tag);
    if (entry.status.ok() && entry.is_checkpoint) entry.status = ReadCheckpoint(from, entry);
    needs_.push_back(from.contents.blobs);
    AddReferrers(entry, needs_.back());
  }

  absl::Status ReadCheckpoint(const IndexEntry& from, HistoryEntry& entry) {
    IMAGE_ASSIGN_OR_RETURN(const ImageInfo info, OpenManifest(layout_, from.tag, from.descriptor));
    const Annotations& annotations = info.manifest.annotations;
    entry.created = AnnotationOf(annotations, kAnnotationCreated);
    entry.name = AnnotationOf(annotations, kAnnotationContainerName);
    if (!info.parent.empty()) {
      entry.parent.emplace();
      entry.parent->digest = info.parent;
    }
    for (const absl::string_view old :
         absl::StrSplit(AnnotationOf(annotations, kAnnotationSquashed), ',', absl::SkipEmpty()))
      became_[std::string(old)].push_back(entry.tag);
    IMAGE_ASSIGN_OR_RETURN(const std::string text,
                           layout_.ReadBlob(info.manifest.config, kMaxConfigSize));
    // What a newer version has written is as good as damaged to `verify`, not here.
    IMAGE_ASSIGN_OR_RETURN(const auto config, ParseJson(text, "config"));
    if (config.is_object() && config.contains("statistics") && config["statistics"].is_object()) {
      entry.files = NumberOf(config["statistics"], "files");
      entry.content_bytes = NumberOf(config["statistics"], "content_bytes");
    }
    IMAGE_RETURN_IF_ERROR(CheckBlob(info.manifest.state));
    for (const Descriptor& pack : info.manifest.packs) IMAGE_RETURN_IF_ERROR(CheckBlob(pack));
    return absl::OkStatus();
  }

  absl::Status CheckBlob(const Descriptor& blob) const {
    const std::string what =
        fmt::format("{}: blob {}", layout_.directory(), blob.digest.ToString());
    const auto found = sizes_.find(blob.digest);
    if (found == sizes_.end()) return DataLoss("{} is missing", what);
    if (found->second != blob.size)
      return DataLoss("{} has {} bytes, {} are expected", what, found->second, blob.size);
    return absl::OkStatus();
  }

  void AddReferrers(HistoryEntry& entry, std::vector<Digest>& needs) const {
    for (const IndexEntry& other : index_) {
      if (!other.tag.empty() || other.contents.subject != entry.digest) continue;
      needs.insert(needs.end(), other.contents.blobs.begin(), other.contents.blobs.end());
      entry.has_trace = entry.has_trace || other.contents.artifact_type.starts_with(kTraceTypes);
    }
    std::sort(needs.begin(), needs.end());
    needs.erase(std::unique(needs.begin(), needs.end()), needs.end());
  }

  void CountUsers() {
    for (const std::vector<Digest>& needs : needs_)
      for (const Digest& digest : needs) ++users_[digest];
    absl::flat_hash_set<Digest> named;
    for (const IndexEntry& entry : index_)
      named.insert(entry.contents.blobs.begin(), entry.contents.blobs.end());
    for (const auto& [digest, size] : sizes_)
      if (!named.contains(digest)) history_.unnamed_bytes += size;
  }

  void Measure(size_t i) {
    HistoryEntry& entry = history_.entries[i];
    for (const Digest& digest : needs_[i]) {
      const auto size = sizes_.find(digest);
      if (size == sizes_.end()) continue;
      entry.stored_bytes += size->second;
      if (users_[digest] == 1) entry.own_bytes += size->second;
    }
  }

  void FindParent(HistoryEntry& entry) const {
    if (!entry.parent.has_value()) return;
    HistoryParent& parent = *entry.parent;
    for (const HistoryEntry& other : history_.entries)
      if (other.digest.ToString() == parent.digest) parent.tags.push_back(other.tag);
    if (const auto became = became_.find(parent.digest);
        parent.tags.empty() && became != became_.end())
      parent.tags = became->second;
    const auto digest = Digest::Parse(parent.digest);
    if (!parent.tags.empty())
      parent.state = HistoryParent::State::kTagged;
    else if (digest.ok() && sizes_.contains(*digest))
      parent.state = HistoryParent::State::kUntagged;
  }

  const Layout& layout_;
  std::vector<IndexEntry> index_;
  Leases leases_;
  absl::flat_hash_map<Digest, uint64_t> sizes_;
  absl::flat_hash_set<std::string> tags_;
  std::vector<std::vector<Digest>> needs_;  // by entry of the history
  absl::flat_hash_map<Digest, int> users_;
  std::map<std::string, std::vector<std::string>> became_;  // squashed digest: tags
  History history_;
};

}  // namespace

absl::StatusOr<History> ReadHistory(const Layout& layout) { return Historian(layout).Run(); }

}  // namespace stasis::image
