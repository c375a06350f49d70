// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class ReadWriteTest : public PosixTest {};

TEST_P(ReadWriteTest, AtTheOffset) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(sys.Write(fd, "hello "), 6u);
  EXPECT_EQ(sys.Write(fd, "world"), 5u);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 11);
  EXPECT_EQ(sys.Read(fd, 10), "") << "the end";
  ASSERT_THAT(sys.Seek(fd, 6, SEEK_SET), IsOk());
  EXPECT_EQ(sys.Read(fd, 3), "wor");
  EXPECT_EQ(sys.Read(fd, 100), "ld");
}

TEST_P(ReadWriteTest, AtAPositionTheOffsetStays) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(sys.PWrite(fd, 3, "def"), 3u);
  EXPECT_EQ(sys.PWrite(fd, 0, "abc"), 3u);
  EXPECT_EQ(sys.PRead(fd, 2, 2), "cd");
  EXPECT_EQ(sys.PRead(fd, 100, 2), "");
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 0);
}

TEST_P(ReadWriteTest, AccessModes) {
  Put("/f", "content");
  const int reader = Open("/f", O_RDONLY);
  const int writer = Open("/f", O_WRONLY);
  EXPECT_THAT(sys.Write(reader, "x"), IsErrno(EBADF));
  EXPECT_THAT(sys.PWrite(reader, 0, "x"), IsErrno(EBADF));
  EXPECT_THAT(sys.Write(reader, ""), IsErrno(EBADF));
  EXPECT_THAT(sys.Read(writer, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.PRead(writer, 0, 1), IsErrno(EBADF));
  EXPECT_THAT(sys.Read(writer, 0), IsErrno(EBADF));
}

TEST_P(ReadWriteTest, Directory) {
  const int fd = Open("/", O_RDONLY);
  EXPECT_THAT(sys.Read(fd, 1), IsErrno(EISDIR));
  EXPECT_THAT(sys.PRead(fd, 0, 1), IsErrno(EISDIR));
  EXPECT_THAT(sys.Write(fd, "x"), IsErrno(EBADF));
}

TEST_P(ReadWriteTest, NegativeOffset) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.PRead(fd, -1, 1), IsErrno(EINVAL));
  EXPECT_THAT(sys.PWrite(fd, -1, "x"), IsErrno(EINVAL));
}

TEST_P(ReadWriteTest, LargestOffset) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.PWrite(fd, INT64_MAX, "x"), IsErrno(EINVAL));
  EXPECT_THAT(sys.PRead(fd, INT64_MAX, 1), IsErrno(EINVAL));
  EXPECT_EQ(sys.PRead(fd, INT64_MAX - 1, 1), "");
  EXPECT_THAT(sys.PWrite(fd, INT64_MAX - 1, "xy"), IsErrno(EINVAL));
  EXPECT_EQ(sys.PWrite(fd, INT64_MAX - 1, "x"), 1u);
  EXPECT_EQ(StatOf(fd).size, static_cast<uint64_t>(INT64_MAX));
  const int end = Open("/f", O_WRONLY | O_APPEND);
  EXPECT_THAT(sys.Write(end, "x"), IsErrno(EFBIG)) << "no more fits behind it";
}

TEST_P(ReadWriteTest, Sparse) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(sys.PWrite(fd, 1'000'000, "x"), 1u);
  EXPECT_EQ(StatOf(fd).size, 1'000'001u);
  EXPECT_LE(StatOf(fd).blocks, 100u);
  EXPECT_EQ(sys.PRead(fd, 999'998, 10), std::string("\0\0x", 3));
  EXPECT_EQ(sys.PRead(fd, 0, 5), std::string(5, '\0'));
  EXPECT_EQ(sys.PRead(fd, 999'000, 100'000)->size(), 1001u);
}

TEST_P(ReadWriteTest, AcrossPagesAndChunks) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  std::string content(300'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + i / 4096);
  EXPECT_EQ(sys.Write(fd, content), content.size());
  EXPECT_TRUE(sys.PRead(fd, 0, content.size()) == content);
  EXPECT_EQ(sys.PWrite(fd, 4000, std::string(200'000, 'n')), 200'000u);
  content.replace(4000, 200'000, 200'000, 'n');
  EXPECT_TRUE(sys.PRead(fd, 0, content.size()) == content);
  EXPECT_TRUE(sys.PRead(fd, 65'530, 100'000) == content.substr(65'530, 100'000));
}

TEST_P(ReadWriteTest, Append) {
  Put("/f", "start");
  const int fd = Open("/f", O_RDWR | O_APPEND);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 0);
  EXPECT_EQ(sys.Read(fd, 2), "st");
  EXPECT_EQ(sys.Write(fd, "+1"), 2u);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 7) << "behind what was written";
  EXPECT_EQ(sys.PWrite(fd, 0, "+2"), 2u) << "appends as well";
  EXPECT_EQ(Get("/f"), "start+1+2");
  ASSERT_THAT(sys.SetFlags(fd, 0), IsOk());
  EXPECT_EQ(sys.PWrite(fd, 0, "S"), 1u);
  EXPECT_EQ(Get("/f"), "Start+1+2");
}

TEST_P(ReadWriteTest, AppendersFollowEachOther) {
  const int a = Open("/f", O_WRONLY | O_APPEND | O_CREAT, 0644);
  const int b = Open("/f", O_WRONLY | O_APPEND);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(sys.Write(a, "a"), 1u);
    EXPECT_EQ(sys.Write(b, "b"), 1u);
  }
  EXPECT_EQ(Get("/f"), "ababab");
}

TEST_P(ReadWriteTest, TimesOfAWrite) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.Write(fd, "x"); });
  ExpectSetsTimes("/f", kMtime | kCtime, [&] { return sys.PWrite(fd, 0, "x"); });
  ExpectSetsTimes("/f", kNone, [&] { return sys.Write(fd, ""); });
  ExpectSetsTimes("/f", kNone, [&] { return sys.Fsync(fd); });
}

TEST_P(ReadWriteTest, ClearsSetIdBits) {
  Put("/f");
  const int fd = Open("/f", O_RDWR);
  const auto after = [&](uint32_t uid, uint32_t mode, std::string_view bytes) {
    EXPECT_THAT(sys.Chmod("/f", mode), IsOk());
    Become(uid);
    EXPECT_EQ(sys.Write(fd, bytes), bytes.size());
    BecomeRoot();
    return ModeOf("/f");
  };
  EXPECT_EQ(after(0, 06777, "x"), 06777u) << "not root's writes";
  EXPECT_EQ(after(kAlice, 06777, ""), 06777u) << "not of nothing";
  EXPECT_EQ(after(kAlice, 06777, "x"), 0777u);
  EXPECT_EQ(after(kAlice, 04644, "x"), 0644u);
  EXPECT_EQ(after(kAlice, 01777, "x"), 01777u);
}

// Of a file that its group may not execute, the bit says something else, which not everybody may
// keep.
TEST_P(ReadWriteTest, ClearsSetGroupIdWithoutExecution) {
  Put("/f");
  const int fd = Open("/f", O_RDWR);
  ASSERT_THAT(sys.Chmod("/f", 02767), IsOk());
  Become(kAlice);
  EXPECT_EQ(sys.Write(fd, "x"), 1u);
  EXPECT_EQ(ModeOf("/f"), 0767u);
}

TEST_P(ReadWriteTest, ClearsCapabilities) {
  Put("/f");
  const std::string capability("\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  ASSERT_THAT(sys.SetXattr("/f", "security.capability", capability), IsOk());
  const int fd = Open("/f", O_RDWR);
  EXPECT_EQ(sys.Write(fd, "x"), 1u);
  EXPECT_THAT(sys.GetXattr("/f", "security.capability"), IsErrno(ENODATA)) << "by root too";
}

TEST_P(ReadWriteTest, Fsync) {
  EXPECT_THAT(sys.Fsync(Open("/f", O_RDONLY | O_CREAT, 0644)), IsOk());
  EXPECT_THAT(sys.Fsync(Open("/", O_RDONLY | O_DIRECTORY)), IsOk());
}

// Writers from before a mount became read-only would keep it from becoming so; readers read on.
TEST_P(ReadWriteTest, ReadOnlyFilesystem) {
  Put("/f", "content");
  const int fd = Open("/f", O_RDONLY);
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_EQ(sys.Read(fd, 100), "content");
}

STASIS_POSIX_SUITE(ReadWriteTest);

class ReadTimesTest : public PosixTest {};

TEST_P(ReadTimesTest, SetsTheAccessTime) {
  Put("/f", "content");
  const int fd = Open("/f", O_RDWR);
  ExpectSetsTimes("/f", kAtime, [&] { return sys.Read(fd, 1); });
  ExpectSetsTimes("/f", kNone, [&] { return sys.Read(fd, 1); });  // newer than mtime already
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ExpectSetsTimes("/f", kAtime, [&] { return sys.PRead(fd, 0, 1); });
}

TEST_P(ReadTimesTest, OncePerDay) {
  Put("/f", "content");
  const TimeNs day = TimeNs{24} * 3600 * 1'000'000'000;
  const TimeNs now = StatOf("/f").mtime;
  const int fd = Open("/f", O_RDONLY);
  // An access time after the time of the last change, which is that of utimens.
  ASSERT_THAT(sys.UTimens("/f", SetTime{.value = now + day}, SetTime{.value = 0}), IsOk());
  EXPECT_THAT(sys.Read(fd, 1), IsOk());
  EXPECT_EQ(StatOf("/f").atime, now + day) << "newer than any change";
  ASSERT_THAT(sys.UTimens("/f", SetTime{.value = now - 2 * day}, SetTime{.value = 0}), IsOk());
  EXPECT_THAT(sys.Read(fd, 1), IsOk());
  EXPECT_GE(StatOf("/f").atime, now);
}

TEST_P(ReadTimesTest, OfADirectory) {
  MakeDir("/d");
  Put("/d/f");
  ExpectSetsTimes("/d", kNone, [this] { return sys.Stat("/d/f"); });
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  ExpectSetsTimes("/d", kAtime, [&] { return sys.GetDents(dir); });
}

STASIS_POSIX_SUITE(ReadTimesTest, kAccessTimes);

class OwnReadTimesTest : public PosixTest {};

TEST_P(OwnReadTimesTest, ReadingNothingCounts) {
  Put("/f", "content");
  Put("/g", "content");
  ExpectSetsTimes("/f", kAtime, [fd = Open("/f", O_RDONLY), this] { return sys.Read(fd, 0); });
  ExpectSetsTimes("/g", kAtime,
                  [fd = Open("/g", O_RDONLY), this] { return sys.PRead(fd, 100, 1); });
}

TEST_P(OwnReadTimesTest, NoAccessTime) {
  Put("/f", "content");
  const int fd = Open("/f", O_RDONLY | O_NOATIME);
  ExpectSetsTimes("/f", kNone, [&] { return sys.Read(fd, 1); });
  MakeDir("/d");
  const int dir = Open("/d", O_RDONLY | O_NOATIME);
  ExpectSetsTimes("/d", kNone, [&] { return sys.GetDents(dir); });
}

TEST_P(OwnReadTimesTest, ReadOnlyFilesystem) {
  Put("/f", "content");
  const int fd = Open("/f", O_RDONLY);
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  ExpectSetsTimes("/f", kNone, [&] { return sys.Read(fd, 1); });
}

STASIS_POSIX_SUITE(OwnReadTimesTest, kAccessTimes | kOwnAccessTimes);

class AccessTimeFlagsTest : public PosixTest {
 protected:
  // Another filesystem at /m with these flags, with a file, a directory and a link in it.
  void Mount(vfs::MountFlags flags) {
    MakeDir("/m");
    ASSERT_THAT(sys.MountAnother("/m", flags), IsOk());
    MakeDir("/m/d");
    Put("/m/f", "content");
    ASSERT_THAT(sys.Symlink("f", "/m/link"), IsOk());
    file_ = Open("/m/f", O_RDONLY);
    dir_ = Open("/m/d", O_RDONLY | O_DIRECTORY);
  }
  // The atime of what each kind of access reads is set, or not.
  void ExpectRead(Times file) {
    ExpectSetsTimes("/m/f", file, [this] { return sys.PRead(file_, 0, 1); });
  }
  void ExpectList(Times dir) {
    ExpectSetsTimes("/m/d", dir, [this] {
      EXPECT_THAT(sys.Seek(dir_, 0, SEEK_SET), IsOk());
      return sys.GetDents(dir_);
    });
  }
  void ExpectFollow(Times link) {
    ExpectSetsTimesOfLink(link, [this] { return sys.Stat("/m/link"); });
    ExpectSetsTimesOfLink(link, [this] { return sys.ReadLink("/m/link"); });
  }

 private:
  template <typename Call>
  void ExpectSetsTimesOfLink(Times times, Call call) {
    sys.Tick();
    const auto before = sys.LStat("/m/link").value();
    EXPECT_THAT(call(), IsOk());
    const auto after = sys.LStat("/m/link").value();
    EXPECT_EQ(after.atime > before.atime, times == kAtime);
    EXPECT_EQ(after.mtime, before.mtime);
    EXPECT_EQ(after.ctime, before.ctime);
  }

  int file_ = -1;
  int dir_ = -1;
};

TEST_P(AccessTimeFlagsTest, RelativeByDefault) {
  Mount({});
  ExpectRead(kAtime);
  ExpectRead(kNone);
  ExpectList(kAtime);
  ExpectList(kNone);
}

TEST_P(AccessTimeFlagsTest, Strict) {
  Mount({.strict_atime = true});
  for (int i = 0; i < 2; ++i) {
    ExpectRead(kAtime);
    ExpectList(kAtime);
    ExpectFollow(kAtime);
  }
}

TEST_P(AccessTimeFlagsTest, None) {
  Mount({.no_atime = true});
  ExpectRead(kNone);
  ExpectList(kNone);
  ExpectFollow(kNone);
}

TEST_P(AccessTimeFlagsTest, NoneOfDirectories) {
  Mount({.no_dir_atime = true, .strict_atime = true});
  ExpectRead(kAtime);
  ExpectRead(kAtime);
  ExpectList(kNone);
  ExpectFollow(kAtime);
}

TEST_P(AccessTimeFlagsTest, NoneOfDirectoriesAndOthersRelative) {
  Mount({.no_dir_atime = true});
  ExpectRead(kAtime);
  ExpectRead(kNone);
  ExpectList(kNone);
}

TEST_P(AccessTimeFlagsTest, StrictOverridesNone) {
  Mount({.no_atime = true, .strict_atime = true});
  for (int i = 0; i < 2; ++i) {
    ExpectRead(kAtime);
    ExpectList(kAtime);
  }
}

TEST_P(AccessTimeFlagsTest, OpenFileWithoutAccessTime) {
  Mount({.strict_atime = true});
  const int fd = Open("/m/f", O_RDONLY | O_NOATIME);
  ExpectSetsTimes("/m/f", kNone, [&] { return sys.Read(fd, 1); });
  ASSERT_THAT(sys.SetFlags(fd, 0), IsOk());
  ExpectSetsTimes("/m/f", kAtime, [&] { return sys.Read(fd, 1); });
}

STASIS_POSIX_SUITE(AccessTimeFlagsTest, kAccessTimes);

class PipeTest : public PosixTest {};

TEST_P(PipeTest, HasNoOffset) {
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  const int fd = Open("/fifo", O_RDWR | O_NONBLOCK);
  EXPECT_THAT(sys.PRead(fd, 0, 1), IsErrno(ESPIPE));
  EXPECT_THAT(sys.PWrite(fd, 0, "x"), IsErrno(ESPIPE));
  EXPECT_THAT(sys.Read(fd, 1), IsErrno(EAGAIN));
  EXPECT_THAT(sys.Fsync(fd), IsErrno(EINVAL));
}

STASIS_POSIX_SUITE(PipeTest, kSpecialFiles);

class WriteLimitTest : public PosixTest {
 protected:
  WriteLimitTest() : PosixTest(4 * 4096) {}
};

TEST_P(WriteLimitTest, WritesWhatFits) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_EQ(sys.Write(fd, std::string(3 * 4096, 'x')), 3 * 4096u);
  EXPECT_EQ(sys.Write(fd, std::string(10'000, 'y')), 4096u);
  EXPECT_THAT(sys.Write(fd, "z"), IsErrno(ENOSPC));
  EXPECT_EQ(StatOf("/f").size, 4 * 4096u);
  EXPECT_EQ(sys.Seek(fd, 0, SEEK_CUR), 4 * 4096);
  EXPECT_EQ(sys.PWrite(fd, 0, "over what is there"), 18u);
}

TEST_P(WriteLimitTest, HolesAreFree) {
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.FTruncate(fd, int64_t{1} << 40), IsOk());
  EXPECT_EQ(sys.PWrite(fd, int64_t{1} << 39, std::string(4 * 4096, 'x')), 4 * 4096u);
  EXPECT_THAT(sys.PWrite(fd, 0, "x"), IsErrno(ENOSPC));
  EXPECT_THAT(sys.FTruncate(fd, 0), IsOk());
  EXPECT_EQ(sys.PWrite(fd, 0, "x"), 1u);
}

TEST_P(WriteLimitTest, FailureLeavesTheSize) {
  Put("/full", std::string(4 * 4096, 'x'));
  const int fd = Open("/f", O_RDWR | O_CREAT, 0644);
  EXPECT_THAT(sys.PWrite(fd, 100'000, "x"), IsErrno(ENOSPC));
  EXPECT_EQ(StatOf("/f").size, 0u);
  EXPECT_EQ(StatOf("/f").blocks, 0u);
}

STASIS_POSIX_SUITE(WriteLimitTest);

}  // namespace
}  // namespace stasis::posix
