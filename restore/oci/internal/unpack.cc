// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/unpack.h"

#include <absl/strings/escaping.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "restore/image/internal/status.h"
#include "restore/internal/format.h"
#include "restore/oci/internal/layer_stream.h"
#include "restore/oci/internal/layer_tree.h"
#include "restore/oci/internal/lower_directories.h"

namespace stasis::oci {
namespace {

using Json = nlohmann::ordered_json;
using image::DataLoss;

constexpr int kRecordVersion = 1;

// Every entry into `tree`.
absl::Status UnpackEntries(LayerStream& stream, LayerTree& tree) {
  while (true) {
    IMAGE_ASSIGN_OR_RETURN(struct archive_entry * header, stream.Next());
    if (header == nullptr) break;
    auto entry = ReadTarEntry(header);
    if (!entry.ok()) return image::Prefix(entry.status(), ShownName(header));
    const std::string shown = ShownName(header);
    if (absl::Status status = tree.Add(*std::move(entry), stream); !status.ok())
      return image::Prefix(status, shown);
  }
  return tree.Finish();
}

absl::Status Read(const Json& json, LayerRecord& record) {
  if (!json.is_object() || json.value("version", 0) != kRecordVersion)
    return DataLoss("layer.json is not of version {}", kRecordVersion);
  IMAGE_ASSIGN_OR_RETURN(record.digest, image::Digest::Parse(json.value("digest", "")));
  IMAGE_ASSIGN_OR_RETURN(record.diff_id, image::Digest::Parse(json.value("diff_id", "")));
  record.bytes = json.value("bytes", uint64_t{0});
  record.entries = json.value("entries", uint64_t{0});
  record.apparent_bytes = json.value("apparent_bytes", uint64_t{0});
  for (const Json& item : json.value("implied_base64", Json::array())) {
    std::string path;
    if (!item.is_string() || !absl::Base64Unescape(item.get<std::string>(), &path))
      return DataLoss("layer.json: \"implied_base64\" has an item that is none");
    record.implied.push_back(std::move(path));
  }
  return absl::OkStatus();
}

}  // namespace

std::string LayerRecord::Encode() const {
  Json paths = Json::array();
  for (const std::string& path : implied) paths.push_back(absl::Base64Escape(restore::Absl(path)));
  const Json json = {{"version", kRecordVersion},
                     {"digest", digest.ToString()},
                     {"diff_id", diff_id.ToString()},
                     {"bytes", bytes},
                     {"entries", entries},
                     {"apparent_bytes", apparent_bytes},
                     {"implied_base64", paths}};
  return restore::DumpJson(json);
}

absl::StatusOr<LayerRecord> LayerRecord::Parse(std::string_view text) {
  IMAGE_ASSIGN_OR_RETURN(const Json json, image::ParseJson(text, "layer.json"));
  LayerRecord record;
  try {
    IMAGE_RETURN_IF_ERROR(Read(json, record));
  } catch (const Json::exception& error) {
    return DataLoss("layer.json: {}", error.what());
  }
  return record;
}

absl::StatusOr<LayerRecord> UnpackLayer(const image::Layout& layout, const LayerBlob& layer,
                                        UniqueFd root, const std::vector<std::string>& lowers,
                                        const UnpackOptions& options,
                                        std::vector<std::string>& warnings) {
  IMAGE_ASSIGN_OR_RETURN(UniqueFd blob, layout.OpenBlob(layer.blob.digest, layer.blob.size));
  const UnpackLimits& limits = options.limits;
  const LayerStreamOptions reading{limits.max_bytes, options.cancel, options.on_progress};
  LayerStream stream(std::move(blob), layer, reading);
  const LowerDirectories below(lowers);
  restore::TransferReport report;
  LayerTree tree(std::move(root),
                 {limits.max_entries, limits.max_file_size, limits.max_apparent_bytes}, below,
                 report);
  const absl::Status unpacked = UnpackEntries(stream, tree);
  const bool content_is_to_blame = unpacked.ok() || absl::IsDataLoss(unpacked);
  if (content_is_to_blame) IMAGE_RETURN_IF_ERROR(stream.Finish());
  if (!unpacked.ok()) return unpacked;
  for (restore::TransferIssue& issue : report.warnings)
    warnings.push_back(issue.path + ": " + issue.message);
  return LayerRecord{layer.blob.digest, layer.diff_id,         stream.bytes(),
                     tree.entries(),    tree.apparent_bytes(), tree.implied()};
}

bool FitsOver(const std::string& tree, const LayerRecord& record,
              const std::vector<std::string>& lowers) {
  const LowerDirectories below(lowers);
  const LowerDirectories self({tree});
  for (const std::string& path : record.implied) {
    const auto found = self.Find(path);
    if (!found) return false;
    restore::TreeNode wanted;
    wanted.attributes.stat.mode = S_IFDIR | 0755;
    wanted.attributes.stat.uid = ::geteuid();
    wanted.attributes.stat.gid = ::getegid();
    if (auto lower = below.Find(path)) wanted = *std::move(lower);
    const vfs::Stat& a = found->attributes.stat;
    const vfs::Stat& b = wanted.attributes.stat;
    if (a.mode != b.mode || a.uid != b.uid || a.gid != b.gid || found->xattrs != wanted.xattrs)
      return false;
  }
  return true;
}

}  // namespace stasis::oci
