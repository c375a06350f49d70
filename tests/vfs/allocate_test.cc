// SPDX-License-Identifier: Apache-2.0
//
// fallocate and copy_file_range on open files of a memfs.

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/sysmacros.h>

#include <cstdint>
#include <limits>

#include "state/chunk.h"
#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using stasis::testing::PReadSome;
using state::kChunkSize;

constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();

// Bytes that tell where they are from.
std::string Pattern(size_t size, char first) {
  std::string pattern(size, '\0');
  for (size_t i = 0; i < size; ++i) pattern[i] = static_cast<char>(first + i / 1000 % 20);
  return pattern;
}

class AllocateTest : public MemfsTest {
 protected:
  AllocateTest() : MemfsTest(memfs::MemfsOptions{.size_limit = 64 * kChunkSize}) {}
  RefPtr<FileDescription> OpenIt(std::string_view path, int flags = O_RDWR) {
    auto file = Open(path, flags);
    EXPECT_THAT(file, IsOk());
    return *file;
  }
};

TEST_F(AllocateTest, ExtendsTheFileWithZerosThatTakeSpace) {
  ASSERT_THAT(Put("/f", "abc"), IsOk());
  const auto file = OpenIt("/f");
  clock.Advance(5);
  ASSERT_THAT(file->Allocate(0, 1, 3 * kChunkSize), IsOk());
  EXPECT_EQ(file->GetStat()->size, 3 * kChunkSize + 1);
  EXPECT_GE(file->GetStat()->blocks, 3 * kChunkSize / 512);
  EXPECT_EQ(fs->bytes_used(), file->GetStat()->blocks * 512);
  EXPECT_EQ(file->GetStat()->mtime, clock.Now());
  EXPECT_EQ(*PReadSome(*file, 0, 5), std::string("abc\0\0", 5));
}

TEST_F(AllocateTest, FillsHolesAndKeepsWhatIsThere) {
  const auto file = OpenIt("/f", O_CREAT | O_RDWR);
  ASSERT_THAT(file->PWrite(2 * kChunkSize, BytesOf("data")), IsOk());
  ASSERT_THAT(file->Allocate(FALLOC_FL_KEEP_SIZE, 0, 3 * kChunkSize), IsOk());
  EXPECT_EQ(file->GetStat()->size, 2 * kChunkSize + 4);
  EXPECT_EQ(fs->bytes_used(), 3 * kChunkSize);
  EXPECT_EQ(*PReadSome(*file, 2 * kChunkSize, 10), "data");
  EXPECT_EQ(*file->Seek(0, SEEK_DATA), 2 * kChunkSize);
}

TEST_F(AllocateTest, UnlinkGivesReservedPagesBack) {
  {
    const auto file = OpenIt("/f", O_CREAT | O_RDWR);
    ASSERT_THAT(file->Allocate(FALLOC_FL_KEEP_SIZE, 5 * kChunkSize, 3 * kChunkSize), IsOk());
    EXPECT_EQ(fs->bytes_used(), 3 * kChunkSize);
    ASSERT_THAT(Unlink("/f"), IsOk());
  }
  EXPECT_EQ(fs->bytes_used(), 0u);
}

TEST_F(AllocateTest, WithoutRoomNothingHappens) {
  const auto file = OpenIt("/f", O_CREAT | O_RDWR);
  EXPECT_THAT(file->Allocate(0, 0, 65 * kChunkSize), IsErrno(ENOSPC));
  EXPECT_THAT(file->Allocate(0, 0, kMax), IsErrno(ENOSPC));
  EXPECT_EQ(file->GetStat()->size, 0u);
  EXPECT_EQ(fs->bytes_used(), 0u);
  EXPECT_THAT(file->Allocate(0, 0, 64 * kChunkSize), IsOk());
}

TEST_F(AllocateTest, PunchedHolesReadAsZerosAndGiveSpaceBack) {
  const std::string pattern = Pattern(4 * kChunkSize, 'a');
  ASSERT_THAT(Put("/f", pattern), IsOk());
  const auto file = OpenIt("/f");
  ASSERT_THAT(file->Allocate(kPunch, kChunkSize / 2, 2 * kChunkSize), IsOk());
  std::string expected = pattern;
  expected.replace(kChunkSize / 2, 2 * kChunkSize, 2 * kChunkSize, '\0');
  EXPECT_EQ(*Get("/f"), expected);
  EXPECT_EQ(fs->bytes_used(), file->GetStat()->blocks * 512);
  EXPECT_LT(fs->bytes_used(), 4 * kChunkSize);
  ASSERT_THAT(file->Allocate(kPunch, 0, kMax), IsOk());
  EXPECT_EQ(file->GetStat()->size, 4 * kChunkSize);
  EXPECT_EQ(fs->bytes_used(), 0u);
}

TEST_F(AllocateTest, ModesThatATmpfsLacksAreEOPNOTSUPP) {
  const auto file = OpenIt("/f", O_CREAT | O_RDWR);
  for (const int mode : {FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE,
                         FALLOC_FL_INSERT_RANGE, 1 << 20})
    EXPECT_THAT(file->Allocate(mode, 0, kChunkSize), IsErrno(EOPNOTSUPP)) << mode;
}

TEST_F(AllocateTest, RefusesWhatIsNoRangeOrNoFile) {
  const auto file = OpenIt("/f", O_CREAT | O_RDWR);
  EXPECT_THAT(file->Allocate(0, 0, 0), IsErrno(EINVAL));
  EXPECT_THAT(file->Allocate(0, kMax + 1, 1), IsErrno(EINVAL));
  EXPECT_THAT(file->Allocate(0, kMax, 1), IsErrno(EFBIG));
  EXPECT_THAT(OpenIt("/f", O_RDONLY)->Allocate(0, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(OpenIt("/f", O_PATH)->Allocate(0, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(OpenIt("/", O_RDONLY)->Allocate(0, 0, 1), IsErrno(EBADF));
  ASSERT_THAT(Mknod("/null", S_IFCHR | 0666, makedev(1, 3)), IsOk());
  EXPECT_THAT(OpenIt("/null", O_WRONLY)->Allocate(0, 0, 1), IsErrno(ENODEV));
}

class CopyRangeTest : public AllocateTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Put("/a", Pattern(5 * kChunkSize + 100, 'a')), IsOk());
    ASSERT_THAT(Put("/b", Pattern(6 * kChunkSize, 'A')), IsOk());
  }
  // Copies, and expects of the target what copying its text gives.
  void ExpectCopy(uint64_t from_offset, uint64_t to_offset, uint64_t length) {
    std::string expected = *Get("/b");
    const std::string piece = Get("/a")->substr(from_offset, length);
    expected.resize(std::max<size_t>(expected.size(), to_offset + piece.size()));
    expected.replace(to_offset, piece.size(), piece);
    const auto a = OpenIt("/a");
    const auto b = OpenIt("/b");
    EXPECT_EQ(*FileDescription::CopyRange(*a, from_offset, *b, to_offset, length), piece.size());
    EXPECT_EQ(*Get("/b"), expected);
    EXPECT_EQ(fs->bytes_used(), (a->GetStat()->blocks + b->GetStat()->blocks) * 512);
  }
};

TEST_F(CopyRangeTest, CopiesAlignedAndOtherRanges) {
  ExpectCopy(0, 0, 3 * kChunkSize);
  ExpectCopy(kChunkSize, 2 * kChunkSize, 2 * kChunkSize + 5);
  ExpectCopy(7, 11, 2 * kChunkSize);
  ExpectCopy(2 * kChunkSize, 9, 1);
}

TEST_F(CopyRangeTest, StopsAtTheEndOfTheSource) {
  ExpectCopy(5 * kChunkSize, 8 * kChunkSize, 1000);
  ExpectCopy(5 * kChunkSize + 100, 0, 1000);
}

TEST_F(CopyRangeTest, HolesStayHoles) {
  const auto a = OpenIt("/a");
  ASSERT_THAT(a->Allocate(kPunch, kChunkSize, 2 * kChunkSize), IsOk());
  ExpectCopy(0, 0, 4 * kChunkSize);
  EXPECT_EQ(*OpenIt("/b")->Seek(0, SEEK_HOLE), kChunkSize);
}

TEST_F(CopyRangeTest, WritingToOneLeavesTheOther) {
  ExpectCopy(0, 0, 3 * kChunkSize);
  const std::string before = *Get("/b");
  ASSERT_THAT(OpenIt("/a")->PWrite(kChunkSize + 3, BytesOf("changed")), IsOk());
  EXPECT_EQ(*Get("/b"), before);
}

TEST_F(CopyRangeTest, WithinOneFileOnlyWithoutOverlap) {
  const std::string text = *Get("/a");
  const auto a = OpenIt("/a");
  EXPECT_THAT(FileDescription::CopyRange(*a, 0, *a, 10, 11), IsErrno(EINVAL));
  EXPECT_THAT(FileDescription::CopyRange(*a, 10, *a, 0, 11), IsErrno(EINVAL));
  EXPECT_EQ(*FileDescription::CopyRange(*a, 0, *a, 2 * kChunkSize, 2 * kChunkSize), 2 * kChunkSize);
  std::string expected = text;
  expected.replace(2 * kChunkSize, 2 * kChunkSize, text.substr(0, 2 * kChunkSize));
  EXPECT_EQ(*Get("/a"), expected);
}

TEST_F(CopyRangeTest, RefusesWhatCannotBeReadOrWritten) {
  ASSERT_THAT(Mkdir("/d"), IsOk());
  ASSERT_THAT(Mkdir("/m"), IsOk());
  ASSERT_THAT(Mount("/m"), IsOk());
  const auto a = OpenIt("/a");
  EXPECT_THAT(FileDescription::CopyRange(*OpenIt("/a", O_WRONLY), 0, *a, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(FileDescription::CopyRange(*a, 0, *OpenIt("/b", O_RDONLY), 0, 1), IsErrno(EBADF));
  EXPECT_THAT(FileDescription::CopyRange(*a, 0, *OpenIt("/b", O_RDWR | O_APPEND), 0, 1),
              IsErrno(EBADF));
  EXPECT_THAT(FileDescription::CopyRange(*OpenIt("/d", O_RDONLY), 0, *a, 0, 1), IsErrno(EISDIR));
  EXPECT_THAT(FileDescription::CopyRange(*a, 0, *OpenIt("/m/f", O_CREAT | O_RDWR), 0, 1),
              IsErrno(EXDEV));
  EXPECT_THAT(FileDescription::CopyRange(*a, 0, *OpenIt("/b"), kMax, 1), IsErrno(EFBIG));
  EXPECT_THAT(FileDescription::CopyRange(*a, 9, *OpenIt("/b"), 0, UINT64_MAX), IsErrno(EOVERFLOW));
}

TEST_F(CopyRangeTest, CopiesWhatFits) {
  const auto a = OpenIt("/a");
  ASSERT_THAT(OpenIt("/full", O_CREAT | O_RDWR)->Allocate(0, 0, 63 * kChunkSize - fs->bytes_used()),
              IsOk());
  const auto c = OpenIt("/c", O_CREAT | O_RDWR);
  EXPECT_EQ(*FileDescription::CopyRange(*a, 0, *c, 0, 2 * kChunkSize), kChunkSize);
  EXPECT_THAT(FileDescription::CopyRange(*a, 0, *c, kChunkSize, kChunkSize), IsErrno(ENOSPC));
  EXPECT_EQ(c->GetStat()->size, kChunkSize);
  EXPECT_EQ(fs->bytes_used(), 64 * kChunkSize);
}

}  // namespace
}  // namespace stasis::vfs
