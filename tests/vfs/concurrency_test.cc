// SPDX-License-Identifier: Apache-2.0
//
// Several threads in one tree: what readers may never see while others change it.

#include <linux/fs.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsOk;
using stasis::testing::MemfsTest;

constexpr auto kDuration = std::chrono::milliseconds(700);

class ConcurrencyTest : public MemfsTest {
 protected:
  // Calls each function again and again, in a thread of its own, with its number of calls so far.
  void Storm(const std::vector<std::function<void(int)>>& functions) {
    std::vector<std::thread> threads;
    for (const auto& function : functions) {
      threads.emplace_back([this, &function] {
        for (int i = 0; !stop_ && !HasFailure(); ++i) function(i);
      });
    }
    std::this_thread::sleep_for(kDuration);
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
    stop_ = false;
  }

  std::atomic<bool> stop_{false};
};

TEST_F(ConcurrencyTest, NameThatIsReplacedIsNeverMissing) {
  ASSERT_THAT(Create("/name"), IsOk());
  ASSERT_THAT(Mkdir("/d"), IsOk());
  const auto replace_with = [this](const std::string& path) {
    return [this, path](int) {
      ASSERT_THAT(Put(path, path), IsOk());
      ASSERT_THAT(Rename(path, "/name"), IsOk());
    };
  };
  const auto look = [this](int) { ASSERT_THAT(Stat("/name"), IsOk()); };
  const auto open = [this](int) { ASSERT_THAT(Open("/name", O_RDONLY), IsOk()); };
  Storm({replace_with("/one"), replace_with("/d/two"), look, open});
  EXPECT_EQ(Stat("/name")->nlink, 1u);
}

TEST_F(ConcurrencyTest, NamesThatAreExchangedAreNeverMissing) {
  ASSERT_THAT(Mkdir("/p"), IsOk());
  ASSERT_THAT(Mkdir("/q"), IsOk());
  for (const char* dir : {"/p/x", "/q/y"}) {
    ASSERT_THAT(Mkdir(dir), IsOk());
    ASSERT_THAT(Create(std::string(dir) + "/f"), IsOk());
  }
  const auto exchange = [this](int) {
    ASSERT_THAT(Rename("/p/x", "/q/y", RENAME_EXCHANGE), IsOk());
  };
  Storm({exchange, [this](int) { ASSERT_THAT(Stat("/p/x/f"), IsOk()); },
         [this](int) { ASSERT_THAT(Stat("/q/y/f"), IsOk()); }});
}

TEST_F(ConcurrencyTest, FilesThatComeAndGoLeaveNothingBehind) {
  ASSERT_THAT(Mkdir("/d"), IsOk());
  const uint64_t inodes = fs->inodes_used();
  const uint64_t size = Stat("/d")->size;
  const auto come_and_go = [this](uint64_t seed) {
    return [this, random = std::mt19937_64(seed)](int) mutable {
      const std::string path = "/d/" + std::to_string(random() % 6);
      switch (random() % 5) {
        case 0:
          return std::ignore = Mkdir(path), void();
        case 1:
          return std::ignore = Rmdir(path), void();
        case 2:
          return std::ignore = Rename(path, "/d/" + std::to_string(random() % 6)), void();
        case 3:
          return std::ignore = Unlink(path), void();
        default:
          return std::ignore = Put(path, "x"), void();
      }
    };
  };
  Storm({come_and_go(1), come_and_go(2), come_and_go(3)});
  const auto left = *List("/d");
  for (const std::string& name : left) {
    const std::string path = "/d/" + name;
    ASSERT_THAT(S_ISDIR(Stat(path)->mode) ? Rmdir(path) : Unlink(path), IsOk()) << path;
  }
  EXPECT_EQ(Stat("/d")->nlink, 2u);
  EXPECT_EQ(Stat("/d")->size, size);
  EXPECT_EQ(fs->inodes_used(), inodes);
  EXPECT_EQ(fs->bytes_used(), 0u);
}

TEST_F(ConcurrencyTest, OneOfSeveralExclusiveCreatorsWins) {
  std::atomic<int> made{0}, removed{0};
  const auto create = [&](int) {
    const auto created = Create("/f");
    if (created) {
      ++made;
    } else {
      ASSERT_EQ(created.error(), Errno(EEXIST));
    }
  };
  const auto remove = [&](int) {
    if (Unlink("/f")) ++removed;
  };
  Storm({create, create, remove});
  EXPECT_EQ(made - removed, Stat("/f").has_value() ? 1 : 0);
}

TEST_F(ConcurrencyTest, ListingNeverLosesAnEntryThatStays) {
  constexpr int kStable = 200;
  ASSERT_THAT(Mkdir("/d"), IsOk());
  for (int i = 0; i < kStable; ++i) {
    ASSERT_THAT(Create("/d/stable" + std::to_string(i)), IsOk());
    ASSERT_THAT(Create("/d/gone" + std::to_string(i)), IsOk());
  }
  const auto churn = [this](const std::string& prefix) {
    return [this, prefix](int i) {
      std::ignore = Unlink("/d/gone" + std::to_string(i));
      ASSERT_THAT(Create(prefix + std::to_string(i)), IsOk());
      if (i >= 50) {
        ASSERT_THAT(Unlink(prefix + std::to_string(i - 50)), IsOk());
      }
    };
  };
  const auto list = [this](int) {
    const auto dir = Open("/d", O_RDONLY);
    ASSERT_THAT(dir, IsOk());
    std::map<std::string, int> seen;
    size_t last = 1;
    while (last != 0) {
      last = 0;
      ASSERT_THAT((*dir)->ReadDirectory([&](const DirectoryEntry& entry) {
        if (last == 16) return false;
        ++last;
        ++seen[std::string(entry.name)];
        return true;
      }),
                  IsOk());
      if (seen.size() > 100'000) break;  // those who add are faster
    }
    for (int i = 0; i < kStable; ++i) ASSERT_EQ(seen["stable" + std::to_string(i)], 1) << i;
    for (const auto& [name, times] : seen) ASSERT_EQ(times, 1) << name;
  };
  Storm({churn("/d/a"), churn("/d/b"), list, list});
}

TEST_F(ConcurrencyTest, DeepPathUnderAMovingDirectoryLeadsToItsFileOrNowhere) {
  ASSERT_THAT(Mkdir("/p"), IsOk());
  ASSERT_THAT(Mkdir("/q"), IsOk());
  std::string deep = "/p/moved";
  for (int i = 0; i < 10; ++i) {
    ASSERT_THAT(Mkdir(deep), IsOk());
    deep += "/sub";
  }
  deep.resize(deep.size() - 4);
  deep += "/file";
  ASSERT_THAT(Create(deep), IsOk());
  const uint64_t ino = Stat(deep)->ino;
  const std::string elsewhere = "/q" + deep.substr(2);
  std::atomic<int> found{0};
  const auto look = [&](int) {
    for (const std::string& path : {deep, elsewhere}) {
      const auto stat = Stat(path);
      if (stat) {
        ++found;
        ASSERT_EQ(stat->ino, ino);
      } else {
        ASSERT_EQ(stat.error(), Errno(ENOENT));
      }
    }
  };
  const auto move = [this](int) {
    ASSERT_THAT(Rename("/p/moved", "/q/moved"), IsOk());
    ASSERT_THAT(Rename("/q/moved", "/p/moved"), IsOk());
  };
  Storm({move, look, look});
  EXPECT_GT(found, 0);
  EXPECT_THAT(Stat(deep), IsOk());
}

TEST_F(ConcurrencyTest, DirectoriesMovedIntoEachOtherNeverMakeALoop) {
  for (const char* path : {"/a", "/b", "/a/x", "/b/y"}) ASSERT_THAT(Mkdir(path), IsOk());
  const auto try_move = [this](const char* from, const char* to) {
    return [this, from, to](int) {
      std::ignore = Rename(from, to);
      std::ignore = Rename(to, from);
    };
  };
  Storm({try_move("/a", "/b/y/a"), try_move("/b", "/a/x/b")});
  // Both are below the root still.
  size_t dirs = 0;
  const std::function<void(const std::string&)> count = [&](const std::string& dir) {
    ASSERT_LT(dirs, 10u);
    const auto names = *List(dir);
    for (const std::string& name : names) {
      ++dirs;
      count(dir + "/" + name);
    }
  };
  count("/");
  EXPECT_EQ(dirs, 4u);
}

TEST_F(ConcurrencyTest, NothingChangesWhileTheGateIsClosed) {
  ASSERT_THAT(Mkdir("/d"), IsOk());
  int closed = 0;
  const auto change = [this](const std::string& path) {
    return [this, path](int) {
      ASSERT_THAT(Put(path, "x"), IsOk());
      ASSERT_THAT(Rename(path, path + "2"), IsOk());
      ASSERT_THAT(Unlink(path + "2"), IsOk());
    };
  };
  const auto close = [&](int) {
    vfs->gate().Close();
    const uint64_t ino = fs->next_ino();
    const uint64_t bytes = fs->bytes_used();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(fs->next_ino(), ino);
    EXPECT_EQ(fs->bytes_used(), bytes);
    ++closed;
    vfs->gate().Open();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const uint64_t before = fs->next_ino();
  Storm({change("/d/a"), change("/d/b"), close});
  EXPECT_GT(closed, 0);
  EXPECT_GT(fs->next_ino(), before);
}

}  // namespace
}  // namespace stasis::vfs
