// SPDX-License-Identifier: Apache-2.0

#include "restore/image/internal/pending.h"

#include <fcntl.h>

#include <string>
#include <string_view>

#include "restore/image/index.h"
#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr char kPendingFile[] = "pending";
constexpr uint64_t kMaxPending = 64 * 1024 * 1024;
constexpr int kMaxIndexNesting = 8;

std::vector<Digest> ParsePending(std::string_view text) {
  std::vector<Digest> digests;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // torn: then no blob has got its name yet
    if (auto digest = Digest::Parse("sha256:" + std::string(text.substr(0, end))); digest.ok())
      digests.push_back(*digest);
    text.remove_prefix(end + 1);
  }
  return digests;
}

// The text of index.json and of all that it refers to and that refers to something in its turn. A
// digest that is not in this text is not referred to.
class References {
 public:
  explicit References(const Layout& layout) : layout_(layout) {}

  absl::Status Collect() {
    IMAGE_ASSIGN_OR_RETURN(const std::string index, layout_.ReadIndex());
    if (auto parsed = Index::Parse(index); !parsed.ok())
      return Prefix(parsed.status(), layout_.directory());
    return Add(index, 0);
  }

  bool Contain(const Digest& digest) const { return text_.find(digest.Hex()) != std::string::npos; }

 private:
  absl::Status Add(const std::string& document, int depth) {
    text_ += document;
    text_ += '\n';
    auto json = ParseJson(document, "index");
    if (!json.ok() || !json->is_object() || !json->contains("manifests")) return absl::OkStatus();
    for (const auto& entry : (*json)["manifests"]) {
      auto descriptor = ParseDescriptor(entry, "index");
      if (!descriptor.ok() || descriptor->size > kMaxIndexSize) continue;
      auto blob = layout_.ReadBlob(*descriptor, kMaxIndexSize);
      if (!blob.ok() && !absl::IsDataLoss(blob.status())) return blob.status();
      if (blob.ok() && depth < kMaxIndexNesting) IMAGE_RETURN_IF_ERROR(Add(*blob, depth + 1));
    }
    return absl::OkStatus();
  }

  const Layout& layout_;
  std::string text_;
};

absl::Status RemovePendingBlobs(Layout& layout, const std::vector<Digest>& digests) {
  References references(layout);
  IMAGE_RETURN_IF_ERROR(references.Collect());
  for (const Digest& digest : digests) {
    if (references.Contain(digest)) continue;
    const auto removed = layout.ops().UnlinkAt(layout.blobs_fd(), digest.Hex());
    if (!removed && removed.error() != Errno(ENOENT))
      return ErrnoStatus(removed.error(), fmt::format("{}: cannot remove the left-over blob {}",
                                                      layout.directory(), digest.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> WritePending(Layout& layout, const std::vector<Digest>& digests) {
  const std::string what = layout.directory() + "/.stasis/tmp/pending";
  std::string text;
  for (const Digest& digest : digests) text += digest.Hex() + "\n";
  FileOps& ops = layout.ops();
  IMAGE_ASSIGN_OR_ERRNO(
      UniqueFd fd,
      ops.OpenAt(layout.temp_fd(), kPendingFile, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0666),
      "cannot create " + what);
  IMAGE_RETURN_IF_ERROR(WriteAll(ops, fd.get(), AsBytes(text), what));
  return fd;
}

void RemovePending(Layout& layout) { (void)layout.ops().UnlinkAt(layout.temp_fd(), kPendingFile); }

absl::Status RemoveLeftovers(Layout& layout) {
  const std::string folder = layout.directory() + "/.stasis/tmp";
  FileOps& ops = layout.ops();
  auto pending =
      ReadSmallFile(ops, layout.temp_fd(), kPendingFile, kMaxPending, folder + "/" + kPendingFile);
  if (pending.ok()) {
    if (const auto digests = ParsePending(*pending); !digests.empty())
      IMAGE_RETURN_IF_ERROR(RemovePendingBlobs(layout, digests));
  } else if (!absl::IsNotFound(pending.status())) {
    return pending.status();
  }
  IMAGE_ASSIGN_OR_ERRNO(const auto names, ops.List(layout.temp_fd()), "cannot list " + folder);
  for (const std::string& name : names) {
    const auto removed = ops.UnlinkAt(layout.temp_fd(), name);
    if (!removed && removed.error() != Errno(ENOENT))
      return ErrnoStatus(removed.error(),
                         fmt::format("cannot remove the left-over file {}/{}", folder, name));
  }
  return absl::OkStatus();
}

}  // namespace stasis::image
