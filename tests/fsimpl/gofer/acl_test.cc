// SPDX-License-Identifier: Apache-2.0
//
// Access control lists of host files: who is asked for them, when, and what they decide.

#include "vfs/acl.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/fsimpl/gofer/faulty_host_ops.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::gofer {
namespace {

using testing::IsErrno;
using testing::IsOk;
using testing::TestVfs;

constexpr char kAccess[] = "system.posix_acl_access";
constexpr char kDefault[] = "system.posix_acl_default";

constexpr uint32_t kAlice = 1000;
constexpr uint32_t kBob = 1001;
constexpr uint32_t kTeam = 2000;

// All for the owner; that much for Alice, the owning group and everybody; limited by the mask.
std::string AclOf(uint16_t alice, uint16_t group, uint16_t mask, uint16_t other) {
  std::string value("\2\0\0\0", 4);
  const auto add = [&value](uint16_t tag, uint16_t permissions, uint32_t id = 0xffffffff) {
    value.append(reinterpret_cast<const char*>(&tag), sizeof tag);
    value.append(reinterpret_cast<const char*>(&permissions), sizeof permissions);
    value.append(reinterpret_cast<const char*>(&id), sizeof id);
  };
  add(0x01, 7);
  add(0x02, alice, kAlice);
  add(0x04, group);
  add(0x10, mask);
  add(0x20, other);
  return value;
}

class AclTest : public HostTree {
 protected:
  const vfs::Credentials alice_ = vfs::Credentials::User(kAlice, kAlice);
  const vfs::Credentials bob_ = vfs::Credentials::User(kBob, kTeam);

  // A directory that everybody may search.
  TestVfs& ServeIn(Interop interop) {
    EXPECT_EQ(::chmod(Path("").c_str(), 0755), 0);
    return Serve({.interop = interop, .ops = ops_});
  }
  void SetOnHost(std::string_view name, const char* attribute, const std::string& acl) {
    ASSERT_EQ(::setxattr(Path(name).c_str(), attribute, acl.data(), acl.size(), 0), 0) << name;
  }
  bool HasOnHost(std::string_view name, const char* attribute) {
    return ::getxattr(Path(name).c_str(), attribute, nullptr, 0) >= 0;
  }
  Result<void> MayRead(const vfs::Credentials& creds, std::string_view path) {
    return tree().vfs().AccessAt(creds, tree().At(path), vfs::kRead);
  }
  void Create(std::string_view path) {
    auto file = tree().vfs().OpenAt(User022(), tree().At(path),
                                    {.flags = O_CREAT | O_EXCL | O_WRONLY, .mode = 0666});
    EXPECT_THAT(file, IsOk()) << path;
  }
  // How often the host was asked for an attribute since `Watch`.
  void Watch() { ops_->FailAt(0, 0); }
  size_t Asked() const {
    const std::vector<HostCall> calls = ops_->calls();
    return static_cast<size_t>(std::count(calls.begin(), calls.end(), HostCall::kGetXattr));
  }
  static vfs::Credentials User022() {
    vfs::Credentials creds = vfs::Credentials::Root();
    creds.umask = 022;
    return creds;
  }

  const std::shared_ptr<FaultyHostOps> ops_ = std::make_shared<FaultyHostOps>();
};

TEST_F(AclTest, TheDefaultIsAskedForOnceInADirectoryOfOurOwn) {
  MakeDir("d");
  ServeIn(Interop::kExclusive);
  Create("/d/first");
  Watch();
  Create("/d/second");
  Create("/d/third");
  tree().Mkdir("/d/e");
  EXPECT_EQ(Asked(), 0u);
}

TEST_F(AclTest, TheDefaultIsAskedForOnceForEachFileOfASharedDirectory) {
  MakeDir("d");
  ServeIn(Interop::kShared);
  Watch();
  Create("/d/f");
  EXPECT_EQ(Asked(), 1u);
  SetOnHost("d", kDefault, AclOf(7, 7, 7, 7));
  Create("/d/g");
  EXPECT_EQ(Asked(), 2u);
  EXPECT_EQ(HostStatOf("d/g").st_mode & 07777, 0666u) << "the umask does not count";
}

TEST_F(AclTest, ADefaultCountsAsSoonAsItIsSetAndNoLonger) {
  MakeDir("d");
  TestVfs& t = ServeIn(Interop::kExclusive);
  Create("/d/before");
  EXPECT_EQ(HostStatOf("d/before").st_mode & 07777, 0644u);
  t.SetXattr("/d", kDefault, AclOf(6, 4, 6, 0));
  Create("/d/with");
  EXPECT_EQ(HostStatOf("d/with").st_mode & 07777, 0660u);
  EXPECT_THAT(MayRead(alice_, "/d/with"), IsOk());
  EXPECT_THAT(MayRead(bob_, "/d/with"), IsErrno(EACCES));
  t.Mkdir("/d/e");
  Create("/d/e/below");
  EXPECT_EQ(HostStatOf("d/e/below").st_mode & 07777, 0660u);
  ASSERT_THAT(t.vfs().RemoveXattrAt(t.creds(), t.At("/d"), kDefault), IsOk());
  Create("/d/after");
  EXPECT_EQ(HostStatOf("d/after").st_mode & 07777, 0644u);
}

TEST_F(AclTest, ADefaultThatTheHostHasSetMeanwhileCountsAfterARestore) {
  MakeDir("d");
  TestVfs& t = ServeIn(Interop::kExclusive);
  Create("/d/before");
  ASSERT_TRUE(t.Save().ok());
  SetOnHost("d", kDefault, AclOf(6, 4, 6, 0));
  ASSERT_TRUE(t.Restore().ok());
  Create("/d/after");
  EXPECT_EQ(HostStatOf("d/after").st_mode & 07777, 0660u);
}

class AccessAclTest : public AclTest, public ::testing::WithParamInterface<Interop> {};

TEST_P(AccessAclTest, DecidesForUsersAndGroups) {
  Put("f", "secret");
  ASSERT_EQ(::chown(Path("f").c_str(), 0, kTeam), 0);
  SetOnHost("f", kAccess, AclOf(4, 0, 4, 0));
  TestVfs& t = ServeIn(GetParam());
  EXPECT_EQ(t.Stat("/f").mode & 0777, 0740u);
  EXPECT_THAT(MayRead(alice_, "/f"), IsOk());
  EXPECT_THAT(MayRead(bob_, "/f"), IsErrno(EACCES)) << "the group's bits are the mask's";
  EXPECT_THAT(t.vfs().AccessAt(alice_, t.At("/f"), vfs::kWrite), IsErrno(EACCES));
  EXPECT_THAT(t.vfs().OpenAt(alice_, t.At("/f"), {.flags = O_RDONLY}), IsOk());
  EXPECT_EQ(t.Read("/f"), "secret");
}

TEST_P(AccessAclTest, DecidesAboutWalks) {
  MakeDir("d");
  Put("d/f", "x");
  ASSERT_EQ(::chmod(Path("d/f").c_str(), 0644), 0);
  SetOnHost("d", kAccess, AclOf(0, 7, 7, 7));
  TestVfs& t = ServeIn(GetParam());
  EXPECT_EQ(t.Stat("/d").mode & 0777, 0777u);
  EXPECT_THAT(MayRead(alice_, "/d/f"), IsErrno(EACCES));
  EXPECT_THAT(MayRead(bob_, "/d/f"), IsOk());
  EXPECT_THAT(MayRead(t.creds(), "/d/f"), IsOk());
}

TEST_P(AccessAclTest, ChangesCountAtOnce) {
  Put("f", "x");
  ASSERT_EQ(::chmod(Path("f").c_str(), 0640), 0);
  TestVfs& t = ServeIn(GetParam());
  EXPECT_THAT(MayRead(alice_, "/f"), IsErrno(EACCES));
  t.SetXattr("/f", kAccess, AclOf(4, 0, 4, 0));
  EXPECT_THAT(MayRead(alice_, "/f"), IsOk());
  t.Set("/f", {.mode = 0600});
  EXPECT_THAT(MayRead(alice_, "/f"), IsErrno(EACCES)) << "chmod(2) has set the mask";
  t.Set("/f", {.mode = 0640});
  EXPECT_THAT(MayRead(alice_, "/f"), IsOk());
  ASSERT_THAT(t.vfs().RemoveXattrAt(t.creds(), t.At("/f"), kAccess), IsOk());
  EXPECT_THAT(MayRead(alice_, "/f"), IsErrno(EACCES));
}

TEST_P(AccessAclTest, OneThatCannotBeReadLetsNobodyInWhomItMayKeepOut) {
  Put("f", "x");
  ASSERT_EQ(::chown(Path("f").c_str(), 0, kTeam), 0);
  SetOnHost("f", kAccess, AclOf(4, 0, 4, 0));
  TestVfs& t = ServeIn(GetParam());
  // Where it is known it is forgotten.
  const auto forget = [&] { t.SetXattr("/f", kAccess, AclOf(4, 0, 4, 0)); };
  EXPECT_THAT(MayRead(bob_, "/f"), IsErrno(EACCES));
  forget();
  Watch();
  EXPECT_THAT(MayRead(bob_, "/f"), IsErrno(EACCES));
  const size_t calls = ops_->calls().size();
  ASSERT_GT(calls, 0u);
  ASSERT_EQ(ops_->calls().back(), HostCall::kGetXattr);
  forget();
  ops_->FailAt(calls, EIO);
  EXPECT_THAT(MayRead(bob_, "/f"), IsErrno(EIO));
  ops_->FailAt(0, 0);
  EXPECT_THAT(MayRead(bob_, "/f"), IsErrno(EACCES));
}

TEST_P(AccessAclTest, OfADeletedFileAndADeletedDirectoryComeBack) {
  Put("f", "x");
  MakeDir("d");
  SetOnHost("f", kAccess, AclOf(4, 0, 4, 0));
  SetOnHost("d", kAccess, AclOf(5, 0, 7, 0));
  SetOnHost("d", kDefault, AclOf(6, 6, 6, 6));
  TestVfs& t = ServeIn(GetParam());
  t.Hold("file", t.Open("/f", O_RDWR));
  t.Hold("dir", t.Open("/d", O_RDONLY | O_DIRECTORY));
  t.Unlink("/f");
  t.Rmdir("/d");
  for (int i = 0; i < 2; ++i) {
    t.SaveAndRestore();
    const vfs::VirtualDentry file = t.Held<vfs::FileDescription>("file")->at();
    const vfs::VirtualDentry dir = t.Held<vfs::FileDescription>("dir")->at();
    const auto get = [&t](const vfs::VirtualDentry& at, const char* name) {
      return t.vfs().GetXattrAt(t.creds(), {t.root(), at, ""}, name);
    };
    EXPECT_EQ(get(file, kAccess), AclOf(4, 0, 4, 0));
    EXPECT_EQ(get(dir, kAccess), AclOf(5, 0, 7, 0));
    EXPECT_EQ(get(dir, kDefault), AclOf(6, 6, 6, 6));
    EXPECT_THAT(t.vfs().AccessAt(alice_, {t.root(), file, ""}, vfs::kRead), IsOk());
    EXPECT_THAT(t.vfs().AccessAt(bob_, {t.root(), file, ""}, vfs::kRead), IsErrno(EACCES));
  }
}

TEST_P(AccessAclTest, OfAFileThatGetsANameAgainIsOnTheHost) {
  TestVfs& t = ServeIn(GetParam());
  auto file = t.Open("/", O_TMPFILE | O_RDWR, 0640);
  ASSERT_THAT(
      t.vfs().SetXattrAt(t.creds(), {t.root(), file->at(), ""}, kAccess, AclOf(4, 0, 4, 0), 0),
      IsOk());
  t.Hold("file", std::move(file));
  t.SaveAndRestore();
  file = t.Held<vfs::FileDescription>("file");
  ASSERT_THAT(t.vfs().LinkAt(t.creds(), {t.root(), file->at(), ""}, t.At("/name")), IsOk());
  EXPECT_TRUE(HasOnHost("name", kAccess));
  EXPECT_THAT(MayRead(alice_, "/name"), IsOk());
  EXPECT_THAT(MayRead(bob_, "/name"), IsErrno(EACCES));
}

TEST_P(AccessAclTest, AreNotSavedOfFilesThatAreOnTheHost) {
  Put("f", "x");
  SetOnHost("f", kAccess, AclOf(4, 0, 4, 0));
  TestVfs& t = ServeIn(GetParam());
  EXPECT_THAT(MayRead(alice_, "/f"), IsOk());
  ASSERT_TRUE(t.Save().ok());
  ASSERT_EQ(::removexattr(Path("f").c_str(), kAccess), 0);
  ASSERT_TRUE(t.Restore().ok());
  EXPECT_THAT(MayRead(alice_, "/f"), IsErrno(EACCES));
}

INSTANTIATE_TEST_SUITE_P(, AccessAclTest, ::testing::Values(Interop::kExclusive, Interop::kShared),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

TEST_F(AclTest, ASharedDirectorysListIsTheHostsOfThatMoment) {
  Put("f", "x");
  ASSERT_EQ(::chmod(Path("f").c_str(), 0640), 0);
  ServeIn(Interop::kShared);
  EXPECT_THAT(MayRead(alice_, "/f"), IsErrno(EACCES));
  SetOnHost("f", kAccess, AclOf(4, 0, 4, 0));
  EXPECT_THAT(MayRead(alice_, "/f"), IsOk());
  ASSERT_EQ(::removexattr(Path("f").c_str(), kAccess), 0);
  EXPECT_THAT(MayRead(alice_, "/f"), IsErrno(EACCES));
}

TEST_F(AclTest, IsAskedForOnlyWhereItCanDecide) {
  Put("f", "x");
  ASSERT_EQ(::chmod(Path("f").c_str(), 0600), 0);
  Put("g", "x");
  ASSERT_EQ(::chmod(Path("g").c_str(), 0640), 0);
  TestVfs& t = ServeIn(Interop::kExclusive);
  t.Stat("/f");
  t.Stat("/g");
  Watch();
  EXPECT_THAT(MayRead(alice_, "/f"), IsErrno(EACCES)) << "the mask is empty";
  EXPECT_THAT(MayRead(t.creds(), "/g"), IsOk()) << "he may anyway";
  EXPECT_EQ(Asked(), 0u);
  EXPECT_THAT(MayRead(alice_, "/g"), IsErrno(EACCES));
  EXPECT_THAT(MayRead(alice_, "/g"), IsErrno(EACCES));
  EXPECT_EQ(Asked(), 1u);
}

}  // namespace
}  // namespace stasis::gofer
