// SPDX-License-Identifier: Apache-2.0
//
// Storms of names on a real mount. The kernel's tmpfs is the judge of the storms themselves.

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cmd/fuse/mounted_tree.h"
#include "tests/testing/storm.h"

namespace stasis::fuse {
namespace {

using stasis::testing::KernelCalls;
using stasis::testing::Storm;

constexpr int kSteps = 3000;

class MountStormTest : public ::testing::TestWithParam<bool> {
 protected:
  MountedTree tree_{120};
  KernelCalls calls_{tree_.path()};
  Storm storm_{calls_};
};

TEST_P(MountStormTest, EveryNameIsWhatItsOwnerMadeOfIt) {
  storm_.Run({.steps = kSteps, .processes = GetParam()});
}

TEST_P(MountStormTest, AGateThatClosesChangesNothing) {
  storm_.Run({.steps = kSteps, .processes = GetParam(), .meanwhile = [this] {
                tree_.CloseGate();
                usleep(1000);
                tree_.OpenGate();
                usleep(5000);
              }});
}

INSTANTIATE_TEST_SUITE_P(, MountStormTest, ::testing::Bool(), [](const auto& processes) {
  return processes.param ? "Processes" : "Threads";
});

TEST(TmpfsStormTest, EveryNameIsWhatItsOwnerMadeOfIt) {
  const MountedTree for_its_namespace;
  const std::string path = for_its_namespace / "tmpfs";
  ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
  ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", 0, nullptr), 0);
  KernelCalls calls(path);
  Storm storm(calls);
  storm.Run({.steps = kSteps, .processes = true});
  EXPECT_EQ(umount2(path.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace stasis::fuse
