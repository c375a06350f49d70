// SPDX-License-Identifier: Apache-2.0
//
// lease.h: who reads images of a layout, so that nobody takes their blobs away.
//
// A lease is a file in .stasis/leases, locked with flock(2) by the process that reads, for as long
// as it does. What it names stays although no tag names it any more: the data of a sandbox is read
// when it is needed, and its next checkpoint refers to packs that are there. A process that dies
// loses the lock with its life; CollectGarbage (gc.h) removes the file.
//
//   auto lease = Lease::Take(layout, "box");       // of everything, before the tag is resolved
//   ... open the image and its packs ...
//   if (lease != nullptr) lease->Narrow({digest});
//
// docs/image_format.md has the form of the file.

#ifndef STASIS_RESTORE_IMAGE_LEASE_H_
#define STASIS_RESTORE_IMAGE_LEASE_H_

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "restore/image/digest.h"
#include "restore/image/file_ops.h"
#include "restore/image/layout.h"
#include "state/base/unique_fd.h"

namespace stasis::image {

// Not thread-safe. Goes with the process that took it: one that was forked off leaves the file.
class Lease {
 public:
  // Leases everything in the layout. Null if that cannot be, as in a layout that may not be
  // written: packs that are open stay readable all the same. `name` is the sandbox's, or empty.
  static std::shared_ptr<Lease> Take(const Layout& layout, const std::string& name);
  // Leases the images of these manifests only.
  static std::shared_ptr<Lease> TakeOf(const Layout& layout, const std::string& name,
                                       const std::vector<Digest>& manifests);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // Leases these only, from now on. If that fails, it stays the lease that it was.
  void Narrow(const std::vector<Digest>& manifests);

 private:
  struct File {
    std::string name;
    UniqueFd fd;  // locked
  };

  Lease(std::shared_ptr<FileOps> ops, UniqueFd folder, std::string holder);
  Result<File> Make(const std::string& content);
  void Remove(File& file);

  const std::shared_ptr<FileOps> ops_;
  const UniqueFd folder_;
  const std::string holder_;  // the lines that say who
  const pid_t pid_;
  File file_;
};

// A lease whose holder is alive.
struct LeaseInfo {
  std::string file;  // its name in .stasis/leases
  pid_t pid = 0;     // 0: it does not say
  std::string name;  // of the sandbox; may be empty
  bool everything = false;
  std::vector<Digest> manifests;

  // "box (process 12)", for people.
  std::string Holder() const;
  bool Names(const Digest& manifest) const;
};

struct Leases {
  std::vector<LeaseInfo> live;  // by file name
  uint64_t dead = 0;            // whose holder is gone
};

// All leases of a layout. What cannot be understood, but is held, counts as a lease of everything;
// what is no regular file is none. With `remove_dead`, files of dead processes are removed.
// Requires: layout.writable() for that.
absl::StatusOr<Leases> ReadLeases(const Layout& layout, bool remove_dead = false);

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_LEASE_H_
