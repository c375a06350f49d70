// SPDX-License-Identifier: Apache-2.0
//
// dentry.h: a name in a tree.
//
// Every filesystem's tree is made of these, so that one path walk serves all of them; what differs
// between filesystems is the Inode behind. A dentry is connected while its parent's Directory lists
// it, and keeps name, parent and inode after it was removed, for as long as somebody holds it.
//
// References: a connected dentry is held by its parent's Directory, and holds its parent and its
// inode; a removed one holds them for as long as it is held itself. The cycle ends when it is
// removed, or when the tree is taken down (TreeFilesystem::Teardown). Whoever is in a
// read-copy-update section may use dentries that he found without a reference.
//
// 128 bytes, two cache lines, with names of up to kInlineName bytes.

#ifndef STASIS_VFS_DENTRY_H_
#define STASIS_VFS_DENTRY_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "state/annotations.h"
#include "state/base/slab.h"
#include "state/object.h"
#include "vfs/directory.h"
#include "vfs/inode.h"
#include "vfs/internal/name.h"

namespace stasis::vfs {

inline constexpr size_t kNameMax = 255;

// Whether `name` can be a file's: 1 to 255 bytes, no '/', no NUL, not "." or "..".
bool IsValidName(std::string_view name);

// Thread-safe.
class Dentry final : public state::Object {
 public:
  // A tree's root.
  static RefPtr<Dentry> MakeRoot(RefPtr<Inode> inode);
  // A dentry not connected yet. Requires: IsValidName(name).
  static RefPtr<Dentry> Make(std::string_view name, RefPtr<Inode> inode);
  // One that `parent` has never listed: a file made without a name.
  static RefPtr<Dentry> MakeDisconnected(Dentry& parent, std::string_view name,
                                         RefPtr<Inode> inode);
  ~Dentry() override;

  // Valid in a read-copy-update section, or while no rename can happen.
  std::string_view name() const { return name_.load(std::memory_order_acquire)->view(); }
  uint64_t name_hash() const { return internal::HashName(internal::NameKey(name())); }
  // Null for a root. Valid in a read-copy-update section, or with a lock that keeps renames out.
  Dentry* parent() const { return parent_.load(std::memory_order_acquire); }
  Inode& inode() const { return *inode_; }
  bool is_dir() const { return directory_ != nullptr; }
  // Whether the file is one of `filesystem`. Safe to ask while a load is not finished.
  bool IsOf(const Filesystem& filesystem) const { return inode_ && inode_->IsOf(filesystem); }
  // True for a symbolic link, for what something is mounted on and for what must be checked first:
  // a walk may not just step on.
  bool needs_attention() const {
    return (flags_.load(std::memory_order_acquire) & (kSymlink | kMountpoint | kUnchecked)) != 0;
  }
  // Before each use the parent is asked whether the file of this name is still this one, and its
  // attributes are known (Inode::CheckChild).
  bool unchecked() const { return HasFlag(kUnchecked); }
  void set_unchecked(bool on) { SetFlag(kUnchecked, on); }
  // The child of that name, or null; null may also mean that a writer is at work. Requires: as
  // Directory::Lookup. A dentry that is no directory has none.
  Dentry* TryLookup(const internal::NameKey& name) const {
    return children_.load(std::memory_order_acquire).Find(*this, name);
  }
  bool NameEquals(const internal::NameKey& other) const {
    const Name* name = name_.load(std::memory_order_acquire);
    return name->length == other.text.size() && name->word() == other.word &&
           (name->length <= 8 ||
            internal::EqualTails(name->bytes, other.text.data(), name->length));
  }
  // Requires: is_dir().
  Directory& directory() const { return *directory_; }

  uint64_t position() const { return position_; }

  // Removed from its parent (never true for a root).
  bool disconnected() const { return HasFlag(kDisconnected); }
  // Some mount, in whatever namespace, is attached here.
  bool is_mountpoint() const { return HasFlag(kMountpoint); }
  // Called by the mount table with its lock held.
  void set_mountpoint(bool on) { SetFlag(kMountpoint, on); }

  // True if `this` is `other` or above it. Requires: no rename of directories meanwhile.
  bool IsAncestorOf(const Dentry& other) const;

  // "/a/b" from the tree's root, as it is or, of one that was removed, was.
  std::string Path() const;
  // The same; "//deleted" is appended to one that was removed. For messages.
  std::string PathForMessages() const;

  STASIS_SLAB_ALLOCATED(Dentry);

 private:
  friend class Directory;
  friend class TreeFilesystem;
  STATE_SAVABLE(Dentry);

  enum Flag : uint32_t {
    kDisconnected = 1 << 0,
    kMountpoint = 1 << 1,
    kSymlink = 1 << 2,
    kOnChain = 1 << 3,  // these two in a restore only
    kChecked = 1 << 4,
    kCounted = 1 << 5,  // by the inode
    kUnchecked = 1 << 6,
  };

  // Immutable once published.
  struct Name {
    uint8_t length;
    char bytes[1];  // `length` of them, at least eight: zeros behind a shorter name

    std::string_view view() const { return {bytes, length}; }
    uint64_t word() const { return internal::LoadWord<uint64_t>(bytes); }
  };
  static constexpr size_t kNameHeader = 1;
  static constexpr size_t kInlineName = 55;

  Dentry() = default;

  void OnZeroRefs() override;
  // Tells the inode that it has one dentry more. Returns how many it had.
  uint32_t CountInInode();
  bool HasFlag(Flag flag) const { return (flags_.load(std::memory_order_acquire) & flag) != 0; }
  void SetFlag(Flag flag, bool on);
  void SetName(std::string_view name);
  void SetParent(Dentry* parent);  // takes a reference on it and drops the old one's

  std::string SaveName() const { return std::string(name()); }
  absl::Status LoadName(std::string name, state::LoadContext& context);
  std::vector<Dentry*> SaveDirectory() const;
  absl::Status LoadDirectory(std::vector<Dentry*> children, state::LoadContext& context);
  uint64_t SaveEnd() const;
  absl::Status LoadEnd(uint64_t end, state::LoadContext& context);
  Dentry* SaveParent() const;
  absl::Status LoadParent(Dentry* parent, state::LoadContext& context);
  absl::Status AfterLoad(state::LoadContext& context);
  void LoadFailed() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  absl::Status CheckParentChain(state::LoadContext& context);
  absl::Status LinkRestoredChildren(state::LoadContext& context);

  // The first cache line is what a walk through a directory reads.
  std::atomic<uint32_t> flags_ STATE(nosave){0};
  // The hash table of directory_, which owns it: one load less for each step of a walk.
  std::atomic<ChildTableRef> children_ STATE(nosave){};
  // Saved only for a disconnected dentry; otherwise the parent's list of children tells.
  std::atomic<Dentry*> parent_ STATE(manual){nullptr};    // holds a reference until OnZeroRefs
  RefPtr<Inode> inode_ STATE(wait);                       // immutable
  std::unique_ptr<Directory> directory_ STATE(manual);    // immutable; null unless a directory
  std::atomic<const Name*> name_ STATE(manual){nullptr};  // inline_name_, or malloc'ed
  // Directory::end_position(), if it is not that after the last child: 0 if it is.
  [[no_unique_address]] struct {
  } end_ STATE(manual);
  // The second cache line.
  uint64_t position_ = 0;  // in the parent's order; changed under the parent's Directory::mu
  alignas(Name) char inline_name_[kNameHeader + kInlineName] STATE(nosave);
};

inline Dentry* ChildTableRef::Find(const Dentry& parent, const internal::NameKey& name) const {
  if (bits_ == 0) return nullptr;
  const auto* table = reinterpret_cast<const ChildTable*>(bits_ & ChildTable::kAddressBits);
  size_t mask = bits_ >> ChildTable::kTagShift;
  if (mask == kLarge) [[unlikely]]
    mask = table->mask;
  const uint64_t hash = internal::HashName(name);
  const uintptr_t tag = ChildTable::Tag(hash);
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const uintptr_t slot = table->slots[i].load(std::memory_order_acquire);
    if ((slot >> ChildTable::kTagShift) == tag) [[likely]] {
      Dentry* child = ChildTable::Untagged(slot);
      // A rename sets the parent before the name: who sees the new name sees the new parent too.
      if (child->NameEquals(name) && child->parent() == &parent) [[likely]]
        return child;
    } else if (slot == ChildTable::kEmpty) {
      return nullptr;
    }
  }
}

}  // namespace stasis::vfs

#endif  // STASIS_VFS_DENTRY_H_
