// SPDX-License-Identifier: Apache-2.0

#include "vfs/directory.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "state/base/rcu.h"
#include "vfs/dentry.h"

namespace stasis::vfs {
using Slot = std::atomic<uintptr_t>;

ChildTable* ChildTable::Make(uint32_t slot_count) {
  auto* table = static_cast<ChildTable*>(
      ::operator new(sizeof(ChildTable) + (slot_count - 1) * sizeof(Slot)));
  table->mask = slot_count - 1;
  for (uint32_t i = 0; i < slot_count; ++i) new (&table->slots[i]) Slot(kEmpty);
  return table;
}

void ChildTable::Free(void* table) { ::operator delete(table); }

bool ChildTable::Put(uintptr_t tagged, uint64_t hash) {
  uint64_t i = hash & mask;
  uintptr_t old = 0;
  while ((old = slots[i].load(std::memory_order_relaxed)) > kTombstone) i = (i + 1) & mask;
  slots[i].store(tagged, std::memory_order_release);
  return old == kEmpty;
}

// Tells lock-free readers of one or two directories that a miss may be wrong.
class Directory::WriteSection {
 public:
  explicit WriteSection(Directory& directory) : WriteSection(directory, directory) {}
  // `a` and `b` may be the same: its count must be odd inside.
  WriteSection(Directory& a, Directory& b) : first_(a.seq_), second_(&a == &b ? nullptr : &b.seq_) {
    first_.fetch_add(1, std::memory_order_acq_rel);
    if (second_ != nullptr) second_->fetch_add(1, std::memory_order_acq_rel);
  }
  ~WriteSection() {
    if (second_ != nullptr) second_->fetch_add(1, std::memory_order_release);
    first_.fetch_add(1, std::memory_order_release);
  }
  WriteSection(const WriteSection&) = delete;
  WriteSection& operator=(const WriteSection&) = delete;

 private:
  std::atomic<uint32_t>& first_;
  std::atomic<uint32_t>* const second_;
};

Directory::~Directory() {
  for (uintptr_t entry : order_) {
    if (!IsMark(entry)) reinterpret_cast<Dentry*>(entry)->Unref();
  }
  if (table_ != nullptr) ChildTable::Free(table_);
}

Dentry* Directory::Lookup(std::string_view name) const {
  const uint32_t seq = seq_.load(std::memory_order_acquire);
  if (Dentry* child = owner_->TryLookup(internal::NameKey(name)); child != nullptr) [[likely]]
    return child;
  // All loads of the lookup are acquires, so this one cannot move before them.
  if ((seq & 1) == 0 && seq_.load(std::memory_order_relaxed) == seq) return nullptr;
  absl::ReaderMutexLock lock(&mu);
  return LookupLocked(name);
}

Dentry* Directory::LookupLocked(std::string_view name) const {
  return owner_->TryLookup(internal::NameKey(name));
}

std::atomic<uintptr_t>* Directory::FindSlot(const Dentry& child) const {
  for (uint64_t i = child.name_hash() & table_->mask;; i = (i + 1) & table_->mask) {
    const uintptr_t slot = table_->slots[i].load(std::memory_order_relaxed);
    if (ChildTable::Untagged(slot) == &child) return &table_->slots[i];
  }
}

void Directory::PublishTable(ChildTable* table) {
  ChildTable* old = std::exchange(table_, table);
  owner_->children_.store(ChildTableRef(table), std::memory_order_release);
  if (old != nullptr) rcu::Defer(&ChildTable::Free, old);
}

// Makes room for one more slot: at most three quarters are used, removed ones included.
void Directory::Reserve() {
  const uint32_t slots = table_ == nullptr ? 0 : table_->mask + 1;
  if ((used_slots_ + 1) * 4 <= slots * 3) return;
  uint32_t wanted = 8;
  while ((count_ + 1) * 2 > wanted) wanted *= 2;
  ChildTable* table = ChildTable::Make(wanted);
  for (uint32_t i = 0; i < slots; ++i) {
    const uintptr_t slot = table_->slots[i].load(std::memory_order_relaxed);
    if (slot > ChildTable::kTombstone) table->Put(slot, ChildTable::Untagged(slot)->name_hash());
  }
  used_slots_ = count_;
  PublishTable(table);
}

void Directory::PutSlot(Dentry* child) {
  const uint64_t hash = child->name_hash();
  if (table_->Put(ChildTable::Tagged(child, hash), hash)) ++used_slots_;
  ++count_;
}

uint64_t Directory::PositionOf(uintptr_t entry) {
  return IsMark(entry) ? entry >> 1 : reinterpret_cast<const Dentry*>(entry)->position();
}

std::vector<uintptr_t>::const_iterator Directory::LowerBound(uint64_t position) const {
  return std::lower_bound(
      order_.begin(), order_.end(), position,
      [](uintptr_t entry, uint64_t wanted) { return PositionOf(entry) < wanted; });
}

uint64_t Directory::end_of_children() const {
  for (auto it = order_.rbegin(); it != order_.rend(); ++it)
    if (!IsMark(*it)) return PositionOf(*it) + 1;
  return kFirstPosition;
}

void Directory::AppendOrder(Dentry* child) {
  child->position_ = next_position_++;
  order_.push_back(reinterpret_cast<uintptr_t>(child));
}

void Directory::MarkOrder(const Dentry& child) {
  const auto at = static_cast<size_t>(LowerBound(child.position()) - order_.cbegin());
  order_[at] = (static_cast<uintptr_t>(child.position()) << 1) | 1;
  if (++marks_ * 2 <= order_.size() || order_.size() < 16) return;
  order_.erase(std::remove_if(order_.begin(), order_.end(), IsMark), order_.end());
  if (order_.capacity() > 4 * order_.size() + 16) order_.shrink_to_fit();
  marks_ = 0;
}

void Directory::Insert(RefPtr<Dentry> child) {
  WriteSection section(*this);
  Add(std::move(child));
}

void Directory::Add(RefPtr<Dentry> child) {
  Reserve();
  Dentry* dentry = child.release();
  dentry->SetParent(owner_);
  AppendOrder(dentry);
  PutSlot(dentry);
  if (dentry->inode_) dentry->inode_->OnConnected(*dentry);  // missing only in a load
}

void Directory::InsertRestored(RefPtr<Dentry> child) {
  next_position_ = child->position();
  Insert(std::move(child));
}

RefPtr<Dentry> Directory::Remove(Dentry& child) {
  WriteSection section(*this);
  FindSlot(child)->store(ChildTable::kTombstone, std::memory_order_release);
  --count_;
  MarkOrder(child);
  child.SetFlag(Dentry::kDisconnected, true);
  child.inode().OnDisconnected(child);
  return RefPtr<Dentry>::Adopt(&child);
}

RefPtr<Dentry> Directory::Move(Directory& from, Dentry& child, Directory& to, std::string_view name,
                               Dentry* replaced, RefPtr<Dentry> left_behind) {
  WriteSection section(from, to);
  if (replaced == nullptr) to.Reserve();
  from.FindSlot(child)->store(ChildTable::kTombstone, std::memory_order_release);
  --from.count_;
  from.MarkOrder(child);
  std::atomic<uintptr_t>* slot = replaced == nullptr ? nullptr : to.FindSlot(*replaced);
  child.SetParent(to.owner_);
  child.SetName(name);
  to.AppendOrder(&child);
  if (replaced == nullptr) {
    to.PutSlot(&child);
  } else {
    slot->store(ChildTable::Tagged(&child, internal::HashName(internal::NameKey(name))),
                std::memory_order_release);
    to.MarkOrder(*replaced);
    replaced->SetFlag(Dentry::kDisconnected, true);
    replaced->inode().OnDisconnected(*replaced);
  }
  if (left_behind) from.Add(std::move(left_behind));
  return RefPtr<Dentry>::Adopt(replaced);
}

void Directory::Exchange(Directory& a, Dentry& child_a, Directory& b, Dentry& child_b) {
  WriteSection section(a, b);
  std::atomic<uintptr_t>* slot_a = a.FindSlot(child_a);
  std::atomic<uintptr_t>* slot_b = b.FindSlot(child_b);
  const auto at_a = static_cast<size_t>(a.LowerBound(child_a.position()) - a.order_.cbegin());
  const auto at_b = static_cast<size_t>(b.LowerBound(child_b.position()) - b.order_.cbegin());
  const std::string name_a(child_a.name());
  const std::string name_b(child_b.name());
  child_a.SetParent(b.owner_);
  child_a.SetName(name_b);
  child_b.SetParent(a.owner_);
  child_b.SetName(name_a);
  std::swap(child_a.position_, child_b.position_);
  slot_a->store(ChildTable::Tagged(&child_b, child_b.name_hash()), std::memory_order_release);
  slot_b->store(ChildTable::Tagged(&child_a, child_a.name_hash()), std::memory_order_release);
  a.order_[at_a] = reinterpret_cast<uintptr_t>(&child_b);
  b.order_[at_b] = reinterpret_cast<uintptr_t>(&child_a);
}

std::vector<RefPtr<Dentry>> Directory::RemoveAll() {
  WriteSection section(*this);
  std::vector<RefPtr<Dentry>> children;
  children.reserve(count_);
  for (uintptr_t entry : order_) {
    if (!IsMark(entry)) children.push_back(RefPtr<Dentry>::Adopt(reinterpret_cast<Dentry*>(entry)));
  }
  order_.clear();
  count_ = used_slots_ = marks_ = 0;
  if (table_ != nullptr) PublishTable(nullptr);
  for (RefPtr<Dentry>& child : children) {
    if (child->inode_) child->inode_->OnDisconnected(*child);
    child->SetParent(nullptr);
  }
  return children;
}

std::vector<RefPtr<Dentry>> Directory::RemoveEach() {
  std::vector<Dentry*> children;
  ForEach([&](Dentry& child) { children.push_back(&child); });
  std::vector<RefPtr<Dentry>> removed;
  removed.reserve(children.size());
  for (Dentry* child : children) removed.push_back(Remove(*child));
  return removed;
}

void Directory::StashForLoad(std::vector<Dentry*> children) {
  order_.clear();
  for (Dentry* child : children) {
    if (child != nullptr) child->Ref();  // as for a linked child, so that ~Directory fits both
    order_.push_back(child != nullptr ? reinterpret_cast<uintptr_t>(child) : 1);
  }
}

std::vector<Dentry*> Directory::TakeStash() {
  std::vector<Dentry*> children;
  children.reserve(order_.size());
  for (uintptr_t entry : order_)
    children.push_back(IsMark(entry) ? nullptr : reinterpret_cast<Dentry*>(entry));
  order_.clear();
  return children;
}

}  // namespace stasis::vfs
