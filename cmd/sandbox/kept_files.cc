// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/kept_files.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "state/load_context.h"

namespace stasis::sandbox {
namespace {

// Beyond it a number would run over before the sandbox ends.
constexpr uint64_t kMaxId = uint64_t{1} << 62;

bool IsDeleted(const vfs::VirtualDentry& at) {
  return at.dentry().disconnected() && (at.dentry().is_dir() || at.inode().nlink() == 0);
}

}  // namespace

void KeptFiles::Take(const fuse::FuseState& state) {
  std::vector<KeptFile> taken;
  absl::flat_hash_set<const vfs::Inode*> open;
  for (const RefPtr<fuse::Handle>& handle : state.handles().List()) {
    if (!IsDeleted(handle->file().at())) continue;
    open.insert(&handle->file().inode());
    taken.push_back({0, handle->file().at(), RefPtr<vfs::FileDescription>(&handle->file())});
  }
  for (const RefPtr<fuse::Node>& node : state.nodes().List())
    if (IsDeleted(node->at()) && !open.contains(&node->at().inode()))
      taken.push_back({0, node->at(), nullptr});
  const absl::MutexLock lock(&mu_);
  for (KeptFile& file : taken) {
    file.id = next_id_++;
    files_.push_back(std::move(file));
  }
}

std::vector<KeptFile> KeptFiles::List() const {
  const absl::MutexLock lock(&mu_);
  return files_;
}

void KeptFiles::Drop(const vfs::Filesystem& filesystem) {
  std::vector<KeptFile> dropped;  // after the lock
  const absl::MutexLock lock(&mu_);
  const auto gone = std::stable_partition(files_.begin(), files_.end(), [&](const KeptFile& file) {
    return &file.at.mount().filesystem() != &filesystem;
  });
  dropped.assign(std::make_move_iterator(gone), std::make_move_iterator(files_.end()));
  files_.erase(gone, files_.end());
}

// An image may hold anything.
absl::Status KeptFiles::AfterLoad(state::LoadContext& context) {
  const absl::MutexLock lock(&mu_);
  if (next_id_ == 0 || next_id_ > kMaxId)
    return context.Invalid(*this, "next_id", "is 0 or too large");
  absl::flat_hash_set<uint64_t> ids;
  for (const KeptFile& file : files_) {
    if (file.id == 0 || file.id >= next_id_ || !ids.insert(file.id).second)
      return context.Invalid(*this, "files", absl::StrCat("cannot have one numbered ", file.id));
    if (!file.at.complete() || !file.at.IsConsistent())
      return context.Invalid(*this, "files",
                             absl::StrCat("has one numbered ", file.id, " without a place"));
    if (file.file && !(file.file->at() == file.at))
      return context.Invalid(*this, "files",
                             absl::StrCat("has one numbered ", file.id, " open at another place"));
  }
  return absl::OkStatus();
}

}  // namespace stasis::sandbox
