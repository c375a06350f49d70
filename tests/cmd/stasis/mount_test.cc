// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "state/base/unique_fd.h"
#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class MountTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p src/d mnt && echo text > src/d/file && "
                      "head -c 500000 /dev/urandom > src/random"),
                Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  }
  void TearDown() override {
    Host({"umount", "-l", Path("mnt")});
    CliTest::TearDown();
  }
  bool Mounted() { return ReadFile("/proc/mounts").find(Path("mnt")) != std::string::npos; }
};

TEST_F(MountTest, ServesInTheForegroundUntilInterrupted) {
  const pid_t pid = Start({"mount", "snaps:base", "mnt"});
  ASSERT_TRUE(Eventually([this] { return Shell("cat mnt/d/file").out == "text\n"; }));
  EXPECT_THAT(Shell("cmp src/random mnt/random"), Succeeded());
  kill(pid, SIGINT);
  EXPECT_THAT(Wait(pid), Succeeded());
  EXPECT_FALSE(Mounted());
}

TEST_F(MountTest, TheEndOfTheTerminalIsTheEndOfTheMount) {
  const pid_t pid = Start({"mount", "snaps:base", "mnt"});
  ASSERT_TRUE(Eventually([this] { return Shell("cat mnt/d/file").out == "text\n"; }));
  kill(pid, SIGHUP);
  EXPECT_THAT(Wait(pid), Succeeded());
  EXPECT_FALSE(Mounted());
}

TEST_F(MountTest, AnInterruptedStartInTheBackgroundLeavesNoMount) {
  for (int round = 0; round < 20; ++round) {
    const pid_t pid = Start({"mount", "snaps:base", "mnt", "--background"});
    std::this_thread::sleep_for(std::chrono::milliseconds(2 * round));
    kill(pid, SIGINT);
    const Outcome outcome = Wait(pid);
    ASSERT_THAT(outcome.exit_code, testing::AnyOf(0, 130)) << outcome.err;
    ASSERT_EQ(Mounted(), outcome.exit_code == 0) << "round " << round << outcome.err;
    if (Mounted()) {
      ASSERT_THAT(Host({"umount", Path("mnt")}), Succeeded());
    }
  }
}

TEST_F(MountTest, SaysThatTheLogCannotBeWritten) {
  EXPECT_THAT(Stasis({"mount", "snaps:base", "mnt", "--background", "--log", "/nonexistent/x"}),
              FailsWith(10, "cannot open /nonexistent/x"));
  EXPECT_FALSE(Mounted());
}

TEST_F(MountTest, EndsWhenItIsUnmounted) {
  const pid_t pid = Start({"mount", "snaps:base", "mnt"});
  ASSERT_TRUE(Eventually([this] { return Shell("cat mnt/d/file").out == "text\n"; }));
  ASSERT_THAT(Host({"umount", Path("mnt")}), Succeeded());
  EXPECT_THAT(Wait(pid), Succeeded());
}

TEST_F(MountTest, TheBackgroundReturnsWhenItCanBeUsed) {
  ASSERT_THAT(Stasis({"mount", "snaps:base", "mnt", "--background"}), Succeeded());
  EXPECT_EQ(Shell("cat mnt/d/file").out, "text\n");
  ASSERT_THAT(Host({"umount", Path("mnt")}), Succeeded());
}

TEST_F(MountTest, WritesStayInMemory) {
  ASSERT_THAT(Stasis({"mount", "snaps:base", "mnt", "--background"}), Succeeded());
  ASSERT_THAT(Shell("echo new > mnt/d/file && test \"$(cat mnt/d/file)\" = new"), Succeeded());
  ASSERT_THAT(Host({"umount", Path("mnt")}), Succeeded());
  ASSERT_THAT(Stasis({"mount", "snaps:base", "mnt", "--background", "--read-only"}), Succeeded());
  EXPECT_EQ(Shell("cat mnt/d/file").out, "text\n");
  EXPECT_THAT(Host({"touch", Path("mnt/x")}), FailsWith(1, "Read-only file system"));
}

// Whoever reads host files is found out when nobody serves any more.
class MountPassthroughTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    StartBox("box", {"--root", "data=src", "--mount", "data:/data"});
    ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:host"}), Succeeded());
  }
  // Opens a host file through a mount, ends the server and reads: 0, or what read(2) says.
  int ReadWithoutServer(const Strings& options) {
    Strings arguments = {"mount", "snaps:host", "mnt", "--root", "data=src"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const pid_t pid = Start(arguments);
    EXPECT_TRUE(Eventually([this] { return Shell("cat mnt/data/d/file").out == "text\n"; }));
    const UniqueFd file(open(Path("mnt/data/random").c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(file.valid());
    kill(pid, SIGKILL);
    Wait(pid);
    char byte = 0;
    return read(file.get(), &byte, 1) == 1 ? 0 : errno;
  }
  bool KernelOffersIt() {
    const nlohmann::json report = Stasis({"check", "--json"}).Json();
    for (const nlohmann::json& check : report.at("checks"))
      if (check.at("name") == "passthrough") return check.at("ok");
    return false;
  }
};

TEST_F(MountPassthroughTest, TheKernelReadsHostFilesIfItCan) {
  EXPECT_EQ(ReadWithoutServer({}), KernelOffersIt() ? 0 : ENOTCONN);
}

TEST_F(MountPassthroughTest, TheServerReadsThemByOption) {
  EXPECT_EQ(ReadWithoutServer({"--no-passthrough"}), ENOTCONN);
}

TEST_F(MountTest, SaysWhatIsMissing) {
  EXPECT_THAT(Stasis({"mount", "snaps:base", "nowhere"}), FailsWith(10, "mkdir -p nowhere"));
  EXPECT_THAT(Stasis({"mount", "snaps:v9", "mnt"}), FailsWith(10, "v9"));
  EXPECT_THAT(Stasis({"mount", "snaps:v9", "mnt", "--background"}), FailsWith(10, "v9"));
  EXPECT_FALSE(Mounted());
}

}  // namespace
}  // namespace stasis::cli
