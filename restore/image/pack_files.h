// SPDX-License-Identifier: Apache-2.0
//
// pack_files.h: the packs of an image, open.
//
// Up to kMaxOpenPacks of them stay open, so that their data stays readable although the image is
// removed; of more, those used last. Others are opened again by the path of the layout: it need not
// be the same directory any more, for what is read is verified by its digest all the same.

#ifndef STASIS_RESTORE_IMAGE_PACK_FILES_H_
#define STASIS_RESTORE_IMAGE_PACK_FILES_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "restore/image/file_ops.h"
#include "restore/image/layout.h"
#include "restore/image/tables.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

// 16 GiB of data in full packs; far below what a process may have open.
inline constexpr size_t kMaxOpenPacks = 256;

// Thread-safe.
class PackFiles {
 public:
  // A pack that stays open while it is used.
  using File = std::shared_ptr<const UniqueFd>;

  // Checks that every pack is there. Errors: kDataLoss if one is missing or of the wrong size.
  static absl::StatusOr<std::unique_ptr<PackFiles>> Open(const Layout& layout,
                                                         const std::vector<PackEntry>& packs,
                                                         size_t max_open = kMaxOpenPacks);

  // Pack `row`, opened again if need be. Errors: of Layout::Open and OpenBlob.
  absl::StatusOr<File> Get(uint32_t row);
  // What has the name of that pack now. Nothing is kept. Errors: as Get.
  absl::StatusOr<File> OpenByName(uint32_t row) const;
  // Lets Get() give this file from now on.
  void Keep(uint32_t row, File file);

  FileOps& ops() const { return *ops_; }
  // Packs that are open.
  size_t open_count() const;

 private:
  struct Slot {
    File file;  // null: closed
    std::list<uint32_t>::iterator place;
  };

  PackFiles(const Layout& layout, const std::vector<PackEntry>& packs, size_t max_open);
  void KeepLocked(uint32_t row, File file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<FileOps> ops_;
  const std::string directory_;  // absolute
  const std::vector<PackEntry> packs_;
  const size_t max_open_;

  mutable absl::Mutex mu_;
  std::vector<Slot> slots_ ABSL_GUARDED_BY(mu_);     // by row
  std::list<uint32_t> recent_ ABSL_GUARDED_BY(mu_);  // open ones, most recently used first
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_PACK_FILES_H_
