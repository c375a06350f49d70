// SPDX-License-Identifier: Apache-2.0
//
// What one who listens to the whole tree hears.

#include "vfs/tree_events.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include <atomic>
#include <thread>

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TreeEventsTest : public MemfsTest {
 protected:
  std::shared_ptr<TreeEvents> Listen(uint32_t mask = TreeEvents::kChanges, size_t capacity = 1000) {
    auto events = std::make_shared<TreeEvents>(vfs->clock(), mask, capacity);
    vfs->watches().AddListener(events);
    return events;
  }
  // "create /a", with a slash behind directories.
  static std::vector<std::string> Texts(TreeEvents& events) {
    std::vector<std::string> texts;
    for (const TreeEvent& event : events.Take(1000).events)
      texts.push_back(absl::StrCat(event.events & ~uint32_t{IN_ISDIR}, " ", event.path,
                                   (event.events & IN_ISDIR) != 0 ? "/" : "",
                                   event.removed ? " removed" : ""));
    return texts;
  }
  static std::string Text(uint32_t events, const std::string& path) {
    return absl::StrCat(events, " ", path);
  }
};

TEST_F(TreeEventsTest, NobodyListensAtFirst) { EXPECT_FALSE(vfs->watches().active()); }

TEST_F(TreeEventsTest, HearsOfNamesAnywhereInTheTree) {
  const auto events = Listen();
  ASSERT_THAT(Mkdir("/a"), IsOk());
  ASSERT_THAT(Mkdir("/a/b"), IsOk());
  ASSERT_THAT(vfs->SymlinkAt(creds, At("/a/b/l"), "x"), IsOk());
  ASSERT_THAT(vfs->UnlinkAt(creds, At("/a/b/l")), IsOk());
  ASSERT_THAT(vfs->RmdirAt(creds, At("/a/b")), IsOk());
  EXPECT_THAT(Texts(*events), ElementsAre(Text(IN_CREATE, "/a/"), Text(IN_CREATE, "/a/b/"),
                                          Text(IN_CREATE, "/a/b/l"), Text(IN_DELETE, "/a/b/l"),
                                          Text(IN_DELETE, "/a/b/")));
}

TEST_F(TreeEventsTest, TheTwoSidesOfARenameHaveOneCookie) {
  ASSERT_THAT(Mkdir("/a"), IsOk());
  ASSERT_THAT(Mkdir("/b"), IsOk());
  const auto events = Listen();
  ASSERT_THAT(vfs->RenameAt(creds, At("/a"), At("/b/c")), IsOk());
  const std::vector<TreeEvent> taken = events->Take(10).events;
  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_EQ(taken[0].events, uint32_t{IN_MOVED_FROM | IN_ISDIR});
  EXPECT_EQ(taken[0].path, "/a");
  EXPECT_EQ(taken[1].events, uint32_t{IN_MOVED_TO | IN_ISDIR});
  EXPECT_EQ(taken[1].path, "/b/c");
  EXPECT_EQ(taken[0].cookie, taken[1].cookie);
  EXPECT_NE(taken[0].cookie, 0u);
}

TEST_F(TreeEventsTest, HearsOfOpenFilesAndOfTheirEnd) {
  const auto events = Listen();
  {
    auto file = vfs->OpenAt(creds, At("/f"), {.flags = O_RDWR | O_CREAT, .mode = 0644});
    ASSERT_THAT(file, IsOk());
    ASSERT_THAT((*file)->PWrite(0, std::as_bytes(std::span("text", 4))), IsOk());
    ASSERT_THAT((*file)->PWrite(4, std::as_bytes(std::span("text", 4))), IsOk());
    ASSERT_THAT(vfs->UnlinkAt(creds, At("/f")), IsOk());
    ASSERT_THAT((*file)->PWrite(8, std::as_bytes(std::span("text", 4))), IsOk());
  }
  EXPECT_THAT(Texts(*events),
              ElementsAre(Text(IN_CREATE, "/f"), Text(IN_OPEN, "/f"), Text(IN_MODIFY, "/f"),
                          Text(IN_DELETE, "/f"), Text(IN_MODIFY, "/f removed"),
                          Text(IN_CLOSE_WRITE, "/f removed")));
}

TEST_F(TreeEventsTest, HearsOfReadsOnlyIfAsked) {
  ASSERT_THAT(vfs->OpenAt(creds, At("/f"), {.flags = O_WRONLY | O_CREAT, .mode = 0644}), IsOk());
  const auto changes = Listen();
  const auto all = Listen(TreeEvents::kAll);
  auto root_dir = vfs->OpenAt(creds, At("/"), {.flags = O_RDONLY | O_DIRECTORY});
  ASSERT_THAT(root_dir, IsOk());
  ASSERT_THAT((*root_dir)->ReadDirectory([](const DirectoryEntry&) { return true; }), IsOk());
  EXPECT_THAT(Texts(*changes), ElementsAre(Text(IN_OPEN, "//")));
  EXPECT_THAT(Texts(*all), ElementsAre(Text(IN_OPEN, "//"), Text(IN_ACCESS, "//")));
}

TEST_F(TreeEventsTest, TheOldestAreLostAndCounted) {
  const auto events = Listen(TreeEvents::kChanges, 2);
  for (const char* name : {"/1", "/2", "/3", "/4", "/5"}) ASSERT_THAT(Mkdir(name), IsOk());
  const TreeEvents::Taken taken = events->Take(10);
  EXPECT_EQ(taken.lost, 3u);
  ASSERT_THAT(taken.events, SizeIs(2));
  EXPECT_EQ(taken.events[0].path, "/4");
  EXPECT_EQ(events->Take(10).lost, 0u);
}

TEST_F(TreeEventsTest, GivesAsManyAsAreWanted) {
  const auto events = Listen();
  for (const char* name : {"/1", "/2", "/3"}) ASSERT_THAT(Mkdir(name), IsOk());
  EXPECT_THAT(events->Take(2).events, SizeIs(2));
  EXPECT_THAT(events->Take(2).events, SizeIs(1));
}

TEST_F(TreeEventsTest, HearsNothingAfterTheEnd) {
  const auto events = Listen();
  vfs->watches().RemoveListener(*events);
  ASSERT_THAT(Mkdir("/a"), IsOk());
  EXPECT_THAT(Texts(*events), IsEmpty());
  EXPECT_FALSE(vfs->watches().active());
}

TEST_F(TreeEventsTest, ComesAndGoesWhileFilesAreChanged) {
  std::atomic<bool> done{false};
  std::thread changes([&] {
    for (int i = 0; i < 5000; ++i) {
      EXPECT_THAT(Mkdir("/a"), IsOk());
      EXPECT_THAT(vfs->RenameAt(creds, At("/a"), At("/b")), IsOk());
      EXPECT_THAT(vfs->RmdirAt(creds, At("/b")), IsOk());
    }
    done = true;
  });
  while (!done) {
    const auto events = Listen(TreeEvents::kAll, 16);
    for (const TreeEvent& event : events->Take(16).events)
      EXPECT_THAT(event.path, ::testing::AnyOf("/a", "/b"));
    vfs->watches().RemoveListener(*events);
  }
  changes.join();
  EXPECT_FALSE(vfs->watches().active());
}

}  // namespace
}  // namespace stasis::vfs
