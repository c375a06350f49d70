// SPDX-License-Identifier: Apache-2.0
//
// kept_files.h: deleted files that were open in an image, and stay after its restore.
//
// The programs that had them open are not there after a restore, and by default such files go
// (FuseState::DropKernelState). Kept ones are held by this table, which the next checkpoint saves
// as the root kKeptFiles; the kernel of the new mount does not know of them, so their numbers have
// nothing to do with its nodes.

#ifndef STASIS_CMD_SANDBOX_KEPT_FILES_H_
#define STASIS_CMD_SANDBOX_KEPT_FILES_H_

#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <vector>

#include "cmd/fuse/fuse_state.h"
#include "state/annotations.h"
#include "state/base/ref_ptr.h"
#include "state/object.h"
#include "vfs/file_description.h"
#include "vfs/path_operation.h"

namespace stasis::state {
class LoadContext;
}

namespace stasis::sandbox {

// The name of the root in an image.
inline constexpr char kKeptFiles[] = "kept_files";

// A value.
struct KeptFile {
  uint64_t id = 0;  // for people; never used twice
  vfs::VirtualDentry at;
  // The open file that the server had for it, if the kernel had asked it to open; or null.
  RefPtr<vfs::FileDescription> file;

  STATE_SAVABLE(KeptFile);
};

// Thread-safe. Changes require: inside the operation gate.
class KeptFiles final : public state::Object {
 public:
  KeptFiles() = default;

  // Adds what was deleted and is still known to the kernel of `state`: files without links,
  // removed directories, and the open files of either. In the same order for the same image.
  void Take(const fuse::FuseState& state) ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<KeptFile> List() const ABSL_LOCKS_EXCLUDED(mu_);
  // Lets go of those of a filesystem that is to end.
  void Drop(const vfs::Filesystem& filesystem) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  STATE_SAVABLE(KeptFiles);
  absl::Status AfterLoad(state::LoadContext& context) ABSL_LOCKS_EXCLUDED(mu_);

  mutable absl::Mutex mu_ STATE(nosave);
  std::vector<KeptFile> files_ ABSL_GUARDED_BY(mu_);
  uint64_t next_id_ ABSL_GUARDED_BY(mu_) = 1;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_KEPT_FILES_H_
