// SPDX-License-Identifier: Apache-2.0

#include "restore/image/frame_cache.h"

#include <gtest/gtest.h>

#include <thread>

namespace stasis::image {
namespace {

constexpr size_t kFrame = 1000;

class FrameCacheTest : public ::testing::Test {
 protected:
  FrameContent Get(FrameCache& cache, uint32_t frame) {
    const auto content = cache.Get(frame, [&]() -> absl::StatusOr<FrameContent> {
      ++loads_;
      return std::make_shared<const std::vector<std::byte>>(kFrame, std::byte(frame));
    });
    return content.ok() ? *content : nullptr;
  }
  int loads_ = 0;
};

TEST_F(FrameCacheTest, FilesReadSideBySideReadEachFrameOnce) {
  constexpr uint32_t kFiles = 100;
  constexpr uint32_t kFramesOfFile = 16;  // so that all are at frames that are alike
  FrameCache cache(kFiles * kFrame);
  for (uint32_t chunk = 0; chunk < kFramesOfFile * 16; ++chunk)
    for (uint32_t file = 0; file < kFiles; ++file)
      ASSERT_NE(Get(cache, file * kFramesOfFile + chunk / 16), nullptr);
  EXPECT_EQ(loads_, static_cast<int>(kFiles * kFramesOfFile));
}

TEST_F(FrameCacheTest, WhatWasUsedLongestAgoGoesFirst) {
  FrameCache cache(2 * kFrame);
  for (const uint32_t frame : {1U, 2U, 1U, 3U}) Get(cache, frame);
  EXPECT_NE(cache.Peek(1), nullptr);
  EXPECT_EQ(cache.Peek(2), nullptr);
  EXPECT_NE(cache.Peek(3), nullptr);
}

TEST_F(FrameCacheTest, AStagedFrameIsFoundAndTakesNoRoom) {
  FrameCache cache(kFrame);
  Get(cache, 1);
  const FrameContent staged = std::make_shared<const std::vector<std::byte>>(kFrame);
  cache.Stage(2, staged);
  EXPECT_EQ(Get(cache, 2), staged);
  EXPECT_EQ(loads_, 1);
  EXPECT_NE(cache.Peek(1), nullptr);
  cache.Stage(2, nullptr);
  EXPECT_NE(Get(cache, 2), staged);
  EXPECT_EQ(loads_, 2);
}

TEST_F(FrameCacheTest, AnErrorIsNotKept) {
  FrameCache cache(kFrame);
  const auto failed =
      cache.Get(1, []() -> absl::StatusOr<FrameContent> { return absl::DataLossError("bad"); });
  EXPECT_EQ(failed.status(), absl::DataLossError("bad"));
  EXPECT_NE(Get(cache, 1), nullptr);
}

}  // namespace
}  // namespace stasis::image
