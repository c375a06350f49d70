// SPDX-License-Identifier: Apache-2.0

#include "vfs/dentry.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "state/base/rcu.h"

namespace stasis::vfs {

const char internal::hash_seed = 0;

bool IsValidName(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && name != "." && name != ".." &&
         name.find('/') == name.npos && name.find('\0') == name.npos;
}

RefPtr<Dentry> Dentry::MakeRoot(RefPtr<Inode> inode) {
  auto dentry = RefPtr<Dentry>::Adopt(new Dentry());
  dentry->SetName({});
  if (inode->is_dir()) dentry->directory_ = std::make_unique<Directory>(dentry.get());
  if (inode->is_symlink()) dentry->SetFlag(kSymlink, true);
  dentry->inode_ = std::move(inode);
  dentry->CountInInode();
  return dentry;
}

RefPtr<Dentry> Dentry::Make(std::string_view name, RefPtr<Inode> inode) {
  RefPtr<Dentry> dentry = MakeRoot(std::move(inode));
  dentry->SetName(name);
  return dentry;
}

RefPtr<Dentry> Dentry::MakeDisconnected(Dentry& parent, std::string_view name,
                                        RefPtr<Inode> inode) {
  RefPtr<Dentry> dentry = Make(name, std::move(inode));
  dentry->SetParent(&parent);
  dentry->SetFlag(kDisconnected, true);
  return dentry;
}

Dentry::~Dentry() {
  // No reader is left: OnZeroRefs waited for them.
  const Name* name = name_.load(std::memory_order_relaxed);
  if (reinterpret_cast<const char*>(name) != inline_name_)
    std::free(const_cast<Name*>(name));  // NOLINT(cppcoreguidelines-no-malloc)
}

// Without waiting for readers: what a file takes up is free, and its watches end, when its last
// user is gone. That goes for the parent too, which readers find only through this dentry. In a
// loop: a chain of removed directories may be as long as memory allows.
void Dentry::OnZeroRefs() {
  for (Dentry* dentry = this; dentry != nullptr;) {
    if (dentry->HasFlag(kCounted) && dentry->inode_) dentry->inode_->DropDentry();
    Dentry* parent = dentry->parent();
    rcu::Retire(dentry);
    dentry = parent != nullptr && parent->DropRef() ? parent : nullptr;
  }
}

uint32_t Dentry::CountInInode() {
  SetFlag(kCounted, true);
  return inode_->AddDentry();
}

void Dentry::SetFlag(Flag flag, bool on) {
  if (on) {
    flags_.fetch_or(flag, std::memory_order_acq_rel);
  } else {
    flags_.fetch_and(~static_cast<uint32_t>(flag), std::memory_order_acq_rel);
  }
}

void Dentry::SetName(std::string_view name) {
  const Name* old = name_.load(std::memory_order_relaxed);
  // The inline name serves only until the first one that readers may have seen is replaced.
  const bool first = old == nullptr || old->length == 0;
  void* memory = first && name.size() <= kInlineName
                     ? static_cast<void*>(inline_name_)
                     : std::malloc(kNameHeader + std::max<size_t>(name.size(), 8));  // NOLINT
  if (memory == nullptr) throw std::bad_alloc();
  auto* fresh = new (memory) Name;
  fresh->length = static_cast<uint8_t>(name.size());
  std::memset(fresh->bytes, 0, 8);
  if (!name.empty()) std::memcpy(fresh->bytes, name.data(), name.size());
  name_.store(fresh, std::memory_order_release);
  if (old != nullptr && reinterpret_cast<const char*>(old) != inline_name_)
    rcu::Defer(&std::free, const_cast<Name*>(old));
}

void Dentry::SetParent(Dentry* parent) {
  if (parent != nullptr) parent->Ref();
  Dentry* old = parent_.exchange(parent, std::memory_order_acq_rel);
  if (old != nullptr) old->Unref();
}

bool Dentry::IsAncestorOf(const Dentry& other) const {
  for (const Dentry* d = &other; d != nullptr; d = d->parent()) {
    if (d == this) return true;
  }
  return false;
}

std::string Dentry::Path() const {
  rcu::ReadLock lock;
  std::string path;
  for (const Dentry* d = this; d->parent() != nullptr; d = d->parent())
    path.insert(0, "/" + std::string(d->name()));
  return path.empty() ? "/" : path;
}

std::string Dentry::PathForMessages() const {
  std::string path = Path();
  if (disconnected()) path += "//deleted";
  return path;
}

}  // namespace stasis::vfs
