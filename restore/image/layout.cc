// SPDX-License-Identifier: Apache-2.0

#include "restore/image/layout.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "restore/image/index.h"
#include "restore/image/internal/files.h"
#include "restore/image/internal/pending.h"
#include "restore/image/internal/reserve.h"
#include "restore/image/internal/staged_file.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr char kLayoutFile[] = "oci-layout";
constexpr char kLayoutContent[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
constexpr char kOwnFolder[] = ".stasis";
constexpr uint64_t kMaxLayoutFile = 4096;

// What a directory may hold for an empty layout to be made in it: what a killed one left.
constexpr std::array<std::string_view, 3> kOwnNames = {kOwnFolder, "blobs", kIndexFile};

absl::StatusOr<UniqueFd> OpenFolder(FileOps& ops, int dir, const std::string& name,
                                    const std::string& what) {
  auto fd = ops.OpenAt(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd) return std::move(*fd);
  if (fd.error() == Errno(ENOENT) || fd.error() == Errno(ENOTDIR) || fd.error() == Errno(ELOOP))
    return DataLoss("{} is missing or not a directory", what);
  return ErrnoStatus(fd.error(), "cannot open " + what);
}

absl::Status MakeFolder(FileOps& ops, int dir, const std::string& name, const std::string& what) {
  const auto made = ops.MkdirAt(dir, name, 0777);
  if (!made && made.error() != Errno(EEXIST))
    return ErrnoStatus(made.error(), "cannot make " + what);
  return absl::OkStatus();
}

// How many an index has.
size_t Entries(std::string_view index) {
  const auto parsed = Index::Parse(index);
  return parsed.ok() ? parsed->Entries().size() : 0;
}

// A file under a temporary name, durable.
absl::StatusOr<StagedFile> WriteDurably(Layout& layout, const std::string& name,
                                        std::string_view bytes) {
  IMAGE_ASSIGN_OR_RETURN(StagedFile staged, StagedFile::Write(layout, name, bytes));
  IMAGE_RETURN_IF_ERROR(staged.Sync());
  return staged;
}

// That, and renames it to its own.
absl::Status WriteByRename(Layout& layout, const std::string& name, std::string_view bytes) {
  IMAGE_ASSIGN_OR_RETURN(StagedFile staged, WriteDurably(layout, name, bytes));
  return staged.Rename();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Layout>> Layout::Open(const std::string& directory,
                                                     std::shared_ptr<FileOps> ops) {
  if (ops == nullptr) ops = std::make_shared<PosixFileOps>();
  std::unique_ptr<Layout> layout(new Layout(directory, std::move(ops)));
  IMAGE_RETURN_IF_ERROR(layout->OpenRoot());
  IMAGE_RETURN_IF_ERROR(layout->CheckLayoutFile());
  IMAGE_RETURN_IF_ERROR(layout->OpenBlobs());
  return layout;
}

absl::StatusOr<std::unique_ptr<Layout>> Layout::OpenForWriting(const std::string& directory,
                                                               std::shared_ptr<FileOps> ops) {
  if (ops == nullptr) ops = std::make_shared<PosixFileOps>();
  std::unique_ptr<Layout> layout(new Layout(directory, std::move(ops)));
  IMAGE_RETURN_IF_ERROR(MakeFolder(*layout->ops_, AT_FDCWD, directory, directory));
  IMAGE_RETURN_IF_ERROR(layout->OpenRoot());
  IMAGE_RETURN_IF_ERROR(layout->CheckMayWrite());
  IMAGE_RETURN_IF_ERROR(layout->Lock());
  IMAGE_RETURN_IF_ERROR(layout->CreateMissing());
  IMAGE_RETURN_IF_ERROR(layout->CheckLayoutFile());
  IMAGE_RETURN_IF_ERROR(layout->OpenBlobs());
  IMAGE_RETURN_IF_ERROR(RemoveLeftovers(*layout));
  KeepReserve(*layout);
  return layout;
}

absl::Status Layout::OpenRoot() {
  auto fd = ops_->OpenAt(AT_FDCWD, directory_, O_RDONLY | O_DIRECTORY, 0);
  if (!fd) {
    if (fd.error() == Errno(ENOENT))
      return absl::NotFoundError(fmt::format("there is no directory {}", directory_));
    if (fd.error() == Errno(ENOTDIR))
      return absl::NotFoundError(fmt::format("{} is not a directory", directory_));
    return ErrnoStatus(fd.error(), "cannot open " + directory_);
  }
  root_ = std::move(*fd);
  IMAGE_ASSIGN_OR_ERRNO(const struct stat st, ops_->Stat(root_.get()),
                        "cannot examine " + directory_);
  id_ = {st.st_dev, st.st_ino};
  return absl::OkStatus();
}

absl::Status Layout::CheckLayoutFile() const {
  const std::string what = directory_ + "/" + kLayoutFile;
  auto text = ReadSmallFile(*ops_, root_.get(), kLayoutFile, kMaxLayoutFile, what);
  if (absl::IsNotFound(text.status()))
    return absl::NotFoundError(
        fmt::format("{} is not an image layout: it has no file {}", directory_, kLayoutFile));
  if (!text.ok()) return text.status();
  IMAGE_ASSIGN_OR_RETURN(const auto json, ParseJson(*text, what));
  if (!json.is_object() || !json.contains("imageLayoutVersion"))
    return DataLoss("{}: \"imageLayoutVersion\" is missing", what);
  if (json["imageLayoutVersion"] != "1.0.0")
    return DataLoss("{}: \"imageLayoutVersion\" is {}, not \"1.0.0\"", what,
                    json["imageLayoutVersion"].dump());
  return absl::OkStatus();
}

absl::Status Layout::OpenBlobs() {
  IMAGE_ASSIGN_OR_RETURN(UniqueFd blobs,
                         OpenFolder(*ops_, root_.get(), "blobs", directory_ + "/blobs"));
  IMAGE_ASSIGN_OR_RETURN(blobs_,
                         OpenFolder(*ops_, blobs.get(), "sha256", directory_ + "/blobs/sha256"));
  return absl::OkStatus();
}

// Refuses to make a layout among files that are something else.
absl::Status Layout::CheckMayWrite() const {
  const auto marker = ops_->StatAt(root_.get(), kLayoutFile);
  if (marker) return absl::OkStatus();
  if (marker.error() != Errno(ENOENT))
    return ErrnoStatus(marker.error(), "cannot examine " + directory_ + "/" + kLayoutFile);
  IMAGE_ASSIGN_OR_ERRNO(const auto names, ops_->List(root_.get()), "cannot list " + directory_);
  for (const std::string& name : names) {
    if (std::find(kOwnNames.begin(), kOwnNames.end(), name) == kOwnNames.end())
      return absl::InvalidArgumentError(fmt::format(
          "{} has files in it (such as {}) but is not an image layout; choose an empty directory",
          directory_, name));
  }
  return absl::OkStatus();
}

absl::Status Layout::Lock() {
  const std::string own = fmt::format("{}/{}", directory_, kOwnFolder);
  IMAGE_RETURN_IF_ERROR(MakeFolder(*ops_, root_.get(), kOwnFolder, own));
  IMAGE_ASSIGN_OR_RETURN(own_, OpenFolder(*ops_, root_.get(), kOwnFolder, own));
  IMAGE_ASSIGN_OR_ERRNO(lock_,
                        ops_->OpenAt(own_.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0666),
                        "cannot open " + own + "/lock");
  const auto locked = ops_->LockExclusive(lock_.get());
  if (!locked) {
    lock_.reset();
    if (locked.error() == Errno(EWOULDBLOCK))
      return absl::UnavailableError(fmt::format(
          "{} is busy: another program writes an image to it; try again when it is done",
          directory_));
    return ErrnoStatus(locked.error(), "cannot lock " + own + "/lock");
  }
  IMAGE_RETURN_IF_ERROR(MakeFolder(*ops_, own_.get(), "tmp", own + "/tmp"));
  IMAGE_ASSIGN_OR_RETURN(temp_, OpenFolder(*ops_, own_.get(), "tmp", own + "/tmp"));
  return absl::OkStatus();
}

// Makes whatever a layout is made of and is not there. `oci-layout` comes last: it is what says
// that the rest is complete.
absl::Status Layout::CreateMissing() {
  if (ops_->StatAt(root_.get(), kLayoutFile)) return absl::OkStatus();
  const std::string blobs_name = directory_ + "/blobs";
  IMAGE_RETURN_IF_ERROR(MakeFolder(*ops_, root_.get(), "blobs", blobs_name));
  IMAGE_ASSIGN_OR_RETURN(UniqueFd blobs, OpenFolder(*ops_, root_.get(), "blobs", blobs_name));
  IMAGE_RETURN_IF_ERROR(MakeFolder(*ops_, blobs.get(), "sha256", blobs_name + "/sha256"));
  IMAGE_RETURN_IF_ERRNO(ops_->SyncDirectory(blobs.get()), "cannot write " + blobs_name);
  if (!ops_->StatAt(root_.get(), kIndexFile))
    IMAGE_RETURN_IF_ERROR(WriteByRename(*this, kIndexFile, Index().Encode()));
  IMAGE_RETURN_IF_ERRNO(ops_->SyncDirectory(root_.get()), "cannot write " + directory_);
  IMAGE_RETURN_IF_ERROR(WriteByRename(*this, kLayoutFile, kLayoutContent));
  IMAGE_RETURN_IF_ERRNO(ops_->SyncDirectory(root_.get()), "cannot write " + directory_);
  // The directory's own name; not ours to insist on if the parent cannot be opened.
  if (auto parent = ops_->OpenAt(root_.get(), "..", O_RDONLY | O_DIRECTORY, 0); parent)
    IMAGE_RETURN_IF_ERRNO(ops_->SyncDirectory(parent->get()), "cannot write " + directory_ + "/..");
  return absl::OkStatus();
}

std::string Layout::NewTempName() { return fmt::format("{}-{}", ::getpid(), next_temp_++); }

absl::StatusOr<std::string> Layout::ReadIndex() const {
  const std::string what = directory_ + "/" + kIndexFile;
  auto text = ReadSmallFile(*ops_, root_.get(), kIndexFile, kMaxIndexSize, what);
  if (absl::IsNotFound(text.status())) return DataLoss("{} is missing", what);
  return text;
}

absl::StatusOr<Descriptor> Layout::Resolve(std::string_view tag) const {
  IMAGE_ASSIGN_OR_RETURN(const std::string text, ReadIndex());
  auto index = Index::Parse(text);
  if (!index.ok()) return Prefix(index.status(), directory_);
  auto found = index->Find(tag);
  if (!found.ok()) return Prefix(found.status(), directory_);
  return found;
}

absl::StatusOr<std::vector<TagEntry>> Layout::List() const {
  IMAGE_ASSIGN_OR_RETURN(const std::string text, ReadIndex());
  auto index = Index::Parse(text);
  if (!index.ok()) return Prefix(index.status(), directory_);
  std::vector<TagEntry> entries;
  for (const auto& [tag, json] : index->Tags()) {
    auto descriptor = ParseDescriptor(*json, fmt::format("index.json, tag \"{}\"", tag));
    if (!descriptor.ok()) return Prefix(descriptor.status(), directory_);
    entries.push_back({tag, *std::move(descriptor)});
  }
  return entries;
}

absl::Status Layout::RemoveTag(std::string_view tag) { return RemoveTags({std::string(tag)}); }

absl::Status Layout::RemoveTags(const std::vector<std::string>& tags) {
  IMAGE_ASSIGN_OR_RETURN(const std::string text, ReadIndex());
  auto index = Index::Parse(text);
  if (!index.ok()) return Prefix(index.status(), directory_);
  for (const std::string& tag : std::set<std::string>(tags.begin(), tags.end()))
    if (!index->Remove(tag))
      return absl::NotFoundError(fmt::format("{}: there is no tag \"{}\"", directory_, tag));
  return ReplaceIndex(index->Encode());
}

absl::Status Layout::ReplaceIndex(std::string_view bytes) {
  IMAGE_ASSIGN_OR_RETURN(const std::string old, ReadIndex());
  auto staged = WriteDurably(*this, kIndexFile, bytes);
  if (absl::IsResourceExhausted(staged.status()) && Entries(bytes) <= Entries(old))
    if (auto reserved = WriteIndexInReserve(*this, bytes); reserved.ok())
      staged = std::move(reserved);
  if (!staged.ok()) return staged.status();
  IMAGE_RETURN_IF_ERROR(PublishIndex(*this, *std::move(staged), old));
  KeepReserve(*this);
  return absl::OkStatus();
}

bool Layout::HasBlob(const Digest& digest, uint64_t size) const {
  const auto st = ops_->StatAt(blobs_.get(), digest.Hex());
  return st && S_ISREG(st->st_mode) && static_cast<uint64_t>(st->st_size) == size;
}

absl::StatusOr<UniqueFd> Layout::OpenBlob(const Digest& digest, uint64_t size) const {
  const std::string what = fmt::format("{}: blob {}", directory_, digest.ToString());
  uint64_t found = 0;
  auto fd = OpenRegular(*ops_, blobs_.get(), digest.Hex(), what, &found);
  if (absl::IsNotFound(fd.status())) return DataLoss("{} is missing", what);
  if (!fd.ok()) return fd.status();
  if (found != size) return DataLoss("{} has {} bytes, {} are expected", what, found, size);
  return fd;
}

absl::StatusOr<std::string> Layout::ReadBlob(const Descriptor& descriptor, uint64_t limit) const {
  const std::string what = fmt::format("{}: blob {}", directory_, descriptor.digest.ToString());
  if (descriptor.size > limit)
    return DataLoss("{} should have {} bytes, more than the limit of {}", what, descriptor.size,
                    limit);
  IMAGE_ASSIGN_OR_RETURN(UniqueFd fd, OpenBlob(descriptor.digest, descriptor.size));
  std::string bytes(descriptor.size, '\0');
  IMAGE_RETURN_IF_ERROR(
      ReadFully(*ops_, fd.get(), std::as_writable_bytes(std::span(bytes)), 0, what));
  const Digest found = Digest::Of(AsBytes(bytes));
  if (found != descriptor.digest)
    return DataLoss("{} is damaged: its content has digest {}", what, found.ToString());
  return bytes;
}

}  // namespace stasis::image
