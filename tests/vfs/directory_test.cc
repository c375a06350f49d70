// SPDX-License-Identifier: Apache-2.0
//
// Directories: many entries, names of any bytes, and the order that readdir goes by.

#include <pthread.h>

#include <chrono>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/testing/memfs_tree.h"
#include "vfs/dentry.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DirectoryTest : public MemfsTest {
 protected:
  static std::string Name(int i) { return "/d/n" + std::to_string(i); }
  void SetUp() override { ASSERT_THAT(Mkdir("/d"), IsOk()); }
  void Fill(int n) {
    for (int i = 0; i < n; ++i) ASSERT_THAT(Mknod(Name(i), S_IFREG | 0644), IsOk());
  }
  // The next `n` names at the description's own position.
  static std::vector<std::string> Next(FileDescription& dir, size_t n) {
    std::vector<std::string> names;
    EXPECT_THAT(dir.ReadDirectory([&](const DirectoryEntry& entry) {
      if (names.size() == n) return false;
      names.emplace_back(entry.name);
      return true;
    }),
                IsOk());
    return names;
  }
  static std::vector<std::string> From(FileDescription& dir, uint64_t position) {
    std::vector<std::string> names;
    EXPECT_THAT(dir.IterateDirectory(position,
                                     [&](const DirectoryEntry& entry) {
                                       names.emplace_back(entry.name);
                                       return true;
                                     }),
                IsOk());
    return names;
  }
};

// Each is held by the next; letting go of the last must not take a stack as deep.
TEST_F(DirectoryTest, LongChainOfRemovedDirectoriesEndsAtOnce) {
  constexpr int kDepth = 10'000;
  const uint64_t inodes = fs->inodes_used();
  std::vector<VirtualDentry> parents;
  cwd = *Lookup("/d");
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_THAT(Mkdir("x"), IsOk());
    VirtualDentry child = *Lookup("x");
    parents.push_back(std::exchange(cwd, std::move(child)));
  }
  VirtualDentry last = cwd;
  for (; !parents.empty(); parents.pop_back()) {
    cwd = parents.back();
    ASSERT_THAT(Rmdir("x"), IsOk());
  }
  cwd = root;
  EXPECT_EQ(fs->inodes_used(), inodes + kDepth);
  const auto let_go = [](void* held) -> void* {
    *static_cast<VirtualDentry*>(held) = {};
    return nullptr;
  };
  pthread_attr_t small;
  pthread_attr_init(&small);
  ASSERT_EQ(pthread_attr_setstacksize(&small, 256 << 10), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &small, let_go, &last), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&small);
  EXPECT_EQ(fs->inodes_used(), inodes);
}

TEST_F(DirectoryTest, DentryTakesTwoCacheLines) { EXPECT_EQ(sizeof(Dentry), 128u); }

// Quadratic time would be far over the limit.
TEST_F(DirectoryTest, HundredThousandEntriesTakeNoQuadraticTime) {
  constexpr int kEntries = 100'000;
  const auto start = std::chrono::steady_clock::now();
  Fill(kEntries);
  for (int i = 0; i < kEntries; ++i) ASSERT_THAT(Stat(Name(i)), IsOk());
  for (int i = kEntries; i < 2 * kEntries; ++i) ASSERT_THAT(Stat(Name(i)), IsErrno(ENOENT));
  EXPECT_THAT(*List("/d"), SizeIs(kEntries));
  for (int i = 0; i < kEntries; i += 2) ASSERT_THAT(Unlink(Name(i)), IsOk());
  for (int i = 0; i < kEntries; ++i) ASSERT_EQ(Stat(Name(i)).has_value(), i % 2 == 1) << i;
  for (int i = kEntries - 1; i > 0; i -= 2) ASSERT_THAT(Unlink(Name(i)), IsOk());
  EXPECT_THAT(*List("/d"), IsEmpty());
  EXPECT_THAT(Rmdir("/d"), IsOk());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(DirectoryTest, NamesThatComeAndGoDoNotSlowItDown) {
  Fill(10);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 10; i < 100'000; ++i) {
    ASSERT_THAT(Mknod(Name(i), S_IFREG), IsOk());
    ASSERT_THAT(Unlink(Name(i)), IsOk());
    ASSERT_THAT(Stat(Name(i % 10)), IsOk());
  }
  EXPECT_THAT(*List("/d"), SizeIs(10));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(DirectoryTest, ListsDotsAndThenTheEntriesInTheOrderOfTheirCreation) {
  Fill(3);
  std::map<std::string, uint64_t> inos;
  const auto dir = *Open("/d", O_RDONLY);
  EXPECT_THAT(From(*dir, 0), ElementsAre(".", "..", "n0", "n1", "n2"));
  EXPECT_THAT(dir->IterateDirectory(0,
                                    [&](const DirectoryEntry& entry) {
                                      inos[std::string(entry.name)] = entry.ino;
                                      return true;
                                    }),
              IsOk());
  EXPECT_EQ(inos["."], Stat("/d")->ino);
  EXPECT_EQ(inos[".."], Stat("/")->ino);
  EXPECT_EQ(inos["n1"], Stat("/d/n1")->ino);
}

TEST_F(DirectoryTest, StableEntriesAreListedOnceWhileOthersComeAndGo) {
  constexpr int kEntries = 1000;
  Fill(kEntries);
  const auto dir = *Open("/d", O_RDONLY);
  std::map<std::string, int> seen;
  for (int round = 0;; ++round) {
    const auto names = Next(*dir, 7);
    if (names.empty()) break;
    for (const std::string& name : names) ++seen[name];
    if (round >= kEntries) continue;
    // Entries with a number that three divides are not stable: passed ones go, and ones to come.
    std::ignore = Unlink(Name(round / 3 * 3));
    std::ignore = Unlink(Name((kEntries - round) / 3 * 3));
    if (round < 100) {
      ASSERT_THAT(Mknod("/d/new" + std::to_string(round), S_IFREG), IsOk());
    }
  }
  for (int i = 0; i < kEntries; ++i) {
    if (i % 3 != 0) {
      EXPECT_EQ(seen["n" + std::to_string(i)], 1) << i;
    }
  }
  for (const auto& [name, times] : seen) EXPECT_EQ(times, 1) << name;
}

TEST_F(DirectoryTest, PositionStaysValidWhenAllBeforeItIsRemoved) {
  constexpr int kEntries = 500;
  Fill(kEntries);
  const auto dir = *Open("/d", O_RDONLY);
  EXPECT_THAT(Next(*dir, 2 + kEntries - 2), SizeIs(kEntries));
  for (int i = 0; i < kEntries - 2; ++i) ASSERT_THAT(Unlink(Name(i)), IsOk());
  ASSERT_THAT(Mknod("/d/new", S_IFREG), IsOk());
  EXPECT_THAT(Next(*dir, 10), ElementsAre("n498", "n499"));
  EXPECT_THAT(Next(*dir, 10), IsEmpty());
}

TEST_F(DirectoryTest, PositionAfterARemovedEntryIsThatOfTheNextOne) {
  Fill(4);
  const auto dir = *Open("/d", O_RDONLY);
  std::map<std::string, uint64_t> next;
  EXPECT_THAT(dir->IterateDirectory(0,
                                    [&](const DirectoryEntry& entry) {
                                      next[std::string(entry.name)] = entry.next_position;
                                      return true;
                                    }),
              IsOk());
  ASSERT_THAT(Unlink(Name(1)), IsOk());
  ASSERT_THAT(Unlink(Name(2)), IsOk());
  EXPECT_THAT(From(*dir, next["n1"]), ElementsAre("n3"));
  EXPECT_THAT(From(*dir, next["n3"]), IsEmpty());
}

TEST_F(DirectoryTest, SeekToTheStartListsAllAgain) {
  Fill(3);
  const auto dir = *Open("/d", O_RDONLY);
  EXPECT_THAT(Next(*dir, 10), SizeIs(5));
  EXPECT_THAT(dir->Seek(0, SEEK_SET), IsOk());
  EXPECT_THAT(Next(*dir, 10), SizeIs(5));
}

TEST_F(DirectoryTest, NameMayHave255Bytes) {
  for (const size_t length : {1, 50, 51, 52, 254, 255}) {
    const std::string path = "/d/" + std::string(length, 'x');
    ASSERT_THAT(Put(path, "a"), IsOk());
    EXPECT_EQ(*Get(path), "a");
  }
  const auto names = *List("/d");
  ASSERT_THAT(names, SizeIs(6));
  EXPECT_EQ(names.back(), std::string(255, 'x'));
}

TEST_F(DirectoryTest, NameMayHaveEveryByteButSlashAndNul) {
  std::vector<std::string> expected;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    for (const char* rest : {"", "x"}) {
      const std::string name = std::string(1, static_cast<char>(byte)) + rest;
      if (name == ".") continue;
      ASSERT_THAT(Mknod("/d/" + name, S_IFREG), IsOk()) << byte;
      expected.push_back(name);
    }
  }
  EXPECT_EQ(*List("/d"), expected);
  for (const std::string& name : expected) EXPECT_THAT(Stat("/d/" + name), IsOk()) << name;
}

TEST_F(DirectoryTest, NameWithNulIsEINVAL) {
  using std::string_view_literals::operator""sv;
  EXPECT_THAT(Mkdir("/d/a\0b"sv), IsErrno(EINVAL));
  EXPECT_THAT(Create("/d/a\0b"sv), IsErrno(EINVAL));
}

TEST_F(DirectoryTest, SizeAndInodesGoBackWhenEntriesGo) {
  const auto empty = *Stat("/d");
  const uint64_t inodes = fs->inodes_used();
  Fill(10);
  EXPECT_GT(Stat("/d")->size, empty.size);
  EXPECT_EQ(fs->inodes_used(), inodes + 10);
  for (int i = 0; i < 10; ++i) ASSERT_THAT(Unlink(Name(i)), IsOk());
  EXPECT_EQ(Stat("/d")->size, empty.size);
  EXPECT_EQ(fs->inodes_used(), inodes);
}

TEST_F(DirectoryTest, RemovedDirectoryCannotBeListed) {
  const auto dir = *Open("/d", O_RDONLY);
  ASSERT_THAT(Rmdir("/d"), IsOk());
  EXPECT_THAT(dir->IterateDirectory(0, [](const DirectoryEntry&) { return true; }),
              IsErrno(ENOENT));
}

TEST_F(DirectoryTest, OnlyADirectoryThatIsOpenForReadingCanBeListed) {
  const auto all = [](const DirectoryEntry&) { return true; };
  ASSERT_THAT(Create("/f"), IsOk());
  EXPECT_THAT((*Open("/f", O_RDONLY))->IterateDirectory(0, all), IsErrno(ENOTDIR));
  EXPECT_THAT((*Open("/d", O_PATH))->IterateDirectory(0, all), IsErrno(EBADF));
}

TEST_F(DirectoryTest, ListingEndsThoughEveryEntryIsRenamed) {
  for (int i = 0; i < 50; ++i) ASSERT_THAT(Create("/" + std::to_string(i)), IsOk());
  const auto dir = *Open("/", O_RDONLY | O_DIRECTORY);
  size_t seen = 0;
  for (;;) {
    std::string name;
    ASSERT_THAT(dir->ReadDirectory([&](const DirectoryEntry& entry) {
      if (!name.empty()) return false;
      name = entry.name;
      return true;
    }),
                IsOk());
    if (name.empty()) break;
    ASSERT_LE(++seen, 53u);
    if (name == "." || name == "..") continue;
    ASSERT_THAT(Rename("/" + name, "/x" + name), IsOk());
  }
  EXPECT_EQ(seen, 53u);
  ASSERT_THAT(dir->Seek(0, SEEK_SET), IsOk());
  size_t again = 0;
  ASSERT_THAT(dir->ReadDirectory([&](const DirectoryEntry&) { return ++again > 0; }), IsOk());
  EXPECT_EQ(again, 53u);
}

}  // namespace
}  // namespace stasis::vfs
