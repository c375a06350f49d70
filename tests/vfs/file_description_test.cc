// SPDX-License-Identifier: Apache-2.0
//
// Open files: offsets, appending, seeking, and what an open mode forbids.

#include <unistd.h>

#include <cstdint>

#include "state/chunk.h"
#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using stasis::testing::PReadSome;
using stasis::testing::ReadSome;

class FileDescriptionTest : public MemfsTest {
 protected:
  void SetUp() override { ASSERT_THAT(Put("/f", "0123456789"), IsOk()); }
  RefPtr<FileDescription> OpenIt(std::string_view path, int flags) {
    auto file = Open(path, flags);
    EXPECT_THAT(file, IsOk());
    return *file;
  }
};

TEST_F(FileDescriptionTest, ReadsAndWritesMoveOneOffset) {
  const auto file = OpenIt("/f", O_RDWR);
  EXPECT_EQ(*ReadSome(*file, 3), "012");
  EXPECT_EQ(*file->Write(BytesOf("abc")), 3u);
  EXPECT_EQ(*ReadSome(*file, 100), "6789");
  EXPECT_EQ(*ReadSome(*file, 100), "");
  EXPECT_EQ(*Get("/f"), "012abc6789");
}

TEST_F(FileDescriptionTest, PositionedReadsAndWritesDoNotMoveIt) {
  const auto file = OpenIt("/f", O_RDWR);
  EXPECT_EQ(*PReadSome(*file, 5, 2), "56");
  EXPECT_EQ(*file->PWrite(8, BytesOf("xyz")), 3u);
  EXPECT_EQ(*ReadSome(*file, 100), "01234567xyz");
}

TEST_F(FileDescriptionTest, EachOpenHasAnOffsetOfItsOwn) {
  const auto one = OpenIt("/f", O_RDONLY);
  const auto two = OpenIt("/f", O_RDONLY);
  EXPECT_EQ(*ReadSome(*one, 5), "01234");
  EXPECT_EQ(*ReadSome(*two, 5), "01234");
}

TEST_F(FileDescriptionTest, AppendWritesAtTheEndWhereverTheOffsetIs) {
  const auto file = OpenIt("/f", O_RDWR | O_APPEND);
  EXPECT_THAT(file->Write(BytesOf("a")), IsOk());
  EXPECT_EQ(*file->Seek(0, SEEK_CUR), 11u);
  ASSERT_THAT(file->Seek(0, SEEK_SET), IsOk());
  EXPECT_THAT(file->Write(BytesOf("b")), IsOk());
  EXPECT_THAT(file->PWrite(0, BytesOf("c")), IsOk());
  EXPECT_EQ(*file->Seek(0, SEEK_CUR), 12u);
  EXPECT_EQ(*Get("/f"), "0123456789abc");
}

TEST_F(FileDescriptionTest, AppendCanBeSwitchedOnAndOff) {
  const auto file = OpenIt("/f", O_RDWR | O_CREAT);
  file->SetStatusFlags(O_APPEND | O_CREAT | O_WRONLY);
  EXPECT_EQ(file->status_flags(), O_RDWR | O_APPEND);
  EXPECT_THAT(file->PWrite(0, BytesOf("x")), IsOk());
  file->SetStatusFlags(0);
  EXPECT_EQ(file->status_flags(), O_RDWR);
  EXPECT_THAT(file->PWrite(0, BytesOf("y")), IsOk());
  EXPECT_EQ(*Get("/f"), "y123456789x");
}

TEST_F(FileDescriptionTest, WritePastTheEndLeavesZeros) {
  const auto file = OpenIt("/f", O_RDWR);
  ASSERT_EQ(*file->Seek(3, SEEK_END), 13u);
  ASSERT_THAT(file->Write(BytesOf("x")), IsOk());
  EXPECT_EQ(*Get("/f"), std::string("0123456789\0\0\0x", 14));
}

TEST_F(FileDescriptionTest, TruncatedBytesDoNotComeBack) {
  ASSERT_THAT(Truncate("/f", 3), IsOk());
  ASSERT_THAT(Truncate("/f", 6), IsOk());
  EXPECT_EQ(*Get("/f"), std::string("012\0\0\0", 6));
}

TEST_F(FileDescriptionTest, SeekGoesFromStartOffsetAndEnd) {
  const auto file = OpenIt("/f", O_RDONLY);
  EXPECT_EQ(*file->Seek(4, SEEK_SET), 4u);
  EXPECT_EQ(*file->Seek(-1, SEEK_CUR), 3u);
  EXPECT_EQ(*file->Seek(-2, SEEK_END), 8u);
  EXPECT_EQ(*file->Seek(-10, SEEK_END), 0u);
  EXPECT_EQ(*file->Seek(100, SEEK_END), 110u);
  EXPECT_EQ(*ReadSome(*file, 1), "");
}

TEST_F(FileDescriptionTest, ImpossibleSeekIsEINVALAndDoesNotMove) {
  const auto file = OpenIt("/f", O_RDONLY);
  ASSERT_THAT(file->Seek(4, SEEK_SET), IsOk());
  EXPECT_THAT(file->Seek(-1, SEEK_SET), IsErrno(EINVAL));
  EXPECT_THAT(file->Seek(-5, SEEK_CUR), IsErrno(EINVAL));
  EXPECT_THAT(file->Seek(-11, SEEK_END), IsErrno(EINVAL));
  EXPECT_THAT(file->Seek(INT64_MAX, SEEK_CUR), IsErrno(EINVAL));
  EXPECT_THAT(file->Seek(INT64_MIN, SEEK_CUR), IsErrno(EINVAL));
  EXPECT_THAT(file->Seek(0, 77), IsErrno(EINVAL));
  EXPECT_EQ(*file->Seek(0, SEEK_CUR), 4u);
}

TEST_F(FileDescriptionTest, SeekFindsDataAndHoles) {
  constexpr uint64_t kChunk = state::kChunkSize;
  ASSERT_THAT(Create("/sparse"), IsOk());
  const auto file = OpenIt("/sparse", O_RDWR);
  ASSERT_THAT(file->PWrite(2 * kChunk, BytesOf("x")), IsOk());
  ASSERT_THAT(Truncate("/sparse", 4 * kChunk), IsOk());
  EXPECT_EQ(*file->Seek(0, SEEK_DATA), 2 * kChunk);
  EXPECT_EQ(*file->Seek(0, SEEK_CUR), 2 * kChunk);
  EXPECT_EQ(*file->Seek(0, SEEK_HOLE), 0u);
  EXPECT_EQ(*file->Seek(2 * kChunk, SEEK_HOLE), 2 * kChunk + 4096);
  EXPECT_THAT(file->Seek(3 * kChunk, SEEK_DATA), IsErrno(ENXIO));
  EXPECT_THAT(file->Seek(4 * kChunk, SEEK_HOLE), IsErrno(ENXIO));
  EXPECT_THAT(file->Seek(-1, SEEK_DATA), IsErrno(ENXIO));
}

TEST_F(FileDescriptionTest, EndOfTheFileIsAHole) {
  const auto file = OpenIt("/f", O_RDONLY);
  EXPECT_EQ(*file->Seek(3, SEEK_DATA), 3u);
  EXPECT_EQ(*file->Seek(3, SEEK_HOLE), 10u);
}

TEST_F(FileDescriptionTest, OpenModeForbidsTheOtherOperations) {
  const auto reader = OpenIt("/f", O_RDONLY);
  const auto writer = OpenIt("/f", O_WRONLY);
  EXPECT_THAT(reader->Write(BytesOf("x")), IsErrno(EBADF));
  EXPECT_THAT(reader->PWrite(0, BytesOf("x")), IsErrno(EBADF));
  EXPECT_THAT(reader->SetAttributes(creds, {.size = 0}), IsErrno(EINVAL));
  EXPECT_THAT(ReadSome(*writer, 1), IsErrno(EBADF));
  EXPECT_THAT(PReadSome(*writer, 0, 1), IsErrno(EBADF));
}

TEST_F(FileDescriptionTest, PathDescriptionCanOnlyBeLookedAt) {
  const auto path = OpenIt("/f", O_PATH);
  EXPECT_THAT(path->GetStat(), IsOk());
  EXPECT_THAT(ReadSome(*path, 1), IsErrno(EBADF));
  EXPECT_THAT(path->Write(BytesOf("x")), IsErrno(EBADF));
  EXPECT_THAT(path->Seek(0, SEEK_SET), IsErrno(EBADF));
  EXPECT_THAT(path->Sync(), IsErrno(EBADF));
  EXPECT_THAT(path->SetAttributes(creds, {.mode = 0600}), IsErrno(EBADF));
}

TEST_F(FileDescriptionTest, DirectoryIsNotRead) {
  const auto dir = OpenIt("/", O_RDONLY);
  EXPECT_THAT(ReadSome(*dir, 1), IsErrno(EISDIR));
  EXPECT_THAT(PReadSome(*dir, 0, 1), IsErrno(EISDIR));
  EXPECT_THAT(dir->Write(BytesOf("x")), IsErrno(EBADF));
  EXPECT_THAT(dir->Seek(0, SEEK_END), IsErrno(EINVAL));
}

TEST_F(FileDescriptionTest, FifoCannotSeek) {
  ASSERT_THAT(Mknod("/fifo", S_IFIFO | 0666), IsOk());
  EXPECT_THAT(OpenIt("/fifo", O_RDWR)->Seek(0, SEEK_SET), IsErrno(ESPIPE));
}

TEST_F(FileDescriptionTest, OffsetPastTheLargestIsEINVAL) {
  const auto file = OpenIt("/f", O_RDWR);
  EXPECT_THAT(PReadSome(*file, UINT64_MAX, 1), IsErrno(EINVAL));
  EXPECT_THAT(file->PWrite(UINT64_MAX, BytesOf("x")), IsErrno(EINVAL));
  EXPECT_THAT(file->PWrite(INT64_MAX, BytesOf("x")), IsErrno(EINVAL));
}

TEST_F(FileDescriptionTest, EmptyReadsAndWritesDoNothing) {
  const auto file = OpenIt("/f", O_RDWR);
  EXPECT_EQ(*file->PWrite(100, BytesOf("")), 0u);
  EXPECT_EQ(*PReadSome(*file, 0, 0), "");
  EXPECT_EQ(Stat("/f")->size, 10u);
}

TEST_F(FileDescriptionTest, AttributesAreThoseOfTheFileWhateverItsName) {
  const auto file = OpenIt("/f", O_RDWR);
  ASSERT_THAT(Rename("/f", "/g"), IsOk());
  EXPECT_THAT(file->SetAttributes(creds, {.mode = 0600, .size = 4}), IsOk());
  EXPECT_EQ(*Get("/g"), "0123");
  EXPECT_EQ(file->GetStat()->mode, uint32_t{S_IFREG | 0600});
  EXPECT_EQ(file->GetStat()->ino, Stat("/g")->ino);
  EXPECT_EQ(file->GetStat()->mount_id, Stat("/g")->mount_id);
}

}  // namespace
}  // namespace stasis::vfs
