// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/mount_devices.h"

#include <gtest/gtest.h>

namespace stasis::sandbox {
namespace {

// As in a sandbox: /again was mounted after /again/below, /data twice.
constexpr char kMounts[] =
    "100 99 0:50 / / rw - fuse stasis:box rw\n"
    "101 100 0:51 / /data rw - fuse stasis:box rw\n"
    "102 101 0:52 / /data/in ro - fuse.x stasis:box rw\n"
    "103 100 0:20 / /proc rw - proc proc rw\n"
    "104 100 8:1 /usr /usr ro - ext4 /dev/vda rw\n"
    "105 101 8:1 /srv /data rw - ext4 /dev/vda rw\n"
    "106 100 0:53 / /with\\040space rw - fuse stasis:box rw\n"
    "107 106 0:54 / /with\\040space/t rw - tmpfs t rw\n"
    "108 100 0:55 / /again/below rw - tmpfs t rw\n"
    "109 100 0:56 / /again rw - fuse stasis:box rw\n"
    "no line\n";

std::string At(const std::string& path) {
  return ForeignMountAt(kMounts, "stasis:box", path).value_or("ours");
}

TEST(ForeignMountTest, IsTheOneThatAPathLeadsTo) {
  EXPECT_EQ(At("/"), "ours");
  EXPECT_EQ(At("/datas"), "ours");
  EXPECT_EQ(At("/proc"), "/proc");
  EXPECT_EQ(At("/proc/1/fd"), "/proc");
  EXPECT_EQ(At("/usr/local"), "/usr");
  EXPECT_EQ(At("/data"), "/data") << "over the first one";
  EXPECT_EQ(At("/data/in"), "/data") << "which hides the one below";
  EXPECT_EQ(At("/again/below"), "ours");
  EXPECT_EQ(At("/with space"), "ours");
  EXPECT_EQ(At("/with space/t/x"), "/with space/t");
}

TEST(ForeignMountTest, IsNotKnownOfAnotherText) {
  EXPECT_EQ(ForeignMountAt("", "stasis:box", "/a"), std::nullopt);
  EXPECT_EQ(ForeignMountAt("1 1 0:1 / / rw - tmpfs t rw\n", "stasis:box", "/a"), "/");
}

}  // namespace
}  // namespace stasis::sandbox
