// SPDX-License-Identifier: Apache-2.0

#include "restore/image/trace_store.h"

#include <utility>

#include "restore/image/index.h"
#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"
#include "restore/image/transaction.h"

namespace stasis::image {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxTraceManifest = 64 * 1024;
constexpr char kEmptyConfig[] = "{}";
constexpr char kWhat[] = "manifest of a trace";

// What a trace's manifest says.
struct TraceManifest {
  Descriptor subject;
  Descriptor layer;
};

std::string EncodeTraceManifest(const TraceManifest& manifest, const StoredBlob& config) {
  Json json;
  json["schemaVersion"] = 2;
  json["mediaType"] = kMediaTypeManifest;
  json["artifactType"] = kMediaTypeTrace;
  json["config"] = DescriptorToJson(DescriptorOf(kMediaTypeEmpty, config));
  json["layers"] = Json::array({DescriptorToJson(manifest.layer)});
  json["subject"] = DescriptorToJson(manifest.subject);
  return json.dump();
}

absl::StatusOr<TraceManifest> ParseTraceManifest(const std::string& text) {
  IMAGE_ASSIGN_OR_RETURN(const Json json, ParseJson(text, kWhat));
  if (!json.is_object()) return DataLoss("{} is not a JSON object", kWhat);
  const auto layers = json.find("layers");
  if (layers == json.end() || !layers->is_array() || layers->size() != 1)
    return DataLoss("{}: \"layers\" is not a list of one", kWhat);
  const auto subject = json.find("subject");
  if (subject == json.end()) return DataLoss("{}: \"subject\" is missing", kWhat);
  TraceManifest manifest;
  IMAGE_ASSIGN_OR_RETURN(manifest.subject,
                         ParseDescriptor(*subject, std::string(kWhat) + ", subject"));
  IMAGE_ASSIGN_OR_RETURN(manifest.layer,
                         ParseDescriptor((*layers)[0], std::string(kWhat) + ", layer 0"));
  if (manifest.layer.media_type != kMediaTypeTrace)
    return DataLoss("{}, layer 0: \"mediaType\" is \"{}\", not {}", kWhat,
                    manifest.layer.media_type, kMediaTypeTrace);
  return manifest;
}

// A trace's entry in the index, and its manifest.
struct Found {
  Descriptor entry;
  TraceManifest manifest;
};

absl::StatusOr<Index> ParseIndex(const Layout& layout) {
  IMAGE_ASSIGN_OR_RETURN(const std::string text, layout.ReadIndex());
  auto index = Index::Parse(text);
  if (!index.ok()) return Prefix(index.status(), layout.directory());
  return index;
}

// Those of the image, the latest last. Damaged ones are of no image.
std::vector<Found> FindAll(const Layout& layout, const Index& index, const Digest& subject) {
  std::vector<Found> found;
  for (Descriptor& entry : index.Untagged(kMediaTypeTrace)) {
    const auto text = layout.ReadBlob(entry, kMaxTraceManifest);
    if (!text.ok()) continue;
    auto manifest = ParseTraceManifest(*text);
    if (manifest.ok() && manifest->subject.digest == subject)
      found.push_back({std::move(entry), *std::move(manifest)});
  }
  return found;
}

absl::Status Store(Layout& layout, const TraceSubject& subject, const std::string& blob) {
  IMAGE_ASSIGN_OR_RETURN(const Index index, ParseIndex(layout));
  if (!index.Names(subject.manifest))
    return absl::NotFoundError(fmt::format("{}: the image {} is not there any more",
                                           layout.directory(), subject.manifest.ToString()));
  std::vector<Digest> old;
  for (const Found& found : FindAll(layout, index, subject.manifest))
    old.push_back(found.entry.digest);
  Transaction transaction(layout);
  IMAGE_ASSIGN_OR_RETURN(const StoredBlob config, transaction.AddBytes(kEmptyConfig));
  IMAGE_ASSIGN_OR_RETURN(const StoredBlob layer, transaction.AddBytes(blob));
  TraceManifest manifest;
  manifest.layer = DescriptorOf(kMediaTypeTrace, layer);
  manifest.subject = DescriptorOf(kMediaTypeManifest, {subject.manifest, subject.manifest_size});
  IMAGE_ASSIGN_OR_RETURN(const StoredBlob stored,
                         transaction.AddBytes(EncodeTraceManifest(manifest, config)));
  Descriptor entry = DescriptorOf(kMediaTypeManifest, stored);
  entry.artifact_type = kMediaTypeTrace;
  return transaction.CommitReferrer(old, entry);
}

}  // namespace

absl::StatusOr<Trace> FindTrace(const Layout& layout, const TraceSubject& subject) {
  IMAGE_ASSIGN_OR_RETURN(const Index index, ParseIndex(layout));
  const std::vector<Found> found = FindAll(layout, index, subject.manifest);
  if (found.empty())
    return absl::NotFoundError(fmt::format("{}: there is no trace of the image {}",
                                           layout.directory(), subject.manifest.ToString()));
  IMAGE_ASSIGN_OR_RETURN(const std::string blob,
                         layout.ReadBlob(found.back().manifest.layer, kMaxTraceBlob));
  auto trace = DecodeTrace(AsBytes(blob));
  if (!trace.ok()) return Prefix(trace.status(), layout.directory());
  if (trace->manifest != subject.manifest)
    return DataLoss("{}: trace, field manifest: {}, not {}", layout.directory(),
                    trace->manifest.ToString(), subject.manifest.ToString());
  if (trace->frame_count != subject.frame_count)
    return DataLoss("{}: trace, field frameCount: {}, but the image has {}", layout.directory(),
                    trace->frame_count, subject.frame_count);
  return trace;
}

absl::Status StoreTrace(const std::string& directory, const TraceSubject& subject,
                        std::vector<uint32_t> frames, std::shared_ptr<FileOps> ops) {
  {
    // Opened for writing, a directory that has gone would be made anew.
    IMAGE_ASSIGN_OR_RETURN(const auto layout, Layout::Open(directory, ops));
    IMAGE_ASSIGN_OR_RETURN(const Index index, ParseIndex(*layout));
    if (!index.Names(subject.manifest))
      return absl::NotFoundError(fmt::format("{}: the image {} is not there any more", directory,
                                             subject.manifest.ToString()));
  }
  IMAGE_ASSIGN_OR_RETURN(const std::string blob,
                         EncodeTrace({subject.manifest, subject.frame_count, std::move(frames)}));
  IMAGE_ASSIGN_OR_RETURN(const auto layout, Layout::OpenForWriting(directory, std::move(ops)));
  return Store(*layout, subject, blob);
}

}  // namespace stasis::image
