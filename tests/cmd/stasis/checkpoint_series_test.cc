// SPDX-License-Identifier: Apache-2.0
//
// `stasis checkpoint --every`, `--timeout` and what two at once do.

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class CheckpointSeriesTest : public CliTest {
 protected:
  // Tags of the layout "snaps", sorted.
  Strings Tags() {
    Strings tags;
    const auto index =
        nlohmann::json::parse(ReadFile(Path("snaps/index.json")), nullptr, /*exceptions=*/false);
    if (!index.is_object()) return tags;
    for (const auto& entry : index.at("manifests"))
      tags.push_back(entry.at("annotations").at("org.opencontainers.image.ref.name"));
    std::sort(tags.begin(), tags.end());
    return tags;
  }

  std::string DigestOf(const std::string& tag) {
    const auto index = nlohmann::json::parse(ReadFile(Path("snaps/index.json")));
    for (const auto& entry : index.at("manifests"))
      if (entry.at("annotations").at("org.opencontainers.image.ref.name") == tag)
        return entry.at("digest");
    return "";
  }

  std::string OutOf(pid_t pid) { return ReadFile(Path("out." + std::to_string(pid))); }

  static std::vector<nlohmann::json> Lines(const std::string& text) {
    std::vector<nlohmann::json> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  static size_t CountLines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

TEST_F(CheckpointSeriesTest, KeepsTheNewestAndNamesIt) {
  StartBox("box");
  const pid_t series =
      Start({"checkpoint", "box", "snaps:auto", "--every", "50ms", "--keep", "2", "--json"});
  ASSERT_TRUE(Eventually([&] { return CountLines(OutOf(series)) >= 5; }));
  kill(series, SIGTERM);
  const Outcome outcome = Wait(series);
  // One that was under way may have been given up.
  EXPECT_THAT(outcome.exit_code, testing::AnyOf(0, 130)) << outcome.err;
  std::vector<nlohmann::json> lines = Lines(outcome.out);
  if (outcome.exit_code == 130) lines.pop_back();
  ASSERT_GE(lines.size(), 5);
  EXPECT_THAT(lines[0].at("parent"), nlohmann::json());
  for (size_t i = 1; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].at("parent"), lines[i - 1].at("digest"));
    EXPECT_GT(lines[i].at("tag"), lines[i - 1].at("tag"));
    EXPECT_THAT(lines[i].at("removed"), SizeIs(i < 2 ? 0 : 1));
  }
  const Strings tags = Tags();
  ASSERT_THAT(tags, SizeIs(3));
  EXPECT_EQ(tags[0], "auto");
  EXPECT_EQ(lines.back().at("tag"), tags[2]);
  EXPECT_EQ(lines.back().at("digest"), DigestOf("auto"));
  EXPECT_THAT(Stasis({"verify", "snaps:auto"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:" + tags[1]}), Succeeded());
}

TEST_F(CheckpointSeriesTest, EndsWithTheSandbox) {
  StartBox("box");
  const pid_t series = Start({"checkpoint", "box", "snaps:auto", "--every", "1h"});
  ASSERT_TRUE(Eventually([&] { return CountLines(OutOf(series)) == 1; }));
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  const Outcome outcome = Wait(series);
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.out, AllOf(StartsWith(Path("snaps:auto-")), HasSubstr("  pause ")));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(CheckpointSeriesTest, EndsWithASandboxWhoseProgramsTakeTheirTime) {
  ASSERT_THAT(Stasis({"run", "--detach", "--name", "box", "--", "/bin/sh", "-c",
                      "trap '' TERM; while :; do sleep 0.1; done"}),
              Succeeded());
  const pid_t series = Start({"checkpoint", "box", Path("snaps:auto"), "--every", "20ms"});
  ASSERT_TRUE(Eventually([this] { return Tags().size() > 2; }));
  ASSERT_THAT(Stasis({"stop", "box", "--timeout", "1"}), Succeeded());
  EXPECT_THAT(Wait(series), Succeeded());
}

TEST_F(CheckpointSeriesTest, SaysThatTheDaemonWasKilled) {
  StartBox("box");
  const pid_t series = Start({"checkpoint", "box", "snaps:auto", "--every", "1h"});
  ASSERT_TRUE(Eventually([&] { return CountLines(OutOf(series)) == 1; }));
  kill(DaemonPid("box"), SIGKILL);
  EXPECT_THAT(Wait(series), FailsWith(10, "is dead; clear up with: stasis stop box"));
}

TEST_F(CheckpointSeriesTest, AnInterruptBetweenTwoIsItsEnd) {
  StartBox("box");
  const pid_t series = Start({"checkpoint", "box", "snaps:auto", "--every", "1h"});
  ASSERT_TRUE(Eventually([&] { return CountLines(OutOf(series)) == 1; }));
  kill(series, SIGINT);
  EXPECT_THAT(Wait(series), Succeeded());
}

TEST_F(CheckpointSeriesTest, GoesOnAfterAFailureAndEndsAfterThree) {
  StartBox("box");
  ASSERT_THAT(Shell("mkdir -p snaps && touch snaps/foreign"), Succeeded());
  const pid_t series = Start({"checkpoint", "box", "snaps:auto", "--every", "500ms", "--json"});
  ASSERT_TRUE(Eventually([&] { return CountLines(OutOf(series)) == 1; }));
  ASSERT_THAT(Shell("rm snaps/foreign"), Succeeded());
  ASSERT_TRUE(Eventually([&] { return CountLines(OutOf(series)) >= 2; }));
  ASSERT_THAT(Shell("mv snaps good; mkdir snaps; touch snaps/foreign"), Succeeded());
  const Outcome outcome = Wait(series);
  EXPECT_THAT(outcome, FailsWith(2, "stasis: "));
  const std::vector<nlohmann::json> lines = Lines(outcome.out);
  ASSERT_GE(lines.size(), 5);
  EXPECT_EQ(lines[0].at("error").at("exit_code"), 2);
  EXPECT_TRUE(lines[1].contains("digest"));
  for (size_t i = lines.size() - 3; i < lines.size(); ++i) EXPECT_TRUE(lines[i].contains("error"));
  EXPECT_TRUE(lines[lines.size() - 4].contains("digest"));
}

TEST_F(CheckpointSeriesTest, RefusesWhatDoesNotFitTogether) {
  StartBox("box");
  for (const Strings& options : {Strings{"--every", "5m", "--stop"}, Strings{"--keep", "3"},
                                 Strings{"--every", "5"}, Strings{"--every", "5m", "--keep", "0"},
                                 Strings{"--timeout", "soon"}, Strings{"--freeze-timeout", "0s"}}) {
    Strings line = {"checkpoint", "box", "snaps:auto"};
    line.insert(line.end(), options.begin(), options.end());
    EXPECT_THAT(Stasis(line), ExitsWith(2)) << options[0];
  }
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:" + std::string(120, 'x'), "--every", "5m"}),
              FailsWith(2, "a time is added to the tag"));
}

class CheckpointTimeTest : public CliTest {
 protected:
  // A program that cannot be stopped by a signal: its child shares its memory and sleeps.
  void StartUnstoppable() {
    StartBox("box", {"--freezer", "signal"},
             {"/bin/sh", "-c",
              "(while :; do date +%s%N > /new; mv /new /now; done) & "
              "exec perl -e 'open F, q(>), q(/up); close F; syscall(58) == 0 && sleep 1000'"});
    ASSERT_TRUE(Eventually([this] { return In("box", "test -e /up").exit_code == 0; }));
  }

  void ExpectRunning() {
    const std::string now = In("box", "cat /now").out;
    EXPECT_TRUE(Eventually([&] {
      const std::string later = In("box", "cat /now").out;
      return !later.empty() && later != now;
    }));
  }
};

TEST_F(CheckpointTimeTest, AProgramThatCannotBeFrozenDoesNotKeepTheOthers) {
  StartUnstoppable();
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = Stasis({"checkpoint", "box", "snaps:v1", "--freeze-timeout", "300ms"});
  EXPECT_THAT(outcome, FailsWith(1, "did not stop on SIGSTOP"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8));
  ExpectRunning();
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), ExitsWith(10));
}

// On the host, a FUSE filesystem whose server never answers.
class HungMount {
 public:
  explicit HungMount(std::string directory)
      : directory_(std::move(directory)), device_(open("/dev/fuse", O_RDWR | O_CLOEXEC)) {
    const std::string options =
        "fd=" + std::to_string(device_) + ",rootmode=40000,user_id=0,group_id=0";
    mounted_ = mount("hung", directory_.c_str(), "fuse", 0, options.c_str()) == 0;
  }
  ~HungMount() {
    close(device_);  // whoever waits gets an error
    umount2(directory_.c_str(), MNT_DETACH);
  }
  HungMount(const HungMount&) = delete;
  HungMount& operator=(const HungMount&) = delete;
  bool mounted() const { return mounted_; }

 private:
  const std::string directory_;
  const int device_;
  bool mounted_;
};

TEST_F(CheckpointTimeTest, AProgramThatWaitsForADeviceDoesNotKeepTheOthers) {
  ASSERT_THAT(Shell("mkdir -p hosts/hung"), Succeeded());
  const HungMount hung(Path("hosts/hung"));
  ASSERT_TRUE(hung.mounted());
  StartBox("box", {"--freezer", "cgroup", "--bind", Path("hosts") + ":/hosts"},
           {"/bin/sh", "-c",
            "(while :; do date +%s%N > /new; mv /new /now; done) & "
            "exec cat /hosts/hung/file"});
  ASSERT_TRUE(Eventually([this] {
    return Stasis({"exec", "box", "--", "/bin/sh", "-c", "grep -l '^State:.D' /proc/*/status"})
               .out != "";
  }));
  const Outcome outcome = Stasis({"checkpoint", "box", "snaps:v1", "--freeze-timeout", "300ms"});
  EXPECT_THAT(outcome, FailsWith(1, "'cat', process "));
  EXPECT_THAT(outcome.err, HasSubstr("waits for a device or a filesystem (state D)"));
  ExpectRunning();
}

TEST_F(CheckpointTimeTest, GivesUpWhenTheTimeIsOver) {
  StartUnstoppable();
  const Outcome outcome = Stasis({"checkpoint", "box", "snaps:v1", "--timeout", "300ms", "--json"});
  EXPECT_THAT(outcome, FailsWith(1, "it took longer than 300ms; every tag is what it was"));
  EXPECT_EQ(outcome.Json().at("error").at("code"), "deadline_exceeded");
  ExpectRunning();
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), ExitsWith(10));
}

TEST_F(CheckpointTimeTest, GivesUpWhileItWrites) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 30000000 /dev/urandom > /data"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "other:v1"}), Succeeded());  // nothing left to flush
  WriteFile("src/file", "content");
  ASSERT_THAT(Stasis({"import", "src", "snaps:v0"}), Succeeded());
  const std::string files = Shell("find snaps | sort").out;
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--timeout", "30ms"}),
              FailsWith(1, "it took longer than 30ms"));
  EXPECT_EQ(Shell("find snaps | sort").out, files);
  EXPECT_THAT(Stasis({"verify", "snaps:v0"}), Succeeded());
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--timeout", "60s"}), Succeeded());
}

TEST_F(CheckpointTimeTest, TheSecondAtOnceIsTold) {
  StartUnstoppable();
  const pid_t first = Start({"checkpoint", "box", "snaps:v1", "--freeze-timeout", "2s"});
  ASSERT_TRUE(
      Eventually([this] { return Stasis({"ps"}).out.find("checkpointing") != std::string::npos; }));
  const Outcome second = Stasis({"checkpoint", "box", "snaps:v2", "--json"});
  EXPECT_THAT(second, FailsWith(8, "box is checkpointing; try again when that is done"));
  EXPECT_EQ(second.Json().at("error").at("code"), "unavailable");
  EXPECT_THAT(Wait(first), ExitsWith(1));
}

TEST_F(CheckpointTimeTest, ReportsItsProgressAsJsonLines) {
  StartUnstoppable();
  const Outcome outcome = Stasis({"checkpoint", "box", "snaps:v1", "--freeze-timeout", "500ms",
                                  "--progress", "json", "--json"});
  EXPECT_THAT(outcome, ExitsWith(1));
  EXPECT_TRUE(outcome.Json().contains("error"));
  std::set<std::string> phases;
  std::istringstream lines(outcome.err);
  for (std::string line; std::getline(lines, line) && line.rfind("stasis: ", 0) != 0;) {
    const auto step = nlohmann::json::parse(line);
    for (const char* key : {"done", "total", "bytes", "rate", "eta_ms"})
      EXPECT_TRUE(step.contains(key)) << line;
    phases.insert(step.at("phase"));
  }
  EXPECT_THAT(phases, Contains("freeze"));
  EXPECT_THAT(Stasis({"checkpoint", "box", "snaps:v2", "--progress", "loud"}), ExitsWith(2));
}

TEST_F(CheckpointTimeTest, VerifyAndImportReportTheirsToo) {
  WriteFile("src/file", "content");
  const Outcome import = Stasis({"import", "src", "snaps:v1", "--progress", "json"});
  ASSERT_THAT(import, Succeeded());
  EXPECT_THAT(import.err, HasSubstr(R"({"phase":"import",)"));
  EXPECT_THAT(import.err, HasSubstr(R"({"phase":"write",)"));
  const Outcome verify = Stasis({"verify", "snaps:v1", "--progress", "json"});
  ASSERT_THAT(verify, Succeeded());
  EXPECT_THAT(verify.err, HasSubstr(R"({"phase":"verify",)"));
  EXPECT_THAT(Stasis({"verify", "snaps:v1", "--progress", "none"}).err, IsEmpty());
}

TEST_F(CheckpointTimeTest, TheParentIsWhatTheTreeCameFrom) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 1000000 /dev/urandom > /data"), Succeeded());
  const auto first = Stasis({"checkpoint", "box", "snaps:v1", "--json"}).Json();
  EXPECT_EQ(first.at("parent"), nullptr);
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "next", "--detach"}), Succeeded());
  const auto second = Stasis({"checkpoint", "next", "snaps:v2", "--json"}).Json();
  EXPECT_EQ(second.at("parent"), first.at("digest"));
  EXPECT_EQ(second.at("dirty_bytes"), 0);
  // In another layout there is none.
  EXPECT_EQ(Stasis({"checkpoint", "next", "other:v2", "--json"}).Json().at("parent"), nullptr);
}

}  // namespace
}  // namespace stasis::cli
