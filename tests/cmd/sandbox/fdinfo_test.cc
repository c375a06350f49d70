// SPDX-License-Identifier: Apache-2.0
//
// Texts of /proc taken apart.

#include "cmd/sandbox/fdinfo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmd/sandbox/mount_devices.h"

namespace stasis::sandbox {
namespace {

using testing::IsEmpty;
using testing::Optional;
using testing::SizeIs;

TEST(FdInfoTest, ReadsWhatAnOpenFileIs) {
  const FdInfo info =
      FdInfo::Parse("pos:\t4096\nflags:\t02102001\nmnt_id:\t31\nino:\t18446744073709551615\n");
  EXPECT_EQ(info.offset, 4096u);
  EXPECT_EQ(info.flags, 02102001u);
  EXPECT_EQ(info.mount_id, 31u);
  EXPECT_EQ(info.ino, ~uint64_t{0});
  EXPECT_THAT(info.locks, IsEmpty());
}

TEST(FdInfoTest, ReadsLocks) {
  const FdInfo info = FdInfo::Parse(
      "lock:\t1: POSIX  ADVISORY  WRITE 25604 00:35:12 10 19\n"
      "lock:\t2: OFDLCK ADVISORY  READ  -1 00:35:12 0 EOF\n"
      "lock:\t3: FLOCK  ADVISORY  WRITE 25604 00:35:12 0 EOF\n"
      "lock:\t4: LEASE  ACTIVE    READ  25604 00:35:12 0 EOF\n");
  ASSERT_THAT(info.locks, SizeIs(3));
  EXPECT_EQ(info.locks[0].kind, vfs::LockKind::kPosix);
  EXPECT_EQ(info.locks[0].type, vfs::LockType::kExclusive);
  EXPECT_EQ(info.locks[0].start, 10u);
  EXPECT_EQ(info.locks[0].last, 19u);
  EXPECT_EQ(info.locks[1].kind, vfs::LockKind::kOpenFile);
  EXPECT_EQ(info.locks[1].type, vfs::LockType::kShared);
  EXPECT_EQ(info.locks[1].last, vfs::FileLock::kMaxOffset);
  EXPECT_EQ(info.locks[2].kind, vfs::LockKind::kFlock);
}

TEST(FdInfoTest, ReadsWatches) {
  const FdInfo info = FdInfo::Parse(
      "pos:\t0\nflags:\t00\ninotify wd:2 ino:2a sdev:800013 mask:800afce ignored_mask:0 "
      "fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d\n");
  ASSERT_THAT(info.watches, SizeIs(1));
  EXPECT_EQ(info.watches[0].wd, 2);
  EXPECT_EQ(info.watches[0].ino, 0x2au);
  EXPECT_EQ(info.watches[0].mask, 0x800afceu);
  EXPECT_EQ(info.watches[0].device, MountDevices::Device(8, 0x13));
}

TEST(FdInfoTest, PassesOverWhatItDoesNotKnow) {
  const FdInfo info = FdInfo::Parse("pos:\tx\nlock:\t1: POSIX\ninotify\nmnt_id:\t-1\n\nscm_fds: 0");
  EXPECT_EQ(info.offset, 0u);
  EXPECT_THAT(info.locks, IsEmpty());
  EXPECT_THAT(info.watches, IsEmpty());
}

TEST(MapsLineTest, ReadsALine) {
  const auto map = MapsLine::Parse(
      "7f0000000000-7f0000002000 r-xp 00001000 00:35 77                         /a\\012b "
      "(deleted)");
  ASSERT_TRUE(map.has_value());
  EXPECT_EQ(map->length, 0x2000u);
  EXPECT_EQ(map->access, "r-xp");
  EXPECT_EQ(map->device, MountDevices::Device(0, 0x35));
  EXPECT_EQ(map->ino, 77u);
  std::string path = map->path;
  EXPECT_TRUE(StripDeleted(path));
  EXPECT_EQ(path, "/a\nb");
  EXPECT_FALSE(StripDeleted(path));
}

TEST(MapsLineTest, KnowsLinesThatMapNoFile) {
  EXPECT_FALSE(MapsLine::Parse("7f00-7f01 rw-p 00000000 00:00 0").has_value());
  EXPECT_FALSE(MapsLine::Parse("7f00-7f01 rw-p 00000000 00:00 0      [stack]").has_value());
  EXPECT_FALSE(MapsLine::Parse("").has_value());
  EXPECT_FALSE(MapsLine::Parse("7f01-7f00 rw-p 00000000 00:35 1      /a").has_value());
}

constexpr char kMounts[] =
    "30 1 0:40 / / rw,nodev - fuse.stasis stasis:box rw\n"
    "31 30 0:41 / /a\\040b rw shared:1 - fuse.stasis stasis:box rw\n"
    "32 31 0:42 / /a\\040b rw - fuse stasis:box rw\n"
    "33 30 0:41 /sub /other rw - fuse stasis:box rw\n"
    "34 30 0:43 / /proc rw - proc proc rw\n"
    "35 30 0:44 / /foreign rw - fuse.sshfs sshfs rw\n"
    "nonsense\n";

TEST(MountDevicesTest, FindsTheFilesystemOfAMount) {
  const MountDevices devices(kMounts, "stasis:box", {{"/", {1}}, {"/a b", {2, 3}}});
  EXPECT_THAT(devices.OfMount(30), Optional(1u));
  EXPECT_THAT(devices.OfMount(31), Optional(2u));
  EXPECT_THAT(devices.OfMount(32), Optional(3u));
  // A program has bound it somewhere else.
  EXPECT_THAT(devices.OfMount(33), Optional(2u));
  EXPECT_EQ(devices.OfMount(34), std::nullopt);
  EXPECT_EQ(devices.OfMount(35), std::nullopt);
  EXPECT_THAT(devices.OfDevice(MountDevices::Device(0, 42)), Optional(3u));
  EXPECT_EQ(devices.OfDevice(MountDevices::Device(0, 44)), std::nullopt);
}

TEST(MountDevicesTest, AMountThatTheTreeDoesNotKnowIsTheSandboxsAllTheSame) {
  EXPECT_THAT(MountDevices(kMounts, "stasis:box", {}).OfMount(30), Optional(0u));
}

}  // namespace
}  // namespace stasis::sandbox
