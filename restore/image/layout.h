// SPDX-License-Identifier: Apache-2.0
//
// layout.h: an OCI image layout directory.
//
//   oci-layout            {"imageLayoutVersion":"1.0.0"}
//   index.json            one descriptor per tag; entries of other programs are left as they are
//   blobs/sha256/HEX      manifests, configs, state blobs and packs, each named by its digest
//   .stasis/lock          held with flock(2) by the one writer
//   .stasis/tmp/          blobs being written; whatever a new writer finds there is left over
//   .stasis/tmp/pending   digests that are being published; see transaction.h
//   .stasis/reserve       space for an index.json that takes something away
//
// Any number of processes may read while one writes: blobs never change, and index.json is replaced
// by rename.
//
// Errors of everything below, here and in the rest of the image library:
//   kInvalidArgument     a reference or tag that is not one
//   kNotFound            no such directory or tag
//   kUnavailable         another writer holds the layout
//   kResourceExhausted   no space
//   kPermissionDenied    the host says so
//   kDataLoss            damaged: what is there is not what was written, or is missing
//   kUnimplemented       written by a newer version; names the feature that is missing here
//   kCancelled           the caller said so
//   kInternal            any other failure of the host, with its errno

#ifndef STASIS_RESTORE_IMAGE_LAYOUT_H_
#define STASIS_RESTORE_IMAGE_LAYOUT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "restore/image/digest.h"
#include "restore/image/file_ops.h"
#include "restore/image/manifest.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

// "DIR:TAG", taken apart.
struct Reference {
  std::string directory;
  std::string tag;
};

// Splits at the last colon. Errors: kInvalidArgument with a sentence that says what is wrong.
absl::StatusOr<Reference> ParseReference(std::string_view text);

// A tag is [A-Za-z0-9_][A-Za-z0-9._-]{0,127}, as registries take it. Errors: kInvalidArgument.
absl::Status CheckTag(std::string_view tag);

// Which directory a layout is, whatever path it was opened by.
struct LayoutId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const LayoutId&, const LayoutId&) = default;
};

struct TagEntry {
  std::string tag;
  Descriptor descriptor;
};

// Not thread-safe; give each thread its own.
class Layout {
 public:
  // Opens what is there, for reading only.
  static absl::StatusOr<std::unique_ptr<Layout>> Open(const std::string& directory,
                                                      std::shared_ptr<FileOps> ops = nullptr);
  // Opens for writing: makes the directory (but not its parents) and an empty layout in it if they
  // are missing, takes the writer's lock until destroyed, and removes what dead writers left over.
  // Errors: kUnavailable if another writer is at work; kInvalidArgument if there are files in the
  // directory but no layout.
  static absl::StatusOr<std::unique_ptr<Layout>> OpenForWriting(
      const std::string& directory, std::shared_ptr<FileOps> ops = nullptr);

  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  const std::string& directory() const { return directory_; }
  LayoutId id() const { return id_; }
  bool writable() const { return lock_.valid(); }
  FileOps& ops() const { return *ops_; }
  const std::shared_ptr<FileOps>& shared_ops() const { return ops_; }

  // The manifest descriptor of a tag. Reads index.json anew.
  // Errors: kNotFound; kDataLoss if the index is damaged or the tag is there twice.
  absl::StatusOr<Descriptor> Resolve(std::string_view tag) const;
  // All tags, in the order of the index. Entries without a tag are not listed.
  absl::StatusOr<std::vector<TagEntry>> List() const;
  // Takes a tag away, or several, all of them or none; their blobs stay. Requires: writable().
  // Errors: kNotFound.
  absl::Status RemoveTag(std::string_view tag);
  absl::Status RemoveTags(const std::vector<std::string>& tags);

  // Opens blob `digest`, a regular file of exactly `size` bytes. Its content is not checked.
  // Errors: kDataLoss if it is missing or of another size.
  absl::StatusOr<UniqueFd> OpenBlob(const Digest& digest, uint64_t size) const;
  // The verified bytes of a blob. Errors: kDataLoss also if `descriptor` asks for more than `limit`
  // bytes or the digest does not match.
  absl::StatusOr<std::string> ReadBlob(const Descriptor& descriptor, uint64_t limit) const;
  // True if a blob of that digest and size is there.
  bool HasBlob(const Digest& digest, uint64_t size) const;

  // The bytes of index.json (see index.h). Errors: kDataLoss if it is missing.
  absl::StatusOr<std::string> ReadIndex() const;

  // Replaces index.json: temporary file, fsync, rename, fsync of the directory. A failure leaves
  // the old one, or puts it back. On a full disk the new one is written in the space that the
  // layout has in reserve: this is for what makes room, not for what takes more. Requires:
  // writable().
  absl::Status ReplaceIndex(std::string_view bytes);

  // Descriptors of the folders; borrowed.
  int root_fd() const { return root_.get(); }
  int blobs_fd() const { return blobs_.get(); }
  int own_fd() const { return own_.get(); }  // .stasis
  int temp_fd() const { return temp_.get(); }
  // A file name in temp_fd() that no other blob of this writer has.
  std::string NewTempName();

 private:
  Layout(std::string directory, std::shared_ptr<FileOps> ops)
      : directory_(std::move(directory)), ops_(std::move(ops)) {}

  absl::Status OpenRoot();
  absl::Status OpenBlobs();
  absl::Status CheckLayoutFile() const;
  absl::Status CheckMayWrite() const;
  absl::Status Lock();
  absl::Status CreateMissing();

  const std::string directory_;
  const std::shared_ptr<FileOps> ops_;
  LayoutId id_;
  UniqueFd root_;
  UniqueFd blobs_;
  UniqueFd own_;   // only when writable
  UniqueFd temp_;  // only when writable
  UniqueFd lock_;  // only when writable
  uint64_t next_temp_ = 0;
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_LAYOUT_H_
