// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/attributes.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <limits>

namespace stasis::fuse {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

struct SecondsAndNs {
  int64_t seconds;
  uint32_t ns;
};

// Rounds towards the past, so that `ns` is never negative.
SecondsAndNs Split(TimeNs time) {
  int64_t seconds = time / kNsPerSecond;
  int64_t ns = time % kNsPerSecond;
  if (ns < 0) {
    ns += kNsPerSecond;
    --seconds;
  }
  return {seconds, static_cast<uint32_t>(ns)};
}

// Times that TimeNs cannot hold become the nearest that it can.
Result<TimeNs> Join(uint64_t seconds_bits, uint32_t ns) {
  constexpr int64_t kLimit = std::numeric_limits<int64_t>::max() / kNsPerSecond - 1;
  if (ns >= kNsPerSecond) return Err(EINVAL);
  const auto seconds = static_cast<int64_t>(seconds_bits);
  if (seconds > kLimit) return kLimit * kNsPerSecond;
  if (seconds < -kLimit) return -kLimit * kNsPerSecond;
  return seconds * kNsPerSecond + ns;
}

SxTime ToSxTime(TimeNs time) {
  const SecondsAndNs split = Split(time);
  return {split.seconds, split.ns, 0};
}

Result<std::optional<vfs::SetTime>> ToSetTime(bool set, bool now, uint64_t seconds, uint32_t ns) {
  if (!set) return std::nullopt;
  if (now) return vfs::SetTime{0, true};
  STASIS_ASSIGN_OR_RETURN(TimeNs value, Join(seconds, ns));
  return vfs::SetTime{value, false};
}

vfs::DropPrivileges PrivilegesLost(uint32_t valid) {
  const bool owner = (valid & (FATTR_UID | FATTR_GID)) != 0;
  // Nothing to set: chown(2) to whom it belongs, or a write by a caller without CAP_FSETID follows.
  const bool nothing = (valid & ~uint32_t{FATTR_FH | FATTR_LOCKOWNER}) == 0;
  vfs::DropPrivileges drop;
  drop.set_ids = owner || nothing || (valid & FATTR_KILL_SUIDGID) != 0;
  drop.capabilities = drop.set_ids || (valid & FATTR_SIZE) != 0;
  return drop;
}

}  // namespace

fuse_attr ToAttr(const vfs::Stat& stat) {
  const SecondsAndNs atime = Split(stat.atime);
  const SecondsAndNs mtime = Split(stat.mtime);
  const SecondsAndNs ctime = Split(stat.ctime);
  fuse_attr attr{};
  attr.ino = stat.ino;
  attr.size = stat.size;
  attr.blocks = stat.blocks;
  attr.atime = static_cast<uint64_t>(atime.seconds);
  attr.mtime = static_cast<uint64_t>(mtime.seconds);
  attr.ctime = static_cast<uint64_t>(ctime.seconds);
  attr.atimensec = atime.ns;
  attr.mtimensec = mtime.ns;
  attr.ctimensec = ctime.ns;
  attr.mode = stat.mode;
  attr.nlink = stat.nlink;
  attr.uid = stat.uid;
  attr.gid = stat.gid;
  attr.rdev = EncodeDevice(stat.rdev);
  attr.blksize = stat.blksize;
  return attr;
}

StatxBody ToStatx(const vfs::Stat& stat) {
  StatxBody out{};
  out.mask = STATX_BASIC_STATS | STATX_BTIME;
  out.blksize = stat.blksize;
  out.nlink = stat.nlink;
  out.uid = stat.uid;
  out.gid = stat.gid;
  out.mode = static_cast<uint16_t>(stat.mode);
  out.ino = stat.ino;
  out.size = stat.size;
  out.blocks = stat.blocks;
  out.atime = ToSxTime(stat.atime);
  out.btime = ToSxTime(stat.btime);
  out.ctime = ToSxTime(stat.ctime);
  out.mtime = ToSxTime(stat.mtime);
  out.rdev_major = major(stat.rdev);
  out.rdev_minor = minor(stat.rdev);
  return out;
}

Result<vfs::SetStat> ToSetStat(const fuse_setattr_in& in) {
  vfs::SetStat set;
  const uint32_t valid = in.valid;
  set.drop_privileges = PrivilegesLost(valid);
  if ((valid & FATTR_MODE) != 0) set.mode = in.mode & vfs::kPermissionBits;
  if ((valid & FATTR_UID) != 0) set.uid = in.uid;
  if ((valid & FATTR_GID) != 0) set.gid = in.gid;
  if ((valid & FATTR_SIZE) != 0) set.size = in.size;
  STASIS_ASSIGN_OR_RETURN(
      set.atime, ToSetTime((valid & FATTR_ATIME) != 0, (valid & FATTR_ATIME_NOW) != 0, in.atime,
                           in.atimensec));
  STASIS_ASSIGN_OR_RETURN(
      set.mtime, ToSetTime((valid & FATTR_MTIME) != 0, (valid & FATTR_MTIME_NOW) != 0, in.mtime,
                           in.mtimensec));
  return set;
}

uint32_t EncodeDevice(uint64_t device) {
  const uint32_t major_number = major(device);
  const uint32_t minor_number = minor(device);
  return (minor_number & 0xff) | (major_number << 8) | ((minor_number & ~0xffu) << 12);
}

uint64_t DecodeDevice(uint32_t encoded) {
  return makedev((encoded & 0xfff00) >> 8, (encoded & 0xff) | ((encoded >> 12) & 0xfff00));
}

}  // namespace stasis::fuse
