// SPDX-License-Identifier: Apache-2.0
//
// shared_frames.h: what sandboxes that read the same packs have unpacked of them, once in memory
// for all of them.
//
// Whoever unpacks a piece of a pack first puts it where the others find it, and all read it where
// it is. So ten sandboxes that were restored from one image, or forked from one that was, take
// memory for what they read once.
//
// A pack's memory belongs to nobody in particular: it is there as long as somebody has it open, and
// found by links to the descriptors of those who do:
//
//   DIRECTORY/HEX DIGEST OF THE PACK/PID.FD.INODE.NAMESPACE -> /proc/PID/fd/FD
//
// with the file's inode and that of the namespace that the PID is of, by which a link is known
// whose process has ended, or is another one by now. Nothing is ever taken out of the memory. It is
// not for readers whose memory has a limit.

#ifndef STASIS_RESTORE_IMAGE_SHARED_FRAMES_H_
#define STASIS_RESTORE_IMAGE_SHARED_FRAMES_H_

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "restore/image/digest.h"

namespace stasis::image {

class SharedPack;

// Thread-safe.
class SharedFrames {
 public:
  // `directory` is made if need be, and must be the caller's alone.
  explicit SharedFrames(std::string directory);
  ~SharedFrames();
  SharedFrames(const SharedFrames&) = delete;
  SharedFrames& operator=(const SharedFrames&) = delete;

  // Opens the pack's if somebody has it; null if not. So it stays when he goes.
  std::shared_ptr<SharedPack> Join(const Digest& pack) ABSL_LOCKS_EXCLUDED(mu_);
  // The same, and makes it if nobody has: with room for so many frames, and bytes of their content.
  // Null if there can be none now.
  std::shared_ptr<SharedPack> Get(const Digest& pack, uint64_t frames, uint64_t content)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Bytes of memory that all take which somebody has from here.
  uint64_t bytes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::shared_ptr<SharedPack> Known(const Digest& pack) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string FolderOf(const Digest& pack) const;

  const std::string directory_;
  const size_t most_packs_;
  mutable absl::Mutex mu_;
  absl::flat_hash_map<Digest, std::weak_ptr<SharedPack>> packs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_SHARED_FRAMES_H_
