// SPDX-License-Identifier: Apache-2.0
//
// served_filesystems.h: a sandbox's tree in the kernel: one FUSE filesystem for each of its
// filesystems, and one mount for each of its mounts.
//
// So the kernel has the same mounts as the tree's namespace: /proc/self/mountinfo and df(1) show
// them, st_dev tells them apart, and caches follow the rules of each filesystem alone
// (docs/decisions/0006). A server works through a mount of its own that is in no namespace; what
// the flags of mounts forbid, the kernel forbids.

#ifndef STASIS_CMD_SANDBOX_SERVED_FILESYSTEMS_H_
#define STASIS_CMD_SANDBOX_SERVED_FILESYSTEMS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/fuse/fuse_state.h"
#include "cmd/fuse/journal.h"
#include "cmd/fuse/replay.h"
#include "cmd/fuse/server.h"
#include "cmd/sandbox/init.h"
#include "cmd/sandbox/kept_files.h"
#include "cmd/sandbox/mount_plan.h"
#include "state/base/ref_ptr.h"
#include "state/base/unique_fd.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::sandbox {

// Thread-safe.
class ServedFilesystems {
 public:
  // `init` is borrowed. `name` is shown in the mount table, with what is mounted.
  // The filesystems are numbered from `first`.
  ServedFilesystems(Init& init, std::string name, std::string staging, int first = 0)
      : init_(init), name_(std::move(name)), staging_(std::move(staging)), next_(first) {}
  // Stops the servers.
  ~ServedFilesystems() { Stop(); }
  ServedFilesystems(const ServedFilesystems&) = delete;
  ServedFilesystems& operator=(const ServedFilesystems&) = delete;

  // What its filesystems are called in the mount table.
  std::string source() const { return "stasis:" + name_; }
  // Files that end with their filesystem; null for none. Called before anything is served.
  void set_kept(RefPtr<KeptFiles> kept) { kept_ = std::move(kept); }
  // Where the servers record requests (fuse/journal.h); borrowed. Before there are any.
  void SetJournal(fuse::Journal* journal) ABSL_LOCKS_EXCLUDED(mu_);
  // fuse::Server::KeepReplies and Record of all.
  void KeepReplies(fuse::Journal& journal) const ABSL_LOCKS_EXCLUDED(mu_);
  void Record(fuse::Journal* journal) ABSL_LOCKS_EXCLUDED(mu_);

  // Serves every filesystem that is mounted in `ns`. Returns its mounts, in their order.
  absl::StatusOr<std::vector<ServedMount>> ServeAll(vfs::VirtualFilesystem& vfs,
                                                    vfs::MountNamespace& ns)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Shows a mount that was added to `ns` since.
  absl::Status Show(const vfs::Mount& mount, vfs::VirtualFilesystem& vfs,
                    const vfs::MountNamespace& ns) ABSL_LOCKS_EXCLUDED(mu_);
  // Makes a mount that is shown propagate as the tree says by now: private, slave or unbindable.
  absl::Status ShowPropagation(const vfs::Mount& mount, vfs::VirtualFilesystem& vfs,
                               const vfs::MountNamespace& ns) ABSL_LOCKS_EXCLUDED(mu_);
  // Lets go of groups of mounts that are no longer in `ns`.
  void EndUnusedGroups(vfs::VirtualFilesystem& vfs, const vfs::MountNamespace& ns)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Takes a mount of `filesystem` away from where it is seen. Errors: kNotFound if the kernel has
  // none there, kUnavailable if it is busy or something else is mounted on it.
  absl::Status Hide(const vfs::Filesystem& filesystem, const std::string& target, bool detach)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Ends filesystems that are mounted nowhere any more and that no program uses.
  void EndUnused(vfs::VirtualFilesystem& vfs) ABSL_LOCKS_EXCLUDED(mu_);

  // Has init let go of all: each ends with its last mount.
  void Forget() ABSL_LOCKS_EXCLUDED(mu_);
  // Greater than those of all that were served.
  int next_number() const ABSL_LOCKS_EXCLUDED(mu_);

  // The states of the servers, to be saved with the tree, by name.
  std::vector<std::pair<std::string, RefPtr<fuse::FuseState>>> States() const
      ABSL_LOCKS_EXCLUDED(mu_);

  // What a process needs to serve one of them in this one's place.
  struct Lent {
    int number = 0;
    std::string state;  // the name of its state
    UniqueFd device;
    fuse::Connection connection;
  };
  // For another process that is to go on, see fuse::Server. PauseFor: all or none.
  bool PauseFor(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);
  void Resume() ABSL_LOCKS_EXCLUDED(mu_);
  // Requires: they pause, or the operation gate is closed. Errors: kFailedPrecondition while a
  // deleted host file is open with a backing.
  absl::StatusOr<std::vector<Lent>> Lend() const ABSL_LOCKS_EXCLUDED(mu_);
  // The servers of `lent` in this process. `states` as States() gives them. `died`: who had them
  // lives no more. Errors: kDataLoss if a state is missing.
  absl::Status Adopt(std::vector<Lent> lent,
                     const std::map<std::string, RefPtr<fuse::FuseState>>& states, bool died)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Runs again what the journal has from `from` on. Requires: adopted, and not connected yet.
  absl::StatusOr<fuse::ReplayReport> RunAgain(const fuse::Journal& journal, uint64_t from) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // They have their connections from here on, and pause. Errors: of fuse::Server::Adopt.
  absl::Status Connect() ABSL_LOCKS_EXCLUDED(mu_);

  // Of all servers together; see fuse::Server.
  uint64_t page_writes() const ABSL_LOCKS_EXCLUDED(mu_);
  bool WaitUntilIdleFor(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mu_);
  bool WaitUntilUnmountedFor(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mu_);
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Served {
    int number = 0;
    RefPtr<vfs::Filesystem> filesystem;
    std::shared_ptr<fuse::Server> server;
    UniqueFd device;  // of one that is not connected yet
  };

  const Served* Find(const vfs::Filesystem& filesystem) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::StatusOr<int> Serve(const vfs::Mount& mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<std::shared_ptr<fuse::Server>> Servers() const ABSL_LOCKS_EXCLUDED(mu_);
  fuse::ServerOptions OptionsFor(const vfs::Filesystem& filesystem) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);

  Init& init_;
  const std::string name_;
  const std::string staging_;
  RefPtr<KeptFiles> kept_;
  mutable absl::Mutex mu_;
  int next_ ABSL_GUARDED_BY(mu_);
  fuse::Journal* journal_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::vector<Served> served_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SERVED_FILESYSTEMS_H_
