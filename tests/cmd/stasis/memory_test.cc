// SPDX-License-Identifier: Apache-2.0
//
// --memory-limit and --filestore, through the program.

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;

constexpr uint64_t kMiB = 1024 * 1024;

class MemoryTest : public CliTest {
 protected:
  void TearDown() override {
    Shell("if test -e disk; then umount -l disk; fi");
    CliTest::TearDown();
  }

  // Of the only sandbox.
  uint64_t Memory() {
    const auto list = Stasis({"ps", "--json"}).Json();
    return list.at("sandboxes").at(0).at("memory_bytes");
  }
  static std::string Sum(const Outcome& outcome) { return outcome.out.substr(0, 64); }
};

TEST_F(MemoryTest, WhatAnImageHasIsDroppedBeyondTheLimit) {
  ASSERT_THAT(Shell("mkdir src && head -c 32M /dev/urandom > src/data"), Succeeded());
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  const Outcome want = Shell("sha256sum < src/data");
  ASSERT_THAT(
      Stasis({"restore", "snaps:base", "--name", "box", "--detach", "--memory-limit", "8M"}),
      Succeeded());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Sum(In("box", "sha256sum < /data")), Sum(want));
    EXPECT_THAT(Memory(), Le(12 * kMiB));
  }
  EXPECT_TRUE(Eventually([this] { return Memory() <= 8 * kMiB; }));
}

TEST_F(MemoryTest, WhatHasChangedIsDroppedAfterACheckpoint) {
  StartBox("box", {"--memory-limit", "8M"});
  const Outcome want = In("box", "head -c 24M /dev/urandom > /data; sha256sum < /data");
  ASSERT_THAT(want, Succeeded());
  EXPECT_THAT(Memory(), Ge(24 * kMiB));
  const Outcome saved = Stasis({"checkpoint", "box", "snaps:v1", "--json"});
  ASSERT_THAT(saved, Succeeded());
  EXPECT_EQ(saved.Json().at("extra_memory_bytes"), 0);
  EXPECT_TRUE(Eventually([this] { return Memory() <= 8 * kMiB; }));
  EXPECT_EQ(Sum(In("box", "sha256sum < /data")), Sum(want));
}

TEST_F(MemoryTest, AFilestoreTakesWhatIsBeyondTheLimit) {
  // On a disk: what is in /tmp may have nowhere to go.
  StartBox("box", {"--memory-limit", "8M", "--filestore", "/var/tmp"});
  const Outcome want = In("box", "head -c 32M /dev/urandom > /data; sha256sum < /data");
  ASSERT_THAT(want, Succeeded());
  EXPECT_TRUE(Eventually([this] { return Memory() <= 9 * kMiB; })) << Memory();
  EXPECT_EQ(Sum(In("box", "sha256sum < /data")), Sum(want));
}

TEST_F(MemoryTest, AFullFilestoreIsENOSPC) {
  ASSERT_THAT(Shell("mkdir disk && mount -t tmpfs -o size=4m none disk"), Succeeded());
  StartBox("box", {"--filestore", "disk"});
  ASSERT_THAT(In("box", "echo small > /small; head -c 1M /dev/urandom > /kept; sync"), Succeeded());
  const Outcome before = In("box", "sha256sum < /kept");
  EXPECT_THAT(In("box", "head -c 8M /dev/zero > /large; sync /large"),
              FailsWith(1, "No space left on device"));
  EXPECT_EQ(In("box", "cat /small").out, "small\n");
  EXPECT_EQ(Sum(In("box", "sha256sum < /kept")), Sum(before));
  EXPECT_THAT(In("box", "rm /large; head -c 1M /dev/zero > /again; sync /again"), Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
}

TEST_F(MemoryTest, AMountHasThemToo) {
  ASSERT_THAT(Shell("mkdir src mnt && head -c 32M /dev/urandom > src/data"), Succeeded());
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  ASSERT_THAT(Stasis({"mount", "snaps:base", "mnt", "--background", "--memory-limit", "8M",
                      "--filestore", "."}),
              Succeeded());
  EXPECT_THAT(Shell("cmp src/data mnt/data"), Succeeded());
  EXPECT_THAT(Shell("umount mnt"), Succeeded());
}

TEST_F(MemoryTest, SaysWhatIsWrongWithThem) {
  EXPECT_THAT(Stasis({"run", "--memory-limit", "1k", "--", "true"}),
              FailsWith(2, "--memory-limit 1k: it must be 4M at least"));
  EXPECT_THAT(Stasis({"run", "--filestore", "missing", "--", "true"}),
              FailsWith(10, "cannot use --filestore missing: No such file or directory"));
  WriteFile("file", "");
  EXPECT_THAT(Stasis({"run", "--filestore", "file", "--", "true"}),
              FailsWith(2, "cannot use --filestore file: it is not a directory"));
  EXPECT_THAT(Stasis({"run", "--filestore", "/proc", "--", "true"}),
              FailsWith(10, "cannot make a file in /proc"));
}

TEST_F(MemoryTest, TheFileHasNoNameAndTheConfigItsDirectory) {
  ASSERT_THAT(Shell("mkdir store"), Succeeded());
  StartBox("box", {"--memory-limit", "8M", "--filestore", "store"});
  EXPECT_THAT(In("box", "echo text > /file"), Succeeded());
  EXPECT_THAT(Shell("ls -A store").out, IsEmpty());
  EXPECT_THAT(Stasis({"config", "box"}).out, HasSubstr(Path("store")));
}

}  // namespace
}  // namespace stasis::cli
