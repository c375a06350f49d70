// SPDX-License-Identifier: Apache-2.0
//
// Files that are opened to be run, and writers that they keep out.

#include <fcntl.h>

#include "tests/testing/memfs_tree.h"
#include "vfs/file_description.h"

namespace stasis::vfs {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;
using stasis::testing::MemfsTest;
using stasis::testing::ReadSome;

class ExecuteTest : public MemfsTest {
 protected:
  ExecuteTest() {
    EXPECT_THAT(Put("/program", "#!"), IsOk());
    EXPECT_THAT(Chmod("/program", 0755), IsOk());
  }

  Result<RefPtr<FileDescription>> Execute(std::string_view path, int flags = O_RDONLY) {
    return vfs->OpenAt(creds, At(path), {.flags = flags, .execute = true});
  }
};

TEST_F(ExecuteTest, NeedsThePermissionToExecuteAndNoOther) {
  creds = Credentials::User(1000, 1000);
  EXPECT_THAT(Execute("/program"), IsOk());
  creds = Credentials::Root();
  ASSERT_THAT(Chmod("/program", 0644), IsOk());
  EXPECT_THAT(Execute("/program"), IsErrno(EACCES)) << "root needs an x bit too";
  ASSERT_THAT(Chmod("/program", 0711), IsOk());
  creds = Credentials::User(1000, 1000);
  const auto program = Execute("/program");
  ASSERT_THAT(program, IsOk());
  EXPECT_EQ(ReadSome(**program, 2), "#!") << "for who runs it, whoever may not read it";
  EXPECT_THAT(Open("/program", O_RDONLY), IsErrno(EACCES));
}

TEST_F(ExecuteTest, OnlyRegularFiles) {
  ASSERT_THAT(Mkdir("/d"), IsOk());
  ASSERT_THAT(Mknod("/fifo", S_IFIFO | 0777), IsOk());
  ASSERT_THAT(Symlink("program", "/link"), IsOk());
  EXPECT_THAT(Execute("/d"), IsErrno(EACCES));
  EXPECT_THAT(Execute("/fifo"), IsErrno(EACCES));
  EXPECT_THAT(Execute("/link"), IsOk());
  EXPECT_THAT(Execute("/link", O_RDONLY | O_NOFOLLOW), IsErrno(ELOOP));
}

TEST_F(ExecuteTest, NotFromMountsThatForbidIt) {
  ASSERT_THAT(Mkdir("/bound"), IsOk());
  ASSERT_THAT(Bind("/", "/bound", {.no_exec = true}), IsOk());
  EXPECT_THAT(Execute("/bound/program"), IsErrno(EACCES));
  EXPECT_THAT(Execute("/program"), IsOk());
}

TEST_F(ExecuteTest, NotWhileItIsWritten) {
  auto writer = *Open("/program", O_WRONLY);
  EXPECT_THAT(Execute("/program"), IsErrno(ETXTBSY));
  writer.reset();
  EXPECT_THAT(Execute("/program"), IsOk());
  const auto reader = *Open("/program", O_RDONLY);
  EXPECT_THAT(Execute("/program"), IsOk());
}

TEST_F(ExecuteTest, NotWrittenWhileItRuns) {
  auto one = *Execute("/program");
  auto two = *Execute("/program");
  ASSERT_THAT(Link("/program", "/other"), IsOk());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Open("/program", O_WRONLY), IsErrno(ETXTBSY));
    EXPECT_THAT(Open("/other", O_RDWR), IsErrno(ETXTBSY));
    EXPECT_THAT(Open("/program", O_RDONLY | O_TRUNC), IsErrno(ETXTBSY));
    EXPECT_THAT(Truncate("/program", 0), IsErrno(ETXTBSY));
    EXPECT_THAT(Open("/program", O_RDONLY), IsOk());
    one.reset();
  }
  EXPECT_EQ(Get("/program"), "#!");
  two.reset();
  EXPECT_THAT(Open("/program", O_RDWR), IsOk());
  EXPECT_THAT(Truncate("/program", 0), IsOk());
}

TEST_F(ExecuteTest, MayBeReplacedWhileItRuns) {
  const auto program = *Execute("/program");
  EXPECT_THAT(Chmod("/program", 0700), IsOk());
  EXPECT_THAT(Put("/new", "new"), IsOk());
  EXPECT_THAT(Rename("/new", "/program"), IsOk());
  EXPECT_EQ(ReadSome(*program, 2), "#!");
  EXPECT_THAT(Open("/program", O_RDWR), IsOk());
}

TEST_F(ExecuteTest, WriterThatIsRefusedIsNotCounted) {
  auto program = *Execute("/program");
  EXPECT_THAT(Open("/program", O_WRONLY), IsErrno(ETXTBSY));
  program.reset();
  const auto writer = *Open("/program", O_WRONLY);
  EXPECT_THAT(Execute("/program"), IsErrno(ETXTBSY));
}

}  // namespace
}  // namespace stasis::vfs
