// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kAccess[] = "system.posix_acl_access";
constexpr char kDefault[] = "system.posix_acl_default";

enum Tag : uint16_t { kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32 };

struct Entry {
  Tag tag;
  uint16_t permissions;
  uint32_t id = 0xffffffff;
};

// The attribute's value: the kernel's form, which setfacl(1) makes.
std::string Acl(const std::vector<Entry>& entries, uint32_t version = 2) {
  std::string value(reinterpret_cast<const char*>(&version), sizeof(version));
  for (const Entry& entry : entries) {
    value.append(reinterpret_cast<const char*>(&entry.tag), sizeof(entry.tag));
    value.append(reinterpret_cast<const char*>(&entry.permissions), sizeof(entry.permissions));
    value.append(reinterpret_cast<const char*>(&entry.id), sizeof(entry.id));
  }
  return value;
}

// Everything for the owner, that much for Alice and the team, nothing for others.
std::string Shared(uint16_t alice, uint16_t team, uint16_t mask) {
  return Acl({{kUserObj, 7},
              {kUser, alice, kAlice},
              {kGroupObj, 0},
              {kGroup, team, kTeam},
              {kMask, mask},
              {kOther, 0}});
}

class PosixAclTest : public PosixTest {};

TEST_P(PosixAclTest, IsAnAttribute) {
  Put("/f", "", 0640);
  EXPECT_THAT(sys.GetXattr("/f", kAccess), IsErrno(ENODATA));
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Shared(6, 4, 6)), IsOk());
  EXPECT_EQ(sys.GetXattr("/f", kAccess), Shared(6, 4, 6));
  EXPECT_THAT(sys.ListXattr("/f").value(), UnorderedElementsAre(kAccess));
  EXPECT_EQ(ModeOf("/f"), 0760u) << "the group's bits are the mask";
  EXPECT_THAT(sys.RemoveXattr("/f", kAccess), IsOk());
  EXPECT_THAT(sys.ListXattr("/f").value(), IsEmpty());
  EXPECT_EQ(ModeOf("/f"), 0760u);
  EXPECT_THAT(sys.RemoveXattr("/f", kAccess), IsOk()) << "there is none";
}

TEST_P(PosixAclTest, OneThatSaysNoMoreThanAModeIsNotKept) {
  Put("/f", "", 0644);
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Acl({{kUserObj, 6}, {kGroupObj, 0}, {kOther, 1}})),
              IsOk());
  EXPECT_EQ(ModeOf("/f"), 0601u);
  EXPECT_THAT(sys.GetXattr("/f", kAccess), IsErrno(ENODATA));
  EXPECT_THAT(sys.ListXattr("/f").value(), IsEmpty());
}

TEST_P(PosixAclTest, LetsTheNextChangeTakeTheSetGroupIdBitOfAProgram) {
  Put("/f");
  ASSERT_THAT(sys.Chown("/f", kAlice, kAlice), IsOk());
  ASSERT_THAT(sys.Chmod("/f", 02664), IsOk());
  ASSERT_EQ(ModeOf("/f"), 02664u) << "no program: the bit is not that of one";
  const int fd = Open("/f", O_RDWR);
  const std::string executable = Acl({{kUserObj, 6}, {kGroupObj, 7}, {kOther, 4}});
  ASSERT_THAT(sys.SetXattr("/f", kAccess, executable), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.Fallocate(fd, 0, 0, 1), IsOk());
  EXPECT_EQ(ModeOf("/f"), 0674u);
}

TEST_P(PosixAclTest, ChmodChangesTheMask) {
  Put("/f", "", 0600);
  ASSERT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsOk());
  EXPECT_THAT(sys.Chmod("/f", 0641), IsOk());
  EXPECT_EQ(sys.GetXattr("/f", kAccess), Acl({{kUserObj, 6},
                                              {kUser, 7, kAlice},
                                              {kGroupObj, 0},
                                              {kGroup, 7, kTeam},
                                              {kMask, 4},
                                              {kOther, 1}}));
  EXPECT_EQ(ModeOf("/f"), 0641u);
}

TEST_P(PosixAclTest, DefaultIsInheritedByFiles) {
  MakeDir("/d");
  EXPECT_THAT(sys.SetXattr("/d", kDefault, Shared(6, 7, 7)), IsOk());
  EXPECT_EQ(ModeOf("/d"), 0755u) << "says nothing of the directory itself";
  EXPECT_THAT(sys.ListXattr("/d").value(), UnorderedElementsAre(kDefault));
  sys.Umask(077);
  Put("/d/f", "", 0664);
  EXPECT_EQ(ModeOf("/d/f"), 0660u) << "the umask does not count";
  EXPECT_EQ(sys.GetXattr("/d/f", kAccess), Acl({{kUserObj, 6},
                                                {kUser, 6, kAlice},
                                                {kGroupObj, 0},
                                                {kGroup, 7, kTeam},
                                                {kMask, 6},
                                                {kOther, 0}}));
  EXPECT_THAT(sys.GetXattr("/d/f", kDefault), IsErrno(ENODATA));
  ASSERT_THAT(sys.Mknod("/d/fifo", S_IFIFO | 0666), IsOk());
  EXPECT_EQ(ModeOf("/d/fifo"), 0660u);
  ASSERT_THAT(sys.Symlink("f", "/d/link"), IsOk());
  EXPECT_EQ(ModeOf("/d/link"), 0777u);
}

TEST_P(PosixAclTest, DefaultIsInheritedByDirectories) {
  MakeDir("/d");
  ASSERT_THAT(sys.SetXattr("/d", kDefault, Shared(6, 7, 7)), IsOk());
  MakeDir("/d/e", 0755);
  EXPECT_EQ(sys.GetXattr("/d/e", kDefault), Shared(6, 7, 7));
  EXPECT_EQ(sys.GetXattr("/d/e", kAccess), Shared(6, 7, 5));
  EXPECT_EQ(ModeOf("/d/e"), 0750u);
}

TEST_P(PosixAclTest, MinimalDefaultReplacesTheUmask) {
  MakeDir("/d");
  const std::string minimal = Acl({{kUserObj, 7}, {kGroupObj, 5}, {kOther, 1}});
  EXPECT_THAT(sys.SetXattr("/d", kDefault, minimal), IsOk());
  EXPECT_EQ(sys.GetXattr("/d", kDefault), minimal) << "is kept";
  sys.Umask(077);
  Put("/d/f", "", 0666);
  EXPECT_EQ(ModeOf("/d/f"), 0640u);
  EXPECT_THAT(sys.GetXattr("/d/f", kAccess), IsErrno(ENODATA));
  EXPECT_THAT(sys.RemoveXattr("/d", kDefault), IsOk());
  Put("/d/g", "", 0666);
  EXPECT_EQ(ModeOf("/d/g"), 0600u);
}

TEST_P(PosixAclTest, OnlyDirectoriesHaveADefault) {
  Put("/f");
  EXPECT_THAT(sys.SetXattr("/f", kDefault, Shared(7, 7, 7)), IsErrno(EACCES));
  EXPECT_THAT(sys.GetXattr("/f", kDefault), IsErrno(ENODATA));
}

TEST_P(PosixAclTest, InvalidLists) {
  Put("/f");
  const auto set = [this](const std::string& value) { return sys.SetXattr("/f", kAccess, value); };
  EXPECT_THAT(set("x"), IsErrno(EINVAL));
  EXPECT_THAT(set(Acl({{kUserObj, 7}, {kGroupObj, 7}, {kOther, 7}}, 1)), IsErrno(EOPNOTSUPP));
  EXPECT_THAT(set(Acl({{kUserObj, 7}, {kGroupObj, 7}})), IsErrno(EINVAL));
  EXPECT_THAT(set(Acl({{kUserObj, 8}, {kGroupObj, 7}, {kOther, 7}})), IsErrno(EINVAL));
  EXPECT_THAT(set(Acl({{kOther, 7}, {kGroupObj, 7}, {kUserObj, 7}})), IsErrno(EINVAL));
  EXPECT_THAT(set(Acl({{kUserObj, 7}, {kUser, 7, 1}, {kGroupObj, 7}, {kOther, 7}})),
              IsErrno(EINVAL))
      << "no mask";
  EXPECT_THAT(set(Shared(7, 7, 7) + "x"), IsErrno(EINVAL));
  EXPECT_EQ(ModeOf("/f"), 0644u);
}

TEST_P(PosixAclTest, EmptyListRemoves) {
  Put("/f", "", 0600);
  ASSERT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsOk());
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Acl({})), IsOk());
  EXPECT_THAT(sys.GetXattr("/f", kAccess), IsErrno(ENODATA));
}

TEST_P(PosixAclTest, OnlyTheOwnerMay) {
  Put("/f", "", 0666);
  ASSERT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsErrno(EPERM));
  EXPECT_THAT(sys.RemoveXattr("/f", kAccess), IsErrno(EPERM));
  EXPECT_EQ(sys.GetXattr("/f", kAccess), Shared(7, 7, 7));
  BecomeRoot();
  GiveTo(kAlice, "/f");
  Become(kAlice);
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsOk());
}

TEST_P(PosixAclTest, LinksHaveNone) {
  ASSERT_THAT(sys.Symlink("x", "/link"), IsOk());
  EXPECT_THAT(sys.SetXattr("/link", kAccess, Shared(7, 7, 7), 0, AT_SYMLINK_NOFOLLOW),
              IsErrno(EOPNOTSUPP));
  EXPECT_THAT(sys.GetXattr("/link", kAccess, AT_SYMLINK_NOFOLLOW), IsErrno(EOPNOTSUPP));
}

TEST_P(PosixAclTest, ClearsSetGroupIdOfAForeignGroup) {
  Put("/f", "", 0600);
  ASSERT_THAT(sys.Chown("/f", kAlice, kTeam), IsOk());
  ASSERT_THAT(sys.Chmod("/f", 02770), IsOk());
  Become(kAlice, {kTeam});
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsOk());
  EXPECT_EQ(ModeOf("/f"), 02770u);
  Become(kAlice);
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsOk());
  EXPECT_EQ(ModeOf("/f"), 0770u);
}

TEST_P(PosixAclTest, Times) {
  MakeDir("/d");
  ExpectSetsTimes("/d", kCtime, [this] { return sys.SetXattr("/d", kAccess, Shared(7, 7, 7)); });
  ExpectSetsTimes("/d", kCtime, [this] { return sys.SetXattr("/d", kDefault, Shared(7, 7, 7)); });
  ExpectSetsTimes("/d", kCtime, [this] { return sys.RemoveXattr("/d", kAccess); });
}

TEST_P(PosixAclTest, ReadOnlyFilesystem) {
  Put("/f");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 7)), IsErrno(EROFS));
  EXPECT_THAT(sys.RemoveXattr("/f", kAccess), IsErrno(EROFS));
}

STASIS_POSIX_SUITE(PosixAclTest);

class PosixAclAccessTest : public PosixTest {};

TEST_P(PosixAclAccessTest, Grants) {
  Put("/f", "", 0600);
  ASSERT_THAT(sys.SetXattr("/f", kAccess, Shared(6, 4, 7)), IsOk());
  const auto may = [this](const Identity& who, int what) {
    sys.Become(who);
    const auto result = sys.Access("/f", what);
    BecomeRoot();
    return result.has_value();
  };
  EXPECT_TRUE(may({kAlice, kAlice}, R_OK | W_OK));
  EXPECT_FALSE(may({kAlice, kAlice}, X_OK));
  EXPECT_TRUE(may({kBob, kTeam}, R_OK));
  EXPECT_TRUE(may({kBob, kBob, {kTeam}}, R_OK));
  EXPECT_FALSE(may({kBob, kBob, {kTeam}}, W_OK));
  EXPECT_FALSE(may({kBob, kBob}, R_OK));
  EXPECT_FALSE(may({kBob, 0}, R_OK)) << "the owning group";
  EXPECT_TRUE(may({kBob, 0, {kTeam}}, R_OK)) << "any group that says yes";
}

TEST_P(PosixAclAccessTest, TheMaskLimits) {
  Put("/f", "", 0600);
  ASSERT_THAT(sys.SetXattr("/f", kAccess, Shared(7, 7, 4)), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.Open("/f", O_RDONLY), IsOk());
  EXPECT_THAT(sys.Open("/f", O_WRONLY), IsErrno(EACCES));
  BecomeRoot();
  GiveTo(kAlice, "/f");
  Become(kAlice);
  EXPECT_THAT(sys.Open("/f", O_WRONLY), IsOk()) << "not the owner";
}

TEST_P(PosixAclAccessTest, SearchOfDirectories) {
  MakeDir("/d", 0700);
  Put("/d/f", "", 0666);
  ASSERT_THAT(sys.SetXattr("/d", kAccess, Shared(1, 7, 7)), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.Stat("/d/f"), IsOk());
  EXPECT_THAT(sys.Open("/d", O_RDONLY), IsErrno(EACCES));
  EXPECT_THAT(sys.Unlink("/d/f"), IsErrno(EACCES));
  Become(kBob, {kTeam});
  EXPECT_THAT(sys.Unlink("/d/f"), IsOk());
  Become(kBob);
  EXPECT_THAT(sys.Stat("/d/f"), IsErrno(EACCES));
}

STASIS_POSIX_SUITE(PosixAclAccessTest, kAclChecks);

class PosixAclTmpfileTest : public PosixTest {};

TEST_P(PosixAclTmpfileTest, InheritsTheDefault) {
  MakeDir("/d");
  ASSERT_THAT(sys.SetXattr("/d", kDefault, Shared(6, 7, 7)), IsOk());
  const int fd = Open("/d", O_TMPFILE | O_RDWR, 0666);
  EXPECT_EQ(ModeOf(fd), 0660u);
}

STASIS_POSIX_SUITE(PosixAclTmpfileTest);

}  // namespace
}  // namespace stasis::posix
