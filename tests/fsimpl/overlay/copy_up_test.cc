// SPDX-License-Identifier: Apache-2.0
//
// What changes of lower files leave in the upper layer.

#include "tests/fsimpl/overlay/overlay_tree.h"

namespace stasis::overlay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::IsErrno;
using testing::IsOk;
using testing::kTestTime;
using ::testing::UnorderedElementsAre;

constexpr TimeNs kOld = kTestTime - 1'000'000'000'000;

class CopyUpTest : public OverlayTree {};

TEST_F(CopyUpTest, LookingCopiesNothing) {
  Put("/lower/d/f", "x");
  Mount();
  t.List("/merged/d");
  EXPECT_EQ(t.Read("/merged/d/f"), "x");
  t.Stat("/merged/d/f");
  EXPECT_THAT(t.List("/upper"), IsEmpty());
}

TEST_F(CopyUpTest, WriteCopiesTheFileAndItsParents) {
  Put("/lower2/a/b/f", "content");
  t.Set("/lower2/a", {.mode = 0711, .uid = 7, .gid = 8});
  t.Set("/lower2/a/b/f", {.mode = 0640, .uid = 5, .gid = 6});
  Mount();
  t.WriteAt("/merged/a/b/f", 3, "T");
  EXPECT_EQ(t.Read("/merged/a/b/f"), "conTent");
  EXPECT_EQ(t.Read("/upper/a/b/f"), "conTent");
  EXPECT_EQ(t.Read("/lower2/a/b/f"), "content");
  EXPECT_EQ(t.Stat("/upper/a/b/f").mode, uint32_t{S_IFREG | 0640});
  EXPECT_EQ(t.Stat("/upper/a/b/f").uid, 5u);
  EXPECT_EQ(t.Stat("/upper/a/b/f").gid, 6u);
  EXPECT_EQ(t.Stat("/upper/a").mode, uint32_t{S_IFDIR | 0711});
  EXPECT_EQ(t.Stat("/upper/a").uid, 7u);
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
}

TEST_F(CopyUpTest, TimesAreCopied) {
  Put("/lower/d/f", "x");
  t.Set("/lower/d/f", {.atime = vfs::SetTime{kOld}, .mtime = vfs::SetTime{kOld + 1}});
  t.Set("/lower/d", {.atime = vfs::SetTime{kOld + 2}, .mtime = vfs::SetTime{kOld + 3}});
  Mount();
  t.Set("/merged/d/f", {.mode = 0600});
  EXPECT_EQ(t.Stat("/upper/d/f").atime, kOld);
  EXPECT_EQ(t.Stat("/upper/d/f").mtime, kOld + 1);
  EXPECT_EQ(t.Stat("/merged/d/f").mtime, kOld + 1);
  EXPECT_EQ(t.Stat("/upper/d").mtime, kOld + 3) << "not changed by what is copied into it";
  EXPECT_EQ(t.Stat("/merged/d").mtime, kOld + 3);
}

TEST_F(CopyUpTest, AttributesAndListsAreCopied) {
  Put("/lower/f", "x");
  t.SetXattr("/lower/f", "user.a", "1");
  t.SetXattr("/lower/f", "security.capability", "caps");
  t.SetXattr("/lower/f", "trusted.overlay.origin", "private");
  const std::string acl(
      "\2\0\0\0\1\0\6\0\xff\xff\xff\xff\2\0\4\0\xe8\3\0\0\4\0\4\0\xff\xff\xff\xff"
      "\x10\0\4\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff",
      44);
  t.SetXattr("/lower/f", "system.posix_acl_access", acl);
  Mount();
  t.SetXattr("/merged/f", "user.b", "2");
  EXPECT_THAT(
      *t.vfs().ListXattrAt(t.creds(), t.At("/merged/f")),
      UnorderedElementsAre("user.a", "user.b", "security.capability", "system.posix_acl_access"));
  EXPECT_EQ(t.GetXattr("/upper/f", "user.a"), "1");
  EXPECT_EQ(t.GetXattr("/upper/f", "system.posix_acl_access"), acl);
  EXPECT_EQ(Xattr("/upper/f", "trusted.overlay.origin"), "");
  EXPECT_THAT(t.vfs().AccessAt(vfs::Credentials::User(1000, 1000), t.At("/merged/f"), vfs::kRead),
              IsOk());
}

TEST_F(CopyUpTest, SymlinksAndSpecialFiles) {
  t.Symlink("/lower/l", "target");
  t.Mknod("/lower/fifo", S_IFIFO | 0600);
  t.Mknod("/lower/tty", S_IFCHR | 0600, 0x501);
  Mount();
  for (const char* name : {"l", "fifo", "tty"}) t.Set(std::string("/merged/") + name, {.uid = 9});
  EXPECT_EQ(t.ReadLink("/upper/l"), "target");
  EXPECT_EQ(t.ReadLink("/merged/l"), "target");
  EXPECT_EQ(t.Stat("/upper/fifo").mode, uint32_t{S_IFIFO | 0600});
  EXPECT_EQ(t.Stat("/upper/tty").rdev, 0x501u);
  EXPECT_EQ(t.Stat("/merged/l").uid, 9u);
}

TEST_F(CopyUpTest, FailedChangesCopyNothing) {
  Put("/lower/f", "x");
  Mount();
  const vfs::Credentials alice = vfs::Credentials::User(1000, 1000);
  EXPECT_THAT(t.vfs().SetAttributesAt(alice, t.At("/merged/f"), {.mode = 0777}), IsErrno(EPERM));
  EXPECT_THAT(t.vfs().OpenAt(alice, t.At("/merged/f"), {.flags = O_RDWR}), IsErrno(EACCES));
  EXPECT_THAT(t.vfs().RemoveXattrAt(t.creds(), t.At("/merged/f"), "user.none"), IsErrno(ENODATA));
  EXPECT_THAT(t.List("/upper"), IsEmpty());
}

TEST_F(CopyUpTest, ChangeOfAttributesLeavesTheDataBelow) {
  Put("/lower/f", std::string(100'000, 'x'));
  Mount();
  t.Set("/merged/f", {.mode = 0600});
  EXPECT_EQ(t.Stat("/upper/f").blocks, 0u);
  EXPECT_EQ(t.Stat("/upper/f").size, 100'000u);
  EXPECT_THAT(t.vfs().GetXattrAt(t.creds(), t.At("/upper/f"), "trusted.overlay.metacopy"), IsOk());
  EXPECT_EQ(t.Read("/merged/f"), std::string(100'000, 'x'));
  t.WriteAt("/merged/f", 5, "y");
  EXPECT_THAT(t.vfs().GetXattrAt(t.creds(), t.At("/upper/f"), "trusted.overlay.metacopy"),
              IsErrno(ENODATA));
  EXPECT_EQ(t.Read("/upper/f").substr(0, 8), "xxxxxyxx");
  EXPECT_EQ(t.Read("/upper/f"), t.Read("/merged/f"));
}

TEST_F(CopyUpTest, WithoutMetacopyDataComesAlong) {
  Put("/lower/f", "content");
  OverlayOptions options = Options();
  options.metacopy = false;
  Mount(options);
  t.Set("/merged/f", {.mode = 0600});
  EXPECT_EQ(t.Read("/upper/f"), "content");
}

TEST_F(CopyUpTest, TruncationCopiesOnlyWhatStays) {
  Put("/lower/f", "0123456789");
  Put("/lower/g", "0123456789");
  Put("/lower/h", "0123456789");
  Mount();
  t.Truncate("/merged/f", 4);
  t.Write("/merged/g", "");
  t.Truncate("/merged/h", 12);
  EXPECT_EQ(t.Read("/merged/f"), "0123");
  EXPECT_EQ(t.Read("/upper/f"), "0123");
  EXPECT_EQ(t.Read("/upper/g"), "");
  EXPECT_EQ(t.Read("/upper/h"), std::string("0123456789\0\0", 12));
}

TEST_F(CopyUpTest, AProgramThatRunsIsNotCut) {
  Put("/lower/f", "0123456789");
  t.Set("/lower/f", {.mode = 0755});
  Put("/lower/metacopy", "0123456789");
  t.Set("/lower/metacopy", {.mode = 0755});
  Mount();
  t.Set("/merged/metacopy", {.mode = 0777});
  for (const std::string path : {"/merged/f", "/merged/metacopy"}) {
    const auto program = t.vfs().OpenAt(t.creds(), t.At(path), {.execute = true});
    ASSERT_THAT(program, IsOk());
    EXPECT_THAT(t.vfs().SetAttributesAt(t.creds(), t.At(path), {.size = 0}), IsErrno(ETXTBSY));
    EXPECT_THAT(t.vfs().OpenAt(t.creds(), t.At(path), {.flags = O_RDONLY | O_TRUNC}),
                IsErrno(ETXTBSY));
    EXPECT_THAT(t.vfs().OpenAt(t.creds(), t.At(path), {.flags = O_RDWR | O_TRUNC}),
                IsErrno(ETXTBSY));
    EXPECT_EQ(testing::ReadAll(**program), "0123456789");
    EXPECT_EQ(t.Read(path), "0123456789");
  }
  EXPECT_FALSE(t.Exists("/upper/f"));
  t.Truncate("/merged/f", 4);
  EXPECT_EQ(t.Read("/merged/f"), "0123");
  EXPECT_THAT(t.vfs().OpenAt(t.creds(), t.At("/merged/f"), {.execute = true}), IsOk());
}

TEST_F(CopyUpTest, HolesStayHoles) {
  t.WriteAt("/lower/f", 10 << 20, "end");
  Mount();
  t.WriteAt("/merged/f", 0, "begin");
  EXPECT_LE(t.Stat("/upper/f").blocks, 2u * 16384 / 512);
  EXPECT_EQ(t.Stat("/upper/f").size, (10u << 20) + 3);
}

TEST_F(CopyUpTest, RemovedFileIsCopiedWithoutAName) {
  Put("/lower/f", "x");
  Mount();
  const auto file = t.Open("/merged/f", O_RDONLY);
  t.Unlink("/merged/f");
  EXPECT_THAT(file->SetAttributes(t.creds(), {.mode = 0600}), IsOk());
  EXPECT_EQ(file->GetStat()->mode & 07777, 0600u);
  EXPECT_EQ(testing::ReadAll(*file), "x");
  EXPECT_TRUE(IsWhiteout("/upper/f"));
  EXPECT_THAT(t.List("/work/work"), IsEmpty());
}

TEST_F(CopyUpTest, RemovedDirectoryToo) {
  t.Mkdir("/lower/d");
  Mount();
  const auto dir = t.Open("/merged/d", O_RDONLY | O_DIRECTORY);
  t.Rmdir("/merged/d");
  EXPECT_THAT(dir->SetAttributes(t.creds(), {.mode = 0700}), IsOk());
  EXPECT_EQ(dir->GetStat()->nlink, 0u);
  EXPECT_TRUE(IsWhiteout("/upper/d"));
}

TEST_F(CopyUpTest, NothingStaysBehindWhenThereIsNoSpace) {
  Put("/lower/f", std::string(1 << 20, 'x'));
  const auto small = memfs::MemFilesystem::Create(t.vfs(), {.size_limit = 64 << 10});
  OverlayOptions options = testing::OverlayOn(t.vfs(), *small, {At("/lower")});
  Mount(options);
  const auto file = t.Open("/merged/f", O_RDWR);
  ASSERT_TRUE(file);
  EXPECT_THAT(file->PWrite(0, testing::AsBytes("y")), IsErrno(ENOSPC));
  EXPECT_EQ(t.Read("/merged/f"), std::string(1 << 20, 'x'));
  EXPECT_EQ(small->bytes_used(), std::string("trusted.overlay.metacopy").size());
}

}  // namespace
}  // namespace stasis::overlay
