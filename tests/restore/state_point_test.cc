// SPDX-License-Identifier: Apache-2.0

#include "restore/state_point.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "restore/image/image_writer.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::TestVfs;
using ::testing::HasSubstr;

// A graph with nothing shared any more.
struct Copy {
  explicit Copy(const state::SavedGraph& graph) {
    for (const state::SavedTable& table : graph.tables) {
      auto& messages = tables.emplace_back(table.type, std::vector<std::string>()).second;
      for (const auto& message : table.messages)
        messages.emplace_back(message.asChars().begin(), message.asChars().size());
    }
    for (const state::SavedRoot& root : graph.roots)
      roots.push_back(root.name + " " + root.type + " " + std::to_string(root.row));
    for (const auto& chunk : graph.chunks) {
      const auto bytes = chunk->Bytes();
      chunks.emplace_back(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    }
  }
  friend bool operator==(const Copy&, const Copy&) = default;

  std::vector<std::pair<std::string, std::vector<std::string>>> tables;
  std::vector<std::string> roots;
  std::vector<std::string> chunks;
};

// The one child of this thread.
pid_t Child() {
  std::ifstream children("/proc/self/task/" + std::to_string(gettid()) + "/children");
  pid_t pid = -1;
  children >> pid;
  return pid;
}

class StatePointTest : public ::testing::Test {
 protected:
  static constexpr int kFiles = 500;

  StatePointTest() {
    for (int i = 0; i < kFiles; ++i) {
      const std::string name = std::to_string(i);
      if (i % 50 == 0) t_.Mkdir("/d" + name);
      t_.Write("/d" + std::to_string(i / 50 * 50) + "/" + name, std::string(i * 100, 'a' + i % 26));
    }
    t_.Hold("open", t_.Open("/d0/7", O_RDWR));
    t_.Hold("deleted", t_.Open("/d0/8", O_RDWR));
    t_.Unlink("/d0/8");
  }

  std::vector<ExtraRoot> Roots() {
    std::vector<ExtraRoot> roots;
    for (const char* name : {"open", "deleted"})
      if (auto file = t_.Held<vfs::FileDescription>(name)) roots.push_back({name, file.get()});
    return roots;
  }
  std::unique_ptr<StatePoint> Take() {
    auto point = StatePoint::Take(t_.vfs(), TestVfs::registry(), Roots());
    EXPECT_TRUE(point.ok()) << point.status();
    return std::move(*point);
  }
  Copy RowsNow() {
    auto rows = SaveRows(t_.vfs(), TestVfs::registry(), Roots());
    EXPECT_TRUE(rows.ok()) << rows.status();
    return Copy(rows->graph);
  }

  // Changes or ends everything that there is.
  void ChangeEverything() {
    for (int i = 0; i < kFiles; ++i) {
      const std::string directory = "/d" + std::to_string(i / 50 * 50) + "/";
      const std::string path = directory + std::to_string(i);
      if (i == 8) continue;
      switch (i % 6) {
        case 0:
          t_.Write(path, "other");
          break;
        case 1:
          t_.Unlink(path);
          break;
        case 2:
          t_.WriteAt(path, 0, std::string(40'000, 'z'));
          break;
        case 3:
          t_.Truncate(path, 1);
          break;
        case 4:
          t_.SetXattr(path, "user.new", "value");
          t_.Rename(path, directory + "renamed" + std::to_string(i));
          break;
        default:
          t_.Link(path, "/link" + std::to_string(i));
          break;
      }
    }
    t_.Release("deleted");
  }

  TestVfs t_;
};

TEST_F(StatePointTest, RowsAreThoseThatThePauseWouldHaveGiven) {
  const Copy expected = RowsNow();
  auto point = Take();
  EXPECT_EQ(point->warning(), "");
  auto graph = point->Finish();
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(Copy(*graph), expected);
}

// The child is held still until nothing of what it saw is left.
TEST_F(StatePointTest, RowsAndBytesAreThoseOfTheMoment) {
  const Copy expected = RowsNow();
  auto point = Take();
  const pid_t child = Child();
  ASSERT_GT(child, 0);
  ASSERT_EQ(kill(child, SIGSTOP), 0);
  EXPECT_FALSE(t_.vfs().gate().closed());
  ChangeEverything();
  ASSERT_EQ(kill(child, SIGCONT), 0);
  auto graph = point->Finish();
  ASSERT_TRUE(graph.ok()) << graph.status();
  // Still so when the freeze is over and everything is changed once more.
  point.reset();
  t_.Write("/d0/6", std::string(100'000, 'y'));
  EXPECT_TRUE(Copy(*graph) == expected);
  EXPECT_EQ(t_.Read("/d0/0"), "other");
  EXPECT_FALSE(Copy(*graph) == RowsNow());
}

// One whose child is held still does not make another one build its rows in the pause.
TEST_F(StatePointTest, TwoAtOnceHaveEachItsMoment) {
  const Copy expected = RowsNow();
  auto first = Take();
  ASSERT_EQ(kill(Child(), SIGSTOP), 0);
  ChangeEverything();
  const Copy changed = RowsNow();
  auto second = Take();
  EXPECT_EQ(second->warning(), "");
  t_.Write("/d0/0", "once more");
  auto graph = second->Finish();
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_TRUE(Copy(*graph) == changed);
  second.reset();
  ASSERT_EQ(kill(Child(), SIGCONT), 0);
  graph = first->Finish();
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_TRUE(Copy(*graph) == expected);
}

TEST_F(StatePointTest, AChildThatDiesIsAnErrorThatSaysSo) {
  absl::Status status;
  // Until one is hit before it is done.
  while (status.ok()) {
    auto point = Take();
    ASSERT_EQ(kill(Child(), SIGKILL), 0);
    status = point->Finish().status();
  }
  EXPECT_EQ(status,
            absl::InternalError("the process that writes down the state was ended by signal 9 "
                                "(Killed); is there enough memory?"));
  ChangeEverything();
}

TEST_F(StatePointTest, CanBeCancelled) {
  auto point = Take();
  ASSERT_EQ(kill(Child(), SIGSTOP), 0);
  const std::atomic<bool> cancel{true};
  EXPECT_EQ(point->Finish(&cancel).status(), absl::CancelledError("the checkpoint was cancelled"));
  point.reset();
  EXPECT_EQ(Child(), -1);
  EXPECT_EQ(Take()->Finish().status(), absl::OkStatus());
}

TEST_F(StatePointTest, IsGivenUpWithoutATrace) {
  Take().reset();
  EXPECT_EQ(Child(), -1);
  ChangeEverything();
}

TEST_F(StatePointTest, WithoutAProcessTheRowsAreBuiltInThePause) {
  const bool root = getuid() == 0;
  if (root) {
    ASSERT_EQ(setresuid(65534, 65534, 0), 0) << "root has no limit of processes";
  }
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NPROC, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NPROC, &none), 0);
  const Copy expected = RowsNow();
  auto point = Take();
  ASSERT_EQ(setrlimit(RLIMIT_NPROC, &before), 0);
  if (root) {
    ASSERT_EQ(setresuid(0, 0, 0), 0);
    prctl(PR_SET_DUMPABLE, 1);  // as before, for those who look for leaks
  }
  ChangeEverything();
  auto graph = point->Finish();
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_TRUE(Copy(*graph) == expected);
  EXPECT_EQ(point->warning(),
            "the state was written down in the pause: cannot make a process for it: Resource "
            "temporarily unavailable");
}

TEST_F(StatePointTest, AnUnknownTypeIsAnErrorAndNotRows) {
  const state::Registry empty;
  auto point = StatePoint::Take(t_.vfs(), empty);
  ASSERT_TRUE(point.ok()) << point.status();
  EXPECT_THAT(std::string((*point)->Finish().status().message()), HasSubstr("cannot be saved"));
}

}  // namespace
}  // namespace stasis::restore
