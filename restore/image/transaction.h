// SPDX-License-Identifier: Apache-2.0
//
// transaction.h: blobs and a tag, added to a layout together or not at all.
//
// Blobs are written to .stasis/tmp. Commit() lists their digests in .stasis/tmp/pending and writes
// the next index beside the old one; makes all of that durable at once; renames the blobs to
// blobs/sha256/HEX, makes that durable, replaces index.json and removes the list. Whenever the
// power goes, either the tag is there with all of its blobs, or the index is the old one and the
// next writer finds in the list what to remove.

#ifndef STASIS_RESTORE_IMAGE_TRANSACTION_H_
#define STASIS_RESTORE_IMAGE_TRANSACTION_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "restore/image/digest.h"
#include "restore/image/index.h"
#include "restore/image/internal/staged_file.h"
#include "restore/image/layout.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

struct StoredBlob {
  Digest digest;
  uint64_t size = 0;
};
Descriptor DescriptorOf(const char* media_type, const StoredBlob& blob);

// True if the layout has a blob of that name with the content that its name says.
absl::StatusOr<bool> IsIntact(const Layout& layout, const StoredBlob& blob);

struct CommitOptions {
  // Called when the blobs have their names and the index is still the old one; an error undoes it
  // all. May be null.
  std::function<absl::Status()> check;
  // Further changes of the index in the same step. May be null.
  std::function<void(Index&)> change_index;
};

// A blob being written, hashed on the way. Its file goes with it unless a transaction takes it
// over.
class BlobWriter {
 public:
  // `expected_size` bytes of space are reserved if the filesystem can. Requires: layout.writable().
  static absl::StatusOr<BlobWriter> Create(Layout& layout, uint64_t expected_size);
  BlobWriter(BlobWriter&& other) noexcept;
  BlobWriter& operator=(BlobWriter&& other) = delete;
  ~BlobWriter();

  absl::Status Append(std::span<const std::byte> data);
  // Bytes appended so far.
  uint64_t size() const { return size_; }

 private:
  friend class Transaction;
  BlobWriter(Layout& layout, UniqueFd fd, std::string temp_name)
      : layout_(&layout), fd_(std::move(fd)), temp_name_(std::move(temp_name)) {}
  absl::Status Flush();
  void StartWriteback();
  // Writes what is left in the buffer, cuts off space that was reserved in vain, has the disk
  // begin.
  absl::Status Close();

  Layout* layout_;
  UniqueFd fd_;
  std::string temp_name_;  // empty once it is someone else's
  Hasher hasher_;
  std::vector<std::byte> buffer_;
  uint64_t size_ = 0;
  uint64_t written_ = 0;
  uint64_t writeback_ = 0;  // handed to the disk up to here
  uint64_t reserved_ = 0;
};

// Not thread-safe. One at a time per layout.
class Transaction {
 public:
  // Requires: layout.writable().
  explicit Transaction(Layout& layout) : layout_(layout) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  // Removes everything unless committed.
  ~Transaction();

  // Takes a blob over. One that the layout holds already, undamaged, is not kept twice.
  absl::StatusOr<StoredBlob> Add(BlobWriter blob);
  absl::StatusOr<StoredBlob> AddBytes(std::string_view bytes);

  // Publishes the blobs and lets `tag` name the manifest of `entry`, one of them.
  // On failure the transaction is rolled back at once.
  absl::Status Commit(std::string_view tag, const Descriptor& entry,
                      const CommitOptions& options = {});

  // The same without a tag, for an artifact that refers to something: `entry` takes the place of
  // the entries without a tag that name `old`.
  absl::Status CommitReferrer(const std::vector<Digest>& old, const Descriptor& entry);

 private:
  struct Pending {
    StoredBlob blob;
    std::string temp_name;
    UniqueFd fd;            // until synced
    bool replaces = false;  // a damaged blob of that name is there
    bool published = false;
  };

  // The next index, and the one that it was made of.
  struct NextIndex {
    std::string old;
    StagedFile file;
  };

  bool Holds(const Digest& digest) const;
  absl::Status SyncOldest();
  // Makes everything durable that the commit is about, but names.
  absl::Status SyncAll(int list, int index);
  absl::Status Publish();
  absl::Status CommitWith(const Descriptor& entry, absl::FunctionRef<void(Index&)> change,
                          const CommitOptions& options);
  absl::Status TryToCommit(absl::FunctionRef<void(Index&)> change, const CommitOptions& options);
  absl::StatusOr<NextIndex> StageIndex(absl::FunctionRef<void(Index&)> change);
  absl::Status ReplaceIndex(NextIndex next, absl::FunctionRef<void(Index&)> change);
  void Rollback(const Digest* manifest);

  Layout& layout_;
  std::vector<Pending> blobs_;
  size_t synced_ = 0;  // blobs_ before this one are durable
  bool done_ = false;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_TRANSACTION_H_
