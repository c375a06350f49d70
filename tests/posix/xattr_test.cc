// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class XattrTest : public PosixTest {};

TEST_P(XattrTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.SetXattr(path, "user.x", "y"); });
}

TEST_P(XattrTest, WalkErrorsOfReading) {
  ExpectWalkErrors([this](const std::string& path) { return sys.GetXattr(path, "user.x"); });
}

TEST_P(XattrTest, WalkErrorsOfListing) {
  ExpectWalkErrors([this](const std::string& path) { return sys.ListXattr(path); });
}

TEST_P(XattrTest, WalkErrorsOfRemoval) {
  ExpectWalkErrors([this](const std::string& path) { return sys.RemoveXattr(path, "user.x"); });
}

TEST_P(XattrTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.SetXattr(path, "user.x", "y"); });
}

TEST_P(XattrTest, SetGetListRemove) {
  Put("/f");
  MakeDir("/d");
  for (const char* path : {"/f", "/d"}) {
    EXPECT_THAT(sys.ListXattr(path).value(), IsEmpty());
    EXPECT_THAT(sys.SetXattr(path, "user.a", "one"), IsOk());
    EXPECT_THAT(sys.SetXattr(path, "trusted.b", std::string("\0two\0", 5)), IsOk());
    EXPECT_THAT(sys.SetXattr(path, "security.c", ""), IsOk());
    EXPECT_EQ(sys.GetXattr(path, "user.a"), "one");
    EXPECT_EQ(sys.GetXattr(path, "trusted.b"), std::string("\0two\0", 5));
    EXPECT_EQ(sys.GetXattr(path, "security.c"), "");
    EXPECT_THAT(sys.ListXattr(path).value(),
                UnorderedElementsAre("user.a", "trusted.b", "security.c"));
    EXPECT_THAT(sys.SetXattr(path, "user.a", "another value"), IsOk());
    EXPECT_EQ(sys.GetXattr(path, "user.a"), "another value");
    EXPECT_THAT(sys.RemoveXattr(path, "user.a"), IsOk());
    EXPECT_THAT(sys.GetXattr(path, "user.a"), IsErrno(ENODATA));
    EXPECT_THAT(sys.RemoveXattr(path, "user.a"), IsErrno(ENODATA));
    EXPECT_THAT(sys.ListXattr(path).value(), UnorderedElementsAre("trusted.b", "security.c"));
  }
}

TEST_P(XattrTest, CreateOrReplace) {
  Put("/f");
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "1", XATTR_REPLACE), IsErrno(ENODATA));
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "2", XATTR_CREATE), IsOk());
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "3", XATTR_CREATE), IsErrno(EEXIST));
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "4", XATTR_REPLACE), IsOk());
  EXPECT_EQ(sys.GetXattr("/f", "user.x"), "4");
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "5", XATTR_CREATE | XATTR_REPLACE), IsErrno(EEXIST));
  EXPECT_THAT(sys.SetXattr("/f", "user.y", "5", XATTR_CREATE | XATTR_REPLACE), IsErrno(ENODATA));
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "6", 4), IsErrno(EINVAL));
}

TEST_P(XattrTest, Names) {
  Put("/f");
  EXPECT_THAT(sys.SetXattr("/f", "", "x"), IsErrno(ERANGE));
  EXPECT_THAT(sys.SetXattr("/f", "user." + std::string(250, 'n'), "x"), IsOk());
  EXPECT_THAT(sys.SetXattr("/f", "user." + std::string(251, 'n'), "x"), IsErrno(ERANGE));
  EXPECT_THAT(sys.GetXattr("/f", "user." + std::string(251, 'n')), IsErrno(ERANGE));
  EXPECT_THAT(sys.RemoveXattr("/f", "user." + std::string(251, 'n')), IsErrno(ERANGE));
  for (const char* name : {"user.", "trusted.", "security."}) {
    EXPECT_THAT(sys.SetXattr("/f", name, "x"), IsErrno(EINVAL)) << name;
    EXPECT_THAT(sys.GetXattr("/f", name), IsErrno(EINVAL)) << name;
    EXPECT_THAT(sys.RemoveXattr("/f", name), IsErrno(EINVAL)) << name;
  }
  for (const char* name : {"x", "user", "foo.bar", "system.foo"}) {
    EXPECT_THAT(sys.SetXattr("/f", name, "x"), IsErrno(EOPNOTSUPP)) << name;
    EXPECT_THAT(sys.GetXattr("/f", name), IsErrno(EOPNOTSUPP)) << name;
    EXPECT_THAT(sys.RemoveXattr("/f", name), IsErrno(EOPNOTSUPP)) << name;
  }
}

TEST_P(XattrTest, Sizes) {
  Put("/f");
  const std::string largest(65536, 'v');
  EXPECT_THAT(sys.SetXattr("/f", "trusted.x", largest), IsOk());
  EXPECT_TRUE(sys.GetXattr("/f", "trusted.x") == largest);
  EXPECT_THAT(sys.SetXattr("/f", "trusted.x", largest + "v"), IsErrno(E2BIG));
  EXPECT_TRUE(sys.GetXattr("/f", "trusted.x") == largest);
}

TEST_P(XattrTest, UserAttributesOfOtherKinds) {
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  ASSERT_THAT(sys.Mknod("/fifo", S_IFIFO | 0644), IsOk());
  ASSERT_THAT(sys.Mknod("/socket", S_IFSOCK | 0644), IsOk());
  for (const char* path : {"/link", "/fifo", "/socket"}) {
    EXPECT_THAT(sys.SetXattr(path, "user.x", "y", 0, AT_SYMLINK_NOFOLLOW), IsErrno(EPERM));
    EXPECT_THAT(sys.GetXattr(path, "user.x", AT_SYMLINK_NOFOLLOW), IsErrno(ENODATA));
    EXPECT_THAT(sys.RemoveXattr(path, "user.x", AT_SYMLINK_NOFOLLOW), IsErrno(EPERM));
    EXPECT_THAT(sys.SetXattr(path, "trusted.x", "y", 0, AT_SYMLINK_NOFOLLOW), IsOk());
    EXPECT_EQ(sys.GetXattr(path, "trusted.x", AT_SYMLINK_NOFOLLOW), "y");
    EXPECT_THAT(sys.ListXattr(path, AT_SYMLINK_NOFOLLOW).value(),
                UnorderedElementsAre("trusted.x"));
  }
}

TEST_P(XattrTest, FollowsOrNot) {
  Put("/f");
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  EXPECT_THAT(sys.SetXattr("/link", "trusted.x", "of the file"), IsOk());
  EXPECT_THAT(sys.SetXattr("/link", "trusted.x", "of the link", 0, AT_SYMLINK_NOFOLLOW), IsOk());
  EXPECT_EQ(sys.GetXattr("/f", "trusted.x"), "of the file");
  EXPECT_EQ(sys.GetXattr("/link", "trusted.x"), "of the file");
  EXPECT_EQ(sys.GetXattr("/link", "trusted.x", AT_SYMLINK_NOFOLLOW), "of the link");
}

TEST_P(XattrTest, UserAttributesNeedThePermissionsOfData) {
  Put("/f", "", 0644);
  Put("/private", "", 0600);
  ASSERT_THAT(sys.SetXattr("/f", "user.x", "y"), IsOk());
  ASSERT_THAT(sys.SetXattr("/private", "user.x", "y"), IsOk());
  Become(kAlice);
  EXPECT_EQ(sys.GetXattr("/f", "user.x"), "y");
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "z"), IsErrno(EACCES));
  EXPECT_THAT(sys.RemoveXattr("/f", "user.x"), IsErrno(EACCES));
  EXPECT_THAT(sys.GetXattr("/private", "user.x"), IsErrno(EACCES));
  EXPECT_THAT(sys.ListXattr("/private").value(), UnorderedElementsAre("user.x"))
      << "names are for everybody";
}

TEST_P(XattrTest, WriterWhoIsNotTheOwner) {
  Put("/f", "", 0666);
  Become(kAlice);
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "y"), IsOk());
}

TEST_P(XattrTest, StickyDirectory) {
  MakeDir("/tmp", 01777);
  Become(kAlice);
  EXPECT_THAT(sys.SetXattr("/tmp", "user.x", "y"), IsErrno(EPERM));
  BecomeRoot();
  EXPECT_THAT(sys.SetXattr("/tmp", "user.x", "y"), IsOk());
}

TEST_P(XattrTest, TrustedIsForAdministrators) {
  Put("/f", "", 0666);
  ASSERT_THAT(sys.SetXattr("/f", "trusted.x", "y"), IsOk());
  GiveTo(kAlice, "/f");
  Become(kAlice);
  EXPECT_THAT(sys.GetXattr("/f", "trusted.x"), IsErrno(ENODATA));
  EXPECT_THAT(sys.SetXattr("/f", "trusted.x", "z"), IsErrno(EPERM));
  EXPECT_THAT(sys.RemoveXattr("/f", "trusted.x"), IsErrno(EPERM));
  EXPECT_THAT(sys.ListXattr("/f").value(), IsEmpty());
}

TEST_P(XattrTest, SecurityIsReadableForAll) {
  Put("/f", "", 0600);
  ASSERT_THAT(sys.SetXattr("/f", "security.x", "y"), IsOk());
  Become(kAlice);
  EXPECT_EQ(sys.GetXattr("/f", "security.x"), "y");
  EXPECT_THAT(sys.SetXattr("/f", "security.x", "z"), IsErrno(EPERM));
  EXPECT_THAT(sys.RemoveXattr("/f", "security.x"), IsErrno(EPERM));
}

TEST_P(XattrTest, Times) {
  Put("/f");
  ExpectSetsTimes("/f", kCtime, [this] { return sys.SetXattr("/f", "user.x", "y"); });
  ExpectSetsTimes("/f", kCtime, [this] { return sys.SetXattr("/f", "user.x", "y"); });
  ExpectSetsTimes("/f", kNone, [this] { return sys.GetXattr("/f", "user.x"); });
  ExpectSetsTimes("/f", kNone, [this] { return sys.ListXattr("/f"); });
  ExpectSetsTimes("/f", kCtime, [this] { return sys.RemoveXattr("/f", "user.x"); });
}

TEST_P(XattrTest, OfADescriptor) {
  Put("/f");
  const int fd = Open("/f", O_RDONLY);
  EXPECT_THAT(sys.SetXattr(fd, "user.x", "y"), IsOk()) << "open for reading will do";
  EXPECT_EQ(sys.GetXattr(fd, "user.x"), "y");
  EXPECT_THAT(sys.ListXattr(fd).value(), UnorderedElementsAre("user.x"));
  ASSERT_THAT(sys.Unlink("/f"), IsOk());
  EXPECT_EQ(sys.GetXattr(fd, "user.x"), "y");
  EXPECT_THAT(sys.RemoveXattr(fd, "user.x"), IsOk());
}

TEST_P(XattrTest, BelongToTheFileNotTheName) {
  Put("/f");
  ASSERT_THAT(sys.SetXattr("/f", "user.x", "y"), IsOk());
  ASSERT_THAT(sys.Link("/f", "/g"), IsOk());
  ASSERT_THAT(sys.Rename("/f", "/h"), IsOk());
  EXPECT_EQ(sys.GetXattr("/g", "user.x"), "y");
  EXPECT_EQ(sys.GetXattr("/h", "user.x"), "y");
}

TEST_P(XattrTest, ReadOnlyFilesystem) {
  Put("/f");
  ASSERT_THAT(sys.SetXattr("/f", "user.x", "y"), IsOk());
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_EQ(sys.GetXattr("/f", "user.x"), "y");
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "z"), IsErrno(EROFS));
  EXPECT_THAT(sys.RemoveXattr("/f", "user.x"), IsErrno(EROFS));
  Become(kAlice);
  EXPECT_THAT(sys.SetXattr("/f", "user.x", "z"), IsErrno(EROFS)) << "comes before EACCES";
}

STASIS_POSIX_SUITE(XattrTest);

class XattrLimitTest : public PosixTest {
 protected:
  XattrLimitTest() : PosixTest(64 * 4096, 10) {}
};

// tmpfs takes the memory of attributes from what its inodes may have, 1 KiB each.
TEST_P(XattrLimitTest, AttributesTakeThePlaceOfInodes) {
  Put("/f");
  EXPECT_THAT(sys.SetXattr("/f", "user.x", std::string(20'000, 'v')), IsErrno(ENOSPC));
  EXPECT_THAT(sys.SetXattr("/f", "user.x", std::string(4'000, 'v')), IsOk());
  EXPECT_EQ(sys.StatFs("/")->blocks_free, 64u) << "not of data";
  EXPECT_THAT(sys.SetXattr("/f", "user.y", std::string(6'000, 'v')), IsErrno(ENOSPC));
  EXPECT_THAT(sys.RemoveXattr("/f", "user.x"), IsOk());
  EXPECT_THAT(sys.SetXattr("/f", "user.y", std::string(6'000, 'v')), IsOk());
}

STASIS_POSIX_SUITE(XattrLimitTest, kTmpfsAccounting);

}  // namespace
}  // namespace stasis::posix
