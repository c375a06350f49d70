// SPDX-License-Identifier: Apache-2.0

#include "restore/image/verify.h"

#include <algorithm>
#include <utility>

#include "restore/image/index.h"
#include "restore/image/internal/files.h"
#include "restore/image/internal/frame_io.h"
#include "restore/image/internal/open_image.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr size_t kPiece = 1024 * 1024;

class Verifier {
 public:
  Verifier(const Layout& layout, std::string_view tag, const VerifyOptions& options)
      : layout_(layout), tag_(tag), options_(options) {}

  VerifyReport Run() {
    const auto entry = FindEntry();
    if (entry.ok()) VerifyEntry(*entry);
    return std::move(report_);
  }

 private:
  void Add(absl::Status finding) {
    if (report_.findings.size() < options_.max_findings)
      report_.findings.push_back(std::move(finding));
    else
      ++report_.findings_dropped;
  }

  // False after noting an error.
  bool Check(const absl::Status& status) {
    if (!status.ok()) Add(status);
    return status.ok();
  }

  absl::StatusOr<Descriptor> FindEntry() {
    auto text = layout_.ReadIndex();
    if (!Check(text.status())) return text.status();
    auto index = Index::Parse(*text);
    if (!Check(Prefix(index.status(), layout_.directory()))) return index.status();
    for (const std::string& unknown : index->UnknownProperties(tag_))
      Add(DataLoss("{}: {}", layout_.directory(), unknown));
    auto entry = index->Find(tag_);
    Check(Prefix(entry.status(), layout_.directory()));
    return entry;
  }

  void VerifyEntry(const Descriptor& entry) {
    auto info = OpenManifest(layout_, tag_, entry);
    if (!Check(info.status())) return;
    CountBlob(entry.size);
    total_ = entry.size + info->manifest.config.size + info->manifest.state.size;
    for (const Descriptor& pack : info->manifest.packs) total_ += 2 * pack.size;
    // A version that we cannot read: we do not know what else there is to check.
    const absl::Status config = OpenConfig(layout_, options_.known_features, *info);
    if (Check(config)) CountBlob(info->manifest.config.size);
    if (absl::IsUnimplemented(config)) return;
    const auto state = OpenState(layout_, *info);
    if (Check(state.status())) CountBlob(info->manifest.state.size);
    std::vector<UniqueFd> packs;
    for (const Descriptor& pack : info->manifest.packs) packs.push_back(VerifyPack(pack));
    if (state.ok()) VerifyFrames(*info, state->data, packs);
  }

  void CountBlob(uint64_t size) {
    ++report_.blobs;
    Progress(size);
  }

  void Progress(uint64_t bytes) {
    report_.bytes += bytes;
    if (options_.on_progress) options_.on_progress({std::min(report_.bytes, total_), total_});
  }

  // The open pack, or nothing if it cannot be read at all.
  UniqueFd VerifyPack(const Descriptor& pack) {
    auto fd = layout_.OpenBlob(pack.digest, pack.size);
    if (!Check(fd.status())) return UniqueFd();
    const std::string what =
        fmt::format("{}: pack {}", layout_.directory(), pack.digest.ToString());
    Hasher hasher;
    std::vector<std::byte> buffer(std::min<uint64_t>(kPiece, pack.size));
    for (uint64_t at = 0; at < pack.size; at += buffer.size()) {
      const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), pack.size - at));
      if (!Check(ReadFully(layout_.ops(), fd->get(), piece, at, what))) return *std::move(fd);
      hasher.Update(piece);
      Progress(piece.size());
    }
    ++report_.blobs;
    const Digest found = hasher.Finish();
    if (found != pack.digest)
      Add(DataLoss("{} is damaged: its content has digest {}", what, found.ToString()));
    return *std::move(fd);
  }

  void VerifyFrames(const ImageInfo& info, const DataTables& data,
                    const std::vector<UniqueFd>& packs) {
    for (size_t i = 0; i < data.frames.size(); ++i) {
      const FrameEntry& frame = data.frames[i];
      if (!packs[frame.pack].valid()) continue;  // noted already
      const auto content = ReadFrameFrom(layout_.ops(), packs[frame.pack].get(), frame,
                                         fmt::format("{}: pack {}, frame {}", info.reference,
                                                     data.packs[frame.pack].digest.ToString(), i));
      if (Check(content.status())) ++report_.frames;
      Progress(frame.stored_length);
    }
    report_.chunks = data.chunks.size();  // checked when the table was taken apart
  }

  const Layout& layout_;
  const std::string tag_;
  const VerifyOptions& options_;
  VerifyReport report_;
  uint64_t total_ = 0;
};

}  // namespace

absl::Status VerifyReport::status() const {
  if (findings.empty()) return absl::OkStatus();
  const uint64_t more = findings.size() - 1 + findings_dropped;
  if (more == 0) return findings.front();
  return absl::Status(
      findings.front().code(),
      fmt::format("{} (and {} more)", std::string(findings.front().message()), more));
}

VerifyReport VerifyImage(const Layout& layout, std::string_view tag, const VerifyOptions& options) {
  return Verifier(layout, tag, options).Run();
}

}  // namespace stasis::image
