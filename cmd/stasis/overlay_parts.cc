// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/overlay_parts.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <utility>

#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/memfs/filesystem.h"
#include "restore/oci/reference.h"
#include "restore/snapshot.h"

namespace stasis::cli {

absl::StatusOr<OverlayParts> OpenOverlay(const sandbox::Tree& tree, const std::string& name) {
  vfs::Filesystem& root = tree.ns->root_mount().filesystem();
  auto* overlay = dynamic_cast<overlay::OverlayFilesystem*>(&root);
  if (overlay == nullptr || !overlay->upper().ok())
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no base to compare ", name, " with: its root is ", std::string(root.type()),
        ", not a base with a writable layer; `stasis run --rootfs` makes one"));
  OverlayParts parts;
  parts.filesystem = RefPtr<overlay::OverlayFilesystem>(overlay);
  parts.upper = restore::OpenVfsTree(*tree.vfs, overlay->upper());
  const RefPtr<vfs::Mount> whole = tree.vfs->MakePrivateMount(*overlay, {.no_atime = true});
  parts.merged = restore::OpenVfsTree(
      *tree.vfs, vfs::VirtualDentry(whole, RefPtr<vfs::Dentry>(&whole->root())));
  auto below = overlay::LowerView::Of(*overlay);
  if (!below)
    return absl::ErrnoToStatus(below.error().value(),
                               absl::StrCat("cannot read what is below ", name));
  parts.below = *std::move(below);
  parts.lower = restore::OpenVfsTree(*tree.vfs, parts.below->root());
  return parts;
}

absl::StatusOr<restore::DiffReport> DiffOverlay(const sandbox::Tree& tree, const std::string& name,
                                                const restore::DiffOptions& options) {
  absl::StatusOr<OverlayParts> parts = OpenOverlay(tree, name);
  if (!parts.ok()) return parts.status();
  return restore::DiffLayers(*parts->upper, *parts->merged, *parts->lower, options);
}

namespace {

// What nobody changes.
absl::StatusOr<oci::CommitReport> CommitTree(const sandbox::Tree& tree, const std::string& name,
                                             const OverlayCommit& commit) {
  absl::StatusOr<OverlayParts> parts = OpenOverlay(tree, name);
  if (!parts.ok()) return parts.status();
  if (const Result<void> settled = parts->filesystem->SettleUpper(); !settled)
    return absl::ErrnoToStatus(settled.error().value(),
                               absl::StrCat("cannot complete the upper layer of ", name));
  oci::CommitRequest request;
  request.upper = parts->upper.get();
  request.merged = parts->merged.get();
  if (commit.base.empty()) {
    request.base_tree = parts->lower.get();
  } else {
    absl::StatusOr<oci::ImageReference> base = oci::ParseImageReference(commit.base);
    if (!base.ok()) return base.status();
    request.base = *std::move(base);
  }
  request.directory = commit.directory;
  request.tag = commit.tag;
  request.options = commit.options;
  return oci::Commit(request);
}

absl::StatusOr<oci::CommitReport> CommitCopy(const sandbox::Tree& tree, const std::string& name,
                                             const OverlayCommit& commit) {
  // As each checkpoint does anew: nobody compares the copy with the host.
  for (const RefPtr<vfs::Filesystem>& fs : tree.vfs->filesystems())
    if (auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get()))
      host->set_digest_scope(gofer::DigestScope::kNone);
  restore::SnapshotRequest request;
  request.vfs = tree.vfs.get();
  request.registry = &commit.types->registry();
  request.clock = &commit.types->clock();
  request.freezer = commit.freezer;
  request.cancel = commit.options.cancel;
  gofer::GoferServices services;
  services.owners = {geteuid() != 0, geteuid(), getegid()};
  request.services.Provide(&services);
  const auto snapshot = restore::Snapshot::Take(request);
  if (!snapshot.ok()) return snapshot.status();
  const sandbox::Tree copy{(*snapshot)->vfs(), (*snapshot)->vfs()->namespaces().front()};
  absl::StatusOr<oci::CommitReport> report = CommitTree(copy, name, commit);
  if (report.ok()) report->pause_ns = (*snapshot)->pause_ns();
  return report;
}

absl::StatusOr<oci::CommitReport> CommitFrozen(const sandbox::Tree& tree, const std::string& name,
                                               const OverlayCommit& commit) {
  restore::NoFreezer nobody;
  const absl::Time begin = absl::Now();
  restore::Freezer& freezer = commit.freezer != nullptr ? *commit.freezer : nobody;
  restore::FrozenPrograms frozen(freezer);
  if (absl::Status s = frozen.Freeze(); !s.ok()) return s;
  if (absl::Status s = freezer.Flush(); !s.ok()) return s;
  absl::StatusOr<oci::CommitReport> report = CommitTree(tree, name, commit);
  if (absl::Status thawed = frozen.Thaw(); !thawed.ok() && report.ok()) return thawed;
  if (report.ok()) report->pause_ns = absl::ToInt64Nanoseconds(absl::Now() - begin);
  return report;
}

}  // namespace

absl::StatusOr<oci::CommitReport> CommitOverlay(const sandbox::Tree& tree, const std::string& name,
                                                const OverlayCommit& commit) {
  const absl::StatusOr<OverlayParts> parts = OpenOverlay(tree, name);
  if (!parts.ok()) return parts.status();
  const vfs::Filesystem& upper = parts->filesystem->upper().mount().filesystem();
  const bool in_memory = dynamic_cast<const memfs::MemFilesystem*>(&upper) != nullptr;
  return in_memory ? CommitCopy(tree, name, commit) : CommitFrozen(tree, name, commit);
}

}  // namespace stasis::cli
