// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "cmd/stasis/durations.h"
#include "restore/image/index.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kMinute = absl::Minutes(1);
const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

TEST(BeatsTest, TheFirstIsDueAtOnceAndTheNextAfterTheInterval) {
  Beats beats(kStart, kMinute);
  EXPECT_EQ(beats.next(), kStart);
  EXPECT_EQ(beats.Advance(kStart + absl::Seconds(3)), 0);
  EXPECT_EQ(beats.next(), kStart + kMinute);
}

TEST(BeatsTest, AnOverlongOneSkipsBeatsAndKeepsTheirPhase) {
  Beats beats(kStart, kMinute);
  EXPECT_EQ(beats.Advance(kStart + absl::Seconds(150)), 2);
  EXPECT_EQ(beats.next(), kStart + 3 * kMinute);
  EXPECT_EQ(beats.Advance(kStart + absl::Seconds(181)), 0);
  EXPECT_EQ(beats.next(), kStart + 4 * kMinute);
}

TEST(BeatsTest, OneThatEndsOnABeatDoesNotSkipIt) {
  Beats beats(kStart, kMinute);
  EXPECT_EQ(beats.Advance(kStart + kMinute), 0);
  EXPECT_EQ(beats.next(), kStart + kMinute);
  EXPECT_EQ(beats.Advance(kStart + 3 * kMinute), 1);
  EXPECT_EQ(beats.next(), kStart + 3 * kMinute);
}

TEST(BeatsTest, AClockThatIsSetBackSkipsNothing) {
  Beats beats(kStart, kMinute);
  EXPECT_EQ(beats.Advance(kStart - absl::Hours(1)), 0);
  EXPECT_EQ(beats.next(), kStart + kMinute);
}

TEST(SeriesTagTest, SortsAsTheTimesDo) {
  const absl::Time time = absl::FromUnixMillis(1'767'268'800'007);
  EXPECT_EQ(SeriesTag("auto", time), "auto-20260101T120000.007Z");
  EXPECT_LT(SeriesTag("auto", time), SeriesTag("auto", time + absl::Milliseconds(1)));
  EXPECT_LT(SeriesTag("auto", time), SeriesTag("auto", time + absl::Hours(12)));
}

TEST(SeriesTagTest, KnowsItsOwn) {
  EXPECT_TRUE(IsSeriesTag("auto-20260101T120000.007Z", "auto"));
  for (const char* other :
       {"auto", "auto-", "auto-1", "auto-20260101T120000Z", "auto-20260101T120000.0070Z",
        "auto-20261301T120000.007Z", "auto-20260101T120000.007Zx", "autox-20260101T120000.007Z",
        "auto-x-20260101T120000.007Z"})
    EXPECT_FALSE(IsSeriesTag(other, "auto")) << other;
}

class TurnSeriesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto layout = image::Layout::OpenForWriting(series_.directory);
    ASSERT_TRUE(layout.ok()) << layout.status();
    ASSERT_TRUE((*layout)->ReplaceIndex(index_.Encode()).ok());
  }

  // Adds an image of that name.
  void Add(const std::string& tag, const std::string& series = "auto",
           const std::string& sandbox = "box") {
    image::Annotations annotations;
    if (!series.empty()) annotations[kAnnotationSeries] = series;
    annotations[image::kAnnotationContainerName] = sandbox;
    index_.Set(tag, image::EntryFor(tag, image::Digest::Of(std::as_bytes(std::span(tag))), 1,
                                    annotations));
    auto layout = image::Layout::OpenForWriting(series_.directory);
    ASSERT_TRUE(layout.ok()) << layout.status();
    ASSERT_TRUE((*layout)->ReplaceIndex(index_.Encode()).ok());
  }

  std::vector<std::string> Tags() {
    std::vector<std::string> tags;
    auto layout = image::Layout::Open(series_.directory);
    const std::vector<image::TagEntry> entries = (*layout)->List().value();
    for (const image::TagEntry& entry : entries) tags.push_back(entry.tag);
    std::sort(tags.begin(), tags.end());
    return tags;
  }

  image::Digest Resolve(const std::string& tag) {
    auto layout = image::Layout::Open(series_.directory);
    return (*layout)->Resolve(tag).value().digest;
  }

  testing::ScratchDir dir_{testing::ScratchDir::Where::kInMemory};
  image::Index index_;
  Series series_{dir_.path() + "/snaps", "auto", "box", 2};
};

constexpr char kOne[] = "auto-20260101T000001.000Z";
constexpr char kTwo[] = "auto-20260101T000002.000Z";
constexpr char kThree[] = "auto-20260101T000003.000Z";

TEST_F(TurnSeriesTest, TheNameIsTheNewest) {
  Add(kOne);
  EXPECT_THAT(*TurnSeries(series_, kOne), IsEmpty());
  EXPECT_EQ(Resolve("auto"), Resolve(kOne));
  Add(kTwo);
  index_.Set("auto", *index_.Find(kOne));
  EXPECT_THAT(*TurnSeries(series_, kTwo), IsEmpty());
  EXPECT_EQ(Resolve("auto"), Resolve(kTwo));
  EXPECT_THAT(Tags(), ElementsAre("auto", kOne, kTwo));
}

TEST_F(TurnSeriesTest, TheOldestGo) {
  for (const char* tag : {kThree, kOne, kTwo}) Add(tag);
  EXPECT_THAT(*TurnSeries(series_, kThree), ElementsAre(kOne));
  EXPECT_THAT(Tags(), ElementsAre("auto", kTwo, kThree));
}

TEST_F(TurnSeriesTest, WithoutANumberAllStay) {
  series_.keep = 0;
  for (const char* tag : {kOne, kTwo, kThree}) Add(tag);
  EXPECT_THAT(*TurnSeries(series_, kThree), IsEmpty());
  EXPECT_THAT(Tags(), ElementsAre("auto", kOne, kTwo, kThree));
}

TEST_F(TurnSeriesTest, WhatIsNotItsOwnStays) {
  series_.keep = 1;
  Add(kOne, "");             // nobody says that it is of a series
  Add(kTwo, "auto", "cat");  // another sandbox's
  Add("auto-old");
  Add("manual", "auto");
  Add(kThree);
  EXPECT_THAT(*TurnSeries(series_, kThree), IsEmpty());
  EXPECT_THAT(Tags(), ElementsAre("auto", kOne, kTwo, kThree, "auto-old", "manual"));
}

TEST_F(TurnSeriesTest, ATagThatIsNotThereIsAnError) {
  EXPECT_TRUE(absl::IsNotFound(TurnSeries(series_, kOne).status()));
  EXPECT_THAT(Tags(), IsEmpty());
}

TEST(DurationsTest, AreWrittenWithUnits) {
  EXPECT_EQ(*ReadDuration("--every", "500ms"), absl::Milliseconds(500));
  EXPECT_EQ(*ReadDuration("--every", "1h30m"), absl::Minutes(90));
  EXPECT_EQ(*ReadDuration("--every", "1us"), absl::Milliseconds(1));
  for (const char* bad : {"", "5", "0s", "-1s", "5 s", "inf", "9000h", "x"}) {
    const absl::Status status = ReadDuration("--every", bad).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_THAT(std::string(status.message()),
                ::testing::StartsWith("--every '" + std::string(bad) + "'"));
  }
}

}  // namespace
}  // namespace stasis::cli
