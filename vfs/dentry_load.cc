// SPDX-License-Identifier: Apache-2.0
//
// dentry_load.cc: how dentries are saved, and checked when they come back.
//
// A tree is saved from the top: each directory lists its children. So a connected dentry's parent
// is not saved, and a parent's row stands before its children's: that rules out cycles. A
// disconnected dentry names its parent itself.

#include <absl/strings/str_cat.h>

#include <utility>

#include "state/load_context.h"
#include "vfs/dentry.h"
#include "vfs/filesystem.h"

namespace stasis::vfs {

absl::Status Dentry::LoadName(std::string name, state::LoadContext& context) {
  if (!name.empty() && !IsValidName(name)) {
    return context.Invalid(*this, "name",
                           "is no file name: '.', '..', over 255 bytes, or with '/' or NUL");
  }
  SetName(name);
  return absl::OkStatus();
}

std::vector<Dentry*> Dentry::SaveDirectory() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<Dentry*> children;
  if (directory_ == nullptr) return children;
  children.reserve(directory_->size());
  directory_->ForEach([&](Dentry& child) { children.push_back(&child); });
  return children;
}

absl::Status Dentry::LoadDirectory(std::vector<Dentry*> children, state::LoadContext& context) {
  if (children.empty()) return absl::OkStatus();
  for (Dentry* child : children) {
    if (child == nullptr) return context.Invalid(*this, "directory", "has a missing child");
  }
  if (directory_ == nullptr) directory_ = std::make_unique<Directory>(this);
  absl::MutexLock lock(&directory_->mu);
  directory_->StashForLoad(std::move(children));
  return absl::OkStatus();
}

uint64_t Dentry::SaveEnd() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (directory_ == nullptr) return 0;
  const uint64_t end = directory_->end_position();
  return end == directory_->end_of_children() ? 0 : end;
}

absl::Status Dentry::LoadEnd(uint64_t end, state::LoadContext& context) {
  if (end == 0) return absl::OkStatus();
  if (end > Directory::kLastPosition / 2) return context.Invalid(*this, "end", "is too large");
  if (directory_ == nullptr) directory_ = std::make_unique<Directory>(this);
  absl::MutexLock lock(&directory_->mu);
  directory_->SkipTo(end);
  return absl::OkStatus();
}

Dentry* Dentry::SaveParent() const { return disconnected() ? parent() : nullptr; }

absl::Status Dentry::LoadParent(Dentry* parent, state::LoadContext& context) {
  if (parent == nullptr) return absl::OkStatus();
  if (parent == this) return context.Invalid(*this, "parent", "is the dentry itself");
  SetParent(parent);
  SetFlag(kDisconnected, true);
  return absl::OkStatus();
}

// The parents of disconnected dentries are whatever the image says: they must end somewhere. Each
// dentry is walked over once, for kChecked stays.
absl::Status Dentry::CheckParentChain(state::LoadContext& context) {
  Dentry* end = this;
  while (end != nullptr && end->disconnected() && !end->HasFlag(kChecked)) {
    if (end->HasFlag(kOnChain)) return context.Invalid(*this, "parent", "leads in a circle");
    end->SetFlag(kOnChain, true);
    end = end->parent();
  }
  for (Dentry* d = this; d != end; d = d->parent()) {
    d->SetFlag(kChecked, true);
    d->SetFlag(kOnChain, false);
  }
  return absl::OkStatus();
}

// Parents and children hold each other.
void Dentry::LoadFailed() {
  if (directory_ != nullptr) {
    absl::MutexLock lock(&directory_->mu);
    directory_->RemoveAll();
  }
  SetParent(nullptr);
}

absl::Status Dentry::LinkRestoredChildren(state::LoadContext& context) {
  absl::MutexLock lock(&directory_->mu);
  uint64_t last_position = Directory::kFirstPosition - 1;
  const uint64_t end = directory_->end_position();
  std::vector<Dentry*> children = directory_->TakeStash();
  // The stash's references: a child that is not linked in the end loses its own.
  std::vector<RefPtr<Dentry>> refs;
  refs.reserve(children.size());
  for (Dentry* child : children) refs.push_back(RefPtr<Dentry>::Adopt(child));
  if (disconnected() && !refs.empty())
    return context.Invalid(*this, "directory", "has children, but was removed");
  for (RefPtr<Dentry>& child : refs) {
    if (context.RowOf(*child) <= context.RowOf(*this) || child->parent() != nullptr)
      return context.Invalid(*child, "parent", "is not one: listed twice, or above its parent");
    if (child->name().empty()) return context.Invalid(*child, "name", "is empty");
    // Filesystems take the files in their directories for their own.
    if (!child->inode_ || !child->inode_->IsOf(inode_->filesystem()))
      return context.Invalid(*child, "inode", "is of another filesystem than its directory");
    if (directory_->LookupLocked(child->name()) != nullptr) {
      return context.Invalid(
          *child, "name",
          absl::StrCat("is there twice in its directory (row ", context.RowOf(*this), ")"));
    }
    // The topmost bits are left to what front ends add to positions.
    if (child->position_ <= last_position || child->position_ > Directory::kLastPosition / 2)
      return context.Invalid(*child, "position", "is not after that of the sibling before");
    last_position = child->position_;
    directory_->InsertRestored(std::move(child));
  }
  directory_->SkipTo(end);
  return absl::OkStatus();
}

absl::Status Dentry::AfterLoad(state::LoadContext& context) {
  if (!inode_) return context.Invalid(*this, "inode", "is missing");
  const uint32_t dentries = CountInInode();
  if (disconnected()) {
    if (name().empty()) return context.Invalid(*this, "name", "is empty");
    if (absl::Status status = CheckParentChain(context); !status.ok()) return status;
  } else if (parent() == nullptr && !inode_->filesystem().IsRoot(*this)) {
    // A tree that nobody would take down.
    return context.Invalid(*this, "parent", "is missing, but the dentry is not the root");
  }
  if (inode_->is_symlink()) SetFlag(kSymlink, true);
  if (!inode_->is_dir()) {
    if (directory_ != nullptr)
      return context.Invalid(*this, "directory", "has children, but the file is no directory");
    return absl::OkStatus();
  }
  if (dentries != 0)
    return context.Invalid(*this, "inode", "is a directory that has another name already");
  if (directory_ == nullptr) directory_ = std::make_unique<Directory>(this);
  if (disconnected()) {
    absl::MutexLock lock(&directory_->mu);
    directory_->set_dead();
  }
  return LinkRestoredChildren(context);
}

}  // namespace stasis::vfs
