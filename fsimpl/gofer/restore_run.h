// SPDX-License-Identifier: Apache-2.0
//
// restore_run.h: a gofer finds its files again.
//
// Reopen binds every inode to the host file that has its name now, and reports what is not as it
// was saved. After that the attributes are the host's. Complete does what was decided, and opens
// what was open.

#ifndef STASIS_FSIMPL_GOFER_RESTORE_RUN_H_
#define STASIS_FSIMPL_GOFER_RESTORE_RUN_H_

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fsimpl/gofer/inode.h"
#include "vfs/restore_context.h"

namespace stasis::gofer {

// Nobody else uses the filesystem meanwhile; the threads are this class's own.
class RestoreRun {
 public:
  RestoreRun(GoferFilesystem& fs, vfs::RestoreContext& context) : fs_(fs), context_(context) {}

  // Errors: InvalidArgument if nobody said where the directory is, NotFound and others if it cannot
  // be opened, those of the host but ENOENT, Cancelled.
  absl::Status Reopen();
  // Errors: those of the host, with the file's path.
  absl::Status Complete();

 private:
  // A directory whose children are to be compared.
  struct Work {
    vfs::Dentry* dentry;
    std::string path;  // "" for the root, "/a/b"
  };

  absl::Status OpenRoot();
  // Takes directories from the queue until there are none.
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  bool Next(Work& work) ABSL_LOCKS_EXCLUDED(mu_);
  void Push(Work work) ABSL_LOCKS_EXCLUDED(mu_);
  void Fail(const Errno& error, const std::string& path) ABSL_LOCKS_EXCLUDED(mu_);
  // Errors: those of the host.
  Result<void> CompareChildren(const Work& work);
  Result<void> CompareChild(const std::string& path, int dir, vfs::Dentry& child);
  Result<void> FindNew(const Work& work, HostDirectory& dir, int control);
  // Reports what is not as it was saved, and takes what is. `saved_key` is of the file as saved.
  void CompareAttributes(vfs::Dentry& dentry, const std::string& path, const HostKey& saved_key,
                         const HostStat& found);
  Result<void> CompareContent(vfs::Dentry& dentry, const std::string& path, int dir,
                              const HostStat& found);
  static bool IsSavedWhole(vfs::Dentry& dentry);
  void ReportOpenBelow(vfs::Dentry& missing, const std::string& path);
  // Takes the host file for the inode's, and gives the key that it was saved with. Nothing if that
  // was done under another name already; or if the file is another inode's, or the inode has
  // another file: then that is reported.
  std::optional<HostKey> Bind(vfs::Dentry& dentry, const std::string& path, const HostStat& found)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Report(vfs::DriftKind kind, vfs::Dentry& dentry, const std::string& path, std::string saved,
              std::string found, std::string not_healable);
  void Report(vfs::DriftKind kind, vfs::Dentry& dentry, const std::string& path, std::string saved,
              std::string found);
  // Remembers what Heal may have to write back.
  void KeepSaved(HostInode& inode) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Status Apply(const vfs::Drift& drift);
  Result<void> Heal(const vfs::Drift& drift);
  Result<void> HealAttributes(HostInode& inode, vfs::DriftKind kind);
  Result<void> HealMissing(const vfs::Drift& drift);
  Result<void> HealLink(const vfs::Drift& drift);
  void Forget(vfs::Dentry& dentry);
  absl::Status OpenHandles();

  GoferFilesystem& fs_;
  vfs::RestoreContext& context_;

  absl::Mutex mu_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mu_);
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  // Files with several names of which one was found.
  absl::flat_hash_map<const HostInode*, std::string> linked_ ABSL_GUARDED_BY(mu_);
  // As they were saved: those with a difference that can be healed.
  absl::flat_hash_map<const HostInode*, vfs::Stat> saved_ ABSL_GUARDED_BY(mu_);
  // Not the files of their names: to be forgotten.
  absl::flat_hash_set<const vfs::Dentry*> unbound_ ABSL_GUARDED_BY(mu_);
};

}  // namespace stasis::gofer

#endif  // STASIS_FSIMPL_GOFER_RESTORE_RUN_H_
