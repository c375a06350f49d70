// SPDX-License-Identifier: Apache-2.0

#include <sys/inotify.h>

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

// Names of the bits of an event, in the order of their values.
std::string MaskName(uint32_t mask) {
  constexpr std::pair<uint32_t, const char*> kNames[] = {
      {IN_ACCESS, "ACCESS"},
      {IN_MODIFY, "MODIFY"},
      {IN_ATTRIB, "ATTRIB"},
      {IN_CLOSE_WRITE, "CLOSE_WRITE"},
      {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"},
      {IN_OPEN, "OPEN"},
      {IN_MOVED_FROM, "MOVED_FROM"},
      {IN_MOVED_TO, "MOVED_TO"},
      {IN_CREATE, "CREATE"},
      {IN_DELETE, "DELETE"},
      {IN_DELETE_SELF, "DELETE_SELF"},
      {IN_MOVE_SELF, "MOVE_SELF"},
      {IN_UNMOUNT, "UNMOUNT"},
      {IN_Q_OVERFLOW, "Q_OVERFLOW"},
      {IN_IGNORED, "IGNORED"},
      {IN_ISDIR, "ISDIR"},
  };
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if ((mask & bit) == 0) continue;
    text += (text.empty() ? "" : "|") + std::string(name);
    mask &= ~bit;
  }
  if (mask != 0) text += "|" + std::to_string(mask);
  return text;
}

// inotify(7): which events there are, and in which order.
class InotifyTest : public PosixTest {
 protected:
  InotifyTest() {
    MakeDir("/d");
    Put("/d/f", "0123456789");
    fd_ = sys.InotifyInit().value_or(-1);
  }

  int Watch(const std::string& path, uint32_t mask = IN_ALL_EVENTS) {
    const auto wd = sys.InotifyAddWatch(fd_, path, mask);
    EXPECT_THAT(wd, IsOk()) << path;
    return wd.value_or(-1);
  }
  // The events since the last time, one a word: "2:MOVED_TO:name". Cookies must be those of pairs.
  std::string Events() {
    const auto events = sys.ReadEvents(fd_);
    if (!events) return events.error() == Errno(EAGAIN) ? "" : ErrnoName(events.error());
    std::string text;
    uint32_t cookie = 0;
    for (const InotifyEvent& event : *events) {
      text += (text.empty() ? "" : " ") + std::to_string(event.wd) + ":" + MaskName(event.mask);
      if (!event.name.empty()) text += ":" + event.name;
      if ((event.mask & IN_MOVED_TO) != 0 && cookie != 0) {
        EXPECT_EQ(event.cookie, cookie) << text;
      }
      const bool moved = (event.mask & (IN_MOVED_FROM | IN_MOVED_TO)) != 0;
      EXPECT_EQ(event.cookie != 0, moved) << text;
      cookie = (event.mask & IN_MOVED_FROM) != 0 ? event.cookie : 0;
    }
    return text;
  }

  int fd_ = -1;
};

TEST_P(InotifyTest, FilesThatAreMade) {
  Watch("/d");
  MakeDir("/d/sub");
  EXPECT_EQ(Events(), "1:CREATE|ISDIR:sub");
  const int fd = Open("/d/new", O_WRONLY | O_CREAT | O_TRUNC);
  EXPECT_EQ(Events(), "1:CREATE:new 1:OPEN:new");
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_WRITE:new");
  ASSERT_THAT(sys.Symlink("f", "/d/link"), IsOk());
  ASSERT_THAT(sys.Mknod("/d/fifo", S_IFIFO | 0644), IsOk());
  EXPECT_EQ(Events(), "1:CREATE:link 1:CREATE:fifo");
  ASSERT_THAT(sys.Link("/d/f", "/d/hard"), IsOk());
  EXPECT_EQ(Events(), "1:CREATE:hard");
  EXPECT_THAT(sys.Mkdir("/d/sub", 0755), IsErrno(EEXIST));
  EXPECT_EQ(Events(), "") << "what fails has no events";
}

TEST_P(InotifyTest, ContentAndClosing) {
  Watch("/d");
  int fd = Open("/d/f", O_RDWR);
  EXPECT_EQ(Events(), "1:OPEN:f");
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ASSERT_THAT(sys.PWrite(fd, 3, "x"), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f") << "equal ones become one";
  ASSERT_THAT(sys.Write(fd, ""), IsOk());
  EXPECT_EQ(Events(), "");
  ASSERT_THAT(sys.Fallocate(fd, 0, 0, 100), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f");
  ASSERT_THAT(sys.FTruncate(fd, 3), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f");
  ASSERT_THAT(sys.Close(sys.Dup(fd).value()), IsOk());
  EXPECT_EQ(Events(), "") << "a description closes with its last descriptor";
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_WRITE:f");
  fd = Open("/d/f", O_RDONLY);
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:OPEN:f 1:CLOSE_NOWRITE:f");
  fd = Open("/d/f", O_WRONLY | O_TRUNC);
  EXPECT_EQ(Events(), "1:OPEN:f 1:MODIFY:f");
  ASSERT_THAT(sys.Close(fd), IsOk());
  Events();
  ASSERT_THAT(sys.Truncate("/d/f", 100), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f");
}

TEST_P(InotifyTest, Reads) {
  Put("/d/g", "");
  Watch("/d");
  const int fd = Open("/d/f", O_RDONLY);
  Events();
  ASSERT_THAT(sys.Read(fd, 3), IsOk());
  EXPECT_EQ(Events(), "1:ACCESS:f");
  ASSERT_THAT(sys.PRead(fd, 0, 3), IsOk());
  EXPECT_EQ(Events(), "1:ACCESS:f");
  ASSERT_THAT(sys.PRead(fd, 100, 3), IsOk());
  EXPECT_EQ(Events(), "") << "nothing was read";
  EXPECT_THAT(sys.PRead(fd, -1, 3), IsErrno(EINVAL));
  EXPECT_EQ(Events(), "");
  const int to = Open("/d/g", O_WRONLY);
  Events();
  ASSERT_THAT(sys.CopyFileRange(fd, 0, to, 0, 5), IsOk());
  EXPECT_EQ(Events(), "1:ACCESS:f 1:MODIFY:g");
  ASSERT_THAT(sys.CopyFileRange(fd, 10, to, 0, 5), IsOk());
  EXPECT_EQ(Events(), "");
}

TEST_P(InotifyTest, Listings) {
  Watch("/d");
  Watch("/");
  const int dir = Open("/d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Events(), "2:OPEN|ISDIR:d 1:OPEN|ISDIR");
  ASSERT_THAT(sys.GetDents(dir), IsOk());
  EXPECT_EQ(Events(), "2:ACCESS|ISDIR:d 1:ACCESS|ISDIR");
  ASSERT_THAT(sys.Close(dir), IsOk());
  EXPECT_EQ(Events(), "2:CLOSE_NOWRITE|ISDIR:d 1:CLOSE_NOWRITE|ISDIR");
}

TEST_P(InotifyTest, Attributes) {
  Watch("/d");
  Watch("/d/f");
  ASSERT_THAT(sys.Chmod("/d/f", 0600), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f 2:ATTRIB");
  ASSERT_THAT(sys.Chown("/d/f", 1, kKeepId), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f 2:ATTRIB");
  ASSERT_THAT(sys.Chown("/d/f", kKeepId, kKeepId), IsOk());
  EXPECT_EQ(Events(), "");
  ASSERT_THAT(sys.UTimens("/d/f", SetTime{.value = 1}, SetTime{.value = 2}), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f 2:ATTRIB");
  ASSERT_THAT(sys.UTimens("/d/f", SetTime{.value = 1}, {}), IsOk());
  EXPECT_EQ(Events(), "1:ACCESS:f 2:ACCESS");
  ASSERT_THAT(sys.UTimens("/d/f", {}, SetTime{.now = true}), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f 2:MODIFY");
  ASSERT_THAT(sys.Chmod("/d", 0711), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB|ISDIR");
  const int fd = Open("/d/f", O_RDONLY);
  Events();
  ASSERT_THAT(sys.Chmod(fd, 0644), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f 2:ATTRIB");
}

TEST_P(InotifyTest, ExtendedAttributes) {
  Watch("/d");
  ASSERT_THAT(sys.SetXattr("/d/f", "trusted.x", "1"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f");
  ASSERT_THAT(sys.GetXattr("/d/f", "trusted.x"), IsOk());
  EXPECT_EQ(Events(), "");
  ASSERT_THAT(sys.RemoveXattr("/d/f", "trusted.x"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f");
  EXPECT_THAT(sys.RemoveXattr("/d/f", "trusted.x"), IsErrno(ENODATA));
  EXPECT_EQ(Events(), "");
}

TEST_P(InotifyTest, LooksHaveNoEvents) {
  Watch("/d");
  Watch("/d/f");
  ASSERT_THAT(sys.Stat("/d/f"), IsOk());
  ASSERT_THAT(sys.Access("/d/f", R_OK), IsOk());
  ASSERT_THAT(sys.StatFs("/d/f"), IsOk());
  ASSERT_THAT(sys.Chdir("/d"), IsOk());
  ASSERT_THAT(sys.Close(Open("/d/f", O_PATH)), IsOk());
  EXPECT_EQ(Events(), "");
}

TEST_P(InotifyTest, LastNameGoes) {
  Watch("/d");
  Watch("/d/f");
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB 2:DELETE_SELF 2:IGNORED 1:DELETE:f");
  EXPECT_THAT(sys.InotifyRmWatch(fd_, 2), IsErrno(EINVAL));
}

TEST_P(InotifyTest, OneOfTwoNamesGoes) {
  ASSERT_THAT(sys.Link("/d/f", "/other"), IsOk());
  Watch("/d");
  Watch("/other");
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB 1:DELETE:f");
  ASSERT_THAT(sys.Link("/other", "/d/f"), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB 1:CREATE:f");
}

TEST_P(InotifyTest, LastNameOfAnOpenFileGoes) {
  const int fd = Open("/d/f", O_RDWR);
  Watch("/d");
  Watch("/d/f");
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB 1:DELETE:f");
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f 2:MODIFY") << "the directory hears of it yet";
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_WRITE:f 2:CLOSE_WRITE 2:DELETE_SELF 2:IGNORED");
}

TEST_P(InotifyTest, NothingOfUnlinkedFilesIfAskedFor) {
  const int fd = Open("/d/f", O_RDWR);
  Watch("/d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f 1:DELETE:f");
}

TEST_P(InotifyTest, OfUnlinkedFilesOnlyUsesAreKeptBack) {
  const int fd = Open("/d/f", O_RDWR);
  Watch("/d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  Watch("/d/f", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB 1:DELETE:f");
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ASSERT_THAT(sys.PRead(fd, 0, 1), IsOk());
  ASSERT_THAT(sys.Fallocate(fd, 0, 0, 100), IsOk());
  EXPECT_EQ(Events(), "");
  ASSERT_THAT(sys.FTruncate(fd, 3), IsOk());
  EXPECT_EQ(Events(), "1:MODIFY:f 2:MODIFY");
  ASSERT_THAT(sys.Chmod(fd, 0600), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f 2:ATTRIB");
  ASSERT_THAT(sys.UTimens(fd, SetTime{.value = 1}, SetTime{.value = 2}), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f 2:ATTRIB");
  ASSERT_THAT(sys.SetXattr(fd, "trusted.x", "1"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB:f 2:ATTRIB");
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "2:DELETE_SELF 2:IGNORED");
}

TEST_P(InotifyTest, OtherNamesOfTheFileAreHeardOf) {
  ASSERT_THAT(sys.Link("/d/f", "/d/g"), IsOk());
  const int removed = Open("/d/f", O_RDWR);
  Watch("/d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  Watch("/d/g", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB 1:DELETE:f");
  ASSERT_THAT(sys.Write(removed, "x"), IsOk());
  EXPECT_EQ(Events(), "");
  const int named = Open("/d/g", O_WRONLY);
  ASSERT_THAT(sys.Write(named, "x"), IsOk());
  EXPECT_EQ(Events(), "1:OPEN:g 2:OPEN 1:MODIFY:g 2:MODIFY");
  ASSERT_THAT(sys.Close(named), IsOk());
  ASSERT_THAT(sys.Close(removed), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_WRITE:g 2:CLOSE_WRITE");
}

TEST_P(InotifyTest, ReplacedFilesAreUnlinkedToo) {
  Put("/d/g");
  const int fd = Open("/d/g", O_RDWR);
  Watch("/d/g", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  ASSERT_THAT(sys.Rename("/d/f", "/d/g"), IsOk());
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB 1:DELETE_SELF 1:IGNORED");
}

TEST_P(InotifyTest, UsesOfARemovedDirectoryAreKeptBack) {
  MakeDir("/d/sub");
  Watch("/d");
  Watch("/d/sub", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  const int fd = Open("/d/sub", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Events(), "1:OPEN|ISDIR:sub 2:OPEN|ISDIR");
  ASSERT_THAT(sys.Rmdir("/d/sub"), IsOk());
  EXPECT_EQ(Events(), "1:DELETE|ISDIR:sub");
  ASSERT_THAT(sys.Chmod(fd, 0700), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB|ISDIR:sub 2:ATTRIB|ISDIR");
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_NOWRITE|ISDIR:sub 2:DELETE_SELF 2:IGNORED");
}

TEST_P(InotifyTest, LastNameGoesWhileTheFileIsOpenUnderAnother) {
  ASSERT_THAT(sys.Link("/d/f", "/d/g"), IsOk());
  const int fd = Open("/d/f", O_RDWR);
  Watch("/d/f");
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB");
  ASSERT_THAT(sys.Unlink("/d/g"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB 1:DELETE_SELF 1:IGNORED") << "nobody holds the last name";
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "");
}

TEST_P(InotifyTest, LastNameIsReplacedWhileTheFileIsOpenUnderAnother) {
  ASSERT_THAT(sys.Link("/d/f", "/d/g"), IsOk());
  Put("/d/new");
  const int fd = Open("/d/f", O_RDWR);
  Watch("/d/f");
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  ASSERT_THAT(sys.Rename("/d/new", "/d/g"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB 1:DELETE_SELF 1:IGNORED");
  ASSERT_THAT(sys.Close(fd), IsOk());
}

TEST_P(InotifyTest, LastNameThatGoesIsTheOpenOne) {
  ASSERT_THAT(sys.Link("/d/f", "/d/g"), IsOk());
  const int fd = Open("/d/f", O_RDWR);
  Watch("/d/f");
  ASSERT_THAT(sys.Unlink("/d/g"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB");
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB");
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_WRITE 1:DELETE_SELF 1:IGNORED");
}

TEST_P(InotifyTest, FirstCloseOfTwoNamesIsTheEnd) {
  ASSERT_THAT(sys.Link("/d/f", "/d/g"), IsOk());
  const int f = Open("/d/f", O_RDWR);
  const int g = Open("/d/g", O_RDWR);
  Watch("/d/f");
  ASSERT_THAT(sys.Unlink("/d/g"), IsOk());
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB");
  ASSERT_THAT(sys.Close(f), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_WRITE 1:DELETE_SELF 1:IGNORED");
  ASSERT_THAT(sys.Close(g), IsOk());
  EXPECT_EQ(Events(), "");
}

TEST_P(InotifyTest, FileHeldByAPathOnly) {
  const int fd = Open("/d/f", O_PATH);
  Watch("/d/f");
  ASSERT_THAT(sys.Unlink("/d/f"), IsOk());
  EXPECT_EQ(Events(), "1:ATTRIB");
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:DELETE_SELF 1:IGNORED");
}

TEST_P(InotifyTest, DirectoryGoesAfterItsFile) {
  MakeDir("/d/sub");
  Put("/d/sub/f");
  Watch("/d");
  Watch("/d/sub");
  ASSERT_THAT(sys.Unlink("/d/sub/f"), IsOk());
  ASSERT_THAT(sys.Rmdir("/d/sub"), IsOk());
  EXPECT_EQ(Events(), "2:DELETE:f 2:DELETE_SELF 2:IGNORED 1:DELETE|ISDIR:sub");
}

TEST_P(InotifyTest, DirectoriesStayForTheirFile) {
  MakeDir("/d/sub");
  MakeDir("/d/sub/sub");
  Put("/d/sub/sub/f");
  const int fd = Open("/d/sub/sub/f", O_RDWR);
  Watch("/d");
  Watch("/d/sub");
  Watch("/d/sub/sub");
  Watch("/d/sub/sub/f");
  ASSERT_THAT(sys.Unlink("/d/sub/sub/f"), IsOk());
  ASSERT_THAT(sys.Rmdir("/d/sub/sub"), IsOk());
  ASSERT_THAT(sys.Rmdir("/d/sub"), IsOk());
  EXPECT_EQ(Events(), "4:ATTRIB 3:DELETE:f 2:DELETE|ISDIR:sub 1:DELETE|ISDIR:sub");
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(),
            "3:CLOSE_WRITE:f 4:CLOSE_WRITE 4:DELETE_SELF 4:IGNORED "
            "3:DELETE_SELF 3:IGNORED 2:DELETE_SELF 2:IGNORED");
}

TEST_P(InotifyTest, DirectoryGoes) {
  MakeDir("/d/sub");
  Watch("/d");
  Watch("/d/sub");
  ASSERT_THAT(sys.Rmdir("/d/sub"), IsOk());
  EXPECT_EQ(Events(), "2:DELETE_SELF 2:IGNORED 1:DELETE|ISDIR:sub");
}

TEST_P(InotifyTest, Renames) {
  MakeDir("/e");
  Watch("/d");
  Watch("/e");
  Watch("/d/f");
  ASSERT_THAT(sys.Rename("/d/f", "/d/g"), IsOk());
  EXPECT_EQ(Events(), "1:MOVED_FROM:f 1:MOVED_TO:g 3:MOVE_SELF");
  ASSERT_THAT(sys.Rename("/d/g", "/e/h"), IsOk());
  EXPECT_EQ(Events(), "1:MOVED_FROM:g 2:MOVED_TO:h 3:MOVE_SELF");
  ASSERT_THAT(sys.Chmod("/e/h", 0600), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB:h 3:ATTRIB") << "it has another directory now";
  ASSERT_THAT(sys.Rename("/e/h", "/out"), IsOk());
  EXPECT_EQ(Events(), "2:MOVED_FROM:h 3:MOVE_SELF");
}

TEST_P(InotifyTest, RenamesOfDirectories) {
  MakeDir("/d/sub");
  Watch("/d");
  Watch("/d/sub");
  ASSERT_THAT(sys.Rename("/d/sub", "/d/other"), IsOk());
  EXPECT_EQ(Events(), "1:MOVED_FROM|ISDIR:sub 1:MOVED_TO|ISDIR:other 2:MOVE_SELF");
}

TEST_P(InotifyTest, RenamesOverFiles) {
  Put("/d/g");
  Put("/d/h");
  const int fd = Open("/d/h", O_RDONLY);
  Watch("/d");
  Watch("/d/f");
  Watch("/d/g");
  Watch("/d/h");
  ASSERT_THAT(sys.Rename("/d/f", "/d/g"), IsOk());
  EXPECT_EQ(Events(), "1:MOVED_FROM:f 1:MOVED_TO:g 3:ATTRIB 2:MOVE_SELF 3:DELETE_SELF 3:IGNORED");
  ASSERT_THAT(sys.Rename("/d/g", "/d/h"), IsOk());
  EXPECT_EQ(Events(), "1:MOVED_FROM:g 1:MOVED_TO:h 4:ATTRIB 2:MOVE_SELF");
  ASSERT_THAT(sys.Close(fd), IsOk());
  EXPECT_EQ(Events(), "1:CLOSE_NOWRITE:h 4:CLOSE_NOWRITE 4:DELETE_SELF 4:IGNORED");
}

TEST_P(InotifyTest, RenamesOverDirectories) {
  MakeDir("/d/sub");
  MakeDir("/d/other");
  Watch("/d");
  Watch("/d/other");
  ASSERT_THAT(sys.Rename("/d/sub", "/d/other"), IsOk());
  EXPECT_EQ(Events(),
            "1:MOVED_FROM|ISDIR:sub 1:MOVED_TO|ISDIR:other 2:ATTRIB|ISDIR 2:DELETE_SELF 2:IGNORED");
}

TEST_P(InotifyTest, RenamesToTheSameFile) {
  ASSERT_THAT(sys.Link("/d/f", "/d/g"), IsOk());
  Watch("/d");
  ASSERT_THAT(sys.Rename("/d/f", "/d/g"), IsOk());
  EXPECT_EQ(Events(), "");
}

TEST_P(InotifyTest, Exchanges) {
  MakeDir("/e");
  MakeDir("/e/sub");
  Watch("/d");
  Watch("/e");
  Watch("/d/f");
  Watch("/e/sub");
  ASSERT_THAT(sys.Rename("/d/f", "/e/sub", RENAME_EXCHANGE), IsOk());
  EXPECT_EQ(Events(),
            "1:MOVED_FROM:f 2:MOVED_TO:sub 3:MOVE_SELF "
            "2:MOVED_FROM|ISDIR:sub 1:MOVED_TO|ISDIR:f 4:MOVE_SELF");
}

TEST_P(InotifyTest, OfTheFileAloneWithoutItsDirectory) {
  Watch("/d/f", IN_ATTRIB | IN_MODIFY);
  ASSERT_THAT(sys.Chmod("/d/f", 0600), IsOk());
  Put("/d/f", "x");
  EXPECT_EQ(Events(), "1:ATTRIB 1:MODIFY");
}

TEST_P(InotifyTest, OnlyWhatIsAskedFor) {
  Watch("/d", IN_CREATE | IN_DELETE);
  Put("/d/new", "x");
  ASSERT_THAT(sys.Rename("/d/new", "/d/newer"), IsOk());
  ASSERT_THAT(sys.Unlink("/d/newer"), IsOk());
  EXPECT_EQ(Events(), "1:CREATE:new 1:DELETE:newer");
}

TEST_P(InotifyTest, MasksAreReplacedOrAddedTo) {
  EXPECT_EQ(Watch("/d", IN_CREATE), 1);
  EXPECT_EQ(Watch("/d/../d", IN_DELETE), 1);
  MakeDir("/d/sub");
  ASSERT_THAT(sys.Rmdir("/d/sub"), IsOk());
  EXPECT_EQ(Events(), "1:DELETE|ISDIR:sub");
  EXPECT_EQ(Watch("/d", IN_CREATE | IN_MASK_ADD), 1);
  MakeDir("/d/sub");
  ASSERT_THAT(sys.Rmdir("/d/sub"), IsOk());
  EXPECT_EQ(Events(), "1:CREATE|ISDIR:sub 1:DELETE|ISDIR:sub");
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/d", IN_CREATE | IN_MASK_CREATE), IsErrno(EEXIST));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/", IN_CREATE | IN_MASK_CREATE), IsOk());
}

TEST_P(InotifyTest, OneShots) {
  Watch("/d", IN_CREATE | IN_ONESHOT);
  MakeDir("/d/a");
  MakeDir("/d/b");
  EXPECT_EQ(Events(), "1:CREATE|ISDIR:a 1:IGNORED");
  EXPECT_THAT(sys.InotifyRmWatch(fd_, 1), IsErrno(EINVAL));
}

TEST_P(InotifyTest, RemovedWatches) {
  EXPECT_EQ(Watch("/d", IN_CREATE), 1);
  MakeDir("/d/a");
  ASSERT_THAT(sys.InotifyRmWatch(fd_, 1), IsOk());
  MakeDir("/d/b");
  EXPECT_EQ(Events(), "1:CREATE|ISDIR:a 1:IGNORED");
  EXPECT_THAT(sys.InotifyRmWatch(fd_, 1), IsErrno(EINVAL));
  EXPECT_EQ(Watch("/d", IN_CREATE), 2) << "numbers are not used again";
}

TEST_P(InotifyTest, BadArguments) {
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/d", 0), IsErrno(EINVAL));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/d", 0x1000), IsErrno(EINVAL));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/d", IN_CREATE | IN_MASK_ADD | IN_MASK_CREATE),
              IsErrno(EINVAL));
  EXPECT_THAT(sys.InotifyAddWatch(99, "/d", IN_CREATE), IsErrno(EBADF));
  EXPECT_THAT(sys.InotifyAddWatch(Open("/d/f", O_RDONLY), "/d", IN_CREATE), IsErrno(EINVAL));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/missing", IN_CREATE), IsErrno(ENOENT));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "", IN_CREATE), IsErrno(ENOENT));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/d/f", IN_CREATE | IN_ONLYDIR), IsErrno(ENOTDIR));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/d", IN_CREATE | IN_ONLYDIR), IsOk());
  EXPECT_THAT(sys.InotifyRmWatch(fd_, 0), IsErrno(EINVAL));
  EXPECT_THAT(sys.InotifyRmWatch(fd_, -1), IsErrno(EINVAL));
  EXPECT_THAT(sys.InotifyRmWatch(99, 1), IsErrno(EBADF));
}

TEST_P(InotifyTest, NeedsReadPermission) {
  MakeDir("/locked", 0711);
  Become(kAlice);
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/locked", IN_CREATE), IsErrno(EACCES));
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/d", IN_CREATE), IsOk());
}

TEST_P(InotifyTest, LinksAreFollowedUnlessAskedNotTo) {
  ASSERT_THAT(sys.Symlink("/d", "/link"), IsOk());
  EXPECT_EQ(Watch("/d", IN_CREATE), 1);
  EXPECT_EQ(Watch("/link", IN_CREATE), 1);
  EXPECT_EQ(Watch("/link", IN_ALL_EVENTS | IN_DONT_FOLLOW), 2);
  EXPECT_THAT(sys.InotifyAddWatch(fd_, "/link", IN_CREATE | IN_DONT_FOLLOW | IN_ONLYDIR),
              IsErrno(ENOTDIR));
  ASSERT_THAT(sys.Unlink("/link"), IsOk());
  EXPECT_EQ(Events(), "2:ATTRIB 2:DELETE_SELF 2:IGNORED");
}

TEST_P(InotifyTest, OnlyNeighboursMerge) {
  Watch("/d", IN_CREATE | IN_DELETE);
  for (int i = 0; i < 2; ++i) {
    MakeDir("/d/x");
    ASSERT_THAT(sys.Rmdir("/d/x"), IsOk());
  }
  EXPECT_EQ(Events(), "1:CREATE|ISDIR:x 1:DELETE|ISDIR:x 1:CREATE|ISDIR:x 1:DELETE|ISDIR:x");
}

TEST_P(InotifyTest, BuffersOfAllSizes) {
  constexpr size_t kHeader = 16;
  Watch("/d", IN_CREATE);
  const std::string fifteen(15, 'n'), sixteen(16, 'n');
  MakeDir("/d/" + fifteen);
  MakeDir("/d/" + sixteen);
  EXPECT_THAT(sys.ReadEvents(fd_, kHeader), IsErrno(EINVAL));
  EXPECT_THAT(sys.ReadEvents(fd_, kHeader + 15), IsErrno(EINVAL));
  auto events = sys.ReadEvents(fd_, kHeader + 16 + kHeader + 16);
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(events->front().name, fifteen);
  EXPECT_THAT(sys.ReadEvents(fd_, kHeader + 31), IsErrno(EINVAL));
  events = sys.ReadEvents(fd_, kHeader + 32);
  ASSERT_THAT(events, IsOk());
  EXPECT_EQ(events->front().name, sixteen);
  EXPECT_THAT(sys.ReadEvents(fd_), IsErrno(EAGAIN));
}

TEST_P(InotifyTest, NamelessFileThatGetsAName) {
  const int fd = Open("/d", O_RDWR | O_TMPFILE);
  Watch("/d");
  ASSERT_THAT(sys.Link(fd, "/d/named"), IsOk());
  EXPECT_EQ(Events(), "1:CREATE:named");
}

TEST_P(InotifyTest, NamelessFileIsUnlinked) {
  Watch("/d", IN_ALL_EVENTS | IN_EXCL_UNLINK);
  const int fd = Open("/d", O_RDWR | O_TMPFILE);
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  ASSERT_THAT(sys.Link(fd, "/d/named"), IsOk());
  EXPECT_EQ(Events(), "1:CREATE:named");
  ASSERT_THAT(sys.Write(fd, "x"), IsOk());
  EXPECT_EQ(Events(), "");
}

STASIS_POSIX_SUITE(InotifyTest);

}  // namespace
}  // namespace stasis::posix
