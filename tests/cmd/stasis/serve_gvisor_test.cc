// SPDX-License-Identifier: Apache-2.0
//
// A tree served to gVisor's own FUSE client, in a sandbox of runsc: gvisor_relay.py carries the
// messages between that sandbox's /dev/fuse and the socket.

#include <sys/socket.h>
#include <unistd.h>

#include "state/base/unique_fd.h"
#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

// Of both ends: a message of 1 MiB fits.
constexpr int kBuffer = 4 << 20;
constexpr auto kPatience = std::chrono::seconds(100);

// In the served tree. The client of Debian 12's runsc has no statx(2), which ls(1) and stat(1) use,
// and writes at the beginning with O_APPEND.
constexpr char kScript[] = R"SH(
set -e
count() { python3 -c 'import os, sys; print(len(os.listdir(sys.argv[1])))' $1; }
test "$(cat d/file)" = text
sha256sum random
mkdir new
i=0
while [ $i -lt 50 ]; do echo $i > new/f$i; i=$((i + 1)); done
test $(count new) = 50
mv new/f1 new/moved
rm new/f2
echo other > d/file
head -c 300000 random > new/part
cmp -n 300000 random new/part
truncate -s 3 new/f30
ln -s ../random new/link
chmod 640 new/f31
test ! -e new/f2
test "$(readlink new/link)" = ../random
! rmdir new 2>/dev/null
echo well
)SH";

class ServeGvisorTest : public CliTest {
 protected:
  // Runs the script in a sandbox of runsc whose standard input is the socket.
  Outcome RunInGvisor(int socket) {
    WriteFile("script", kScript);
    return Host(
        {"/bin/sh", "-c",
         "exec runsc --network=none --ignore-cgroups --platform=ptrace --root=" + Path("runsc") +
             " do python3 " STASIS_TESTS_FOLDER "/gvisor_relay.py sh -c \"$(cat " + Path("script") +
             ")\" <&" + std::to_string(socket)},
        kPatience);
  }
};

TEST_F(ServeGvisorTest, ItsClientReadsAndWrites) {
  ASSERT_THAT(Host({"/bin/sh", "-c", "command -v runsc"}), Succeeded())
      << "install the Debian package runsc";
  ASSERT_THAT(Shell("mkdir -p src/d && echo text > src/d/file && "
                    "head -c 1000000 /dev/urandom > src/random"),
              Succeeded());
  ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  for (const int end : ends)
    ASSERT_EQ(setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &kBuffer, sizeof kBuffer), 0);
  UniqueFd inherited(dup(theirs.get()));
  theirs.reset();
  const pid_t server = Start(
      {"serve", "snaps:base", "--fd", std::to_string(inherited.get()), "--save", "snaps:after"});
  inherited.reset();
  UniqueFd client(dup(ours.get()));
  ours.reset();
  const Outcome inside = RunInGvisor(client.get());
  client.reset();
  ASSERT_THAT(inside, Succeeded());
  EXPECT_THAT(inside.out, testing::HasSubstr("well"));

  ASSERT_THAT(Wait(server), Succeeded());
  ASSERT_THAT(Stasis({"verify", "snaps:after"}), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:after", "out"}), Succeeded());
  EXPECT_EQ(ReadFile(Path("out/d/file")), "other\n");
  EXPECT_THAT(Shell("cmp src/random out/random; cmp -n 300000 src/random out/new/part; cd out/new; "
                    "test $(ls | wc -l) = 51; test ! -e f1; test $(cat moved) = 1; "
                    "test $(stat -c %a f31) = 640; test $(readlink link) = ../random"),
              Succeeded());
}

}  // namespace
}  // namespace stasis::cli
