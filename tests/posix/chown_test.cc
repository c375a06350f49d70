// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

class ChownTest : public PosixTest {};

TEST_P(ChownTest, WalkErrors) {
  ExpectWalkErrors([this](const std::string& path) { return sys.Chown(path, 1, 1); });
}

TEST_P(ChownTest, FollowErrors) {
  ExpectFollowErrors([this](const std::string& path) { return sys.Chown(path, 1, 1); });
}

TEST_P(ChownTest, OwnerGroupOrBoth) {
  Put("/f");
  EXPECT_THAT(sys.Chown("/f", kAlice, kKeepId), IsOk());
  EXPECT_EQ(StatOf("/f").uid, kAlice);
  EXPECT_EQ(StatOf("/f").gid, 0u);
  EXPECT_THAT(sys.Chown("/f", kKeepId, kTeam), IsOk());
  EXPECT_EQ(StatOf("/f").uid, kAlice);
  EXPECT_EQ(StatOf("/f").gid, kTeam);
  EXPECT_THAT(sys.Chown("/f", kBob, kBob), IsOk());
  EXPECT_EQ(StatOf("/f").uid, kBob);
  EXPECT_EQ(StatOf("/f").gid, kBob);
}

TEST_P(ChownTest, FollowsOrNot) {
  Put("/f");
  ASSERT_THAT(sys.Symlink("f", "/link"), IsOk());
  EXPECT_THAT(sys.LChown("/link", kAlice, kAlice), IsOk());
  EXPECT_EQ(StatOf("/link").uid, kAlice);
  EXPECT_EQ(StatOf("/f").uid, 0u);
  EXPECT_THAT(sys.Chown("/link", kBob, kBob), IsOk());
  EXPECT_EQ(StatOf("/link").uid, kAlice);
  EXPECT_EQ(StatOf("/f").uid, kBob);
}

TEST_P(ChownTest, WhatAUserMay) {
  Put("/f");
  GiveTo(kAlice, "/f");
  Become(kAlice, {kTeam});
  EXPECT_THAT(sys.Chown("/f", kBob, kKeepId), IsErrno(EPERM)) << "give it away";
  EXPECT_THAT(sys.Chown("/f", kKeepId, kBob), IsErrno(EPERM)) << "a group that she is not in";
  EXPECT_THAT(sys.Chown("/f", kAlice, kAlice), IsOk()) << "what it is already";
  EXPECT_THAT(sys.Chown("/f", kAlice, kTeam), IsOk()) << "a group of hers";
  EXPECT_THAT(sys.Chown("/f", kKeepId, kKeepId), IsOk());
  Become(kBob, {kTeam});
  EXPECT_THAT(sys.Chown("/f", kKeepId, kTeam), IsErrno(EPERM)) << "not his";
  EXPECT_THAT(sys.Chown("/f", kAlice, kKeepId), IsErrno(EPERM));
  EXPECT_THAT(sys.Chown("/f", kKeepId, kKeepId), IsOk()) << "nothing to refuse";
}

TEST_P(ChownTest, GroupOfTheFileThatTheOwnerIsNotIn) {
  Put("/f");
  ASSERT_THAT(sys.Chown("/f", kAlice, kTeam), IsOk());
  Become(kAlice);
  EXPECT_THAT(sys.Chown("/f", kKeepId, kTeam), IsOk()) << "stays as it is";
}

TEST_P(ChownTest, ClearsSetIdBits) {
  Put("/f");
  const auto after = [this](uint32_t mode, uint32_t uid, uint32_t gid) {
    EXPECT_THAT(sys.Chmod("/f", mode), IsOk());
    EXPECT_THAT(sys.Chown("/f", uid, gid), IsOk());
    return ModeOf("/f");
  };
  EXPECT_EQ(after(06777, 0, 0), 0777u) << "by root too";
  EXPECT_EQ(after(06777, kKeepId, 0), 0777u);
  EXPECT_EQ(after(06777, kKeepId, kKeepId), 0777u) << "and when nothing changes";
  EXPECT_EQ(after(06766, 0, 0), 02766u) << "a set-group-ID bit that is none";
  EXPECT_EQ(after(04644, 0, 0), 0644u);
}

TEST_P(ChownTest, ClearsSetIdBitsOfAUser) {
  Put("/f");
  ASSERT_THAT(sys.Chown("/f", kAlice, kAlice), IsOk());
  Become(kAlice, {kTeam});
  ASSERT_THAT(sys.Chmod("/f", 06777), IsOk());
  EXPECT_THAT(sys.Chown("/f", kKeepId, kTeam), IsOk());
  EXPECT_EQ(ModeOf("/f"), 0777u);
}

TEST_P(ChownTest, KeepsBitsOfDirectories) {
  MakeDir("/d");
  ASSERT_THAT(sys.Chmod("/d", 07777), IsOk());
  EXPECT_THAT(sys.Chown("/d", kAlice, kTeam), IsOk());
  EXPECT_EQ(ModeOf("/d"), 07777u);
}

TEST_P(ChownTest, Times) {
  Put("/f");
  ExpectSetsTimes("/f", kCtime, [this] { return sys.Chown("/f", 1, 1); });
  ExpectSetsTimes("/f", kCtime, [this] { return sys.Chown("/f", 1, 1); });
  ExpectSetsTimes("/f", kCtime, [this] { return sys.Chown("/f", kKeepId, kKeepId); });
}

TEST_P(ChownTest, OfADescriptor) {
  Put("/f");
  EXPECT_THAT(sys.Chown(Open("/f", O_RDONLY), kAlice, kTeam), IsOk());
  EXPECT_EQ(StatOf("/f").uid, kAlice);
  EXPECT_EQ(StatOf("/f").gid, kTeam);
  MakeDir("/d");
  Put("/d/f");
  EXPECT_THAT(sys.Chown({Open("/d", O_PATH), "f"}, kAlice, kTeam), IsOk());
  EXPECT_EQ(StatOf("/d/f").uid, kAlice);
  EXPECT_THAT(sys.Chown({99, "f"}, 0, 0), IsErrno(EBADF));
}

TEST_P(ChownTest, ReadOnlyFilesystem) {
  Put("/f");
  ASSERT_THAT(sys.SetReadOnly(true), IsOk());
  EXPECT_THAT(sys.Chown("/f", 1, 1), IsErrno(EROFS));
  Become(kAlice);
  EXPECT_THAT(sys.Chown("/f", 1, 1), IsErrno(EROFS)) << "comes before EPERM";
}

STASIS_POSIX_SUITE(ChownTest);

class ChownGroupsTest : public PosixTest {};

TEST_P(ChownGroupsTest, MembersKeepSetGroupIdWithoutExecution) {
  Put("/f");
  ASSERT_THAT(sys.Chown("/f", kAlice, kTeam), IsOk());
  Become(kAlice, {kTeam});
  ASSERT_THAT(sys.Chmod("/f", 02767), IsOk());
  EXPECT_THAT(sys.Chown("/f", kKeepId, kAlice), IsOk());
  EXPECT_EQ(ModeOf("/f"), 02767u);
}

STASIS_POSIX_SUITE(ChownGroupsTest, kCallersGroups);

}  // namespace
}  // namespace stasis::posix
