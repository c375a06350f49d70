// SPDX-License-Identifier: Apache-2.0
//
// Real programs on a real mount.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/mounted_tree.h"

namespace stasis::fuse {
namespace {

class MountProgramsTest : public testing::Test {
 protected:
  // Exit code and output of a shell script that runs in the mount.
  std::pair<int, std::string> Run(const std::string& script) {
    const std::string command =
        "cd '" + tree_.path() + "' && timeout -s KILL 100 sh -ec '" + script + "' 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    std::string output;
    char buffer[4096];
    while (size_t n = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, n);
    return {WEXITSTATUS(pclose(pipe)), output};
  }

  MountedTree tree_{120};
};

TEST_F(MountProgramsTest, Git) {
  const auto [code, output] = Run(R"sh(
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
    git init -q repo; cd repo
    git config user.email a@b; git config user.name n
    i=0; while [ $i -lt 200 ]; do mkdir -p d$((i % 7)); echo $i > d$((i % 7))/f$i; i=$((i+1)); done
    git add -A; git commit -qm one
    git mv d1 moved; echo more >> moved/f1; git commit -qam two
    git gc -q; git fsck --strict
    test -z "$(git status --porcelain)"
    git clone -q . ../copy; cd ../copy; git log --oneline | wc -l
  )sh");
  EXPECT_EQ(code, 0) << output;
  EXPECT_THAT(output, testing::EndsWith("2\n"));
}

TEST_F(MountProgramsTest, Sqlite) {
  for (const char* mode : {"DELETE", "WAL"}) {
    const auto [code, output] = Run(std::string("sqlite3 ") + mode + ".db \"" + R"sh(
      PRAGMA journal_mode=)sh" + mode +
                                    R"sh(;
      CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 20000)
        INSERT INTO t SELECT i, hex(randomblob(40)) FROM n;
      CREATE INDEX i ON t(b);
      DELETE FROM t WHERE a % 3 = 0;
      VACUUM;
      PRAGMA integrity_check;
      SELECT count(*) FROM t;")sh");
    EXPECT_EQ(code, 0) << output;
    EXPECT_THAT(output, testing::EndsWith("ok\n13334\n")) << mode;
  }
}

TEST_F(MountProgramsTest, Tar) {
  const auto [code, output] = Run(R"sh(
    cp -a /usr/include/linux tree
    tar cf tree.tar tree; mkdir out; tar xf tree.tar -C out
    diff -r tree out/tree && diff -r tree /usr/include/linux && echo same
    rm -rf tree out tree.tar; ls | wc -l
  )sh");
  EXPECT_EQ(code, 0) << output;
  EXPECT_EQ(output, "same\n0\n");
}

TEST_F(MountProgramsTest, ExecutesPrograms) {
  const auto [code, output] = Run(R"sh(
    cp /bin/echo ./say; ./say hello
    printf "#!/bin/sh\necho script \$1\n" > s; chmod 755 s; ./s works
  )sh");
  EXPECT_EQ(code, 0) << output;
  EXPECT_EQ(output, "hello\nscript works\n");
}

}  // namespace
}  // namespace stasis::fuse
