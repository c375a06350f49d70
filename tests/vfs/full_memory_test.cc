// SPDX-License-Identifier: Apache-2.0
//
// Files when there is no memory left for their data.

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "state/chunk.h"
#include "state/chunk_memory.h"
#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using stasis::testing::PReadSome;
using state::ChunkMemory;
using state::kChunkSize;

constexpr uint64_t kRoom = 16 * ChunkMemory::kSpan;

class FullMemoryTest : public MemfsTest {
 protected:
  static void SetUpTestSuite() { ASSERT_THAT(ChunkMemory::Configure({.range = kRoom}), IsOk()); }

  RefPtr<FileDescription> OpenIt(std::string_view path, int flags = O_CREAT | O_RDWR) {
    auto file = Open(path, flags);
    EXPECT_THAT(file, IsOk());
    return *file;
  }
  // Takes all memory; returns how many chunks that were.
  uint64_t Fill(FileDescription& file) {
    const std::string chunk(kChunkSize, 'f');
    for (uint64_t i = 0;; ++i) {
      const auto done = file.PWrite(i * kChunkSize, BytesOf(chunk));
      if (done) continue;
      EXPECT_THAT(done, IsErrno(ENOSPC));
      return i;
    }
  }
};

TEST_F(FullMemoryTest, AWriteFailsAndChangesNothing) {
  const auto file = OpenIt("/f");
  const uint64_t chunks = Fill(*file);
  EXPECT_EQ(chunks, kRoom / kChunkSize);
  EXPECT_EQ(file->GetStat()->size, chunks * kChunkSize);
  EXPECT_EQ(fs->bytes_used(), chunks * kChunkSize);
  EXPECT_EQ(*PReadSome(*file, chunks * kChunkSize - 3, 10), "fff");
  EXPECT_THAT(OpenIt("/g")->PWrite(0, BytesOf("small")), IsErrno(ENOSPC));
  EXPECT_EQ(OpenIt("/g")->GetStat()->size, 0);
  // What has memory can be written, and what is given up can be had again.
  ASSERT_THAT(file->PWrite(0, BytesOf("over")), IsOk());
  EXPECT_EQ(*PReadSome(*file, 0, 5), "overf");
  ASSERT_THAT(Truncate("/f", (chunks - 4) * kChunkSize), IsOk());
  EXPECT_THAT(OpenIt("/g")->PWrite(0, BytesOf("small")), IsOk());
}

TEST_F(FullMemoryTest, AWriteOfManyChunksThatDoesNotFitLeavesNoneBehind) {
  const auto file = OpenIt("/f");
  ASSERT_THAT(file->PWrite(0, BytesOf("begin")), IsOk());
  EXPECT_THAT(file->PWrite(5, BytesOf(std::string(2 * kRoom, 'x'))), IsErrno(ENOSPC));
  EXPECT_EQ(file->GetStat()->size, 5);
  EXPECT_EQ(file->GetStat()->blocks, 8);
  EXPECT_EQ(fs->bytes_used(), 4096);
  ASSERT_THAT(Truncate("/f", 20), IsOk());
  EXPECT_EQ(*PReadSome(*file, 0, 20), "begin" + std::string(15, '\0'));
}

TEST_F(FullMemoryTest, ASharedChunkThatCannotBeCopiedStaysAsItIs) {
  const auto file = OpenIt("/f");
  const auto copy = OpenIt("/copy");
  ASSERT_THAT(file->PWrite(0, BytesOf(std::string(kChunkSize, 's'))), IsOk());
  ASSERT_THAT(FileDescription::CopyRange(*file, 0, *copy, 0, kChunkSize), IsOk());
  Fill(*OpenIt("/filler"));
  EXPECT_THAT(copy->PWrite(1, BytesOf("c")), IsErrno(ENOSPC));
  EXPECT_THAT(copy->PWrite(0, BytesOf(std::string(kChunkSize, 'c'))), IsErrno(ENOSPC));
  EXPECT_THAT(Truncate("/copy", 10), IsErrno(ENOSPC));
  EXPECT_EQ(*PReadSome(*copy, 0, 3), "sss");
  EXPECT_EQ(copy->GetStat()->size, kChunkSize);
  EXPECT_EQ(*PReadSome(*file, 0, 3), "sss");
}

TEST_F(FullMemoryTest, AFileThatCannotGrowKeepsItsBytes) {
  const auto file = OpenIt("/f");
  ASSERT_THAT(file->PWrite(0, BytesOf(std::string(100, 'a'))), IsOk());
  Fill(*OpenIt("/filler"));
  EXPECT_THAT(file->PWrite(100, BytesOf(std::string(5000, 'b'))), IsErrno(ENOSPC));
  EXPECT_EQ(file->GetStat()->size, 100);
  EXPECT_EQ(*PReadSome(*file, 0, 200), std::string(100, 'a'));
}

}  // namespace
}  // namespace stasis::vfs
