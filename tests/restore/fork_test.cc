// SPDX-License-Identifier: Apache-2.0

#include "restore/fork.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<ForkOffer> Offer(TestVfs& t) {
  auto offer = OfferFork(t.RequestTo("", ""), std::chrono::milliseconds(500));
  EXPECT_TRUE(offer.ok()) << offer.status();
  return *std::move(offer);
}

std::unique_ptr<TestVfs> Take(const ForkPlaces& places) {
  auto parsed = ForkPlaces::FromJson(places.ToJson());
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  auto forked = TakeFork(*parsed, {});
  EXPECT_TRUE(forked.ok()) << forked.status();
  auto restored = RestoreFork(*std::move(forked), TestVfs::RequestFrom("", ""));
  EXPECT_TRUE(restored.ok()) << restored.status();
  return std::make_unique<TestVfs>(*std::move(restored));
}

bool EndsSoon(const ForkOffer& offer) {
  for (int i = 0; i < 200 && !offer.ended(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return offer.ended();
}

const std::string kLarge(100'000, 'x');

TEST(ForkTest, HasTheTreeOfTheMoment) {
  TestVfs t;
  t.Mkdir("/d");
  t.Write("/d/small", "small");
  t.Write("/d/large", kLarge);
  t.Link("/d/large", "/link");
  t.Symlink("/d/symlink", "large");
  t.Write("/empty", "");
  const auto offer = Offer(t);
  t.Write("/d/small", "later");
  t.Unlink("/link");
  const auto fork = Take(offer->places());
  EXPECT_EQ(fork->Read("/d/small"), "small");
  EXPECT_EQ(fork->Read("/d/large"), kLarge);
  EXPECT_EQ(fork->Stat("/link").nlink, 2u);
  EXPECT_EQ(fork->ReadLink("/d/symlink"), "large");
  EXPECT_EQ(fork->Read("/empty"), "");
  EXPECT_EQ(offer->report().files, 6u);
  EXPECT_GE(offer->report().shared_bytes, kLarge.size());
  EXPECT_GE(offer->report().pause_ns, offer->report().rows.rows_ns);
}

TEST(ForkTest, NeitherSeesWhatTheOtherWrites) {
  TestVfs t;
  t.Write("/f", kLarge);
  const auto offer = Offer(t);
  const auto fork = Take(offer->places());
  t.WriteAt("/f", 0, "parent");
  fork->WriteAt("/f", 50'000, "child");
  t.Truncate("/f", 60'000);
  EXPECT_EQ(fork->Read("/f").substr(0, 6), "xxxxxx");
  EXPECT_EQ(fork->Read("/f").substr(50'000, 6), "childx");
  EXPECT_EQ(fork->Read("/f").size(), kLarge.size());
  EXPECT_EQ(t.Read("/f").substr(0, 7), "parentx");
  EXPECT_EQ(t.Read("/f").substr(50'000, 6), "xxxxxx");
  fork->Truncate("/f", 50'003);
  EXPECT_EQ(fork->Read("/f").substr(49'999), "xchi");
}

TEST(ForkTest, ReadsWhatTheParentHasDeleted) {
  TestVfs t;
  t.Write("/f", kLarge);
  const auto offer = Offer(t);
  const auto fork = Take(offer->places());
  t.Unlink("/f");
  for (int i = 0; i < 20; ++i) t.Write("/other" + std::to_string(i), std::string(100'000, 'y'));
  EXPECT_EQ(fork->Read("/f"), kLarge);
}

TEST(ForkTest, OfAForkReadsTheFirstOnesMemory) {
  TestVfs t;
  t.Write("/a", kLarge);
  const auto offer = Offer(t);
  auto child = Take(offer->places());
  child->Write("/b", "of the child");
  const auto second = Offer(*child);
  EXPECT_EQ(second->places().memories.size(), 2u);
  const auto grandchild = Take(second->places());
  child.reset();
  // The first one's memory is in use although its own fork is gone.
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_FALSE(offer->ended());
  t.Unlink("/a");
  EXPECT_EQ(grandchild->Read("/a"), kLarge);
  EXPECT_EQ(grandchild->Read("/b"), "of the child");
}

TEST(ForkTest, NothingIsKeptWhenTheForkHasEnded) {
  TestVfs t;
  t.Write("/f", kLarge);
  const auto offer = Offer(t);
  auto fork = Take(offer->places());
  EXPECT_FALSE(offer->ended());
  fork.reset();
  EXPECT_TRUE(EndsSoon(*offer));
}

TEST(ForkTest, AnOfferThatNobodyTakesEnds) {
  TestVfs t;
  t.Write("/f", kLarge);
  const auto offer = Offer(t);
  const ForkPlaces places = offer->places();
  EXPECT_TRUE(EndsSoon(*offer));
  EXPECT_FALSE(TakeFork(places, {}).ok());
}

TEST(ForkTest, AProcessThatIsGoneIsNotFound) {
  EXPECT_EQ(TakeFork({.pid = 1 << 22, .rows = 3, .data = 4, .memories = {}}, {}).status(),
            absl::NotFoundError("the sandbox that was to be forked, or its offer, is gone"));
}

TEST(ForkTest, SomethingElseIsNoOffer) {
  const int null = ::open("/dev/null", O_RDWR);
  const auto taken =
      TakeFork({.pid = getpid(), .rows = null, .data = null, .memories = {}}, {}).status();
  EXPECT_EQ(taken, absl::InternalError("the rows that were sent are not whole"));
  ::close(null);
  EXPECT_EQ(ForkPlaces::FromJson("[]").status().code(), absl::StatusCode::kInvalidArgument);
}

class ForkOfImageTest : public ::testing::Test {
 protected:
  std::string layout() const { return scratch_ / "snaps"; }
  void Save(TestVfs& t, const std::string& tag) {
    const auto report = Checkpoint(t.RequestTo(layout(), tag));
    ASSERT_TRUE(report.ok()) << report.status();
    last_ = *report;
  }
  std::unique_ptr<TestVfs> RestoreTag(const std::string& tag) {
    auto restored = Restore(TestVfs::RequestFrom(layout(), tag));
    EXPECT_TRUE(restored.ok()) << restored.status();
    return std::make_unique<TestVfs>(*std::move(restored));
  }

  ScratchDir scratch_{ScratchDir::Where::kInMemory};
  CheckpointReport last_;
};

TEST_F(ForkOfImageTest, ReadsStoredDataFromTheImage) {
  {
    TestVfs t;
    t.Write("/f", kLarge);
    Save(t, "v1");
  }
  const auto restored = RestoreTag("v1");
  restored->Write("/g", "new");
  const auto offer = Offer(*restored);
  EXPECT_EQ(offer->report().shared_bytes, 3u);
  const auto fork = Take(offer->places());
  EXPECT_EQ(fork->Read("/f"), kLarge);
  EXPECT_EQ(fork->Read("/g"), "new");
  // What is stored needs not be stored again.
  Save(*fork, "v2");
  EXPECT_EQ(last_.dirty_bytes, 3u);
  EXPECT_EQ(RestoreTag("v2")->Read("/f"), kLarge);
}

TEST_F(ForkOfImageTest, WhatBothSaveIsTheirs) {
  TestVfs t;
  t.Write("/f", kLarge);
  const auto offer = Offer(t);
  auto fork = Take(offer->places());
  Save(t, "parent");  // makes the parent's chunks clean
  EXPECT_EQ(fork->Read("/f"), kLarge);
  Save(*fork, "child");  // and these the fork's, which it reads from the image from now on
  EXPECT_EQ(fork->Read("/f"), kLarge);
  EXPECT_TRUE(EndsSoon(*offer));
  fork->WriteAt("/f", 1, "z");
  Save(*fork, "child2");
  EXPECT_EQ(RestoreTag("child2")->Read("/f").substr(0, 3), "xzx");
  EXPECT_EQ(RestoreTag("child")->Read("/f"), kLarge);
}

TEST_F(ForkOfImageTest, AnImageThatIsGoneFailsTheForkAndNothingElse) {
  TestVfs t;
  t.Write("/f", kLarge);
  Save(t, "v1");
  const auto offer = Offer(t);
  std::filesystem::rename(layout(), scratch_ / "moved");
  EXPECT_EQ(TakeFork(offer->places(), {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(t.Read("/f"), kLarge);
}

}  // namespace
}  // namespace stasis::restore
