// SPDX-License-Identifier: Apache-2.0
//
// Every file operation of a save fails once: the tags of before stay, nothing partial is left.

#include "tests/restore/image/faulty_ops.h"
#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

using Fault = FaultyOps::Fault;

class FaultTest : public ImageTest {
 protected:
  FaultTest() {
    for (uint64_t i = 0; i < 20; ++i) {
      contents_.push_back(i % 2 == 0 ? TextBytes(9000, i) : RandomBytes(9000, i));
    }
    // Large enough for space to be reserved.
    for (uint64_t i = 0; i < 100; ++i) contents_.push_back(RandomBytes(state::kChunkSize, 100 + i));
  }

  std::vector<RefPtr<state::Chunk>> NewChunks() const {
    std::vector<RefPtr<state::Chunk>> chunks;
    for (const Bytes& content : contents_) chunks.push_back(NewChunk(content));
    return chunks;
  }

  // Saves "v2" over a layout with "v1", with a fault, and looks at what is left. Returns false once
  // the fault is past the last operation.
  bool TrySave(Fault fault, uint64_t at, int error) {
    SCOPED_TRACE(::testing::Message() << "operation " << at << ", " << Errno(error));
    std::filesystem::remove_all(dir_);
    EXPECT_TRUE(Save(MakeGraph({NewChunk(TextBytes(5000, 77))}), "v1",
                     std::make_shared<FaultyOps>(Fault::kNone, 0, 0))
                    .ok());
    const auto before = Blobs();
    auto ops = std::make_shared<FaultyOps>(fault, at, error);
    const auto graph = MakeGraph(NewChunks(), 10);
    const auto written = Save(graph, "v2", ops);
    if (!ops->hit()) {
      EXPECT_TRUE(written.ok()) << written.status();
      return false;
    }
    Check(written.status(), before);
    return !::testing::Test::HasFatalFailure();
  }

  void Check(const absl::Status& status, const std::vector<std::string>& before) {
    EXPECT_EQ(Verify("v1"), absl::OkStatus());
    // The fault may have hit what does not matter; or what made a success of it be denied. Either
    // way the tag is whole or not there, once the next writer has looked.
    ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
    EXPECT_TRUE(TempFiles().empty());
    if (status.ok()) {
      EXPECT_EQ(Verify("v2"), absl::OkStatus());
    } else if (absl::IsNotFound(Load("v2").status())) {
      EXPECT_EQ(Blobs(), before) << status;
    } else {
      EXPECT_EQ(Verify("v2"), absl::OkStatus());
    }
  }

  std::vector<Bytes> contents_;
};

TEST_F(FaultTest, OneErrorAnywhere) {
  for (const int error : {EIO, ENOSPC}) {
    uint64_t at = 0;
    while (TrySave(Fault::kOnce, at, error)) ++at;
    EXPECT_GT(at, 40u);
  }
}

TEST_F(FaultTest, NothingWorksFromSomewhereOn) {
  uint64_t at = 0;
  while (TrySave(Fault::kFromThenOn, at, ENOSPC)) ++at;
  EXPECT_GT(at, 40u);
}

TEST_F(FaultTest, NoSpaceIsSaidAsSuchAndLeavesNothingAtOnce) {
  ASSERT_TRUE(Save(MakeGraph({}), "v1").ok());
  const auto before = Blobs();
  auto layout = Layout::OpenForWriting(dir_);
  ASSERT_TRUE(layout.ok());
  layout->reset();
  // Somewhere in the packs.
  auto ops = std::make_shared<FaultyOps>(Fault::kFromThenOn, 25, ENOSPC);
  const auto status = Save(MakeGraph(NewChunks()), "v2", ops).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(std::string(status.message()), HasSubstr("ENOSPC"));
  EXPECT_EQ(Blobs(), before);
  EXPECT_TRUE(TempFiles().empty());
}

TEST_F(FaultTest, ShortWritesAreContinued) {
  auto ops = std::make_shared<FaultyOps>(Fault::kShortWrites, 0, 0);
  ASSERT_TRUE(Save(MakeGraph(NewChunks()), "v1", ops).ok());
  EXPECT_EQ(Verify("v1"), absl::OkStatus());
  auto layout = Layout::Open(dir_, ops);
  ASSERT_TRUE(layout.ok());
  auto reader = ImageReader::Open(**layout, "v1", {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectChunks(**reader, contents_);
}

TEST_F(FaultTest, ErrorsWhileReadingAreErrors) {
  ASSERT_TRUE(Save(MakeGraph(NewChunks()), "v1").ok());
  for (uint64_t at = 0;; ++at) {
    auto ops = std::make_shared<FaultyOps>(Fault::kOnce, at, EIO);
    auto layout = Layout::Open(dir_, ops);
    if (!layout.ok()) continue;
    auto reader = ImageReader::Open(**layout, "v1", {});
    if (reader.ok() && !ops->hit()) break;
    EXPECT_FALSE(reader.ok()) << at;
    EXPECT_THAT(reader.status(), HasCode(absl::StatusCode::kInternal));
  }
}

}  // namespace
}  // namespace stasis::image
