// SPDX-License-Identifier: Apache-2.0
//
// Many at work in an overlay at once.

#include "tests/testing/storm.h"

#include <random>
#include <thread>

#include "tests/fsimpl/overlay/overlay_tree.h"

namespace stasis::overlay {
namespace {

using testing::AsBytes;
using testing::IsOk;

class StormTest : public OverlayTree {};

TEST_F(StormTest, EveryNameIsWhatItsOwnerMadeOfIt) {
  Mount();
  testing::VfsCalls calls(t.vfs(), At("/merged"));
  testing::Storm storm(calls);
  storm.Run({.steps = 5000});
}

// Each thread writes a byte of its own into files that all of them copy up, while they are listed,
// read, renamed and linked.
class CopyUpStormTest : public OverlayTree, public ::testing::WithParamInterface<bool> {
 protected:
  static constexpr int kFiles = 60;
  static constexpr size_t kRemoved = 1000;  // each may be changed in the moment it goes
  static constexpr size_t kThreads = 4;
  static constexpr size_t kSize = 10'000;
  static std::string NameOf(size_t i) {
    return "/d" + std::to_string(i % 6) + "/f" + std::to_string(i);
  }

  void Work(size_t thread) {
    std::mt19937 random(static_cast<uint32_t>(thread));
    const auto& creds = t.creds();
    for (size_t n = 0; n < kFiles; ++n) {
      const std::string path = "/merged" + NameOf((n * 7 + thread * 3) % kFiles);
      if (random() % 3 == 0) {
        EXPECT_THAT(t.vfs().SetAttributesAt(creds, t.At(path), {.mode = 0640}), IsOk());
      }
      if (random() % 5 == 0) t.List(path.substr(0, path.rfind('/')));
      if (random() % 7 == 0) {
        const std::string link = path + "l" + std::to_string(thread);
        EXPECT_THAT(t.vfs().LinkAt(creds, t.At(path), t.At(link)), IsOk());
        EXPECT_THAT(t.vfs().RenameAt(creds, t.At(link), t.At("/merged" + link.substr(10))), IsOk());
      }
      const auto file = t.vfs().OpenAt(creds, t.At(path), {.flags = O_RDWR});
      ASSERT_THAT(file, IsOk()) << path;
      const char own = static_cast<char>('A' + thread);
      EXPECT_EQ((*file)->PWrite(thread * 1000, AsBytes(std::string(1, own))).value_or(0), 1u);
      EXPECT_EQ(testing::ReadAll(**file)[thread * 1000], own);
    }
  }

  // Removes all files, and the directories beside them, while others change the next one by name.
  void ChangeAndRemoveAll() {
    std::atomic<size_t> next{0};
    const auto change = [&](bool attributes) {
      for (size_t i = 0; (i = next.load()) < kRemoved;) {
        for (const char* kind : {"", "d"}) {
          const std::string path = "/merged" + NameOf(i) + kind;
          const auto at = t.At(path);
          const auto set = attributes
                               ? t.vfs().SetAttributesAt(t.creds(), at, {.mode = 0700})
                               : t.vfs().SetXattrAt(t.creds(), at, "user.a", "1", /*flags=*/0);
          if (!set) {
            EXPECT_EQ(set.error(), Errno(ENOENT));
          }
        }
      }
    };
    std::thread attributes(change, true);
    std::thread xattrs(change, false);
    for (size_t i = 0; i < kRemoved; next.store(++i)) {
      EXPECT_THAT(t.vfs().UnlinkAt(t.creds(), t.At("/merged" + NameOf(i))), IsOk()) << i;
      EXPECT_THAT(t.vfs().RmdirAt(t.creds(), t.At("/merged" + NameOf(i) + "d")), IsOk()) << i;
    }
    attributes.join();
    xattrs.join();
  }
};

TEST_P(CopyUpStormTest, NothingIsLost) {
  for (size_t i = 0; i < kFiles; ++i) Put("/lower" + NameOf(i), std::string(kSize, 'x'));
  OverlayOptions options = Options();
  options.lazy_data = GetParam();
  Mount(options);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) threads.emplace_back([this, i] { Work(i); });
  for (std::thread& thread : threads) thread.join();
  std::string expected(kSize, 'x');
  for (size_t i = 0; i < kThreads; ++i) expected[i * 1000] = static_cast<char>('A' + i);
  EXPECT_THAT(overlay().SettleUpper(), IsOk());
  for (size_t i = 0; i < kFiles; ++i) {
    EXPECT_TRUE(t.Read("/merged" + NameOf(i)) == expected) << i;
    EXPECT_TRUE(t.Read("/upper" + NameOf(i)) == expected) << i;
    EXPECT_TRUE(t.Read("/lower" + NameOf(i)) == std::string(kSize, 'x')) << i;
  }
  EXPECT_THAT(t.List("/work/work"), ::testing::IsEmpty());
}

TEST_P(CopyUpStormTest, WhatIsCopiedUpCanBeRemoved) {
  for (size_t i = 0; i < kRemoved; ++i) Put("/lower" + NameOf(i), "x");
  for (size_t i = 0; i < kRemoved; ++i) t.Mkdir("/lower" + NameOf(i) + "d");
  OverlayOptions options = Options();
  options.lazy_data = GetParam();
  const uint32_t file_mode = t.Stat("/lower" + NameOf(0)).mode;
  const uint32_t dir_mode = t.Stat("/lower" + NameOf(0) + "d").mode;
  Mount(options);
  ChangeAndRemoveAll();
  for (size_t i = 0; i < kRemoved; ++i) {
    EXPECT_FALSE(t.Exists("/merged" + NameOf(i)));
    EXPECT_TRUE(IsWhiteout("/upper" + NameOf(i))) << i;
    EXPECT_TRUE(IsWhiteout("/upper" + NameOf(i) + "d")) << i;
    EXPECT_EQ(t.Stat("/lower" + NameOf(i)).mode, file_mode) << "what is below stays as it is";
    EXPECT_EQ(t.Stat("/lower" + NameOf(i) + "d").mode, dir_mode) << i;
    EXPECT_EQ(Xattr("/lower" + NameOf(i), "user.a"), "") << i;
  }
  EXPECT_THAT(t.List("/work/work"), ::testing::IsEmpty());
}

TEST_P(CopyUpStormTest, WhatIsInTheUpperLayerAloneCanBeRemoved) {
  for (size_t i = 0; i < kRemoved; ++i) Put("/upper" + NameOf(i), "x");
  for (size_t i = 0; i < kRemoved; ++i) t.Mkdir("/upper" + NameOf(i) + "d");
  OverlayOptions options = Options();
  options.lazy_data = GetParam();
  Mount(options);
  ChangeAndRemoveAll();
  for (size_t i = 0; i < kRemoved; ++i) {
    EXPECT_FALSE(t.Exists("/upper" + NameOf(i))) << i;
    EXPECT_FALSE(t.Exists("/upper" + NameOf(i) + "d")) << i;
  }
  EXPECT_THAT(t.List("/work/work"), ::testing::IsEmpty());
}

TEST_P(CopyUpStormTest, RangesAreCopiedOfWhatIsCopiedUp) {
  for (size_t i = 0; i < kFiles; ++i) Put("/lower" + NameOf(i), std::string(kSize, 'x'));
  OverlayOptions options = Options();
  options.lazy_data = GetParam();
  Mount(options);
  for (size_t i = 0; i < kFiles; ++i) {
    const auto from = t.Open("/merged" + NameOf(i), O_RDONLY);
    t.Write("/merged/to", "");
    const auto to = t.Open("/merged/to", O_RDWR);
    std::thread changer([&] { t.Set("/merged" + NameOf(i), {.mode = 0600}); });
    for (int n = 0; n < 20; ++n) {
      ASSERT_EQ(vfs::FileDescription::CopyRange(*from, 0, *to, 0, kSize).value_or(0), kSize);
      EXPECT_TRUE(testing::ReadAll(*to) == std::string(kSize, 'x')) << i;
    }
    changer.join();
  }
}

INSTANTIATE_TEST_SUITE_P(Overlay, CopyUpStormTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Lazy" : "AtOnce"; });

}  // namespace
}  // namespace stasis::overlay
