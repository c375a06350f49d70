// SPDX-License-Identifier: Apache-2.0

#include <set>

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

using ::testing::ElementsAre;

class GetDentsTest : public PosixTest {
 protected:
  // Goes on reading with a buffer that holds few entries; `after` is called after each call.
  template <typename Fn>
  std::vector<Dirent> ReadInSteps(int fd, Fn after) {
    std::vector<Dirent> all;
    for (;;) {
      const auto entries = sys.GetDents(fd, 100);
      EXPECT_THAT(entries, IsOk());
      if (!entries || entries->empty()) return all;
      all.insert(all.end(), entries->begin(), entries->end());
      after(all);
    }
  }
  static std::vector<std::string> Names(const std::vector<Dirent>& entries) {
    std::vector<std::string> names;
    for (const Dirent& entry : entries) names.push_back(entry.name);
    return names;
  }
  void MakeFiles(int n) {
    for (int i = 0; i < n; ++i) Put("/d/f" + std::to_string(i));
  }
};

TEST_P(GetDentsTest, EntriesWithTypesAndNumbers) {
  MakeDir("/d");
  Put("/d/file");
  MakeDir("/d/dir");
  ASSERT_THAT(sys.Symlink("x", "/d/link"), IsOk());
  ASSERT_THAT(sys.Mknod("/d/fifo", S_IFIFO | 0644), IsOk());
  ASSERT_THAT(sys.Mknod("/d/socket", S_IFSOCK | 0644), IsOk());
  std::vector<std::string> names = {".", "..", "file", "dir", "link", "fifo", "socket"};
  if (Has(kWhiteouts)) {
    ASSERT_THAT(sys.Mknod("/d/whiteout", S_IFCHR | 0644, 0), IsOk());
    names.emplace_back("whiteout");
  }
  const auto entries = sys.GetDents(Open("/d", O_RDONLY)).value();
  EXPECT_THAT(Names(entries), ::testing::UnorderedElementsAreArray(names));
  EXPECT_EQ(entries.at(0).name, ".");
  EXPECT_EQ(entries.at(1).name, "..");
  for (const Dirent& entry : entries) {
    const vfs::Stat stat = StatOf("/d/" + entry.name);
    EXPECT_EQ(entry.ino, stat.ino) << entry.name;
    EXPECT_EQ(entry.type, (stat.mode & S_IFMT) >> 12) << entry.name;
  }
}

TEST_P(GetDentsTest, EmptyAndRoot) {
  const auto entries = sys.GetDents(Open("/", O_RDONLY)).value();
  EXPECT_THAT(Names(entries), ElementsAre(".", ".."));
  EXPECT_EQ(entries.at(1).ino, StatOf("/").ino) << "the root's parent is the root";
}

TEST_P(GetDentsTest, NoDirectory) {
  Put("/f");
  EXPECT_THAT(sys.GetDents(Open("/f", O_RDONLY)), IsErrno(ENOTDIR));
}

TEST_P(GetDentsTest, BufferTooSmall) {
  MakeDir("/d");
  Put("/d/" + LongestName());
  const int fd = Open("/d", O_RDONLY);
  EXPECT_THAT(sys.GetDents(fd, 10), IsErrno(EINVAL));
  EXPECT_THAT(Names(sys.GetDents(fd, 48).value()), ElementsAre(".", ".."));
  EXPECT_THAT(sys.GetDents(fd, 100), IsErrno(EINVAL)) << "for the next name";
  EXPECT_EQ(sys.GetDents(fd)->size(), 1u) << "which is not lost";
}

TEST_P(GetDentsTest, NeedsReadPermissionToOpenOnly) {
  MakeDir("/d", 0755);
  Put("/d/f");
  Become(kAlice);
  const int fd = Open("/d", O_RDONLY);
  BecomeRoot();
  ASSERT_THAT(sys.Chmod("/d", 0), IsOk());
  Become(kAlice);
  EXPECT_EQ(sys.GetDents(fd)->size(), 3u);
  EXPECT_THAT(sys.Open("/d", O_RDONLY), IsErrno(EACCES));
}

TEST_P(GetDentsTest, InSteps) {
  MakeDir("/d");
  MakeFiles(50);
  const auto all = ReadInSteps(Open("/d", O_RDONLY), [](auto&) {});
  const std::vector<std::string> names = Names(all);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 52u);
  EXPECT_EQ(names.size(), 52u);
}

TEST_P(GetDentsTest, Rewind) {
  MakeDir("/d");
  MakeFiles(3);
  const int fd = Open("/d", O_RDONLY);
  const auto first = Names(sys.GetDents(fd).value());
  EXPECT_EQ(sys.GetDents(fd)->size(), 0u);
  Put("/d/new");
  EXPECT_EQ(sys.GetDents(fd)->size(), 0u);
  ASSERT_THAT(sys.Seek(fd, 0, SEEK_SET), IsOk());
  EXPECT_EQ(Names(sys.GetDents(fd).value()).size(), first.size() + 1);
}

TEST_P(GetDentsTest, SeekToAPosition) {
  MakeDir("/d");
  MakeFiles(20);
  const int fd = Open("/d", O_RDONLY);
  const auto all = sys.GetDents(fd).value();
  for (const size_t i : {size_t{0}, size_t{1}, size_t{2}, size_t{7}, size_t{20}}) {
    ASSERT_THAT(sys.Seek(fd, all.at(i).position, SEEK_SET), IsOk());
    const auto rest = Names(sys.GetDents(fd).value());
    EXPECT_EQ(rest, Names({all.begin() + static_cast<long>(i) + 1, all.end()})) << i;
  }
}

TEST_P(GetDentsTest, PositionsOutliveChanges) {
  MakeDir("/d");
  MakeFiles(10);
  const int fd = Open("/d", O_RDONLY);
  const auto all = sys.GetDents(fd).value();
  for (const size_t i : {size_t{3}, size_t{5}, size_t{6}})
    ASSERT_THAT(sys.Unlink("/d/" + all.at(i).name), IsOk());
  ASSERT_THAT(sys.Seek(fd, all.at(4).position, SEEK_SET), IsOk());
  EXPECT_EQ(sys.GetDents(fd)->at(0).name, all.at(7).name);
  ASSERT_THAT(sys.Seek(fd, all.at(3).position, SEEK_SET), IsOk()) << "of a removed entry";
  EXPECT_EQ(sys.GetDents(fd)->at(0).name, all.at(4).name);
}

TEST_P(GetDentsTest, RemovalOfWhatWasRead) {
  MakeDir("/d");
  MakeFiles(50);
  std::set<std::string> seen;
  ReadInSteps(Open("/d", O_RDONLY), [&](const std::vector<Dirent>& all) {
    for (const Dirent& entry : all) {
      if (entry.name.front() == 'f' && seen.insert(entry.name).second) {
        EXPECT_THAT(sys.Unlink("/d/" + entry.name), IsOk());
      }
    }
  });
  EXPECT_EQ(seen.size(), 50u) << "as rm -r";
  EXPECT_THAT(sys.Rmdir("/d"), IsOk());
}

TEST_P(GetDentsTest, RemovalOfWhatWillBeRead) {
  MakeDir("/d");
  MakeFiles(20);
  const int fd = Open("/d", O_RDONLY);
  const auto all = Names(sys.GetDents(fd).value());
  ASSERT_THAT(sys.Seek(fd, 0, SEEK_SET), IsOk());
  ASSERT_EQ(sys.GetDents(fd, 48)->size(), 2u);
  ASSERT_THAT(sys.Unlink("/d/" + all.at(15)), IsOk());
  const auto names = Names(sys.GetDents(fd).value());
  EXPECT_EQ(names.size(), 19u);
  EXPECT_THAT(names, ::testing::Not(::testing::Contains(all.at(15))));
}

// What is there all the time is listed once, and the listing ends.
TEST_P(GetDentsTest, NewEntriesWhileReading) {
  MakeDir("/d");
  MakeFiles(20);
  int added = 0;
  const auto all = ReadInSteps(Open("/d", O_RDONLY), [&](auto&) {
    Put("/d/new" + std::to_string(added++));
    ASSERT_LT(added, 100) << "it never ends";
  });
  const auto names = Names(all);
  for (int i = 0; i < 20; ++i)
    EXPECT_THAT(names, ::testing::Contains("f" + std::to_string(i)).Times(1));
}

TEST_P(GetDentsTest, RenamesWhileReading) {
  MakeDir("/d");
  MakeFiles(20);
  int renamed = 0;
  const auto all = ReadInSteps(Open("/d", O_RDONLY), [&](const std::vector<Dirent>& so_far) {
    const std::string& last = so_far.back().name;
    if (last.front() != 'f') return;
    ASSERT_THAT(sys.Rename("/d/" + last, "/d/g" + std::to_string(renamed++)), IsOk());
    ASSERT_LT(renamed, 100) << "it never ends";
  });
  const auto names = Names(all);
  for (int i = 0; i < 20; ++i)
    EXPECT_THAT(names, ::testing::Contains("f" + std::to_string(i)).Times(1));
}

TEST_P(GetDentsTest, DuplicatesShareThePosition) {
  MakeDir("/d");
  MakeFiles(5);
  const int a = Open("/d", O_RDONLY);
  const int b = sys.Dup(a).value();
  EXPECT_EQ(sys.GetDents(a, 48)->size(), 2u);
  EXPECT_EQ(sys.GetDents(b)->size(), 5u);
  EXPECT_EQ(sys.GetDents(a)->size(), 0u);
}

TEST_P(GetDentsTest, MountPointHasTheNumberOfWhatItCovers) {
  MakeDir("/m");
  const uint64_t ino = StatOf("/m").ino;
  ASSERT_THAT(sys.MountAnother("/m"), IsOk());
  EXPECT_EQ(sys.GetDents(Open("/", O_RDONLY))->at(2).ino, ino);
}

STASIS_POSIX_SUITE(GetDentsTest);

}  // namespace
}  // namespace stasis::posix
