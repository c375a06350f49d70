// SPDX-License-Identifier: Apache-2.0
//
// What happens in a sandbox's files, as it is printed.

#include <signal.h>

#include <algorithm>
#include <sstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

class EventsTest : public CliTest {
 protected:
  // Follows the events of "box" into the file "out" until Stop().
  void Follow() {
    pid_ = StartHost({"/bin/sh", "-ec", "exec " + binary_ + " events box --follow --json > out"});
    ASSERT_TRUE(Eventually([this] { return Hears("begin"); }));
  }
  // Makes a file and looks whether that has come.
  bool Hears(const std::string& name) {
    EXPECT_THAT(In("box", "touch /" + name), Succeeded());
    return ReadFile(Path("out")).find("/" + name + "\"") != std::string::npos;
  }
  // Waits until all has come, and ends it.
  std::vector<json> Stop() {
    EXPECT_TRUE(Eventually([this] { return Hears("end"); }));
    kill(pid_, SIGINT);
    EXPECT_THAT(Wait(pid_), Succeeded());
    std::vector<json> events;
    std::istringstream lines(ReadFile(Path("out")));
    for (std::string line; std::getline(lines, line);) {
      events.push_back(json::parse(line, nullptr, false));
      EXPECT_FALSE(events.back().is_discarded()) << line;
    }
    return events;
  }
  // What is heard of a script that runs in the sandbox.
  std::vector<json> EventsOf(const std::string& script) {
    Follow();
    EXPECT_THAT(In("box", script), Succeeded());
    return Stop();
  }
  // "create /a"
  static Strings Texts(const std::vector<json>& events) {
    Strings texts;
    for (const json& event : events)
      texts.push_back(event.value("event", "") + " " + event.value("path", ""));
    return texts;
  }

  // What was done to files of the name "f".
  static Strings AboutFile(const std::vector<json>& events) {
    Strings names;
    for (const json& event : events)
      if (event.value("path", "").ends_with("/f")) names.push_back(event.value("event", ""));
    return names;
  }

  pid_t pid_ = 0;  // of what follows
};

TEST_F(EventsTest, TellsOfChangesAnywhereInTheTree) {
  StartBox("box");
  const std::vector<json> events = EventsOf(
      "mkdir -p /a/b; echo x > /a/b/f; mv /a/b/f /a/g; chmod 600 /a/g; rm /a/g; rmdir /a/b");
  EXPECT_THAT(Texts(events),
              IsSupersetOf({"create /a", "create /a/b", "create /a/b/f", "modify /a/b/f",
                            "moved_from /a/b/f", "moved_to /a/g", "attrib /a/g", "delete /a/g",
                            "delete /a/b", "create /end"}));
  int64_t before = 0;
  json from, to;
  for (const json& event : events) {
    EXPECT_GE(event.at("time_ns"), before);
    before = event.at("time_ns");
    if (event.at("event") == "moved_from") from = event;
    if (event.at("event") == "moved_to") to = event;
    if (event.at("path") == "/a") {
      EXPECT_EQ(event.at("directory"), true);
    }
  }
  EXPECT_EQ(from.at("cookie"), to.at("cookie"));
}

TEST_F(EventsTest, PathsAreThoseThatProgramsSee) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  StartBox("box", {"--root", "data=data", "--mount", "data:/data", "--tmpfs", "/scratch"});
  EXPECT_THAT(Texts(EventsOf("echo x > /data/f; echo x > /scratch/g")),
              IsSupersetOf({"create /data/f", "create /scratch/g"}));
}

// Of an open that the kernel keeps to itself there is no end either: it would come before what was
// done to the file.
TEST_F(EventsTest, AFileThatIsMadeAndWrittenIsHeardOfInThatOrder) {
  StartBox("box");
  EXPECT_THAT(AboutFile(EventsOf("echo x > /f")), ElementsAre("create", "modify"));
}

TEST_F(EventsTest, WhereOpensAreAskedForTheCloseIsTheLast) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  StartBox("box", {"--root", "data=data", "--mount", "data:/data:interop=shared"});
  // With passthrough the write goes past the server.
  EXPECT_THAT(AboutFile(EventsOf("echo x > /data/f")),
              AnyOf(ElementsAre("create", "open", "modify", "close_write"),
                    ElementsAre("create", "open", "close_write")));
}

TEST_F(EventsTest, AnOverlayIsHeardOfOnce) {
  ASSERT_THAT(Shell("mkdir base && echo x > base/f"), Succeeded());
  StartBox("box", {"--rootfs", "base"});
  const Strings texts = Texts(EventsOf("echo y >> /f; mkdir /d"));
  EXPECT_EQ(std::count(texts.begin(), texts.end(), "create /d"), 1);
  EXPECT_GE(std::count(texts.begin(), texts.end(), "modify /f"), 1);
}

TEST_F(EventsTest, EndsAfterAWhileUnlessToldToFollow) {
  StartBox("box");
  const Outcome outcome = Stasis({"events", "box", "--for", "100ms"});
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.out, IsEmpty());
}

TEST_F(EventsTest, TheEndOfTheSandboxIsTheEnd) {
  StartBox("box");
  Follow();
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_THAT(Wait(pid_), Succeeded());
}

TEST_F(EventsTest, GoesOnWithTheTreeOfARollback) {
  StartBox("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  Follow();
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_TRUE(Eventually([this] { return Hears("after"); }));
  EXPECT_THAT(Texts(Stop()), testing::Contains("create /after"));
}

TEST_F(EventsTest, SaysWhatIsWrong) {
  EXPECT_THAT(Stasis({"events", "nobody"}), FailsWith(10, "nobody"));
  StartBox("box");
  EXPECT_THAT(Stasis({"events", "box", "--for", "soon"}), FailsWith(2, "--for"));
}

}  // namespace
}  // namespace stasis::cli
