// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/layer_source.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/overlay_format.h"

namespace stasis::oci {
namespace {

using restore::Extent;
using restore::FileAttributes;
using restore::FileReader;
using restore::IsWhiteout;
using restore::kOpaqueName;
using restore::kWhiteoutPrefix;
using restore::OverlayXattr;
using restore::RemoveOverlayXattrs;
using restore::StartsWith;
using restore::TreeSource;
using restore::Xattrs;

bool IsMarker(const std::string& name) { return StartsWith(name, kWhiteoutPrefix); }

FileAttributes MarkerAttributes() {
  FileAttributes attributes;
  attributes.stat.mode = S_IFREG;
  attributes.stat.nlink = 1;
  return attributes;
}

class MarkerReader final : public FileReader {
 public:
  Result<FileAttributes> Stat() override { return MarkerAttributes(); }
  Result<Extent> NextData(uint64_t, uint64_t size) override { return Extent{size, 0}; }
  Result<size_t> Read(uint64_t, std::span<std::byte>) override { return 0; }
  Result<Xattrs> GetXattrs() override { return Xattrs(); }
};

// A file whose identity and latest time are said by others.
class LayerReader final : public FileReader {
 public:
  LayerReader(std::unique_ptr<FileReader> reader, restore::FileKey key,
              std::optional<TimeNs> max_mtime)
      : reader_(std::move(reader)), key_(key), max_mtime_(max_mtime) {}

  Result<FileAttributes> Stat() override {
    STASIS_ASSIGN_OR_RETURN(FileAttributes attributes, reader_->Stat());
    attributes.key = key_;
    if (max_mtime_) attributes.stat.mtime = std::min(attributes.stat.mtime, *max_mtime_);
    return attributes;
  }
  Result<Extent> NextData(uint64_t offset, uint64_t size) override {
    return reader_->NextData(offset, size);
  }
  Result<size_t> Read(uint64_t offset, std::span<std::byte> out) override {
    return reader_->Read(offset, out);
  }
  Result<Xattrs> GetXattrs() override {
    STASIS_ASSIGN_OR_RETURN(Xattrs xattrs, reader_->GetXattrs());
    RemoveOverlayXattrs(xattrs);
    return xattrs;
  }

 private:
  const std::unique_ptr<FileReader> reader_;
  const restore::FileKey key_;
  const std::optional<TimeNs> max_mtime_;
};

}  // namespace

LayerSource::LayerSource(TreeSource& upper, TreeSource* merged, std::optional<TimeNs> max_mtime)
    : upper_(upper), merged_(merged), max_mtime_(max_mtime) {
  Level root;
  const Result<Xattrs> xattrs = upper_.GetXattrs("");
  root.opaque = xattrs && OverlayXattr(*xattrs, "opaque") == "y";
  levels_.push_back(std::move(root));
}

Result<std::vector<std::string>> LayerSource::List() {
  TreeSource& source = in_upper() ? upper_ : *merged_;
  STASIS_ASSIGN_OR_RETURN(std::vector<std::string> names, source.List());
  for (std::string& name : names) {
    STASIS_ASSIGN_OR_RETURN(name, NameInLayer(name));
  }
  if (levels_.back().opaque) names.emplace_back(kOpaqueName);
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::pair(!IsMarker(a), std::string_view(a)) <
           std::pair(!IsMarker(b), std::string_view(b));
  });
  return names;
}

Result<std::string> LayerSource::NameInLayer(const std::string& name) {
  if (IsMarker(name)) {
    status_ = absl::InvalidArgumentError(fmt::format(
        "{}{} has a name that OCI layers cannot hold: those beginning with \".wh.\" mean "
        "whiteouts; rename or remove it",
        levels_.back().path, restore::PrintablePath("/" + name)));
    return Err(EINVAL);
  }
  if (!in_upper()) return name;
  STASIS_ASSIGN_OR_RETURN(const FileAttributes attributes, upper_.Stat(name));
  if (!IsWhiteout(attributes.stat.mode, attributes.stat.rdev)) return name;
  return std::string(kWhiteoutPrefix) + name;
}

Result<TreeSource*> LayerSource::NeedMerged(const std::string& name, const char* why) {
  if (merged_ != nullptr) return merged_;
  status_ = absl::InvalidArgumentError(fmt::format("{}{} {}, and what is below it is not known",
                                                   levels_.back().path,
                                                   restore::PrintablePath("/" + name), why));
  return Err(EINVAL);
}

Result<TreeSource*> LayerSource::From(const std::string& name) {
  if (!in_upper()) return merged_;
  if (name.empty()) return &upper_;
  if (from_ != nullptr && name == from_name_) return from_;
  from_ = &upper_;
  from_name_ = name;
  STASIS_ASSIGN_OR_RETURN(const FileAttributes attributes, upper_.Stat(name));
  if (!S_ISREG(attributes.stat.mode)) return from_;
  // A file that is copied up at this moment may have its data only there.
  if (merged_ != nullptr) return from_ = merged_;
  STASIS_ASSIGN_OR_RETURN(const Xattrs xattrs, upper_.GetXattrs(name));
  if (!OverlayXattr(xattrs, "metacopy")) return from_;
  STASIS_ASSIGN_OR_RETURN(from_, NeedMerged(name, "has its data in a lower layer"));
  return from_;
}

FileAttributes LayerSource::Adjusted(FileAttributes attributes) const {
  if (max_mtime_) attributes.stat.mtime = std::min(attributes.stat.mtime, *max_mtime_);
  return attributes;
}

Result<FileAttributes> LayerSource::Stat(const std::string& name) {
  if (IsMarker(name)) return MarkerAttributes();
  STASIS_ASSIGN_OR_RETURN(TreeSource * from, From(name));
  STASIS_ASSIGN_OR_RETURN(FileAttributes attributes, from->Stat(name));
  // One file, one key, also if another of its names is in a directory that was moved.
  const bool linked = !S_ISDIR(attributes.stat.mode) && attributes.stat.nlink > 1;
  if (linked && from == &upper_ && merged_ != nullptr) {
    STASIS_ASSIGN_OR_RETURN(const FileAttributes seen, merged_->Stat(name));
    attributes.key = seen.key;
  }
  return Adjusted(attributes);
}

Result<std::string> LayerSource::ReadLink(const std::string& name) {
  STASIS_ASSIGN_OR_RETURN(TreeSource * from, From(name));
  return from->ReadLink(name);
}

Result<Xattrs> LayerSource::GetXattrs(const std::string& name) {
  if (IsMarker(name)) return Xattrs();
  STASIS_ASSIGN_OR_RETURN(TreeSource * from, From(name));
  STASIS_ASSIGN_OR_RETURN(Xattrs xattrs, from->GetXattrs(name));
  RemoveOverlayXattrs(xattrs);
  return xattrs;
}

Result<std::unique_ptr<FileReader>> LayerSource::Open(const std::string& name) {
  if (IsMarker(name)) return std::make_unique<MarkerReader>();
  STASIS_ASSIGN_OR_RETURN(const FileAttributes attributes, Stat(name));
  STASIS_ASSIGN_OR_RETURN(TreeSource * from, From(name));
  STASIS_ASSIGN_OR_RETURN(std::unique_ptr<FileReader> reader, from->Open(name));
  return std::make_unique<LayerReader>(std::move(reader), attributes.key, max_mtime_);
}

Result<void> LayerSource::Enter(const std::string& name) {
  Level level;
  level.path = levels_.back().path + restore::PrintablePath("/" + name);
  level.upper = in_upper();
  if (level.upper) {
    STASIS_ASSIGN_OR_RETURN(const Xattrs xattrs, upper_.GetXattrs(name));
    const bool moved = OverlayXattr(xattrs, "redirect").has_value();
    if (moved) STASIS_RETURN_IF_ERROR(NeedMerged(name, "was moved here"));
    level.opaque = moved || OverlayXattr(xattrs, "opaque") == "y";
    level.upper = !moved;
  }
  if (level.upper) STASIS_RETURN_IF_ERROR(upper_.Enter(name));
  if (merged_ != nullptr) STASIS_RETURN_IF_ERROR(merged_->Enter(name));
  from_ = nullptr;
  levels_.push_back(std::move(level));
  return {};
}

Result<void> LayerSource::Leave() {
  const bool upper = in_upper();
  levels_.pop_back();
  from_ = nullptr;
  if (upper) STASIS_RETURN_IF_ERROR(upper_.Leave());
  if (merged_ != nullptr) STASIS_RETURN_IF_ERROR(merged_->Leave());
  return {};
}

}  // namespace stasis::oci
