// SPDX-License-Identifier: Apache-2.0
//
// sandbox.h: a tree served as the root of its own namespaces, with programs that can be frozen.
//
// Owns the tree, what serves it, init and the cgroup, and ends them in the right order.

#ifndef STASIS_CMD_SANDBOX_SANDBOX_H_
#define STASIS_CMD_SANDBOX_SANDBOX_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cmd/sandbox/cgroup.h"
#include "cmd/sandbox/freezer.h"
#include "cmd/sandbox/init.h"
#include "cmd/sandbox/kept_files.h"
#include "cmd/sandbox/mount_plan.h"
#include "cmd/sandbox/served_filesystems.h"
#include "state/base/ref_ptr.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::sandbox {

enum class FreezerKind {
  kAuto,    // the cgroup, or signals where no cgroup can be made
  kCgroup,  // or fail
  kSignal,
};
absl::StatusOr<FreezerKind> ParseFreezerKind(std::string_view text);

struct SandboxOptions {
  std::string name;
  std::string hostname;
  std::string staging;  // see MountPlan
  std::vector<Bind> binds;
  SystemDirectories system = SystemDirectories::kAuto;
  FreezerKind freezer = FreezerKind::kAuto;
  bool rootless = false;
  fuse::Journal* journal = nullptr;  // borrowed; see ServedFilesystems::SetJournal
};

// A tree to serve.
struct Tree {
  RefPtr<vfs::VirtualFilesystem> vfs;
  RefPtr<vfs::MountNamespace> ns;
  RefPtr<KeptFiles> kept;  // of an image it was restored from; null for none

  vfs::VirtualDentry root() const { return ns->root(); }
  // Requires: nobody uses it any more.
  void Teardown();
};

// Thread-safe.
class Sandbox {
 public:
  // Requires: `init` was started before the process had threads. Errors: see the parts.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Start(std::unique_ptr<Init> init, Tree tree,
                                                        const SandboxOptions& options);
  // One that another process has started, and that this one goes on with. `served` uses `init`.
  static std::unique_ptr<Sandbox> Adopt(std::unique_ptr<Init> init, Tree tree,
                                        std::unique_ptr<ServedFilesystems> served,
                                        std::optional<Cgroup> cgroup);
  // Another process has adopted it: closes what leads to it. Nothing else may be done with it then,
  // not even ending it.
  void Release();
  // Kills what runs and ends the mount.
  ~Sandbox();

  Init& init() { return *init_; }
  const Tree& tree() const { return tree_; }
  vfs::VirtualFilesystem& vfs() { return *tree_.vfs; }
  ServedFilesystems& served() { return *served_; }
  SandboxFreezer& freezer() { return *freezer_; }
  const std::optional<Cgroup>& cgroup() const { return cgroup_; }
  // What works, but not as it should.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // A tree and what serves it.
  struct ServedTree {
    Tree tree;
    std::unique_ptr<ServedFilesystems> served;
  };
  // Serves `tree` and makes it the root of the same namespaces, with the same binds: programs that
  // start from now on see it. The caller then calls Swap(), and End() with what that gives back.
  // All or nothing; on failure `tree` is taken down.
  // Requires: no program runs. Errors: those of Start; kFailedPrecondition if a bind would have to
  // be made of the host that the sandbox did not have before.
  absl::StatusOr<ServedTree> Enter(Tree tree, const SandboxOptions& options);
  // Exchanges the sandbox's own tree with `other`. Requires: nobody else uses it.
  void Swap(ServedTree& other);
  // Takes down a tree that is no longer, or not, the sandbox's root.
  void End(ServedTree ended);

  // The name of the sandbox's cgroup, for Cgroup::Candidates.
  static std::string CgroupName(const SandboxOptions& options);

 private:
  Sandbox(std::unique_ptr<Init> init, Tree tree);
  absl::Status Mount(const SandboxOptions& options);
  absl::Status MakeFreezer(const SandboxOptions& options);

  std::unique_ptr<Init> init_;
  Tree tree_;
  std::unique_ptr<ServedFilesystems> served_;
  std::optional<Cgroup> cgroup_;
  std::unique_ptr<SandboxFreezer> freezer_;
  std::vector<std::string> warnings_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_SANDBOX_H_
