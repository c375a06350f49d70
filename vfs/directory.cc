// SPDX-License-Identifier: Apache-2.0

#include "vfs/directory.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "state/base/rcu.h"
#include "vfs/dentry.h"

namespace stasis::vfs {
namespace {

constexpr uintptr_t kEmpty = 0;
constexpr uintptr_t kTombstone = 1;
constexpr int kTagShift = 48;
constexpr uintptr_t kPointerMask = (uintptr_t{1} << kTagShift) - 1;

uintptr_t Tagged(Dentry* dentry, uint32_t hash) {
  return (static_cast<uintptr_t>(hash >> 16) << kTagShift) | reinterpret_cast<uintptr_t>(dentry);
}

Dentry* Untagged(uintptr_t slot) { return reinterpret_cast<Dentry*>(slot & kPointerMask); }

}  // namespace

uint32_t HashName(std::string_view name) {
  const size_t hash = absl::Hash<std::string_view>{}(name);
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

// `mask` + 1 slots follow the header.
struct Directory::Table {
  uint32_t mask;
  std::atomic<uintptr_t> slots[1];

  static Table* Make(uint32_t slot_count) {
    const size_t bytes = sizeof(Table) + (slot_count - 1) * sizeof(std::atomic<uintptr_t>);
    auto* table = static_cast<Table*>(::operator new(bytes));
    table->mask = slot_count - 1;
    for (uint32_t i = 0; i < slot_count; ++i) new (&table->slots[i]) std::atomic<uintptr_t>(kEmpty);
    return table;
  }
  static void Free(void* table) { ::operator delete(table); }

  void Put(uintptr_t tagged, uint32_t hash) {
    uint32_t i = hash & mask;
    while (slots[i].load(std::memory_order_relaxed) > kTombstone) i = (i + 1) & mask;
    slots[i].store(tagged, std::memory_order_release);
  }
};

// Tells lock-free readers that a miss may be wrong.
class Directory::WriteSection {
 public:
  explicit WriteSection(Directory& directory) : seq_(directory.seq_) {
    seq_.fetch_add(1, std::memory_order_acq_rel);
  }
  ~WriteSection() { seq_.fetch_add(1, std::memory_order_release); }
  WriteSection(const WriteSection&) = delete;
  WriteSection& operator=(const WriteSection&) = delete;

 private:
  std::atomic<uint32_t>& seq_;
};

Directory::~Directory() {
  for (uintptr_t entry : order_) {
    if (!IsMark(entry)) reinterpret_cast<Dentry*>(entry)->Unref();
  }
  if (Table* table = table_.load(std::memory_order_relaxed); table != nullptr) Table::Free(table);
}

Dentry* Directory::Probe(const Table* table, const Dentry* owner, std::string_view name,
                         uint32_t hash) {
  if (table == nullptr) return nullptr;
  const uintptr_t tag = hash >> 16;
  for (uint32_t i = hash & table->mask;; i = (i + 1) & table->mask) {
    const uintptr_t slot = table->slots[i].load(std::memory_order_acquire);
    if (slot == kEmpty) return nullptr;
    if ((slot >> kTagShift) != tag || slot == kTombstone) continue;
    Dentry* child = Untagged(slot);
    // A rename sets the parent before the name: who sees the new name sees the new parent too.
    if (child->name() == name && child->parent() == owner) return child;
  }
}

Dentry* Directory::Lookup(std::string_view name) const {
  const uint32_t hash = HashName(name);
  const uint32_t seq = seq_.load(std::memory_order_acquire);
  Dentry* child = Probe(table_.load(std::memory_order_acquire), owner_, name, hash);
  if (child != nullptr) [[likely]]
    return child;
  // All loads of the probe are acquires, so this one cannot move before them.
  if ((seq & 1) == 0 && seq_.load(std::memory_order_relaxed) == seq) return nullptr;
  absl::ReaderMutexLock lock(&mu);
  return LookupLocked(name);
}

Dentry* Directory::LookupLocked(std::string_view name) const {
  return Probe(table_.load(std::memory_order_relaxed), owner_, name, HashName(name));
}

std::atomic<uintptr_t>* Directory::FindSlot(const Dentry& child) const {
  Table* table = table_.load(std::memory_order_relaxed);
  for (uint32_t i = child.name_hash() & table->mask;; i = (i + 1) & table->mask) {
    const uintptr_t slot = table->slots[i].load(std::memory_order_relaxed);
    if (slot != kTombstone && Untagged(slot) == &child) return &table->slots[i];
  }
}

// Makes room for one more slot: at most three quarters are used, removed ones included.
void Directory::Reserve() {
  Table* old = table_.load(std::memory_order_relaxed);
  const uint32_t slots = old == nullptr ? 0 : old->mask + 1;
  if ((used_slots_ + 1) * 4 <= slots * 3) return;
  uint32_t wanted = 8;
  while ((count_ + 1) * 2 > wanted) wanted *= 2;
  Table* table = Table::Make(wanted);
  for (uint32_t i = 0; i < slots; ++i) {
    const uintptr_t slot = old->slots[i].load(std::memory_order_relaxed);
    if (slot > kTombstone) table->Put(slot, Untagged(slot)->name_hash());
  }
  used_slots_ = count_;
  table_.store(table, std::memory_order_release);
  if (old != nullptr) rcu::Defer(&Table::Free, old);
}

void Directory::PutSlot(Dentry* child) {
  const uint32_t hash = child->name_hash();
  table_.load(std::memory_order_relaxed)->Put(Tagged(child, hash), hash);
  ++used_slots_;
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

void Directory::AppendOrder(Dentry* child) {
  child->position_ = next_position_++;
  order_.push_back(reinterpret_cast<uintptr_t>(child));
}

void Directory::MarkOrder(const Dentry& child) {
  const auto at = static_cast<size_t>(LowerBound(child.position()) - order_.cbegin());
  order_[at] = (static_cast<uintptr_t>(child.position()) << 1) | 1;
  if (++marks_ * 2 <= order_.size() || order_.size() < 16) return;
  order_.erase(std::remove_if(order_.begin(), order_.end(), IsMark), order_.end());
  marks_ = 0;
}

void Directory::Insert(RefPtr<Dentry> child) {
  WriteSection section(*this);
  Reserve();
  Dentry* dentry = child.release();
  dentry->SetParent(owner_);
  AppendOrder(dentry);
  PutSlot(dentry);
}

void Directory::InsertRestored(RefPtr<Dentry> child) {
  next_position_ = child->position();
  Insert(std::move(child));
}

RefPtr<Dentry> Directory::Remove(Dentry& child) {
  WriteSection section(*this);
  FindSlot(child)->store(kTombstone, std::memory_order_release);
  --count_;
  MarkOrder(child);
  child.SetFlag(Dentry::kDisconnected, true);
  return RefPtr<Dentry>::Adopt(&child);
}

RefPtr<Dentry> Directory::Move(Directory& from, Dentry& child, Directory& to,
                               std::string_view name, Dentry* replaced) {
  WriteSection from_section(from);
  WriteSection to_section(to);
  to.Reserve();
  from.FindSlot(child)->store(kTombstone, std::memory_order_release);
  --from.count_;
  from.MarkOrder(child);
  std::atomic<uintptr_t>* slot = replaced == nullptr ? nullptr : to.FindSlot(*replaced);
  child.SetParent(to.owner_);
  child.SetName(name);
  to.AppendOrder(&child);
  if (replaced == nullptr) {
    to.PutSlot(&child);
    return nullptr;
  }
  slot->store(Tagged(&child, child.name_hash()), std::memory_order_release);
  to.MarkOrder(*replaced);
  replaced->SetFlag(Dentry::kDisconnected, true);
  return RefPtr<Dentry>::Adopt(replaced);
}

void Directory::Exchange(Directory& a, Dentry& child_a, Directory& b, Dentry& child_b) {
  WriteSection a_section(a);
  WriteSection b_section(b);
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
  slot_a->store(Tagged(&child_b, child_b.name_hash()), std::memory_order_release);
  slot_b->store(Tagged(&child_a, child_a.name_hash()), std::memory_order_release);
  a.order_[at_a] = reinterpret_cast<uintptr_t>(&child_b);
  b.order_[at_b] = reinterpret_cast<uintptr_t>(&child_a);
}

std::vector<RefPtr<Dentry>> Directory::RemoveAll() {
  WriteSection section(*this);
  std::vector<RefPtr<Dentry>> children;
  children.reserve(count_);
  for (uintptr_t entry : order_) {
    if (!IsMark(entry))
      children.push_back(RefPtr<Dentry>::Adopt(reinterpret_cast<Dentry*>(entry)));
  }
  order_.clear();
  count_ = used_slots_ = marks_ = 0;
  if (Table* table = table_.exchange(nullptr); table != nullptr) rcu::Defer(&Table::Free, table);
  for (RefPtr<Dentry>& child : children) child->SetParent(nullptr);
  return children;
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
