// SPDX-License-Identifier: Apache-2.0
//
// resolving_path.h: a path on its way from text to dentry.
//
// A ResolvingPath knows where the walk is in the mount tree and what is left of the path. The
// filesystem consumes components:
//
//   while (!path.done()) {
//     std::string_view name = path.component();
//     ... ".." asks CheckRoot(), a found child asks CheckMount() and, if a link, HandleSymlink()
//     ... path.Advance();
//   }
//
// CheckRoot, CheckMount and HandleSymlink return the error kJump when the walk goes on elsewhere:
// the filesystem returns it to its caller, who goes on at mount() and start(). It never leaves
// vfs/.
//
// All pointers are borrowed and live as long as the read-copy-update section of the operation; no
// reference is taken on the way.

#ifndef STASIS_VFS_RESOLVING_PATH_H_
#define STASIS_VFS_RESOLVING_PATH_H_

#include <absl/container/inlined_vector.h>

#include <string_view>

#include "state/base/clock.h"
#include "state/base/result.h"
#include "vfs/credentials.h"
#include "vfs/internal/name.h"
#include "vfs/path_operation.h"

namespace stasis::vfs {

class MountTable;

// The walk goes on in another filesystem, or at another dentry of this one.
inline constexpr Errno kJump{1 << 20};

// The file at the end of the walk lost its last reference meanwhile: the whole operation is done
// again. Never leaves vfs/ either.
inline constexpr Errno kRetry{(1 << 20) + 1};

// Links followed in one walk at most, as in Linux (path_resolution(7)).
inline constexpr int kMaxSymlinks = 40;

class ResolvingPath {
 public:
  ResolvingPath(const MountTable& mounts, const Clock& clock, const Credentials& creds,
                const PathOperation& operation);
  ResolvingPath(const ResolvingPath&) = delete;
  ResolvingPath& operator=(const ResolvingPath&) = delete;

  // Where this leg of the walk starts.
  Mount& mount() const { return *mount_; }
  Dentry& start() const { return *start_; }

  // Where "/" is: tells the caller's namespace.
  Mount& root_mount() const { return *root_mount_; }

  const Credentials& creds() const { return creds_; }
  const Clock& clock() const { return clock_; }

  // What is left of the path, from the current component on, without slashes around. Empty only if
  // the walk is done.
  std::string_view rest() const { return rest_; }
  bool done() const { return rest_.empty(); }
  // A walk may go ahead by itself and set what it left: while in_symlink(), not beyond the last
  // component.
  void set_rest(std::string_view rest) {
    rest_ = internal::SkipSlashes(rest);
    component_ = {};
  }
  // True while the components come from a symbolic link's target that more of the path follows.
  bool in_symlink() const { return !pending_.empty(); }
  // The current component, may be "." or ".."; empty if done().
  std::string_view component() {
    if (component_.empty()) {
      component_ = internal::FirstComponent(rest_.data(), rest_.data() + rest_.size()).text;
    }
    return component_;
  }
  // True if the current component is the last one.
  bool final_component() { return pending_.empty() && AfterComponent().empty(); }
  void Advance() { SetRest(AfterComponent()); }

  // True if the path ended in a slash (or "/." or "/.."), so that its file must be a directory.
  bool must_be_dir() const { return must_be_dir_; }
  void set_must_be_dir() { must_be_dir_ = true; }
  // Mounts that are marked to expire stay so when the walk comes to them.
  void set_keep_expired() { keep_expired_ = true; }
  bool follow_final_symlink() const { return follow_final_symlink_; }
  void set_follow_final_symlink(bool follow) { follow_final_symlink_ = follow; }

  // Before ".." from `dentry`: true if it stays there (the root of the operation or of the
  // namespace), or on what is mounted there. Errors: kJump if `dentry` is a mount's root, and the
  // walk goes on where that mount, and those below it in one place, are attached.
  Result<bool> CheckRoot(Dentry& dentry) {
    if (&dentry != &mount_->root() && &dentry != root_dentry_) [[likely]]
      return false;
    return CheckRootSlow(dentry);
  }
  // After stepping to `dentry`, and Advance(). Errors: kJump if a mount stands on it.
  Result<void> CheckMount(Dentry& dentry) {
    if (!dentry.is_mountpoint()) [[likely]]
      return {};
    return CheckMountSlow(dentry);
  }
  // Puts a link's `target` in place of the component it was found under, which is consumed.
  // `dir` is where relative targets start. Errors: kJump if the target is absolute (unless it stays
  // in this mount), ELOOP, ENOENT for an empty target.
  Result<void> HandleSymlink(Dentry& dir, std::string_view target);
  // True if the link in the current component is to be followed.
  bool ShouldFollowSymlink() { return follow_final_symlink_ || !final_component() || must_be_dir_; }

  // A filesystem sets where a later kJump continues from, if it jumps for reasons of its own.
  void SetStart(Mount& mount, Dentry& dentry) {
    mount_ = &mount;
    start_ = &dentry;
  }

 private:
  Result<bool> CheckRootSlow(Dentry& dentry);
  Result<void> CheckMountSlow(Dentry& dentry);
  void Begin(std::string_view path);
  // Goes on with `rest`, and when that is used up with the path in which the link was found.
  void SetRest(std::string_view rest);
  std::string_view AfterComponent() {
    return internal::SkipSlashes(rest_.substr(component().size()));
  }

  const MountTable& mounts_;
  const Clock& clock_;
  const Credentials& creds_;
  Mount* root_mount_;
  Dentry* root_dentry_;
  Mount* mount_;
  Dentry* start_;
  std::string_view rest_;
  std::string_view component_;  // what rest_ begins with; empty if not looked at yet
  bool must_be_dir_ = false;
  bool follow_final_symlink_;
  bool keep_expired_ = false;
  int symlinks_ = 0;
  // What is left of the paths in which links were found, innermost last.
  absl::InlinedVector<std::string_view, 2> pending_;
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_RESOLVING_PATH_H_
