// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/inode.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "fsimpl/gofer/asked.h"
#include "state/base/rcu.h"
#include "state/load_context.h"

namespace stasis::gofer {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

timespec ToSetTime(const std::optional<vfs::SetTime>& time) {
  if (!time) return {0, UTIME_OMIT};
  if (time->now) return {0, UTIME_NOW};
  return ToTimespec(time->value);
}

vfs::NewFile NewFileLike(const HostStat& found) {
  return {.mode = found.stat.mode, .uid = found.stat.uid, .gid = found.stat.gid};
}

}  // namespace

namespace {

// The file of which this thread has asked the host last, and in which operation.
struct LastAsked {
  const HostInode* inode = nullptr;
  uint64_t section = 0;
};
thread_local LastAsked last_asked;

}  // namespace

timespec ToTimespec(TimeNs time) {
  TimeNs ns = time % kSecond;
  if (ns < 0) ns += kSecond;
  return {(time - ns) / kSecond, ns};
}

HostInode::HostInode(GoferFilesystem& fs, uint64_t ino, const HostStat& found)
    : Inode(fs, ino, NewFileLike(found), found.stat.nlink, found.stat.ctime),
      host_dev_(found.key.dev),
      host_ino_(found.key.ino),
      rdev_(found.stat.rdev),
      blocks_(found.stat.blocks),
      blksize_(found.stat.blksize),
      ours_(true) {
  SetAttributesFrom(found.stat);
  ForgetAcl();
}

HostInode::HostInode(GoferFilesystem& fs, const vfs::NewFile& file, uint32_t nlink, TimeNs now)
    : Inode(fs, fs.NextIno(), file, nlink, now), detached_(true), ours_(true) {}

HostInode::~HostInode() {
  if (!ours_ || !has_filesystem()) return;
  fs().Forget(*this);
  fs().fds_->Drop(control_);
}

bool HostInode::Is(const HostStat& found) const {
  if (detached() || found.key != key() || found.type() != (mode() & S_IFMT)) return false;
  // A listing does not tell it, and some filesystems never do.
  if (!loaded() || found.stat.btime == 0) return true;
  vfs::Stat stat;
  Inode::FillStat(stat);
  return stat.btime == found.stat.btime;
}

void HostInode::OnConnected(vfs::Dentry& dentry) {
  if (!ours_ || detached()) return;
  if (!fs().exclusive() || !loaded()) dentry.set_unchecked(true);
  absl::MutexLock lock(&fs().inodes_mu_);
  if (place_ == nullptr) {
    place_ = &dentry;
  } else {
    fs().more_places_.emplace(this, &dentry);
  }
}

void HostInode::OnDisconnected(vfs::Dentry& dentry) {
  // A load that failed takes objects apart in any order.
  if (!ours_ || !has_filesystem()) return;
  absl::MutexLock lock(&fs().inodes_mu_);
  auto [first, last] = fs().more_places_.equal_range(this);
  if (place_ == &dentry) {
    place_ = first == last ? nullptr : first->second;
  } else {
    first = std::find_if(first, last, [&](const auto& more) { return more.second == &dentry; });
  }
  if (first != last) fs().more_places_.erase(first);
}

bool HostInode::stale() const {
  if (detached() || !fs().attached() || fs().without_host()) return false;
  const bool unseen = !fs().exclusive() || passthrough_.load(std::memory_order_relaxed) != 0;
  return stale_.load(std::memory_order_relaxed) || (unseen && !AskedInThisOperation());
}

void HostInode::NoteAsked() {
  stale_.store(false, std::memory_order_relaxed);
  last_asked = {this, rcu::SectionNumber()};
}

bool HostInode::AskedInThisOperation() const {
  return last_asked.inode == this && last_asked.section == rcu::SectionNumber() &&
         rcu::InReadSection();
}

Result<HostStat> HostInode::StatHost() {
  if (FdCache::Pin pin = fs().fds_->Find(control_)) return fs().ops().Statx(pin.fd(), "");
  const rcu::ReadLock lock;
  // By name, relative to the directory: that opens nothing.
  const vfs::Dentry* place = fs().PlaceOf(*this);
  vfs::Dentry* parent = place == nullptr ? nullptr : place->parent();
  if (parent != nullptr) {
    auto dir = fs().Control(static_cast<HostInode&>(parent->inode()));
    if (dir) {
      auto found = fs().ops().Statx(dir->fd(), std::string(place->name()));
      if (found && Is(*found)) return found;
    }
  }
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(*this));
  return fs().ops().Statx(pin.fd(), "");
}

void HostInode::AdoptLocked(const HostStat& found) {
  vfs::Stat stat = found.stat;
  fs().MapOwner(stat);
  vfs::Stat known;
  Inode::FillStat(known);
  // Reading a file that is nobody else's does not reach the host.
  if (loaded() && fs().interop() == Interop::kExclusive)
    stat.atime = std::max(stat.atime, known.atime);
  if (deleted()) stat.nlink = 0;  // some filesystems say 1 of a removed directory
  SetAttributesFrom(stat);
  blocks_.store(stat.blocks, std::memory_order_relaxed);
  blksize_.store(stat.blksize, std::memory_order_relaxed);
  loaded_.store(true, std::memory_order_release);
}

void HostInode::Adopt(const HostStat& found) {
  absl::MutexLock lock(&mu());
  AdoptLocked(found);
}

Result<void> HostInode::RefreshLocked() {
  if (fs().without_host()) {
    set_stale();
    return {};
  }
  NoteAsked();
  auto found = StatHost();
  if (!found) {
    set_stale();
    return Err(found.error());
  }
  AdoptLocked(*found);
  return {};
}

Result<void> HostInode::Refresh() {
  if (detached()) return {};
  absl::MutexLock lock(&mu());
  return RefreshLocked();
}

void HostInode::FillStat(vfs::Stat& stat) const {
  // A file that cannot be found any more is told as it was.
  if (stale()) (void)const_cast<HostInode*>(this)->Refresh();
  Inode::FillStat(stat);
  stat.blocks = blocks_.load(std::memory_order_relaxed);
  stat.blksize = blksize_.load(std::memory_order_relaxed);
  stat.rdev = rdev_;
}

Result<void> HostInode::SetAttributes(const vfs::Credentials& creds, const vfs::SetStat& set,
                                      TimeNs now) {
  // Writers may set times.
  if ((set.atime || set.mtime) && acl_unknown() && AclMayDecide(creds, vfs::kWrite))
    STASIS_RETURN_IF_ERROR(LearnAcl());
  absl::MutexLock lock(&mu());
  STASIS_RETURN_IF_ERROR(CheckSetAttributes(creds, set));
  if (set.size) {
    STASIS_RETURN_IF_ERROR(BeginWriting());
    const auto truncate = [&] {
      mu().AssertHeld();
      return TruncateHost(*set.size);
    };
    const Result<void> cut =
        detached() ? truncate() : Asked(fs(), Question::kTruncate, ino(), "", truncate);
    EndWriting();
    STASIS_RETURN_IF_ERROR(cut);
    if (detached()) set_size(*set.size);
  }
  vfs::Stat before;
  Inode::FillStat(before);
  ApplyAttributes(creds, set, now);
  if (detached()) return {};
  const Result<void> pushed = Asked(fs(), Question::kSetAttributes, ino(), "", [&] {
    mu().AssertHeld();
    return Push(set, before.mode);
  });
  if (has_acl()) ForgetAcl();
  // Also after an error: some of it may have been done.
  const Result<void> refreshed = RefreshLocked();
  if (!pushed && !refreshed) SetAttributesFrom(before);  // until the host says it
  return pushed ? refreshed : pushed;
}

Result<void> HostInode::Push(const vfs::SetStat& set, uint32_t old_mode) {
  const bool attributes = set.mode || set.atime || set.mtime || mode() != old_mode;
  // What changes nothing, as chown(2) to nobody, is a change nevertheless: its time is noted.
  const bool owner = set.uid || set.gid || (!attributes && !set.size);
  if (!owner && !attributes) return {};
  FdCache::Pin pin;
  int fd = OpenFd();
  if (fd < 0) {
    STASIS_ASSIGN_OR_RETURN(pin, fs().Control(*this));
    fd = pin.fd();
  }
  HostOps& ops = fs().ops();
  if (owner) {
    const OwnerMap& owners = fs().owners_;
    STASIS_RETURN_IF_ERROR(
        ops.Chown(fd, set.uid ? owners.ToHost(uid(), owners.host_uid) : uint32_t(-1),
                  set.gid ? owners.ToHost(gid(), owners.host_gid) : uint32_t(-1)));
  }
  // A change of owner may have taken bits away on the host.
  const bool privileged = (mode() & (S_ISUID | S_ISGID)) != 0;
  if (!is_symlink() && (set.mode || mode() != old_mode || (owner && privileged)))
    STASIS_RETURN_IF_ERROR(ops.Chmod(fd, mode() & vfs::kPermissionBits));
  if (set.atime || set.mtime)
    STASIS_RETURN_IF_ERROR(ops.SetTimes(fd, ToSetTime(set.atime), ToSetTime(set.mtime)));
  return {};
}

// Without CAP_SETFCAP the host does not say whether there are any to remove.
Result<void> HostInode::DropCapabilities(int fd) const {
  static constexpr char kName[] = "security.capability";
  const auto none = [](Errno error) {
    return error == Errno(ENODATA) || error == Errno(EOPNOTSUPP);
  };
  const auto removed = fs().ops().RemoveXattr(fd, kName);
  if (removed || none(removed.error())) return {};
  if (removed.error() == Errno(EPERM)) {
    const auto value = fs().ops().GetXattr(fd, kName);
    if (!value && none(value.error())) return {};
  }
  return Err(removed.error());
}

Result<bool> HostInode::Drop(const vfs::DropPrivileges& drop, TimeNs now) {
  absl::MutexLock lock(&mu());
  const uint32_t old_mode = mode();
  const bool changed = DropLocked(drop);
  if (detached()) {
    if (changed) TouchChanged(now);
    return changed;
  }
  if (!changed && !drop.capabilities) return false;
  const auto push = [&]() -> Result<void> {
    mu().AssertHeld();
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(*this));
    if (drop.capabilities) STASIS_RETURN_IF_ERROR(DropCapabilities(pin.fd()));
    return Push({}, old_mode);
  };
  STASIS_RETURN_IF_ERROR(Asked(fs(), Question::kDropPrivileges, ino(), "", push));
  set_stale();
  return changed;
}

Result<std::string> HostInode::GetXattr(std::string_view name) const {
  if (detached()) return Inode::GetXattr(name);
  absl::ReaderMutexLock lock(&mu());
  if (const int fd = OpenFd(); fd >= 0) return fs().ops().GetXattr(fd, std::string(name));
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(const_cast<HostInode&>(*this)));
  return fs().ops().GetXattr(pin.fd(), std::string(name));
}

Result<void> HostInode::SetXattr(std::string_view name, std::string_view value, int flags,
                                 TimeNs now) {
  if (detached()) return Inode::SetXattr(name, value, flags, now);
  const auto change = [&]() -> Result<void> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(*this));
    return fs().ops().SetXattr(pin.fd(), std::string(name), value, flags);
  };
  const auto set = Asked(fs(), Question::kSetXattr, ino(), name, change);
  if (vfs::IsAclXattr(name)) ForgetAcls();
  set_stale();
  return set;
}

Result<std::vector<std::string>> HostInode::ListXattr() const {
  if (detached()) return Inode::ListXattr();
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(const_cast<HostInode&>(*this)));
  return fs().ops().ListXattr(pin.fd());
}

Result<void> HostInode::RemoveXattr(std::string_view name, TimeNs now) {
  if (detached()) return Inode::RemoveXattr(name, now);
  const auto change = [&]() -> Result<void> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(*this));
    return fs().ops().RemoveXattr(pin.fd(), std::string(name));
  };
  const auto removed = Asked(fs(), Question::kRemoveXattr, ino(), name, change);
  if (vfs::IsAclXattr(name)) ForgetAcls();
  set_stale();
  return removed;
}

Result<void> HostInode::SetAcl(const vfs::Credentials& creds, std::string_view name, vfs::Acl acl,
                               TimeNs now) {
  if (detached()) return Inode::SetAcl(creds, name, std::move(acl), now);
  if (is_symlink()) return Err(EOPNOTSUPP);
  const bool is_default = name == vfs::kAclDefaultXattr;
  if (is_default && !is_dir()) return acl.empty() ? Result<void>() : Err(EACCES);
  if (!IsOwnerOrCapable(creds, uid())) return Err(EPERM);
  if (!acl.empty() && !acl.IsValid()) return Err(EINVAL);
  auto done = acl.empty() ? RemoveXattr(name, now) : SetXattr(name, acl.Format(), 0, now);
  if (!done && acl.empty() && done.error() == Errno(ENODATA)) done = {};
  if (!done || is_default) return done;
  // The list has become the mode on the host.
  STASIS_RETURN_IF_ERROR(Refresh());
  return Drop({.set_gid = !creds.InGroup(gid()) && !creds.Has(vfs::Capability::kFsetid)}, now)
      .transform([](bool) {});
}

Result<std::string> HostInode::ReadAcl(std::string_view name) {
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin pin, fs().Control(*this));
  auto stored = fs().ops().GetXattr(pin.fd(), std::string(name));
  if (!stored && (stored.error() == Errno(ENODATA) || stored.error() == Errno(EOPNOTSUPP)))
    return std::string();
  return stored;
}

// Kept only where nobody else can change it.
Result<void> HostInode::LearnAcl() {
  absl::MutexLock lock(&mu());
  if (detached() || !acl_unknown()) return {};
  STASIS_ASSIGN_OR_RETURN(std::string stored, ReadAcl(vfs::kAclAccessXattr));
  const Result<vfs::Acl> acl = stored.empty() ? vfs::Acl() : vfs::Acl::Parse(stored);
  if (!acl || (!stored.empty() && !acl->IsValid())) return Err(EIO);
  SetLearntAcl(acl->extended() ? std::move(stored) : std::string(), fs().exclusive());
  return {};
}

void HostInode::ForgetAcls() {
  absl::MutexLock lock(&mu());
  ForgetAcl();
}

Result<void> HostInode::CaptureXattrs(int fd) {
  vfs::XattrMap xattrs;
  auto names = fs().ops().ListXattr(fd);
  if (!names && names.error() == Errno(EOPNOTSUPP)) return {};
  STASIS_RETURN_IF_ERROR(names);
  for (const std::string& name : *names) {
    auto value = fs().ops().GetXattr(fd, name);
    if (!value && value.error() == Errno(ENODATA)) continue;
    STASIS_RETURN_IF_ERROR(value);
    if (vfs::IsAclXattr(name)) {
      // A load would refuse what does not fit.
      const auto acl = vfs::Acl::Parse(*value);
      if (!acl || !acl->IsValid()) continue;
      if (name == vfs::kAclAccessXattr && acl->Mode() != (mode() & 0777)) continue;
    }
    xattrs[name] = *std::move(value);
  }
  SetXattrsLocked(std::move(xattrs));
  return {};
}

void HostInode::KeepControl() {
  // Without one the file can be used only by those who have handles already.
  if (auto pin = fs().Control(*this)) fs().fds_->Keep(control_, true);
}

void HostInode::DropLink() {
  absl::MutexLock lock(&mu());
  if (is_dir() || nlink() <= 1) {
    deleted_.store(true, std::memory_order_release);
    set_nlink(0);
  } else {
    set_nlink(nlink() - 1);
  }
  if (!detached()) set_stale();
}

void HostInode::ReleaseUnlinked() {
  fs().Forget(*this);
  fs().fds_->Drop(control_);
}

absl::Status HostInode::LoadDetached(bool detached, state::LoadContext&) {
  detached_.store(detached);
  return absl::OkStatus();
}

// Nobody else knows it yet.
absl::Status HostInode::AfterLoad(state::LoadContext& context) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (dynamic_cast<GoferFilesystem*>(&filesystem()) == nullptr)
    return context.Invalid(*this, "filesystem", "is no host directory");
  ours_ = fs().fds_ != nullptr;
  if (!ours_) return context.Invalid(*this, "filesystem", "is not complete");
  if (ino() == 0 || ino() >= fs().next_ino_.load())
    return context.Invalid(*this, "ino", "was never given out");
  if (nlink() == 0 && !detached() && !fs().live_)
    return context.Invalid(*this, "nlink", "is 0, but the file is said to be on the host");
  deleted_.store(nlink() == 0);
  if (detached()) return absl::OkStatus();
  ForgetAcl();
  if (!fs().live_) return absl::OkStatus();
  // What programs go on with is the file that it was; otherwise a restore finds it.
  const absl::MutexLock lock(&fs().inodes_mu_);
  if (!fs().inodes_.insert(this).second)
    return context.Invalid(*this, "host_ino", "is that of another file, too");
  return absl::OkStatus();
}

}  // namespace stasis::gofer
