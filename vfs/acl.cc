// SPDX-License-Identifier: Apache-2.0

#include "vfs/acl.h"

#include <bit>
#include <cstring>

namespace stasis::vfs {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderSize = 4;
constexpr size_t kEntrySize = 8;
constexpr uint32_t kNoId = 0xffffffff;

static_assert(std::endian::native == std::endian::little, "the form in memory is the kernel's");

template <typename T>
T Load(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

template <typename T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

Result<Acl> Acl::Parse(std::string_view xattr) {
  if (xattr.size() < kHeaderSize) return Err(EINVAL);
  if (Load<uint32_t>(xattr.data()) != kVersion) return Err(EOPNOTSUPP);
  if ((xattr.size() - kHeaderSize) % kEntrySize != 0) return Err(EINVAL);
  Acl acl;
  for (size_t at = kHeaderSize; at < xattr.size(); at += kEntrySize) {
    const char* p = xattr.data() + at;
    Entry entry{Load<uint16_t>(p), Load<uint16_t>(p + 2), Load<uint32_t>(p + 4)};
    if (entry.tag != kUser && entry.tag != kGroup) entry.id = kNoId;
    constexpr uint32_t kTags = kUserObj | kUser | kGroupObj | kGroup | kMask | kOther;
    if (!std::has_single_bit(entry.tag) || (entry.tag & ~kTags) != 0) return Err(EINVAL);
    const bool named = entry.tag == kUser || entry.tag == kGroup;
    if (named && entry.id == kNoId) return Err(EINVAL);
    acl.entries_.push_back(entry);
  }
  return acl;
}

std::string Acl::Format() const {
  std::string out;
  out.reserve(kHeaderSize + entries_.size() * kEntrySize);
  Append(out, kVersion);
  for (const Entry& entry : entries_) {
    Append(out, entry.tag);
    Append(out, entry.perm);
    Append(out, entry.id);
  }
  return out;
}

bool Acl::IsValid() const {
  uint16_t previous = 0;
  bool named = false;
  uint32_t seen = 0;
  for (const Entry& entry : entries_) {
    if ((entry.perm & ~7) != 0 || entry.tag < previous) return false;
    previous = entry.tag;
    switch (entry.tag) {
      case kUser:
      case kGroup:
        named = true;
        break;
      default:
        if ((seen & entry.tag) != 0) return false;
    }
    seen |= entry.tag;
  }
  constexpr uint32_t kRequired = kUserObj | kGroupObj | kOther;
  return (seen & kRequired) == kRequired && (!named || (seen & kMask) != 0);
}

Acl::Entry* Acl::Find(Tag tag) {
  for (Entry& entry : entries_) {
    if (entry.tag == tag) return &entry;
  }
  return nullptr;
}

const Acl::Entry* Acl::Find(Tag tag) const { return const_cast<Acl*>(this)->Find(tag); }

uint32_t Acl::Mode() const {
  const Entry* mask = Find(kMask);
  const Entry* group = mask != nullptr ? mask : Find(kGroupObj);
  return static_cast<uint32_t>(Find(kUserObj)->perm << 6 | group->perm << 3 | Find(kOther)->perm);
}

void Acl::SetMode(uint32_t mode) {
  Entry* mask = Find(kMask);
  Find(kUserObj)->perm = mode >> 6 & 7;
  (mask != nullptr ? mask : Find(kGroupObj))->perm = mode >> 3 & 7;
  Find(kOther)->perm = mode & 7;
}

uint32_t Acl::LimitTo(uint32_t mode) {
  SetMode(Mode() & mode);
  return Mode();
}

bool Acl::Grants(const Credentials& creds, Access want, uint32_t gid) const {
  const Entry* mask = Find(kMask);
  const auto masked = [&](const Entry& entry) {
    return (want & ~(entry.perm & (mask != nullptr ? mask->perm : 7u))) == 0;
  };
  bool in_group = false;
  for (const Entry& entry : entries_) {
    if (entry.tag == kUser && entry.id == creds.uid) return masked(entry);
    const bool applies = (entry.tag == kGroupObj && creds.InGroup(gid)) ||
                         (entry.tag == kGroup && creds.InGroup(entry.id));
    if (!applies) continue;
    in_group = true;
    // The first group that has the rights decides.
    if ((want & ~static_cast<Access>(entry.perm)) == 0) return masked(entry);
  }
  return !in_group && (want & ~static_cast<Access>(Find(kOther)->perm)) == 0;
}

}  // namespace stasis::vfs
