// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/commit.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <utility>

#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"
#include "restore/image/transaction.h"
#include "restore/internal/format.h"
#include "restore/internal/stopwatch.h"
#include "restore/oci/internal/layer_writer.h"

namespace stasis::oci {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kCopyBuffer = size_t{1} << 20;
constexpr char kAnnotationBaseDigest[] = "org.opencontainers.image.base.digest";
constexpr char kDockerPrefix[] = "application/vnd.docker.";

TimeNs Now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

// One commit.
class Committer {
 public:
  Committer(const CommitRequest& request, image::Layout& layout)
      : request_(request),
        options_(request.options),
        layout_(layout),
        transaction_(layout),
        created_(restore::FormatTime(options_.time.value_or(Now()))) {}

  absl::StatusOr<CommitReport> Run();

 private:
  absl::Status TakeBase();
  absl::Status CopyBlob(const image::Layout& from, const image::Descriptor& blob);
  // Writes a layer, and puts it on top.
  absl::Status AddLayer(restore::TreeSource& upper, restore::TreeSource* merged,
                        bool one_file_system, const std::string& comment);
  void ChangeSettings();
  absl::Status CheckCancel() const;
  absl::StatusOr<image::StoredBlob> WriteManifest();

  const CommitRequest& request_;
  const CommitOptions& options_;
  image::Layout& layout_;
  image::Transaction transaction_;
  const std::string created_;
  Json config_ = Json::object();
  std::vector<image::Descriptor> layers_;  // bottom first
  image::Annotations annotations_;
  CommitReport report_;
};

absl::Status Committer::CheckCancel() const {
  if (options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed))
    return absl::CancelledError("cancelled");
  return absl::OkStatus();
}

absl::Status Committer::CopyBlob(const image::Layout& from, const image::Descriptor& blob) {
  if (from.id() == layout_.id() || layout_.HasBlob(blob.digest, blob.size)) return absl::OkStatus();
  IMAGE_ASSIGN_OR_RETURN(const UniqueFd fd, from.OpenBlob(blob.digest, blob.size));
  IMAGE_ASSIGN_OR_RETURN(image::BlobWriter writer, image::BlobWriter::Create(layout_, blob.size));
  const std::string what = fmt::format("{}: blob {}", from.directory(), blob.digest.ToString());
  std::vector<std::byte> buffer(std::min<uint64_t>(blob.size, kCopyBuffer));
  for (uint64_t at = 0; at < blob.size; at += buffer.size()) {
    IMAGE_RETURN_IF_ERROR(CheckCancel());
    const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), blob.size - at));
    IMAGE_RETURN_IF_ERROR(image::ReadFully(from.ops(), fd.get(), piece, at, what));
    IMAGE_RETURN_IF_ERROR(writer.Append(piece));
  }
  IMAGE_ASSIGN_OR_RETURN(const image::StoredBlob stored, transaction_.Add(std::move(writer)));
  if (stored.digest != blob.digest)
    return image::DataLoss("{} is damaged: its content has digest {}", what,
                           stored.digest.ToString());
  report_.copied += blob.size;
  return absl::OkStatus();
}

// Docker's names of what OCI has too.
std::string OciLayerType(const LayerBlob& layer) {
  return layer.blob.media_type.starts_with(kDockerPrefix) ? LayerMediaType(layer.compression)
                                                          : layer.blob.media_type;
}

// A history that does not speak of all layers is one that engines refuse.
void CompleteHistory(Json& config, size_t layers, const std::string& created) {
  Json& history = config["history"];
  if (!history.is_array()) history = Json::array();
  size_t described = 0;
  for (const Json& item : history)
    described += item.is_object() && item.value("empty_layer", false) ? 0 : 1;
  for (; described < layers; ++described)
    history.push_back({{"created", created}, {"comment", "of the base image"}});
}

absl::Status Committer::TakeBase() {
  IMAGE_ASSIGN_OR_RETURN(const auto from, image::Layout::Open(request_.base->directory));
  IMAGE_ASSIGN_OR_RETURN(Image image, ReadImage(*from, *request_.base, request_.platform));
  for (const LayerBlob& layer : image.layers) {
    IMAGE_RETURN_IF_ERROR(CopyBlob(*from, layer.blob));
    image::Descriptor descriptor;
    descriptor.media_type = OciLayerType(layer);
    descriptor.digest = layer.blob.digest;
    descriptor.size = layer.blob.size;
    layers_.push_back(std::move(descriptor));
  }
  config_ = std::move(image.config.json);
  CompleteHistory(config_, layers_.size(), created_);
  annotations_ = std::move(image.annotations);
  annotations_.erase(image::kAnnotationCreated);
  annotations_[kAnnotationBaseDigest] = image.manifest.digest.ToString();
  return absl::OkStatus();
}

absl::Status Committer::AddLayer(restore::TreeSource& upper, restore::TreeSource* merged,
                                 bool one_file_system, const std::string& comment) {
  restore::TreeCopyOptions copy;
  copy.one_file_system = one_file_system;
  copy.owners = options_.owners;
  copy.on_progress = options_.on_progress;
  copy.cancel = options_.cancel;
  LayerSource source(upper, merged, options_.time);
  IMAGE_ASSIGN_OR_RETURN(report_.layer, WriteLayer(source, options_.compression, copy, layout_,
                                                   transaction_, report_.tree));
  layers_.push_back(report_.layer.blob);
  config_["rootfs"]["diff_ids"].push_back(report_.layer.diff_id.ToString());
  Json history = {{"created", created_}, {"created_by", options_.created_by}};
  if (!options_.author.empty()) history["author"] = options_.author;
  if (!comment.empty()) history["comment"] = comment;
  config_["history"].push_back(std::move(history));
  return absl::OkStatus();
}

void Committer::ChangeSettings() {
  config_["created"] = created_;
  if (!options_.author.empty()) config_["author"] = options_.author;
  Json& run = config_["config"];
  if (!run.is_object()) run = Json::object();
  if (options_.env) run["Env"] = *options_.env;
  if (options_.entrypoint) run["Entrypoint"] = *options_.entrypoint;
  if (options_.cmd) run["Cmd"] = *options_.cmd;
  if (options_.working_dir) run["WorkingDir"] = *options_.working_dir;
  if (options_.user) run["User"] = *options_.user;
}

absl::StatusOr<image::StoredBlob> Committer::WriteManifest() {
  image::Descriptor config;
  config.media_type = kMediaTypeImageConfig;
  IMAGE_ASSIGN_OR_RETURN(const image::StoredBlob stored,
                         transaction_.AddBytes(restore::DumpJson(config_)));
  config.digest = stored.digest;
  config.size = stored.size;
  Json json = {{"schemaVersion", 2},
               {"mediaType", image::kMediaTypeManifest},
               {"config", image::DescriptorToJson(config)},
               {"layers", Json::array()}};
  for (const image::Descriptor& layer : layers_)
    json["layers"].push_back(image::DescriptorToJson(layer));
  for (const auto& [key, value] : annotations_) json["annotations"][key] = value;
  const std::string text = restore::DumpJson(json);
  if (text.size() > image::kMaxManifestSize)
    return absl::InvalidArgumentError(fmt::format("the manifest has {} bytes; registries take {}",
                                                  text.size(), image::kMaxManifestSize));
  return transaction_.AddBytes(text);
}

absl::StatusOr<CommitReport> Committer::Run() {
  const restore::Stopwatch watch;
  config_ = {{"created", created_},
             {"architecture", request_.platform.architecture},
             {"os", request_.platform.os},
             {"config", Json::object()},
             {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}},
             {"history", Json::array()}};
  if (!request_.platform.variant.empty()) config_["variant"] = request_.platform.variant;
  if (request_.base) IMAGE_RETURN_IF_ERROR(TakeBase());
  if (request_.base_tree != nullptr)
    IMAGE_RETURN_IF_ERROR(AddLayer(*request_.base_tree, nullptr, true, "the base directory"));
  IMAGE_RETURN_IF_ERROR(AddLayer(*request_.upper, request_.merged, false, options_.comment));
  ChangeSettings();
  IMAGE_ASSIGN_OR_RETURN(const image::StoredBlob manifest, WriteManifest());
  IMAGE_RETURN_IF_ERROR(CheckCancel());
  image::Descriptor entry;
  entry.media_type = image::kMediaTypeManifest;
  entry.digest = manifest.digest;
  entry.size = manifest.size;
  image::CommitOptions commit;
  commit.check = [this] { return CheckCancel(); };
  IMAGE_RETURN_IF_ERROR(transaction_.Commit(request_.tag, entry, commit));
  report_.reference = request_.directory + ":" + request_.tag;
  report_.manifest = manifest.digest;
  report_.layers = layers_.size();
  report_.tree.wall_ns = watch.Total();
  return std::move(report_);
}

}  // namespace

absl::StatusOr<CommitReport> Commit(const CommitRequest& request) {
  IMAGE_RETURN_IF_ERROR(image::CheckTag(request.tag));
  IMAGE_ASSIGN_OR_RETURN(const auto layout, image::Layout::OpenForWriting(request.directory));
  auto report = Committer(request, *layout).Run();
  if (!report.ok())
    return image::Prefix(report.status(),
                         fmt::format("cannot commit to {}:{}", request.directory, request.tag));
  return report;
}

std::string CommitReport::ToText() const {
  return fmt::format("{}: {}\nlayer {} ({}, {}), {} layers in all, {} files, {}, pause {}\n",
                     reference, manifest.ToString(), layer.blob.digest.ToString(),
                     restore::FormatBytes(layer.blob.size), CompressionName(layer.compression),
                     layers, tree.files, restore::FormatDuration(tree.wall_ns),
                     restore::FormatDuration(pause_ns));
}

std::string CommitReport::ToJson() const {
  const Json json = {{"reference", reference},
                     {"manifest", manifest.ToString()},
                     {"layer", layer.blob.digest.ToString()},
                     {"diff_id", layer.diff_id.ToString()},
                     {"layer_bytes", layer.blob.size},
                     {"compression", CompressionName(layer.compression)},
                     {"layers", layers},
                     {"copied_bytes", copied},
                     {"pause_ns", pause_ns},
                     {"tree", Json::parse(tree.ToJson())}};
  return restore::DumpJson(json);
}

}  // namespace stasis::oci
