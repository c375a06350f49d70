// SPDX-License-Identifier: Apache-2.0
//
// Every file operation of a save fails once: the tags of before stay, nothing partial is left.

#include <atomic>

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

// Fails the Nth operation, or all from the Nth on; writes may be cut short instead.
class FaultyOps final : public PosixFileOps {
 public:
  enum class Fault { kNone, kOnce, kFromThenOn, kShortWrites };

  FaultyOps(Fault fault, uint64_t at, int error) : fault_(fault), at_(at), error_(error) {}

  uint64_t count() const { return count_; }
  bool hit() const { return hit_; }

  Result<UniqueFd> OpenAt(int dir, const std::string& name, int flags, mode_t mode) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::OpenAt(dir, name, flags, mode);
  }
  Result<void> MkdirAt(int dir, const std::string& name, mode_t mode) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::MkdirAt(dir, name, mode);
  }
  Result<struct stat> Stat(int fd) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Stat(fd);
  }
  Result<struct stat> StatAt(int dir, const std::string& name) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::StatAt(dir, name);
  }
  Result<std::vector<std::string>> List(int dir) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::List(dir);
  }
  Result<size_t> ReadAt(int fd, std::span<std::byte> out, uint64_t offset) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::ReadAt(fd, out.first(Short(out.size())), offset);
  }
  Result<size_t> Write(int fd, std::span<const std::byte> data) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Write(fd, data.first(Short(data.size())));
  }
  Result<void> Allocate(int fd, uint64_t size) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Allocate(fd, size);
  }
  Result<void> Truncate(int fd, uint64_t size) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::Truncate(fd, size);
  }
  Result<void> StartWriteback(int fd, uint64_t offset, uint64_t length) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::StartWriteback(fd, offset, length);
  }
  Result<void> SyncData(int) override {
    if (Fails()) return Err(error_);
    return {};  // a test need not wait for the disk
  }
  Result<void> SyncDirectory(int) override {
    if (Fails()) return Err(error_);
    return {};
  }
  Result<void> RenameAt(int from_dir, const std::string& from, int to_dir,
                        const std::string& to) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::RenameAt(from_dir, from, to_dir, to);
  }
  Result<void> UnlinkAt(int dir, const std::string& name) override {
    // What fails for lack of space does not fail here.
    if (fault_ != Fault::kFromThenOn && Fails()) return Err(error_);
    return PosixFileOps::UnlinkAt(dir, name);
  }
  Result<void> LockExclusive(int fd) override {
    if (Fails()) return Err(error_);
    return PosixFileOps::LockExclusive(fd);
  }

 private:
  bool Fails() {
    const uint64_t now = count_++;
    const bool fails =
        (fault_ == Fault::kOnce && now == at_) || (fault_ == Fault::kFromThenOn && now >= at_);
    if (fails) hit_ = true;
    return fails;
  }
  size_t Short(size_t size) const {
    return fault_ == Fault::kShortWrites ? std::max<size_t>(1, size / 3) : size;
  }

  const Fault fault_;
  const uint64_t at_;
  const int error_;
  std::atomic<uint64_t> count_{0};
  std::atomic<bool> hit_{false};
};

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
