// SPDX-License-Identifier: Apache-2.0
//
// Real programs in a sandbox and on the kernel's tmpfs: what they print must be the same.
//
// A program is a script here, which is called with the name of a step, in the folder where it is
// to work:
//
//   prepare  on the host: makes what the program is to work on
//   before   on tmpfs, and in the sandbox before a checkpoint
//   after    on tmpfs, in the sandbox after the checkpoint, and where the checkpoint is restored
//   recover  where a checkpoint is restored that was taken while `after` was at work

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

constexpr auto kTimeout = std::chrono::seconds(900);
constexpr int kCheckpointsWhileAtWork = 2;
constexpr char kMeeting[] = "/meeting";  // where a script in the sandbox says that it is at work

class ProgramTest : public CliTest, public testing::WithParamInterface<const char*> {
 protected:
  // A step as a command, the scripts being in `folder`, and the meeting in another if any.
  static Strings Step(const std::string& step, const std::string& folder,
                      const std::string& meeting = "") {
    const char* seconds = getenv("STASIS_PROGRAM_SECONDS");
    return {"env",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            std::string("STASIS_PROGRAM_SECONDS=") + (seconds != nullptr ? seconds : "1"),
            "STASIS_MEETING=" + meeting,
            "/bin/bash",
            folder + "/" + GetParam() + ".sh",
            step};
  }
  static std::string HostStep(const std::string& step) {
    std::string line;
    for (const std::string& word : Step(step, STASIS_PROGRAMS)) line += "'" + word + "' ";
    return line;
  }

  // Both steps on a tmpfs, their output to files; nothing that they start outlives it. /usr is
  // read-only, as in a sandbox.
  pid_t StartOnTmpfs() {
    const std::string script = fmt::format(
        "chmod 755 .; mount -o bind,ro /usr /usr; mount -t tmpfs -o nodev tmpfs tmpfs; "
        "cp -a inputs/. tmpfs; cd tmpfs; "
        "{} > ../before.txt; {} > ../after.txt",
        HostStep("before"), HostStep("after"));
    return StartHost({"unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child",
                      "--mount-proc", "/bin/bash", "-ec", script});
  }

  static Strings SandboxStep(Strings line, const std::string& step,
                             const std::string& meeting = "") {
    line.push_back("--");
    const Strings command = Step(step, "/programs", meeting);
    line.insert(line.end(), command.begin(), command.end());
    return line;
  }
  pid_t StartInBox(const std::string& step) {
    return Start(SandboxStep({"exec", "box"}, step, kMeeting));
  }
  Outcome Restored(const std::string& tag, const std::string& step) {
    return Stasis(SandboxStep({"restore", tag, "--bind", kBind, "--workdir", "/work"}, step),
                  kTimeout);
  }

  // Checkpoints while `program` is at work; their tags. One is taken when its script says so, and
  // more as long as it goes on.
  Strings CheckpointsDuring(pid_t program) {
    while (!std::filesystem::exists(Path("meeting/at_work")) && IsRunning(program))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Strings tags;
    for (int i = 0; i < kCheckpointsWhileAtWork && IsRunning(program); ++i) {
      tags.push_back(fmt::format("snaps:during-{}", i));
      EXPECT_THAT(Stasis({"checkpoint", "box", tags.back()}, kTimeout), Succeeded());
      WriteFile("meeting/taken", "");
    }
    EXPECT_FALSE(tags.empty()) << "it ended before it was at work";
    return tags;
  }

  inline static const std::string kBind = std::string(STASIS_PROGRAMS) + ":/programs:ro";
};

TEST_P(ProgramTest, DoesWhatItDoesOnTmpfs) {
  ASSERT_THAT(
      Host({"/bin/bash", "-ec", "mkdir inputs tmpfs meeting; cd inputs; " + HostStep("prepare")},
           kTimeout),
      Succeeded());
  const pid_t tmpfs = StartOnTmpfs();
  StartBox("box", {"--import", "inputs:/work", "--bind", kBind, "--bind",
                   std::string("meeting:") + kMeeting, "--workdir", "/work"});
  const Outcome before = Wait(StartInBox("before"), kTimeout);
  ASSERT_THAT(before, Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:between"}, kTimeout), Succeeded());
  const pid_t running = StartInBox("after");
  const Strings during = CheckpointsDuring(running);
  const Outcome after = Wait(running, kTimeout);
  EXPECT_THAT(after, Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:end", "--stop"}, kTimeout), Succeeded());

  ASSERT_THAT(Wait(tmpfs, kTimeout), Succeeded());
  EXPECT_EQ(before.out, ReadFile(Path("before.txt")));
  EXPECT_EQ(after.out, ReadFile(Path("after.txt")));

  const Outcome restored = Restored("snaps:between", "after");
  EXPECT_THAT(restored, Succeeded());
  EXPECT_EQ(restored.out, ReadFile(Path("after.txt")));
  for (const std::string& tag : during) EXPECT_THAT(Restored(tag, "recover"), Succeeded()) << tag;
  for (const char* tag : {"snaps:between", "snaps:end"})
    EXPECT_THAT(Stasis({"verify", tag}, kTimeout), Succeeded());
}

INSTANTIATE_TEST_SUITE_P(, ProgramTest, testing::Values(STASIS_PROGRAM_NAMES),
                         [](const auto& program) { return std::string(program.param); });

}  // namespace
}  // namespace stasis::cli
