// SPDX-License-Identifier: Apache-2.0
//
// Which times of which file an operation sets, to the clock's.

#include <linux/fs.h>

#include <functional>

#include "tests/testing/memfs_tree.h"

namespace stasis::memfs {
namespace {

using stasis::testing::BytesOf;
using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;

constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kDay = 24 * 3600 * kSecond;

class TimesTest : public MemfsTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Mkdir("/d"), IsOk());
    ASSERT_THAT(Mkdir("/e"), IsOk());
    ASSERT_THAT(Put("/d/f", "content"), IsOk());
    ASSERT_THAT(Put("/e/g", "other"), IsOk());
    ASSERT_THAT(Symlink("f", "/d/l"), IsOk());
    clock.Advance(kSecond);
  }
  // The times of each file that `operation` sets: 'a', 'm', 'c', 'b'. They must be set to now.
  std::vector<std::string> SetBy(const std::vector<std::string>& paths,
                                 const std::function<void()>& operation) {
    clock.Advance(kSecond);
    std::vector<vfs::VirtualDentry> files;
    std::vector<vfs::Stat> before;
    for (const std::string& path : paths) {
      files.push_back(*vfs->GetDentryAt(creds, At(path)));
      before.push_back(*StatOf(files.back()));
    }
    operation();
    std::vector<std::string> changes;
    for (size_t i = 0; i < files.size(); ++i) {
      const auto after = *StatOf(files[i]);
      std::string changed;
      const auto compare = [&](char letter, TimeNs old_time, TimeNs new_time) {
        if (old_time == new_time) return;
        changed += letter;
        EXPECT_EQ(new_time, clock.Now()) << letter << " of " << paths[i];
      };
      compare('a', before[i].atime, after.atime);
      compare('m', before[i].mtime, after.mtime);
      compare('c', before[i].ctime, after.ctime);
      compare('b', before[i].btime, after.btime);
      changes.push_back(changed);
    }
    return changes;
  }
  std::string SetBy(const char* path, const std::function<void()>& operation) {
    return SetBy(std::vector<std::string>{path}, operation).front();
  }
  Result<vfs::Stat> StatOf(const vfs::VirtualDentry& file) {
    return vfs->StatAt(creds, {root, file, ""});
  }

  using Paths = std::vector<std::string>;
  using Changes = std::vector<std::string>;
};

TEST_F(TimesTest, NewFileHasNowForAll) {
  EXPECT_EQ(SetBy("/d", [&] { EXPECT_THAT(Create("/d/new"), IsOk()); }), "mc");
  const auto stat = *Stat("/d/new");
  for (const TimeNs time : {stat.atime, stat.mtime, stat.ctime, stat.btime})
    EXPECT_EQ(time, clock.Now());
}

TEST_F(TimesTest, MakingAndRemovingChangesTheDirectory) {
  EXPECT_EQ(SetBy("/d", [&] { EXPECT_THAT(Mkdir("/d/x"), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d", [&] { EXPECT_THAT(Rmdir("/d/x"), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d", [&] { EXPECT_THAT(Symlink("y", "/d/x"), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d", [&] { EXPECT_THAT(Unlink("/d/x"), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d", [&] { EXPECT_THAT(Mknod("/d/x", S_IFIFO), IsOk()); }), "mc");
}

TEST_F(TimesTest, LinkAndUnlinkChangeTheFileToo) {
  EXPECT_EQ(SetBy(Paths{"/d", "/d/f"}, [&] { EXPECT_THAT(Link("/d/f", "/d/x"), IsOk()); }),
            (Changes{"mc", "c"}));
  EXPECT_EQ(SetBy(Paths{"/d", "/d/f"}, [&] { EXPECT_THAT(Unlink("/d/x"), IsOk()); }),
            (Changes{"mc", "c"}));
}

TEST_F(TimesTest, RenameChangesBothDirectoriesAndTheFile) {
  EXPECT_EQ(SetBy(Paths{"/d", "/e", "/d/f"}, [&] { EXPECT_THAT(Rename("/d/f", "/e/x"), IsOk()); }),
            (Changes{"mc", "mc", "c"}));
}

TEST_F(TimesTest, RenameChangesWhatItReplaces) {
  EXPECT_EQ(SetBy(Paths{"/d/f", "/e/g"}, [&] { EXPECT_THAT(Rename("/d/f", "/e/g"), IsOk()); }),
            (Changes{"c", "c"}));
}

TEST_F(TimesTest, ExchangeChangesAllFour) {
  EXPECT_EQ(SetBy(Paths{"/d", "/e", "/d/f", "/e/g"},
                  [&] { EXPECT_THAT(Rename("/d/f", "/e/g", RENAME_EXCHANGE), IsOk()); }),
            (Changes{"mc", "mc", "c", "c"}));
}

TEST_F(TimesTest, RenameToTheSameFileChangesNothing) {
  EXPECT_EQ(SetBy(Paths{"/d", "/d/f"}, [&] { EXPECT_THAT(Rename("/d/f", "/d/f"), IsOk()); }),
            (Changes{"", ""}));
}

TEST_F(TimesTest, WriteAndTruncateChangeTheContent) {
  const auto file = *Open("/d/f", O_RDWR);
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(file->Write(BytesOf("x")), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(Truncate("/d/f", 3), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(Truncate("/d/f", 3), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(Open("/d/f", O_WRONLY | O_TRUNC), IsOk()); }), "mc");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(file->Write(BytesOf("")), IsOk()); }), "");
}

TEST_F(TimesTest, AttributesChangeCtimeOnly) {
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(Chmod("/d/f", 0600), IsOk()); }), "c");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(Chown("/d/f", 1, 1), IsOk()); }), "c");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(SetXattr("/d/f", "user.x", ""), IsOk()); }), "c");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(GetXattr("/d/f", "user.x"), IsOk()); }), "");
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(RemoveXattr("/d/f", "user.x"), IsOk()); }), "c");
}

TEST_F(TimesTest, ReadSetsAtimeOnceAfterAChangeAndOnceADay) {
  const auto read = [&] { EXPECT_THAT(Get("/d/f"), IsOk()); };
  EXPECT_EQ(SetBy("/d/f", read), "a");
  EXPECT_EQ(SetBy("/d/f", read), "");
  clock.Advance(kDay - 3 * kSecond);
  EXPECT_EQ(SetBy("/d/f", read), "");
  clock.Advance(kSecond);
  EXPECT_EQ(SetBy("/d/f", read), "a");
  clock.Advance(kSecond);
  ASSERT_THAT(Chmod("/d/f", 0600), IsOk());
  EXPECT_EQ(SetBy("/d/f", read), "a");
}

TEST_F(TimesTest, DayOfAnAccessIsOfWholeSeconds) {
  clock.Advance(kSecond - clock.Now() % kSecond + kSecond * 9 / 10);
  ASSERT_THAT(Get("/d/f"), IsOk());
  const TimeNs read = clock.Now();
  ASSERT_EQ(Stat("/d/f")->atime, read);
  clock.Advance(kDay - kSecond);
  ASSERT_THAT(Get("/d/f"), IsOk());
  EXPECT_EQ(Stat("/d/f")->atime, read);
  clock.Advance(kSecond / 10);
  ASSERT_THAT(Get("/d/f"), IsOk());
  EXPECT_EQ(Stat("/d/f")->atime, clock.Now()) << "the next second, a day after that of the access";
}

TEST_F(TimesTest, ListingAndFollowingAreAccesses) {
  EXPECT_EQ(SetBy("/d", [&] { EXPECT_THAT(List("/d"), IsOk()); }), "a");
  EXPECT_EQ(SetBy("/d/l", [&] { EXPECT_THAT(Stat("/d/l"), IsOk()); }), "a");
  ASSERT_THAT(Symlink("f", "/d/l2"), IsOk());
  EXPECT_EQ(SetBy("/d/l2", [&] { EXPECT_THAT(ReadLink("/d/l2"), IsOk()); }), "a");
}

TEST_F(TimesTest, NoAtimeFlagLeavesItAlone) {
  const auto file = *Open("/d/f", O_RDONLY | O_NOATIME);
  EXPECT_EQ(SetBy("/d/f", [&] { EXPECT_THAT(stasis::testing::ReadSome(*file, 1), IsOk()); }), "");
}

TEST_F(TimesTest, LookingChangesNothing) {
  EXPECT_EQ(SetBy(Paths{"/d", "/d/f"},
                  [&] {
                    EXPECT_THAT(Stat("/d/f"), IsOk());
                    EXPECT_THAT(Access("/d/f", 4), IsOk());
                    EXPECT_THAT(Open("/d/f", O_RDWR), IsOk());
                    EXPECT_THAT(Stat("/d/missing"), IsErrno(ENOENT));
                  }),
            (Changes{"", ""}));
}

TEST_F(TimesTest, FailureChangesNothing) {
  EXPECT_EQ(SetBy(Paths{"/d", "/d/f"},
                  [&] {
                    EXPECT_THAT(Mkdir("/d/f"), IsErrno(EEXIST));
                    EXPECT_THAT(Rmdir("/d/f"), IsErrno(ENOTDIR));
                    EXPECT_THAT(Rename("/d/f", "/e"), IsErrno(EISDIR));
                    EXPECT_THAT(Link("/d/f", "/d/l"), IsErrno(EEXIST));
                  }),
            (Changes{"", ""}));
}

TEST_F(TimesTest, GivenTimesAreSetAndCtimeIsNow) {
  ASSERT_THAT(Set("/d/f", {.atime = vfs::SetTime{.value = -5}, .mtime = vfs::SetTime{.value = 7}}),
              IsOk());
  const auto stat = *Stat("/d/f");
  EXPECT_EQ(stat.atime, -5);
  EXPECT_EQ(stat.mtime, 7);
  EXPECT_EQ(stat.ctime, clock.Now());
  EXPECT_EQ(SetBy("/d/f",
                  [&] { EXPECT_THAT(Set("/d/f", {.mtime = vfs::SetTime{.now = true}}), IsOk()); }),
            "mc");
}

TEST_F(TimesTest, OnlyOwnersSetGivenTimesAndWritersSetNow) {
  const vfs::SetTime given{.value = 1};
  const vfs::SetTime now{.now = true};
  ASSERT_THAT(Chmod("/d/f", 0646), IsOk());
  creds = vfs::Credentials::User(1000, 1000);
  EXPECT_THAT(Set("/d/f", {.atime = given, .mtime = given}), IsErrno(EPERM));
  EXPECT_THAT(Set("/d/f", {.mtime = now}), IsErrno(EPERM));
  EXPECT_THAT(Set("/d/f", {.ctime = 1}), IsErrno(EPERM));
  EXPECT_THAT(Set("/d/f", {.atime = now, .mtime = now}), IsOk());
  EXPECT_THAT(Set("/e/g", {.atime = now, .mtime = now}), IsErrno(EACCES));
}

}  // namespace
}  // namespace stasis::memfs
