// SPDX-License-Identifier: Apache-2.0
//
// A file stays the same file when it is copied up: its number, its names, who has it open, its
// locks and watches.

#include <sys/inotify.h>

#include "tests/fsimpl/overlay/overlay_tree.h"
#include "tests/testing/record_lock.h"
#include "vfs/inotify.h"

namespace stasis::overlay {
namespace {

using testing::AsBytes;
using testing::IsErrno;
using testing::IsOk;
using testing::ReadAll;

class IdentityTest : public OverlayTree {};

TEST_F(IdentityTest, NumbersStay) {
  Put("/lower/d/f", "x");
  Mount();
  const uint64_t file = t.Stat("/merged/d/f").ino;
  const uint64_t dir = t.Stat("/merged/d").ino;
  t.Write("/merged/d/f", "y");
  EXPECT_EQ(t.Stat("/merged/d/f").ino, file);
  EXPECT_EQ(t.Stat("/merged/d").ino, dir);
  t.Rename("/merged/d/f", "/merged/g");
  EXPECT_EQ(t.Stat("/merged/g").ino, file);
  t.SaveAndRestore();
  EXPECT_EQ(t.Stat("/merged/g").ino, file);
}

TEST_F(IdentityTest, ListedNumbersAreThose) {
  Put("/lower/a");
  Put("/upper/b");
  t.Mkdir("/lower/c");
  Mount();
  const auto dir = t.Open("/merged", O_RDONLY | O_DIRECTORY);
  std::map<std::string, uint64_t> listed;
  ASSERT_THAT(dir->IterateDirectory(0,
                                    [&](const vfs::DirectoryEntry& entry) {
                                      listed[std::string(entry.name)] = entry.ino;
                                      return true;
                                    }),
              IsOk());
  for (const char* name : {"a", "b", "c"})
    EXPECT_EQ(t.Stat(std::string("/merged/") + name).ino, listed[name]) << name;
}

TEST_F(IdentityTest, ReadersSeeWhatIsWrittenLater) {
  Put("/lower/f", "before");
  Mount();
  const auto reader = t.Open("/merged/f", O_RDONLY);
  EXPECT_EQ(ReadAll(*reader), "before");
  t.Write("/merged/f", "after");
  EXPECT_EQ(ReadAll(*reader), "after");
}

TEST_F(IdentityTest, LocksStay) {
  Put("/lower/f", "x");
  Mount();
  const auto reader = t.Open("/merged/f", O_RDONLY);
  ASSERT_THAT(reader->Flock(LOCK_EX | LOCK_NB), IsOk());
  const auto writer = t.Open("/merged/f", O_RDWR);
  ASSERT_THAT(writer->PWrite(0, AsBytes("y")), IsOk());
  EXPECT_THAT(writer->Flock(LOCK_EX | LOCK_NB), IsErrno(EAGAIN));
}

TEST_F(IdentityTest, WatchesStay) {
  Put("/lower/f", "x");
  Mount();
  const auto inotify = MakeRef<vfs::Inotify>(RefPtr<vfs::VirtualFilesystem>(&t.vfs()));
  ASSERT_THAT(inotify->AddWatch(t.creds(), t.At("/merged/f"), IN_MODIFY | IN_ATTRIB), IsOk());
  t.Set("/merged/f", {.mode = 0600});
  t.WriteAt("/merged/f", 0, "y");
  const auto events = inotify->Read(65536);
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ(events->at(0).mask, uint32_t{IN_ATTRIB});
  EXPECT_EQ(events->at(1).mask, uint32_t{IN_MODIFY});
}

// Of two who lock the table of watches and a file in different orders the deadlock detector tells,
// though they come one after the other: a watch of a file, and its copy-up into a layer that is
// watched itself.
TEST_F(IdentityTest, LayersMayBeWatchedThemselves) {
  Put("/lower/f", "x");
  Mount();
  const auto inotify = MakeRef<vfs::Inotify>(RefPtr<vfs::VirtualFilesystem>(&t.vfs()));
  ASSERT_THAT(inotify->AddWatch(t.creds(), t.At("/merged/f"), IN_MODIFY), IsOk());
  ASSERT_THAT(inotify->AddWatch(t.creds(), t.At("/upper"), IN_MOVED_TO), IsOk());
  t.WriteAt("/merged/f", 0, "y");
  const auto events = inotify->Read(65536);
  ASSERT_THAT(events, IsOk());
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ(events->at(0).mask, uint32_t{IN_MOVED_TO});
  EXPECT_EQ(events->at(0).name, "f");
  EXPECT_EQ(events->at(1).mask, uint32_t{IN_MODIFY});
}

TEST_F(IdentityTest, NamesOfALowerFileAreOneFile) {
  Put("/lower/a", "before");
  t.Link("/lower/a", "/lower/b");
  Mount();
  EXPECT_EQ(t.Stat("/merged/a").ino, t.Stat("/merged/b").ino);
  EXPECT_EQ(t.Stat("/merged/a").nlink, 2u);
  t.Write("/merged/a", "after");
  EXPECT_EQ(t.Read("/merged/b"), "after");
  EXPECT_EQ(t.Stat("/merged/a").nlink, 2u);
  EXPECT_EQ(t.Stat("/merged/a").ino, t.Stat("/merged/b").ino);
}

TEST_F(IdentityTest, AlsoANameThatIsSeenLater) {
  Put("/lower/a", "before");
  t.Link("/lower/a", "/lower/b");
  Mount();
  t.Write("/merged/a", "after");
  t.Unlink("/merged/a");
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/merged/b"), "after");
  EXPECT_EQ(t.Stat("/merged/b").nlink, 1u);
  t.Rename("/merged/b", "/merged/c");
  EXPECT_EQ(t.Read("/upper/c"), "after");
  EXPECT_TRUE(IsWhiteout("/upper/b"));
  t.Unlink("/merged/c");
  EXPECT_FALSE(t.Exists("/upper/c"));
}

TEST_F(IdentityTest, SettledUpperHasEachName) {
  Put("/lower/a", "before");
  t.Link("/lower/a", "/lower/b");
  t.Mkdir("/lower/d");
  t.Link("/lower/a", "/lower/d/c");
  Mount();
  t.Write("/merged/a", "after");
  EXPECT_FALSE(t.Exists("/upper/b"));
  EXPECT_THAT(overlay().SettleUpper(), IsOk());
  EXPECT_EQ(t.Read("/upper/b"), "after");
  EXPECT_EQ(t.Read("/upper/d/c"), "after");
  EXPECT_EQ(t.Stat("/upper/b").ino, t.Stat("/upper/a").ino);
  EXPECT_EQ(t.Stat("/upper/a").nlink, 3u);
}

TEST_F(IdentityTest, ReplacedNameLeavesTheOthers) {
  Put("/lower/a", "x");
  t.Link("/lower/a", "/lower/b");
  Put("/lower/n", "new");
  Mount();
  t.Write("/merged/a", "after");
  t.Rename("/merged/n", "/merged/a");
  EXPECT_EQ(t.Read("/merged/a"), "new");
  EXPECT_EQ(t.Read("/merged/b"), "after");
  EXPECT_EQ(t.Stat("/merged/b").nlink, 1u);
}

TEST_F(IdentityTest, FileOfSeveralNamesEndsWithTheLast) {
  Put("/lower/a", "before");
  t.Link("/lower/a", "/lower/b");
  Mount();
  t.Write("/merged/a", "after");
  t.Unlink("/merged/a");
  EXPECT_EQ(t.List("/work/work").size(), 1u) << "kept for the other name";
  EXPECT_EQ(t.Read("/merged/b"), "after");
  t.Unlink("/merged/b");
  EXPECT_THAT(t.List("/work/work"), ::testing::IsEmpty());
  EXPECT_TRUE(IsWhiteout("/upper/a"));
  EXPECT_TRUE(IsWhiteout("/upper/b"));
}

TEST_F(IdentityTest, ExecutedFileIsNotWritten) {
  Put("/lower/f", "x");
  t.Set("/lower/f", {.mode = 0755});
  Mount();
  const auto running = t.vfs().OpenAt(t.creds(), t.At("/merged/f"), {.execute = true});
  ASSERT_THAT(running, IsOk());
  EXPECT_THAT(t.vfs().OpenAt(t.creds(), t.At("/merged/f"), {.flags = O_WRONLY}), IsErrno(ETXTBSY));
}

}  // namespace
}  // namespace stasis::overlay
