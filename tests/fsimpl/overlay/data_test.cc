// SPDX-License-Identifier: Apache-2.0
//
// Data that is copied page by page (lazy_data), beside a model of the file.

#include <linux/falloc.h>

#include <iostream>
#include <random>

#include "tests/fsimpl/overlay/overlay_tree.h"

namespace stasis::overlay {
namespace {

using testing::AsBytes;
using testing::IsErrno;
using testing::IsOk;
using testing::ReadAll;

constexpr uint64_t kPage = 4096;

class LazyDataTest : public OverlayTree {
 protected:
  void MountLazily() {
    OverlayOptions options = Options();
    options.lazy_data = true;
    Mount(options);
  }
  // Space in the upper layer, in pages.
  uint64_t UpperPages(const std::string& path) {
    return t.Stat("/upper" + path).blocks * 512 / kPage;
  }
};

TEST_F(LazyDataTest, AWriteCopiesNoMoreThanItsPages) {
  Put("/lower/f", std::string(1 << 20, 'l'));
  MountLazily();
  const auto file = t.Open("/merged/f", O_RDWR);
  ASSERT_THAT(file->PWrite(10 * kPage + 100, AsBytes("changed")), IsOk());
  EXPECT_EQ(UpperPages("/f"), 1u);
  std::string expected(1 << 20, 'l');
  expected.replace(10 * kPage + 100, 7, "changed");
  EXPECT_EQ(ReadAll(*file), expected);
  EXPECT_EQ(t.Read("/lower/f"), std::string(1 << 20, 'l'));
}

TEST_F(LazyDataTest, SettledUpperHasItAll) {
  Put("/lower/f", std::string(100'000, 'l'));
  MountLazily();
  t.WriteAt("/merged/f", 50'000, "changed");
  t.Set("/merged/f", {.mtime = vfs::SetTime{testing::kTestTime - 5}});
  EXPECT_THAT(overlay().SettleUpper(), IsOk());
  EXPECT_EQ(t.Read("/upper/f"), t.Read("/merged/f"));
  EXPECT_EQ(t.Read("/upper/f").size(), 100'000u);
  EXPECT_EQ(t.Stat("/upper/f").mtime, testing::kTestTime - 5);
}

TEST_F(LazyDataTest, CutAndGrownFilesShowZeros) {
  Put("/lower/f", std::string(3 * kPage, 'l'));
  MountLazily();
  t.Truncate("/merged/f", kPage + 10);
  t.Truncate("/merged/f", 3 * kPage);
  EXPECT_EQ(t.Read("/merged/f"), std::string(kPage + 10, 'l') + std::string(2 * kPage - 10, '\0'));
  EXPECT_THAT(overlay().SettleUpper(), IsOk());
  EXPECT_EQ(t.Read("/upper/f"), t.Read("/merged/f"));
}

TEST_F(LazyDataTest, WhatWasWrittenStaysWhenThereIsNoSpaceForTheRest) {
  Put("/lower/f", std::string(256 * kPage, 'l'));
  const auto small = memfs::MemFilesystem::Create(t.vfs(), {.size_limit = 64 << 10});
  OverlayOptions options = testing::OverlayOn(t.vfs(), *small, {At("/lower")});
  options.lazy_data = true;
  Mount(options);
  t.WriteAt("/merged/f", 256 * kPage, "past the end");
  EXPECT_THAT(overlay().SettleUpper(), IsErrno(ENOSPC));
  EXPECT_EQ(t.Read("/merged/f"), std::string(256 * kPage, 'l') + "past the end");
}

TEST_F(LazyDataTest, HolesOfBothAreFound) {
  t.WriteAt("/lower/f", 8 * kPage, std::string(kPage, 'l'));
  t.Truncate("/lower/f", 32 * kPage);
  MountLazily();
  const auto file = t.Open("/merged/f", O_RDWR);
  ASSERT_THAT(file->PWrite(20 * kPage, AsBytes("u")), IsOk());
  EXPECT_EQ(file->Seek(0, SEEK_DATA).value_or(0) / kPage, 8u);
  EXPECT_EQ(file->Seek(8 * kPage, SEEK_HOLE).value_or(0) / kPage, 9u);
  EXPECT_EQ(file->Seek(9 * kPage, SEEK_DATA).value_or(0) / kPage, 20u);
  EXPECT_EQ(file->Seek(20 * kPage, SEEK_HOLE).value_or(0) / kPage, 21u);
  EXPECT_THAT(file->Seek(21 * kPage, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_EQ(file->Seek(22 * kPage, SEEK_HOLE).value_or(0) / kPage, 22u);
}

TEST_F(LazyDataTest, CopiesOfRanges) {
  Put("/lower/f", std::string(10 * kPage, 'l'));
  Put("/lower/g", std::string(10 * kPage, 'g'));
  MountLazily();
  const auto f = t.Open("/merged/f", O_RDWR);
  const auto g = t.Open("/merged/g", O_RDWR);
  ASSERT_THAT(f->PWrite(100, AsBytes("changed")), IsOk());
  EXPECT_EQ(vfs::FileDescription::CopyRange(*f, 50, *g, kPage + 7, 2 * kPage).value_or(0),
            2 * kPage);
  std::string expected(10 * kPage, 'g');
  expected.replace(kPage + 7, 2 * kPage, std::string(2 * kPage, 'l'));
  expected.replace(kPage + 7 + 50, 7, "changed");
  EXPECT_EQ(ReadAll(*g), expected);
}

// Random changes of a lower file, each of which a string sees as well, over saves.
class RandomDataTest : public LazyDataTest, public ::testing::WithParamInterface<bool> {
 protected:
  static constexpr uint64_t kSize = 24 * kPage + 1234;

  void Change(vfs::FileDescription& file, std::string& model) {
    const uint64_t offset = random_() % (model.size() + kPage);
    const uint64_t length = 1 + random_() % (random_() % 3 == 0 ? 5 * kPage : 300);
    switch (random_() % 6) {
      case 0: {
        const uint64_t size = random_() % (2 * kSize);
        ASSERT_THAT(file.SetAttributes(t.creds(), {.size = size}), IsOk());
        model.resize(size);
        break;
      }
      case 1:
        ASSERT_THAT(file.Allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length),
                    IsOk());
        for (uint64_t i = offset; i < std::min<uint64_t>(offset + length, model.size()); ++i)
          model[i] = '\0';
        break;
      case 2:
        ASSERT_THAT(file.Allocate(0, offset, length), IsOk());
        model.resize(std::max<uint64_t>(model.size(), offset + length));
        break;
      default: {
        const std::string bytes(length, static_cast<char>('A' + random_() % 26));
        ASSERT_EQ(file.PWrite(offset, AsBytes(bytes)).value_or(0), length);
        model.resize(std::max<uint64_t>(model.size(), offset + length));
        model.replace(offset, length, bytes);
      }
    }
  }

  std::mt19937 random_{[] {
    const char* given = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint32_t seed = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 0))
                                           : std::random_device()();
    std::cout << "STASIS_SEED=" << seed << std::endl;
    return seed;
  }()};
};

TEST_P(RandomDataTest, IsThatOfAModel) {
  std::string model;
  while (model.size() < kSize) model += std::to_string(random_());
  model.resize(kSize);
  Put("/lower/f", model);
  OverlayOptions options = Options();
  options.lazy_data = GetParam();
  Mount(options);
  t.Hold("file", t.Open("/merged/f", O_RDWR));
  for (int i = 0; i < 200 && !HasFatalFailure(); ++i) {
    if (random_() % 20 == 0) t.SaveAndRestore();
    const auto file = t.Held<vfs::FileDescription>("file");
    Change(*file, model);
    ASSERT_EQ(file->GetStat()->size, model.size()) << i;
    ASSERT_TRUE(ReadAll(*file) == model) << "after change " << i;
  }
  ASSERT_THAT(overlay().SettleUpper(), IsOk());
  EXPECT_TRUE(t.Read("/upper/f") == model);
}

INSTANTIATE_TEST_SUITE_P(Overlay, RandomDataTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Lazy" : "AtOnce"; });

}  // namespace
}  // namespace stasis::overlay
