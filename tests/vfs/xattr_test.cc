// SPDX-License-Identifier: Apache-2.0
//
// Extended attributes: namespaces, permissions, values and limits.

#include <linux/limits.h>
#include <sys/xattr.h>

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class XattrTest : public MemfsTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Create("/f", 0644), IsOk());
    ASSERT_THAT(Mkdir("/d"), IsOk());
  }
  void BecomeUser() { creds = Credentials::User(1000, 1000); }
  void BecomeRoot() { creds = Credentials::Root(); }
};

TEST_F(XattrTest, ValueIsKeptUntilItIsRemoved) {
  EXPECT_THAT(GetXattr("/f", "user.x"), IsErrno(ENODATA));
  ASSERT_THAT(SetXattr("/f", "user.x", "one"), IsOk());
  EXPECT_EQ(*GetXattr("/f", "user.x"), "one");
  ASSERT_THAT(SetXattr("/f", "user.x", "two"), IsOk());
  EXPECT_EQ(*GetXattr("/f", "user.x"), "two");
  ASSERT_THAT(RemoveXattr("/f", "user.x"), IsOk());
  EXPECT_THAT(GetXattr("/f", "user.x"), IsErrno(ENODATA));
  EXPECT_THAT(RemoveXattr("/f", "user.x"), IsErrno(ENODATA));
}

TEST_F(XattrTest, MissingFileIsENOENT) {
  EXPECT_THAT(SetXattr("/missing", "user.x", ""), IsErrno(ENOENT));
  EXPECT_THAT(GetXattr("/missing", "user.x"), IsErrno(ENOENT));
  EXPECT_THAT(ListXattr("/missing"), IsErrno(ENOENT));
  EXPECT_THAT(RemoveXattr("/missing", "user.x"), IsErrno(ENOENT));
}

TEST_F(XattrTest, CreateIsForNewAndReplaceForOld) {
  EXPECT_THAT(SetXattr("/f", "user.x", "a", XATTR_REPLACE), IsErrno(ENODATA));
  EXPECT_THAT(SetXattr("/f", "user.x", "b", XATTR_CREATE), IsOk());
  EXPECT_THAT(SetXattr("/f", "user.x", "c", XATTR_CREATE), IsErrno(EEXIST));
  EXPECT_THAT(SetXattr("/f", "user.x", "d", XATTR_REPLACE), IsOk());
  EXPECT_EQ(*GetXattr("/f", "user.x"), "d");
  EXPECT_THAT(SetXattr("/f", "user.x", "e", 4), IsErrno(EINVAL));
}

TEST_F(XattrTest, ValueMayBeEmptyOrAnyBytes) {
  ASSERT_THAT(SetXattr("/f", "user.empty", ""), IsOk());
  EXPECT_EQ(*GetXattr("/f", "user.empty"), "");
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  ASSERT_THAT(SetXattr("/f", "user.bytes", bytes), IsOk());
  EXPECT_EQ(*GetXattr("/f", "user.bytes"), bytes);
}

TEST_F(XattrTest, NameHasOneTo255Bytes) {
  EXPECT_THAT(SetXattr("/f", "", "x"), IsErrno(ERANGE));
  EXPECT_THAT(SetXattr("/f", "user." + std::string(251, 'x'), "x"), IsErrno(ERANGE));
  EXPECT_THAT(GetXattr("/f", "user." + std::string(251, 'x')), IsErrno(ERANGE));
  EXPECT_THAT(SetXattr("/f", "user." + std::string(250, 'x'), "x"), IsOk());
}

TEST_F(XattrTest, ValueHas64KibibytesAtMost) {
  EXPECT_THAT(SetXattr("/f", "user.x", std::string(XATTR_SIZE_MAX + 1, 'x')), IsErrno(E2BIG));
  EXPECT_THAT(SetXattr("/f", "user.x", std::string(XATTR_SIZE_MAX, 'x')), IsOk());
  EXPECT_THAT(*GetXattr("/f", "user.x"), SizeIs(XATTR_SIZE_MAX));
}

TEST_F(XattrTest, ListHas64KibibytesAtMost) {
  const auto name = [](int i) {
    return "user." + std::to_string(1000 + i) + std::string(246, 'x');  // 256 bytes with the NUL
  };
  for (int i = 0; i < 256; ++i) ASSERT_THAT(SetXattr("/f", name(i), ""), IsOk()) << i;
  EXPECT_THAT(SetXattr("/f", name(256), ""), IsErrno(ENOSPC));
  EXPECT_THAT(SetXattr("/f", name(0), "changed"), IsOk());
  EXPECT_THAT(*ListXattr("/f"), SizeIs(256));
}

TEST_F(XattrTest, NamespaceMustBeKnownAndTheNameNotEmpty) {
  EXPECT_THAT(SetXattr("/f", "nothing", "x"), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(SetXattr("/f", "other.x", "x"), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(SetXattr("/f", "system.x", "x"), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(GetXattr("/f", "other.x"), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(SetXattr("/f", "user.", "x"), IsErrno(EINVAL));
  EXPECT_THAT(SetXattr("/f", "trusted.", "x"), IsErrno(EINVAL));
}

TEST_F(XattrTest, UserAttributesFollowThePermissionBits) {
  ASSERT_THAT(SetXattr("/f", "user.x", "x"), IsOk());
  BecomeUser();
  EXPECT_EQ(*GetXattr("/f", "user.x"), "x");
  EXPECT_THAT(SetXattr("/f", "user.x", "y"), IsErrno(EACCES));
  EXPECT_THAT(RemoveXattr("/f", "user.x"), IsErrno(EACCES));
  BecomeRoot();
  ASSERT_THAT(Chmod("/f", 0600), IsOk());
  BecomeUser();
  EXPECT_THAT(GetXattr("/f", "user.x"), IsErrno(EACCES));
  EXPECT_THAT(ListXattr("/f"), IsOk());
}

TEST_F(XattrTest, OnlyFilesAndDirectoriesHaveUserAttributes) {
  ASSERT_THAT(Symlink("f", "/link"), IsOk());
  ASSERT_THAT(Mknod("/fifo", S_IFIFO | 0666), IsOk());
  for (const char* path : {"/link", "/fifo"}) {
    EXPECT_THAT(SetXattr(path, "user.x", "x"), IsErrno(EPERM)) << path;
    EXPECT_THAT(GetXattr(path, "user.x"), IsErrno(ENODATA)) << path;
    EXPECT_THAT(SetXattr(path, "trusted.x", "x"), IsOk()) << path;
    EXPECT_EQ(*GetXattr(path, "trusted.x"), "x") << path;
  }
  EXPECT_THAT(SetXattr("/d", "user.x", "x"), IsOk());
}

TEST_F(XattrTest, StickyDirectoryIsItsOwnersOnly) {
  ASSERT_THAT(Chmod("/d", 01777), IsOk());
  BecomeUser();
  EXPECT_THAT(SetXattr("/d", "user.x", "x"), IsErrno(EPERM));
  BecomeRoot();
  ASSERT_THAT(Chmod("/d", 0777), IsOk());
  BecomeUser();
  EXPECT_THAT(SetXattr("/d", "user.x", "x"), IsOk());
}

TEST_F(XattrTest, TrustedAttributesAreForAdministratorsEyesOnly) {
  ASSERT_THAT(Chmod("/f", 0666), IsOk());
  ASSERT_THAT(SetXattr("/f", "trusted.x", "secret"), IsOk());
  ASSERT_THAT(SetXattr("/f", "user.x", "public"), IsOk());
  EXPECT_THAT(*ListXattr("/f"), UnorderedElementsAre("trusted.x", "user.x"));
  BecomeUser();
  EXPECT_THAT(GetXattr("/f", "trusted.x"), IsErrno(ENODATA));
  EXPECT_THAT(SetXattr("/f", "trusted.x", "y"), IsErrno(EPERM));
  EXPECT_THAT(RemoveXattr("/f", "trusted.x"), IsErrno(EPERM));
  EXPECT_THAT(*ListXattr("/f"), UnorderedElementsAre("user.x"));
}

TEST_F(XattrTest, SecurityAttributesAreReadByAllAndWrittenByAdministrators) {
  ASSERT_THAT(SetXattr("/f", "security.x", "x"), IsOk());
  BecomeUser();
  EXPECT_EQ(*GetXattr("/f", "security.x"), "x");
  EXPECT_THAT(SetXattr("/f", "security.x", "y"), IsErrno(EPERM));
  EXPECT_THAT(RemoveXattr("/f", "security.x"), IsErrno(EPERM));
}

TEST_F(XattrTest, AttributesBelongToTheFileAndNotToTheName) {
  ASSERT_THAT(Link("/f", "/g"), IsOk());
  ASSERT_THAT(SetXattr("/f", "user.x", "x"), IsOk());
  EXPECT_EQ(*GetXattr("/g", "user.x"), "x");
  ASSERT_THAT(Unlink("/f"), IsOk());
  ASSERT_THAT(Create("/f"), IsOk());
  EXPECT_THAT(*ListXattr("/f"), IsEmpty());
  EXPECT_THAT(*ListXattr("/g"), SizeIs(1));
}

}  // namespace
}  // namespace stasis::vfs
