// SPDX-License-Identifier: Apache-2.0
//
// Storms of names on the VFS, alone, with a gate that closes, and with checkpoints of the middle.

#include "tests/testing/storm.h"

#include <chrono>
#include <thread>

#include "restore/restore.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::vfs {
namespace {

using stasis::testing::ScratchDir;
using stasis::testing::Storm;
using stasis::testing::TestVfs;
using stasis::testing::VfsCalls;

constexpr int kSteps = 10'000;

class StormTest : public ::testing::Test {
 protected:
  TestVfs t_;
  VfsCalls calls_{t_.vfs(), t_.root()};
  Storm storm_{calls_};
};

TEST_F(StormTest, EveryNameIsWhatItsOwnerMadeOfIt) { storm_.Run({.steps = kSteps}); }

TEST_F(StormTest, AGateThatClosesChangesNothing) {
  storm_.Run({.steps = kSteps, .meanwhile = [this] {
                t_.vfs().gate().Close();
                t_.vfs().gate().Open();
                std::this_thread::sleep_for(std::chrono::microseconds(200));
              }});
}

// Of each owner an image has what was between two of his steps, and all of what went before.
TEST_F(StormTest, ACheckpointIsOneMomentOfEveryOwner) {
  constexpr size_t kOwners = 3;
  const ScratchDir scratch;
  int checkpoints = 0;
  std::vector<std::vector<std::pair<size_t, size_t>>> moments;
  const auto steps = [this] {
    std::vector<size_t> made;
    for (size_t i = 0; i < kOwners; ++i) made.push_back(storm_.owners()[i]->steps());
    return made;
  };
  storm_.Run({.owners = kOwners, .steps = kSteps, .meanwhile = [&] {
                const auto before = steps();
                auto request = t_.RequestTo(scratch / "image", std::to_string(checkpoints));
                std::vector<size_t> after;
                request.on_resumed = [&](const auto&) { after = steps(); };
                const auto report = restore::Checkpoint(request);
                ASSERT_TRUE(report.ok()) << report.status();
                auto& bounds = moments.emplace_back();
                // The step that is counted first may not have been made yet.
                for (size_t i = 0; i < kOwners; ++i)
                  bounds.emplace_back(before[i] - std::min<size_t>(before[i], 1), after[i]);
                ++checkpoints;
              }});
  ASSERT_GT(checkpoints, 0);
  for (int i = 0; i < checkpoints; ++i) {
    auto image = restore::Restore(TestVfs::RequestFrom(scratch / "image", std::to_string(i)));
    ASSERT_TRUE(image.ok()) << image.status();
    TestVfs restored(*std::move(image));
    VfsCalls calls(restored.vfs(), restored.root());
    for (size_t owner = 0; owner < kOwners; ++owner) {
      const std::string found = Storm::Found(calls, owner);
      const auto [from, to] = moments[i][owner];
      bool is_a_moment = false;
      for (size_t step = from; step <= to && !is_a_moment; ++step)
        is_a_moment = storm_.owners()[owner]->After(step) == found;
      EXPECT_TRUE(is_a_moment) << "checkpoint " << i << ", owner " << owner << ":\n"
                               << found << "not between steps " << from << " and " << to;
    }
  }
}

}  // namespace
}  // namespace stasis::vfs
