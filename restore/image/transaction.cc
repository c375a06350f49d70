// SPDX-License-Identifier: Apache-2.0

#include "restore/image/transaction.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "restore/image/internal/files.h"
#include "restore/image/internal/pending.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr size_t kBufferSize = 1024 * 1024;
// The disk starts on a blob while the rest of it is still being made.
constexpr uint64_t kWritebackStep = 8 * 1024 * 1024;
// Blobs whose fsync is put off: they are mostly on the disk when their turn comes.
constexpr size_t kMaxUnsynced = 4;

std::string BlobName(const Layout& layout) {
  return fmt::format("a blob in {}", layout.directory());
}

}  // namespace

Descriptor DescriptorOf(const char* media_type, const StoredBlob& blob) {
  Descriptor descriptor;
  descriptor.media_type = media_type;
  descriptor.digest = blob.digest;
  descriptor.size = blob.size;
  return descriptor;
}

absl::StatusOr<bool> IsIntact(const Layout& layout, const StoredBlob& blob) {
  auto fd = layout.OpenBlob(blob.digest, blob.size);
  if (absl::IsDataLoss(fd.status())) return false;
  if (!fd.ok()) return fd.status();
  Hasher hasher;
  std::vector<std::byte> buffer(std::min<uint64_t>(blob.size, kBufferSize));
  for (uint64_t at = 0; at < blob.size; at += buffer.size()) {
    const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), blob.size - at));
    absl::Status status = ReadFully(layout.ops(), fd->get(), piece, at, BlobName(layout));
    if (!status.ok()) return false;
    hasher.Update(piece);
  }
  return hasher.Finish() == blob.digest;
}

absl::StatusOr<BlobWriter> BlobWriter::Create(Layout& layout, uint64_t expected_size) {
  std::string name = layout.NewTempName();
  IMAGE_ASSIGN_OR_ERRNO(
      UniqueFd fd,
      layout.ops().OpenAt(layout.temp_fd(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666),
      "cannot create " + BlobName(layout));
  BlobWriter writer(layout, std::move(fd), std::move(name));
  // A hint only: filesystems without fallocate work as well, and if there is not enough space for
  // what is expected, there may be for what comes.
  if (expected_size > kBufferSize && layout.ops().Allocate(writer.fd_.get(), expected_size))
    writer.reserved_ = expected_size;
  return writer;
}

BlobWriter::BlobWriter(BlobWriter&& other) noexcept
    : layout_(other.layout_),
      fd_(std::move(other.fd_)),
      temp_name_(std::exchange(other.temp_name_, std::string())),
      hasher_(std::move(other.hasher_)),
      buffer_(std::move(other.buffer_)),
      size_(other.size_),
      written_(other.written_),
      writeback_(other.writeback_),
      reserved_(other.reserved_) {}

BlobWriter::~BlobWriter() {
  if (!temp_name_.empty()) (void)layout_->ops().UnlinkAt(layout_->temp_fd(), temp_name_);
}

absl::Status BlobWriter::Append(std::span<const std::byte> data) {
  hasher_.Update(data);
  size_ += data.size();
  buffer_.insert(buffer_.end(), data.begin(), data.end());
  if (buffer_.size() >= kBufferSize) return Flush();
  return absl::OkStatus();
}

absl::Status BlobWriter::Flush() {
  FileOps& ops = layout_->ops();
  IMAGE_RETURN_IF_ERROR(WriteAll(ops, fd_.get(), buffer_, BlobName(*layout_)));
  written_ += buffer_.size();
  buffer_.clear();
  if (written_ - writeback_ >= kWritebackStep) StartWriteback();
  return absl::OkStatus();
}

// Advice; what goes wrong on the disk is reported by fdatasync.
void BlobWriter::StartWriteback() {
  (void)layout_->ops().StartWriteback(fd_.get(), writeback_, written_ - writeback_);
  writeback_ = written_;
}

absl::Status BlobWriter::Close() {
  IMAGE_RETURN_IF_ERROR(Flush());
  buffer_ = {};
  if (reserved_ > written_)
    IMAGE_RETURN_IF_ERRNO(layout_->ops().Truncate(fd_.get(), written_),
                          "cannot cut off " + BlobName(*layout_));
  if (written_ > writeback_) StartWriteback();
  return absl::OkStatus();
}

Transaction::~Transaction() {
  if (!done_) Rollback(nullptr);
}

bool Transaction::Holds(const Digest& digest) const {
  return std::any_of(blobs_.begin(), blobs_.end(),
                     [&](const Pending& pending) { return pending.blob.digest == digest; });
}

absl::StatusOr<StoredBlob> Transaction::Add(BlobWriter blob) {
  IMAGE_RETURN_IF_ERROR(blob.Close());
  const StoredBlob stored{blob.hasher_.Finish(), blob.size_};
  if (Holds(stored.digest)) return stored;
  const bool named = layout_.ops().StatAt(layout_.blobs_fd(), stored.digest.Hex()).has_value();
  if (named) {
    IMAGE_ASSIGN_OR_RETURN(const bool intact, IsIntact(layout_, stored));
    if (intact) return stored;
  }
  Pending& pending = blobs_.emplace_back();
  pending.blob = stored;
  pending.temp_name = std::exchange(blob.temp_name_, std::string());
  pending.fd = std::move(blob.fd_);
  pending.replaces = named;
  while (blobs_.size() - synced_ > kMaxUnsynced) IMAGE_RETURN_IF_ERROR(SyncOldest());
  return stored;
}

absl::StatusOr<StoredBlob> Transaction::AddBytes(std::string_view bytes) {
  IMAGE_ASSIGN_OR_RETURN(BlobWriter blob, BlobWriter::Create(layout_, bytes.size()));
  IMAGE_RETURN_IF_ERROR(blob.Append(AsBytes(bytes)));
  return Add(std::move(blob));
}

absl::Status Transaction::SyncOldest() {
  Pending& pending = blobs_[synced_];
  IMAGE_RETURN_IF_ERRNO(layout_.ops().SyncData(pending.fd.get()),
                        "cannot write " + BlobName(layout_));
  pending.fd.reset();
  ++synced_;
  return absl::OkStatus();
}

absl::Status Transaction::SyncAll(int list, int index) {
  std::vector<int> files = {list, index};
  for (size_t i = synced_; i < blobs_.size(); ++i) files.push_back(blobs_[i].fd.get());
  IMAGE_RETURN_IF_ERRNO(SyncAtOnce(layout_.ops(), files),
                        fmt::format("cannot write to {}", layout_.directory()));
  for (; synced_ < blobs_.size(); ++synced_) blobs_[synced_].fd.reset();
  IMAGE_RETURN_IF_ERRNO(layout_.ops().SyncDirectory(layout_.temp_fd()),
                        fmt::format("cannot write {}/.stasis/tmp", layout_.directory()));
  return absl::OkStatus();
}

absl::Status Transaction::Publish() {
  FileOps& ops = layout_.ops();
  for (Pending& pending : blobs_) {
    IMAGE_RETURN_IF_ERRNO(ops.RenameAt(layout_.temp_fd(), pending.temp_name, layout_.blobs_fd(),
                                       pending.blob.digest.Hex()),
                          "cannot name " + BlobName(layout_));
    pending.published = true;
  }
  IMAGE_RETURN_IF_ERRNO(ops.SyncDirectory(layout_.blobs_fd()),
                        fmt::format("cannot write {}/blobs/sha256", layout_.directory()));
  return absl::OkStatus();
}

absl::StatusOr<Transaction::NextIndex> Transaction::StageIndex(
    absl::FunctionRef<void(Index&)> change) {
  IMAGE_ASSIGN_OR_RETURN(std::string old, layout_.ReadIndex());
  auto index = Index::Parse(old);
  if (!index.ok()) return Prefix(index.status(), layout_.directory());
  change(*index);
  IMAGE_ASSIGN_OR_RETURN(StagedFile file, StagedFile::Write(layout_, kIndexFile, index->Encode()));
  return NextIndex{std::move(old), std::move(file)};
}

// A program that knows nothing of the lock may have changed the index since.
absl::Status Transaction::ReplaceIndex(NextIndex next, absl::FunctionRef<void(Index&)> change) {
  IMAGE_ASSIGN_OR_RETURN(const std::string now, layout_.ReadIndex());
  if (now != next.old) {
    IMAGE_ASSIGN_OR_RETURN(next, StageIndex(change));
    IMAGE_RETURN_IF_ERROR(next.file.Sync());
  }
  return PublishIndex(layout_, std::move(next.file), next.old);
}

absl::Status Transaction::Commit(std::string_view tag, const Descriptor& entry,
                                 const CommitOptions& options) {
  return CommitWith(
      entry,
      [&](Index& index) {
        index.Set(tag, entry);
        if (options.change_index) options.change_index(index);
      },
      options);
}

absl::Status Transaction::CommitReferrer(const std::vector<Digest>& old, const Descriptor& entry) {
  return CommitWith(entry, [&](Index& index) { index.ReplaceUntagged(old, entry); }, {});
}

absl::Status Transaction::CommitWith(const Descriptor& entry,
                                     absl::FunctionRef<void(Index&)> change,
                                     const CommitOptions& options) {
  done_ = true;
  absl::Status status = TryToCommit(change, options);
  if (!status.ok()) {
    Rollback(&entry.digest);
    return status;
  }
  RemovePending(layout_);
  return absl::OkStatus();
}

absl::Status Transaction::TryToCommit(absl::FunctionRef<void(Index&)> change,
                                      const CommitOptions& options) {
  std::vector<Digest> added;
  for (const Pending& pending : blobs_)
    if (!pending.replaces) added.push_back(pending.blob.digest);
  IMAGE_ASSIGN_OR_RETURN(const UniqueFd list, WritePending(layout_, added));
  IMAGE_ASSIGN_OR_RETURN(NextIndex next, StageIndex(change));
  IMAGE_RETURN_IF_ERROR(SyncAll(list.get(), next.file.fd()));
  IMAGE_RETURN_IF_ERROR(Publish());
  if (options.check) IMAGE_RETURN_IF_ERROR(options.check());
  return ReplaceIndex(std::move(next), change);
}

// If the index names the manifest although replacing it failed, and could not be put back, blobs
// and list stay: the next writer sees which of the two states the disk has kept.
void Transaction::Rollback(const Digest* manifest) {
  bool keep = false;
  if (manifest != nullptr) {
    const auto index = layout_.ReadIndex();
    keep = !index.ok() || index->find(manifest->Hex()) != std::string::npos;
  }
  bool removed_all = true;
  for (const Pending& pending : blobs_) {
    const std::string hex = pending.blob.digest.Hex();
    if (!pending.published)
      (void)layout_.ops().UnlinkAt(layout_.temp_fd(), pending.temp_name);
    else if (!pending.replaces)
      removed_all &= !keep && layout_.ops().UnlinkAt(layout_.blobs_fd(), hex).has_value();
  }
  if (removed_all) RemovePending(layout_);
}

}  // namespace stasis::image
