// SPDX-License-Identifier: Apache-2.0

#include "vfs/inode.h"

#include <sys/xattr.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "state/load_context.h"
#include "vfs/file_description.h"
#include "vfs/filesystem.h"
#include "vfs/options.h"

namespace stasis::vfs {
namespace {

constexpr int64_t kDay = 24 * 3600;  // seconds
constexpr uint64_t kCopySize = uint64_t{256} << 10;

// Whole seconds since 1970, rounded down, as Linux compares them.
constexpr int64_t Seconds(TimeNs time) {
  constexpr TimeNs kSecond = 1'000'000'000;
  return time / kSecond - (time % kSecond < 0 ? 1 : 0);
}

}  // namespace

uint64_t NewFile::XattrBytes() const {
  uint64_t bytes = 0;
  for (const auto& [name, value] : xattrs) bytes += name.size() + value.size();
  return bytes;
}

Inode::Inode(Filesystem& filesystem, uint64_t ino, const NewFile& file, uint32_t nlink, TimeNs now)
    : mode_(file.mode),
      uid_(file.uid),
      gid_(file.gid),
      nlink_(nlink),
      ino_(ino),
      filesystem_(RefPtr<Filesystem>(&filesystem)),
      atime_(now),
      mtime_(now),
      ctime_(now),
      btime_(now),
      xattrs_(file.xattrs.empty() ? nullptr : std::make_unique<XattrMap>(file.xattrs)) {
  SetModeFlag(kHasAcl, FindXattr(kAclAccessXattr) != nullptr);
  SetModeFlag(kHasDefaultAcl, FindXattr(kAclDefaultXattr) != nullptr);
}

Inode::~Inode() {
  if (has_locks() && filesystem_) filesystem_->file_locks()->Forget(*this);
}

void Inode::FillStat(Stat& stat) const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  stat.ino = ino_;
  stat.size = size_.load(kRelaxed);
  stat.blocks = 0;
  stat.rdev = 0;
  stat.atime = atime_.load(kRelaxed);
  stat.mtime = mtime_.load(kRelaxed);
  stat.ctime = ctime_.load(kRelaxed);
  stat.btime = btime_.load(kRelaxed);
  stat.mode = mode();
  stat.nlink = nlink();
  stat.uid = uid();
  stat.gid = gid();
  stat.blksize = 4096;
}

void Inode::PutModeFlag(uint32_t flag, bool on) {
  if (on) {
    mode_.fetch_or(flag, std::memory_order_relaxed);
  } else {
    mode_.fetch_and(~flag, std::memory_order_relaxed);
  }
}

void Inode::SetModeFlag(uint32_t flag, bool on) {
  if (HasModeFlag(flag) != on) PutModeFlag(flag, on);
}

void Inode::SetWatched(bool on) { PutModeFlag(kWatched, on); }

void Inode::StoreMode(uint32_t mode) {
  uint32_t old = mode_.load(std::memory_order_relaxed);
  while (!mode_.compare_exchange_weak(old, mode | (old & ~kModeBits), std::memory_order_relaxed)) {
  }
}

bool Inode::AclMayDecide(const Credentials& creds, Access want) const {
  const uint32_t mode = this->mode();
  return creds.uid != uid() && (mode & S_IRWXG) != 0 && !CheckCapableOf(creds, want, mode);
}

Result<void> Inode::CheckAccessByAcl(const Credentials& creds, Access want) const {
  if (HasModeFlag(kAclUnknown)) {
    const bool decides = AclMayDecide(creds, want);
    // Of a directory also for the walks to come, which then need no look at it.
    if (decides || (is_dir() && filesystem_->exclusive())) {
      const Result<void> learnt = const_cast<Inode*>(this)->LearnAcl();
      if (!learnt && decides) return learnt;
    }
  }
  absl::ReaderMutexLock lock(&mu_);
  return CheckAccessLocked(creds, want);
}

void Inode::SetLearntAcl(std::string stored, bool kept) {
  const bool found = !stored.empty();
  xattrs_.reset();
  if (found) {
    xattrs_ = std::make_unique<XattrMap>();
    xattrs_->emplace(kAclAccessXattr, std::move(stored));
  }
  SetModeFlag(kHasAcl, found);
  SetModeFlag(kAclUnknown, !kept);
}

// As acl_permission_check() of Linux.
Result<void> Inode::CheckAccessLocked(const Credentials& creds, Access want) const {
  const uint32_t mode = this->mode();
  const std::string* stored = FindXattr(kAclAccessXattr);
  if (stored == nullptr || creds.uid == uid() || (mode & S_IRWXG) == 0)
    return vfs::CheckAccess(creds, want, mode, uid(), gid());
  if (Acl::Parse(*stored)->Grants(creds, want, gid())) return {};
  return CheckCapableOf(creds, want, mode);
}

void Inode::DropDentry() {
  const bool last = dentries_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  if (nlink() != 0) return;
  // As dentry_unlink_inode() of Linux: whichever of its names it is that nobody holds any more.
  if (watched() && filesystem_) filesystem_->watches()->OnDeleted(*this);
  if (!last) return;
  // Without a link it cannot get another dentry.
  dentries_.fetch_or(kReleased, std::memory_order_relaxed);
  ReleaseUnlinked();
}

void Inode::TouchAtime(TimeNs now, AtimeRule rule) {
  const TimeNs atime = atime_.load(std::memory_order_relaxed);
  if (rule == AtimeRule::kRelative && atime > mtime_.load(std::memory_order_relaxed) &&
      atime > ctime_.load(std::memory_order_relaxed) && Seconds(now) - Seconds(atime) < kDay) {
    return;
  }
  atime_.store(now, std::memory_order_relaxed);
}

void Inode::TouchModified(TimeNs now) {
  mtime_.store(now, std::memory_order_relaxed);
  ctime_.store(now, std::memory_order_relaxed);
}

void Inode::TouchChanged(TimeNs now) { ctime_.store(now, std::memory_order_relaxed); }

Result<void> Inode::CheckSetAttributes(const Credentials& creds, const SetStat& set) const {
  const bool owner = IsOwnerOrCapable(creds, uid());
  if (set.mode) {
    if (is_symlink() && !creds.Has(Capability::kSysAdmin)) return Err(EOPNOTSUPP);
    if (!owner) return Err(EPERM);
  }
  if (!creds.Has(Capability::kChown)) {
    if (set.uid && (creds.uid != uid() || *set.uid != uid())) return Err(EPERM);
    if (set.gid && (creds.uid != uid() || !(creds.InGroup(*set.gid) || *set.gid == gid())))
      return Err(EPERM);
  }
  if (set.size) {
    if (is_dir()) return Err(EISDIR);
    if (!is_regular()) return Err(EINVAL);
    if (*set.size > kMaxFileSize) return Err(EFBIG);
  }
  if ((set.atime || set.mtime) && !owner) {
    // Writers may set both times to now, and nothing else.
    if (!set.atime || !set.mtime || !set.atime->now || !set.mtime->now) return Err(EPERM);
    STASIS_RETURN_IF_ERROR(CheckAccessLocked(creds, kWrite));
  }
  if ((set.ctime || set.btime) && !creds.Has(Capability::kSysAdmin)) return Err(EPERM);
  return {};
}

// The mode of a file that is no directory, after `creds` gave it away or changed its content: a
// program does not keep privileges that way (chown(2), write(2)).
uint32_t Inode::WithoutPrivileges(const Credentials& creds, uint32_t mode) const {
  mode &= ~static_cast<uint32_t>(S_ISUID);
  if ((mode & S_IXGRP) != 0 || !(creds.InGroup(gid()) || creds.Has(Capability::kFsetid)))
    mode &= ~static_cast<uint32_t>(S_ISGID);
  return mode;
}

bool Inode::DropLocked(const DropPrivileges& drop) {
  const uint32_t mode = this->mode();
  if (S_ISDIR(mode)) return false;
  if (drop.capabilities) EraseXattr("security.capability");
  uint32_t left = mode;
  if (drop.set_ids) {
    left &= ~static_cast<uint32_t>(S_ISUID);
    if ((mode & S_IXGRP) != 0) left &= ~static_cast<uint32_t>(S_ISGID);
  }
  if (drop.set_gid) left &= ~static_cast<uint32_t>(S_ISGID);
  StoreMode(left);
  return left != mode;
}

Result<bool> Inode::Drop(const DropPrivileges& drop, TimeNs now) {
  absl::MutexLock lock(&mu_);
  const bool changed = DropLocked(drop);
  if (changed) TouchChanged(now);
  return changed;
}

void Inode::ApplyAttributes(const Credentials& creds, const SetStat& set, TimeNs now) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  DropLocked(set.drop_privileges);
  uint32_t mode = this->mode();
  const bool given_away = (set.uid || set.gid) && !S_ISDIR(mode);
  if (given_away || (set.size && !creds.Has(Capability::kFsetid)))
    mode = WithoutPrivileges(creds, mode);
  if (set.uid) uid_.store(*set.uid, kRelaxed);
  if (set.gid) gid_.store(*set.gid, kRelaxed);
  if (set.mode) {
    uint32_t bits = *set.mode & kPermissionBits;
    if (!creds.InGroup(gid_.load(kRelaxed)) && !creds.Has(Capability::kFsetid))
      bits &= ~static_cast<uint32_t>(S_ISGID);
    mode = (mode & S_IFMT) | bits;
    if (const std::string* stored = FindXattr(kAclAccessXattr); stored != nullptr) {
      Acl acl = *Acl::Parse(*stored);
      acl.SetMode(mode);
      std::ignore = PutXattr(kAclAccessXattr, acl.Format());  // of the same size
    }
  }
  StoreMode(mode);
  if (set.size) mtime_.store(now, kRelaxed);
  if (set.atime) atime_.store(set.atime->now ? now : set.atime->value, kRelaxed);
  if (set.mtime) mtime_.store(set.mtime->now ? now : set.mtime->value, kRelaxed);
  if (set.btime) btime_.store(*set.btime, kRelaxed);
  ctime_.store(set.ctime ? *set.ctime : now, kRelaxed);
}

Result<void> Inode::SetAttributes(const Credentials& creds, const SetStat& set, TimeNs now) {
  absl::MutexLock lock(&mu_);
  STASIS_RETURN_IF_ERROR(CheckSetAttributes(creds, set));
  if (set.size) {
    STASIS_RETURN_IF_ERROR(BeginWriting());
    const Result<void> cut = DoTruncate(*set.size);
    EndWriting();
    STASIS_RETURN_IF_ERROR(cut);
  }
  ApplyAttributes(creds, set, now);
  return {};
}

void Inode::SetXattrsLocked(XattrMap xattrs) {
  xattrs_ = xattrs.empty() ? nullptr : std::make_unique<XattrMap>(std::move(xattrs));
}

// One that says something else than the mode, changed meanwhile, is left out. What `other` has not
// asked for is unknown here, too.
void Inode::CopyAclsFrom(const Inode& other) {
  SetModeFlag(kAclUnknown, other.HasModeFlag(kAclUnknown));
  XattrMap acls;
  for (const auto& [name, flag] :
       {std::pair(kAclAccessXattr, kHasAcl), std::pair(kAclDefaultXattr, kHasDefaultAcl)}) {
    auto value = other.HasModeFlag(flag) ? other.GetXattr(name) : Err(ENODATA);
    const auto acl = value ? Acl::Parse(*value) : Err(ENODATA);
    const bool fits =
        acl && acl->IsValid() && (flag == kHasDefaultAcl || acl->Mode() == (mode() & 0777));
    if (fits) acls.emplace(name, *std::move(value));
    SetModeFlag(flag, fits);
  }
  if (!acls.empty() || xattrs_ != nullptr) SetXattrsLocked(std::move(acls));
}

void Inode::SetAttributesFrom(const Stat& stat) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  StoreMode((mode() & S_IFMT) | (stat.mode & kPermissionBits));
  uid_.store(stat.uid, kRelaxed);
  gid_.store(stat.gid, kRelaxed);
  nlink_.store(stat.nlink, kRelaxed);
  size_.store(stat.size, kRelaxed);
  atime_.store(stat.atime, kRelaxed);
  mtime_.store(stat.mtime, kRelaxed);
  ctime_.store(stat.ctime, kRelaxed);
  btime_.store(stat.btime, kRelaxed);
}

Result<void> Inode::Join(int32_t one) {
  int32_t now = writers_.load(std::memory_order_relaxed);
  do {
    if (now != 0 && (now < 0) != (one < 0)) return Err(ETXTBSY);
  } while (!writers_.compare_exchange_weak(now, now + one, std::memory_order_relaxed));
  return {};
}

Result<std::string_view> Inode::ReadLink() const { return Err(EINVAL); }

Result<RefPtr<FileDescription>> Inode::Open(const VirtualDentry& at, const OpenOptions& options) {
  if ((options.flags & O_PATH) == 0) {
    if (is_symlink()) return Err(ELOOP);
    if (S_ISSOCK(mode())) return Err(ENXIO);
  }
  const bool counted = is_regular() && (options.writable() || options.execute);
  if (counted) STASIS_RETURN_IF_ERROR(options.execute ? BeginExecuting() : BeginWriting());
  return MakeRef<FileDescription>(at, options, counted);
}

Result<size_t> Inode::Read(uint64_t, std::span<std::byte>) { return Err(EINVAL); }
Result<size_t> Inode::Write(uint64_t, std::span<const std::byte>, TimeNs) { return Err(EINVAL); }
Result<size_t> Inode::Append(std::span<const std::byte>, TimeNs, uint64_t*) { return Err(EINVAL); }
Result<void> Inode::Allocate(int, uint64_t, uint64_t, TimeNs) { return Err(EOPNOTSUPP); }
Result<uint64_t> Inode::CopyRange(Inode&, uint64_t, uint64_t, uint64_t, TimeNs) {
  return Err(EXDEV);
}
Result<uint64_t> Inode::CopyByReading(Inode& from, uint64_t from_offset, uint64_t offset,
                                      uint64_t length, TimeNs now) {
  Stat stat;
  from.FillStat(stat);
  length = from_offset < stat.size ? std::min(length, stat.size - from_offset) : 0;
  if (offset >= kMaxFileSize) return Err(EFBIG);
  length = std::min(length, kMaxFileSize - offset);
  if (&from == this && from_offset < offset + length && offset < from_offset + length)
    return Err(EINVAL);
  std::vector<std::byte> buffer(std::min(length, kCopySize));
  uint64_t done = 0;
  while (done < length) {
    const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), length - done));
    auto size = from.Read(from_offset + done, piece);
    if (size && *size != 0) size = Write(offset + done, piece.first(*size), now);
    if (!size && done == 0) return Err(size.error());
    if (!size || *size == 0) break;
    done += *size;
  }
  return done;
}

Result<uint64_t> Inode::SeekExtent(uint64_t, int) const { return Err(EINVAL); }
Result<void> Inode::DoTruncate(uint64_t) { return Err(EINVAL); }

const std::string* Inode::FindXattr(std::string_view name) const {
  if (xattrs_ == nullptr) return nullptr;
  auto it = xattrs_->find(name);
  return it == xattrs_->end() ? nullptr : &it->second;
}

Result<std::string> Inode::GetXattr(std::string_view name) const {
  absl::ReaderMutexLock lock(&mu_);
  const std::string* value = FindXattr(name);
  if (value == nullptr) return Err(ENODATA);
  return *value;
}

Result<void> Inode::PutXattr(std::string_view name, std::string value) {
  const std::string* old = FindXattr(name);
  const size_t before = old == nullptr ? 0 : name.size() + old->size();
  STASIS_RETURN_IF_ERROR(ChargeXattrs(static_cast<int64_t>(name.size() + value.size()) -
                                      static_cast<int64_t>(before)));
  if (xattrs_ == nullptr) xattrs_ = std::make_unique<XattrMap>();
  (*xattrs_)[std::string(name)] = std::move(value);
  return {};
}

Result<void> Inode::SetXattr(std::string_view name, std::string_view value, int flags, TimeNs now) {
  absl::MutexLock lock(&mu_);
  const bool exists = FindXattr(name) != nullptr;
  if (exists && (flags & XATTR_CREATE) != 0) return Err(EEXIST);
  if (!exists && (flags & XATTR_REPLACE) != 0) return Err(ENODATA);
  if (!exists && xattrs_ != nullptr) {
    // listxattr(2) could not return more.
    size_t list_size = name.size() + 1;
    for (const auto& [other, unused] : *xattrs_) list_size += other.size() + 1;
    if (list_size > XATTR_LIST_MAX) return Err(ENOSPC);
  }
  STASIS_RETURN_IF_ERROR(PutXattr(name, std::string(value)));
  TouchChanged(now);
  return {};
}

Result<void> Inode::SetAcl(const Credentials& creds, std::string_view name, Acl acl, TimeNs now) {
  absl::MutexLock lock(&mu_);
  const bool is_default = name == kAclDefaultXattr;
  if (is_symlink()) return Err(EOPNOTSUPP);
  if (is_default && !is_dir()) return acl.empty() ? Result<void>() : Err(EACCES);
  if (!IsOwnerOrCapable(creds, uid())) return Err(EPERM);
  if (!acl.empty() && !acl.IsValid()) return Err(EINVAL);
  const bool kept = is_default ? !acl.empty() : acl.extended();
  if (kept) {
    STASIS_RETURN_IF_ERROR(PutXattr(name, acl.Format()));
  } else {
    EraseXattr(name);
  }
  SetModeFlag(is_default ? kHasDefaultAcl : kHasAcl, kept);
  if (!is_default) {
    uint32_t mode = this->mode();
    if (!acl.empty()) mode = (mode & ~0777u) | acl.Mode();
    if (!creds.InGroup(gid()) && !creds.Has(Capability::kFsetid))
      mode &= ~static_cast<uint32_t>(S_ISGID);
    StoreMode(mode);
  }
  TouchChanged(now);
  return {};
}

void Inode::ApplyDefaultAcl(const Credentials& creds, NewFile& file) const {
  if (S_ISLNK(file.mode)) return;
  if (!HasModeFlag(kHasDefaultAcl)) {
    file.mode &= ~(creds.umask & 0777);
    return;
  }
  absl::ReaderMutexLock lock(&mu_);
  const std::string* stored = FindXattr(kAclDefaultXattr);
  if (stored == nullptr) return;
  Acl acl = *Acl::Parse(*stored);
  file.mode = (file.mode & ~0777u) | acl.LimitTo(file.mode & 0777);
  if (acl.extended()) file.xattrs.emplace(kAclAccessXattr, acl.Format());
  if (S_ISDIR(file.mode)) file.xattrs.emplace(kAclDefaultXattr, *stored);
}

bool Inode::EraseXattr(std::string_view name) {
  if (xattrs_ == nullptr) return false;
  auto it = xattrs_->find(name);
  if (it == xattrs_->end()) return false;
  std::ignore = ChargeXattrs(-static_cast<int64_t>(it->first.size() + it->second.size()));
  xattrs_->erase(it);
  if (xattrs_->empty()) xattrs_.reset();
  return true;
}

int64_t Inode::XattrBytes() const {
  size_t bytes = 0;
  if (xattrs_ != nullptr) {
    for (const auto& [name, value] : *xattrs_) bytes += name.size() + value.size();
  }
  return static_cast<int64_t>(bytes);
}

Result<std::vector<std::string>> Inode::ListXattr() const {
  absl::ReaderMutexLock lock(&mu_);
  std::vector<std::string> names;
  if (xattrs_ != nullptr) {
    for (const auto& [name, value] : *xattrs_) names.push_back(name);
  }
  return names;
}

Result<void> Inode::RemoveXattr(std::string_view name, TimeNs now) {
  absl::MutexLock lock(&mu_);
  if (!EraseXattr(name)) return Err(ENODATA);
  TouchChanged(now);
  return {};
}

Result<RefPtr<Inode>> Inode::LookupChild(std::string_view) { return Err(ENOENT); }
Result<RefPtr<Inode>> Inode::MakeChild(std::string_view, const NewFile&, TimeNs) {
  return Err(EPERM);
}
Result<RefPtr<Inode>> Inode::MakeTmpfile(const NewFile&, TimeNs) { return Err(EOPNOTSUPP); }
Result<void> Inode::LinkChild(std::string_view, Inode&, TimeNs) { return Err(EPERM); }
Result<void> Inode::UnlinkChild(std::string_view, Inode&, TimeNs) { return Err(EPERM); }
Result<void> Inode::RmdirChild(std::string_view, Inode&, TimeNs) { return Err(EPERM); }
Result<void> Inode::RenameChild(std::string_view, Inode&, Inode&, std::string_view, Inode*,
                                TimeNs) {
  return Err(EPERM);
}
Result<RefPtr<Inode>> Inode::RenameLeavingWhiteout(std::string_view name, Inode& child,
                                                   Inode& new_dir, std::string_view new_name,
                                                   Inode* replaced, const NewFile& whiteout,
                                                   TimeNs now) {
  STASIS_ASSIGN_OR_RETURN(RefPtr<Inode> left, MakeChild(name, whiteout, now));
  auto renamed = RenameChild(name, child, new_dir, new_name, replaced, now);
  if (!renamed) {
    std::ignore = UnlinkChild(name, *left, now);
    return Err(renamed.error());
  }
  return left;
}

Result<void> Inode::ExchangeChildren(std::string_view, Inode&, Inode&, std::string_view, Inode&,
                                     TimeNs) {
  return Err(EINVAL);
}

XattrMap Inode::SaveXattrs() const { return xattrs_ == nullptr ? XattrMap() : *xattrs_; }

absl::Status Inode::LoadXattrs(XattrMap xattrs, state::LoadContext& context) {
  for (const auto& [name, value] : xattrs) {
    if (name.empty() || name.size() > XATTR_NAME_MAX || name.find('\0') != name.npos)
      return context.Invalid(*this, "xattrs", "has a name that is empty, too long or with a NUL");
    if (value.size() > XATTR_SIZE_MAX)
      return context.Invalid(*this, "xattrs", "has a value over 64 KiB");
  }
  if (!xattrs.empty()) xattrs_ = std::make_unique<XattrMap>(std::move(xattrs));
  return absl::OkStatus();
}

FileLockTable* Inode::FileLocksInLoad() const {
  return filesystem_ ? filesystem_->FileLocksInLoad() : nullptr;
}

std::vector<FileLock> Inode::SaveLocks() const {
  if (!has_locks() || !filesystem_) return {};
  return filesystem_->file_locks()->PosixLocks(*this);
}

absl::Status Inode::LoadLocks(const std::vector<FileLock>& locks, state::LoadContext& context) {
  if (locks.empty()) return absl::OkStatus();
  FileLockTable* table = FileLocksInLoad();
  if (table == nullptr) return context.Invalid(*this, "locks", "are of a file without filesystem");
  for (const FileLock& lock : locks) {
    if (lock.kind != LockKind::kPosix)
      return context.Invalid(*this, "locks", "has one that is no POSIX lock");
    if (!table->Restore(*this, lock))
      return context.Invalid(*this, "locks", "has one without a valid range of its own");
  }
  set_has_locks();
  return absl::OkStatus();
}

absl::Status Inode::LoadMode(uint32_t mode, state::LoadContext& context) {
  if ((mode & ~kModeBits) != 0) return context.Invalid(*this, "mode", "has unknown bits");
  mode_.store(mode, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status Inode::CheckIsSpecial(state::LoadContext& context) const {
  switch (mode() & S_IFMT) {
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
      return absl::OkStatus();
    default:
      return context.Invalid(*this, "mode", "is not that of a device, FIFO or socket");
  }
}

// A list that would be refused now would make later checks fail.
absl::Status Inode::CheckAcls(state::LoadContext& context) {
  for (const std::string_view name : {kAclAccessXattr, kAclDefaultXattr}) {
    const std::string* stored = FindXattr(name);
    if (stored == nullptr) continue;
    const bool is_default = name == kAclDefaultXattr;
    const auto acl = Acl::Parse(*stored);
    if (!acl || !acl->IsValid() || is_symlink() || (is_default && !is_dir()))
      return context.Invalid(*this, "xattrs", "has an access control list that is none");
    if (!is_default && acl->Mode() != (mode() & 0777))
      return context.Invalid(*this, "xattrs", "has an access control list unlike its mode");
    SetModeFlag(is_default ? kHasDefaultAcl : kHasAcl, true);
  }
  return absl::OkStatus();
}

absl::Status Inode::AfterLoad(state::LoadContext& context) {
  if (!filesystem_) return context.Invalid(*this, "filesystem", "is missing");
  if (absl::Status status = CheckAcls(context); !status.ok()) return status;
  if (size() > kMaxFileSize) return context.Invalid(*this, "size", "is larger than a file can be");
  return absl::OkStatus();
}

}  // namespace stasis::vfs
