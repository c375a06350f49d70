// SPDX-License-Identifier: Apache-2.0
//
// POSIX ACLs: their form, who gets what, and how they go with the mode.

#include "vfs/acl.h"

#include <sys/xattr.h>

#include <vector>

#include "tests/testing/memfs_tree.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using ::testing::Contains;
using ::testing::IsEmpty;

struct AclEntry {
  uint16_t tag;
  uint16_t perm;
  uint32_t id = 0xffffffff;
};
constexpr uint16_t kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32;

// The kernel's form of an attribute.
std::string Xattr(const std::vector<AclEntry>& entries, uint32_t version = 2) {
  std::string xattr(reinterpret_cast<const char*>(&version), sizeof(version));
  for (const AclEntry& entry : entries)
    xattr.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
  return xattr;
}

const std::string kAccess(kAclAccessXattr);
const std::string kDefault(kAclDefaultXattr);

// rwx for the owner and user 1000, r-x for group 2000, nothing for others; the mask is `mask`.
std::string Shared(uint16_t mask = 7) {
  return Xattr({{kUserObj, 7},
                {kUser, 7, 1000},
                {kGroupObj, 4},
                {kGroup, 5, 2000},
                {kMask, mask},
                {kOther, 0}});
}

TEST(AclTest, ParsesWhatItFormats) {
  EXPECT_EQ(Acl::Parse(Shared())->Format(), Shared());
  EXPECT_EQ(Acl::Parse(Shared())->Mode(), 0770u);
  EXPECT_EQ(Acl::Parse(Shared(5))->Mode(), 0750u);
  EXPECT_TRUE(Acl::Parse(Xattr({}))->empty());
}

TEST(AclTest, RefusesWhatHasNotTheForm) {
  EXPECT_THAT(Acl::Parse(""), IsErrno(EINVAL));
  EXPECT_THAT(Acl::Parse(Xattr({}, 1)), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(Acl::Parse(Xattr({{kUserObj, 7}}) + "x"), IsErrno(EINVAL));
  EXPECT_THAT(Acl::Parse(Xattr({{kUser, 7}})), IsErrno(EINVAL));
  EXPECT_THAT(Acl::Parse(Xattr({{64, 7}})), IsErrno(EINVAL));
  EXPECT_THAT(Acl::Parse(Xattr({{3, 7}})), IsErrno(EINVAL));
}

TEST(AclTest, KnowsWhatIsNone) {
  const AclEntry user{kUserObj, 7}, group{kGroupObj, 5}, other{kOther, 0}, named{kUser, 7, 1};
  const auto valid = [](const std::vector<AclEntry>& entries) {
    return Acl::Parse(Xattr(entries))->IsValid();
  };
  EXPECT_TRUE(valid({user, group, other}));
  EXPECT_TRUE(valid({user, named, group, {kMask, 7}, other}));
  EXPECT_FALSE(valid({}));
  EXPECT_FALSE(valid({user, group}));
  EXPECT_FALSE(valid({user, other, group}));
  EXPECT_FALSE(valid({user, user, group, other}));
  EXPECT_FALSE(valid({user, named, group, other}));
  EXPECT_FALSE(valid({{kUserObj, 8}, group, other}));
}

class FileAclTest : public MemfsTest {
 protected:
  void SetUp() override {
    ASSERT_THAT(Put("/f", "x"), IsOk());
    ASSERT_THAT(Chmod("/f", 0640), IsOk());
    ASSERT_THAT(Mkdir("/d"), IsOk());
  }
  Result<void> AccessAs(uint32_t uid, std::vector<uint32_t> groups, std::string_view path,
                        vfs::Access want) {
    const Credentials old = std::exchange(creds, Credentials::User(uid, 9));
    creds.groups = std::move(groups);
    auto result = Access(path, want);
    creds = old;
    return result;
  }
};

TEST_F(FileAclTest, NamedUsersAndGroupsGetWhatTheMaskAllows) {
  ASSERT_THAT(SetXattr("/f", kAccess, Shared()), IsOk());
  EXPECT_THAT(AccessAs(1000, {}, "/f", kRead | kWrite | kExecute), IsOk());
  EXPECT_THAT(AccessAs(1001, {2000}, "/f", kRead | kExecute), IsOk());
  EXPECT_THAT(AccessAs(1001, {2000}, "/f", kWrite), IsErrno(EACCES));
  EXPECT_THAT(AccessAs(1001, {0}, "/f", kRead), IsOk());
  EXPECT_THAT(AccessAs(1001, {0, 2000}, "/f", kExecute), IsOk());
  EXPECT_THAT(AccessAs(1001, {}, "/f", kRead), IsErrno(EACCES));
  EXPECT_THAT(Access("/f", kRead | kWrite | kExecute), IsOk());

  ASSERT_THAT(SetXattr("/f", kAccess, Shared(4)), IsOk());
  EXPECT_EQ(Stat("/f")->mode & 0777, 0740u);
  EXPECT_THAT(AccessAs(1000, {}, "/f", kRead), IsOk());
  EXPECT_THAT(AccessAs(1000, {}, "/f", kWrite), IsErrno(EACCES));
}

TEST_F(FileAclTest, SearchingADirectoryAsksItsAcl) {
  ASSERT_THAT(Put("/d/f", "x"), IsOk());
  ASSERT_THAT(Chmod("/d/f", 0644), IsOk());
  ASSERT_THAT(
      SetXattr("/d", kAccess,
               Xattr({{kUserObj, 7}, {kUser, 0, 1000}, {kGroupObj, 5}, {kMask, 5}, {kOther, 5}})),
      IsOk());
  EXPECT_EQ(Stat("/d")->mode & 0777, 0755u);
  EXPECT_THAT(AccessAs(1000, {}, "/d/f", kRead), IsErrno(EACCES));
  EXPECT_THAT(AccessAs(1001, {}, "/d/f", kRead), IsOk());
}

TEST_F(FileAclTest, ChmodChangesTheMask) {
  ASSERT_THAT(SetXattr("/f", kAccess, Shared()), IsOk());
  ASSERT_THAT(Chmod("/f", 0601), IsOk());
  EXPECT_EQ(*GetXattr("/f", kAccess), Xattr({{kUserObj, 6},
                                             {kUser, 7, 1000},
                                             {kGroupObj, 4},
                                             {kGroup, 5, 2000},
                                             {kMask, 0},
                                             {kOther, 1}}));
  EXPECT_THAT(AccessAs(1000, {}, "/f", kRead), IsErrno(EACCES));
}

TEST_F(FileAclTest, AListThatSaysNoMoreThanAModeIsNotKept) {
  ASSERT_THAT(SetXattr("/f", kAccess, Shared()), IsOk());
  ASSERT_THAT(SetXattr("/f", kAccess, Xattr({{kUserObj, 6}, {kGroupObj, 4}, {kOther, 4}})), IsOk());
  EXPECT_EQ(Stat("/f")->mode & 0777, 0644u);
  EXPECT_THAT(GetXattr("/f", kAccess), IsErrno(ENODATA));
  EXPECT_THAT(*ListXattr("/f"), IsEmpty());
}

TEST_F(FileAclTest, RemovingLeavesTheMode) {
  ASSERT_THAT(SetXattr("/f", kAccess, Shared()), IsOk());
  EXPECT_THAT(*ListXattr("/f"), Contains(kAccess));
  ASSERT_THAT(RemoveXattr("/f", kAccess), IsOk());
  EXPECT_EQ(Stat("/f")->mode & 0777, 0770u);
  EXPECT_THAT(AccessAs(1000, {}, "/f", kRead), IsErrno(EACCES));
  EXPECT_THAT(RemoveXattr("/f", kAccess), IsOk());
}

TEST_F(FileAclTest, OnlyTheOwnerMaySetThemAndOnlyDirectoriesHaveDefaults) {
  EXPECT_THAT(SetXattr("/f", kDefault, Shared()), IsErrno(EACCES));
  EXPECT_THAT(SetXattr("/f", kDefault, Xattr({})), IsOk());
  ASSERT_THAT(Symlink("f", "/link"), IsOk());
  EXPECT_THAT(SetXattr("/link", kAccess, Shared()), IsErrno(EOPNOTSUPP));
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(SetXattr("/f", kAccess, Shared()), IsErrno(EPERM));
  EXPECT_THAT(RemoveXattr("/f", kAccess), IsErrno(EPERM));
}

TEST_F(FileAclTest, NewFilesInheritTheDefaultInPlaceOfTheUmask) {
  ASSERT_THAT(SetXattr("/d", kDefault, Shared()), IsOk());
  EXPECT_EQ(Stat("/d")->mode & 0777, 0755u);
  creds.umask = 077;
  ASSERT_THAT(Create("/d/f", 0664), IsOk());
  EXPECT_EQ(Stat("/d/f")->mode & 0777, 0660u);
  EXPECT_EQ(*GetXattr("/d/f", kAccess), Xattr({{kUserObj, 6},
                                               {kUser, 7, 1000},
                                               {kGroupObj, 4},
                                               {kGroup, 5, 2000},
                                               {kMask, 6},
                                               {kOther, 0}}));
  EXPECT_THAT(GetXattr("/d/f", kDefault), IsErrno(ENODATA));
  ASSERT_THAT(Mkdir("/d/sub", 0777), IsOk());
  EXPECT_EQ(*GetXattr("/d/sub", kDefault), Shared());
  EXPECT_EQ(Stat("/d/sub")->mode & 0777, 0770u);
  ASSERT_THAT(Symlink("f", "/d/link"), IsOk());
  EXPECT_EQ(LStat("/d/link")->mode & 0777, 0777u);
  ASSERT_THAT(Create("/plain", 0666), IsOk());
  EXPECT_EQ(Stat("/plain")->mode & 0777, 0600u);
}

TEST_F(FileAclTest, SetGroupIdIsLostByWhoIsNotInTheGroup) {
  ASSERT_THAT(Chown("/f", 1000, 2000), IsOk());
  ASSERT_THAT(Chmod("/f", 02750), IsOk());
  creds = Credentials::User(1000, 1000);
  ASSERT_THAT(SetXattr("/f", kAccess, Shared()), IsOk());
  EXPECT_EQ(Stat("/f")->mode & 07777, 0770u);
}

}  // namespace
}  // namespace stasis::vfs
