// SPDX-License-Identifier: Apache-2.0
//
// A sandbox whose daemon is replaced under its programs.

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/cmd/stasis/cli_fixture.h"
#include "tests/cmd/stasis/upgrade_programs.h"

namespace stasis::cli {
namespace {

// How often, in tests of many in a row.
int Rounds() {
  const char* wanted = std::getenv("STASIS_UPGRADES");  // NOLINT(concurrency-mt-unsafe)
  return wanted != nullptr ? std::atoi(wanted) : 5;
}

class UpgradeTest : public CliTest {
 protected:
  std::string Cat(const std::string& box, const std::string& file) {
    return In(box, "cat " + file).out;
  }
  nlohmann::json Upgrade(const std::string& box, Strings options = {}) {
    Strings arguments = {"upgrade", box, "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome outcome = Stasis(arguments);
    EXPECT_THAT(outcome, Succeeded());
    return outcome.exit_code == 0 ? outcome.Json() : nlohmann::json::object();
  }
  nlohmann::json Ps(const std::string& box) {
    const nlohmann::json list = Stasis({"ps", "--json"}).Json();
    for (const nlohmann::json& one : list.at("sandboxes"))
      if (one.at("name") == box) return one;
    return nlohmann::json::object();
  }
  // An executable script.
  std::string Script(const std::string& name, const std::string& body) {
    WriteFile(name, "#!/bin/sh\n" + body + "\n");
    EXPECT_EQ(chmod(Path(name).c_str(), 0755), 0);
    return Path(name);
  }
  // What a new daemon of another version would say first.
  std::string SaysHello(const std::string& name, const std::string& hello,
                        const std::string& then) {
    WriteFile(
        name,
        "#!/usr/bin/env python3\nimport os, signal, socket, time\ns = socket.socket(fileno=3)\n"
        "s.send(b'''" +
            hello + "''')\n" + then + "\n");
    EXPECT_EQ(chmod(Path(name).c_str(), 0755), 0);
    return Path(name);
  }
  // The same of this version, while programs wait.
  std::string Takes(const std::string& name, const std::string& then) {
    return SaysHello(name, Hello(), "s.recv(65536)\ns.send(b'{\"prepared\": {}}')\n" + then);
  }
  // Hello of this version, as the real one says it.
  std::string Hello() {
    if (hello_.empty()) {
      WriteFile(
          "listen.py",
          "import os, socket, subprocess\n"
          "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
          "p = subprocess.Popen(['" +
              binary_ +
              "', 'takeover', '--fd', str(b.fileno())], "
              "pass_fds=[b.fileno()])\nb.close()\nprint(a.recv(65536).decode())\na.close()\n");
      hello_ = Host({"python3", Path("listen.py")}).out;
      hello_.erase(hello_.find_last_not_of('\n') + 1);
    }
    return hello_;
  }

  // A sandbox with a program of upgrade_programs.h, which works in top_.
  void StartProgram(const std::string& box, const char* program, const std::string& count = "",
                    const Strings& options = {}) {
    StartBox(box, options, {"python3", "-c", program, top_, count});
  }
  // Waits for the program to have gone on for some rounds.
  void AwaitRounds(const std::string& box, const std::string& file = "/t/ROUND") {
    const int from = std::atoi(Cat(box, file).c_str());
    EXPECT_TRUE(Eventually([&] { return std::atoi(Cat(box, file).c_str()) >= from + 3; }))
        << Cat(box, top_ + "/FAILED");
    EXPECT_EQ(Cat(box, top_ + "/FAILED"), "");
  }
  void EndProgram(const std::string& box) {
    EXPECT_THAT(In(box, "touch " + top_ + "/STOP"), Succeeded());
    EXPECT_TRUE(Eventually([&] { return Cat(box, top_ + "/ENDED") == "well"; }))
        << Cat(box, top_ + "/FAILED") << Cat(box, top_ + "/ENDED");
  }

  std::string top_ = "/t";

 private:
  std::string hello_;
};

TEST_F(UpgradeTest, ProgramsRunOn) {
  StartBox("box", {}, {"/bin/sh", "-c", "while :; do date +%s%N > /now; done"});
  ASSERT_THAT(In("box", "echo one > /a; head -c 300000 /dev/urandom > /large"), Succeeded());
  const std::string sum = In("box", "sha256sum < /large").out;
  const pid_t before = DaemonPid("box");
  const nlohmann::json report = Upgrade("box");
  EXPECT_EQ(report.at("name"), "box");
  EXPECT_EQ(report.at("upgrades"), 1);
  EXPECT_GT(report.at("stall_ns"), 0);
  EXPECT_GE(report.at("wall_ns"), report.at("stall_ns"));
  EXPECT_NE(DaemonPid("box"), before);
  EXPECT_EQ(DaemonPid("box"), report.at("daemon_pid"));
  EXPECT_TRUE(Eventually([&] { return !IsRunning(before); }));
  const std::string now = Cat("box", "/now");
  EXPECT_TRUE(Eventually([&] { return Cat("box", "/now") != now; }));
  EXPECT_EQ(Cat("box", "/a"), "one\n");
  EXPECT_EQ(In("box", "sha256sum < /large").out, sum);
  ASSERT_THAT(In("box", "echo two > /a; rm /large; mkdir /d; echo new > /d/f"), Succeeded());
  EXPECT_EQ(Cat("box", "/a /d/f"), "two\nnew\n");
  EXPECT_EQ(Ps("box").at("upgrades"), 1);
  EXPECT_EQ(Ps("box").at("status"), "running");
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_FALSE(std::filesystem::exists(runtime_dir() + "/box"));
}

TEST_F(UpgradeTest, NothingOfAProgramsIsLost) {
  StartProgram("box", kHoldsEverything);
  AwaitRounds("box");
  for (int i = 0; i < Rounds(); ++i) {
    Upgrade("box");
    AwaitRounds("box");
    if (HasFailure()) return;
  }
  EndProgram("box");
}

TEST_F(UpgradeTest, WhileManyWork) {
  StartProgram("box", kWorks, "16");
  AwaitRounds("box", "/t/ROUND7");
  for (int i = 0; i < Rounds(); ++i) {
    Upgrade("box");
    if (HasFailure()) return;
  }
  AwaitRounds("box", "/t/ROUND7");
  EndProgram("box");
}

// Long enough for the other daemon to load that there is something to do again.
TEST_F(UpgradeTest, WhatIsDoneWhileItLoadsIsDoneAgain) {
  StartProgram("box", kWorks, "4");
  ASSERT_THAT(In("box", "mkdir /m; cd /m; seq 20000 | xargs touch"), Succeeded());
  AwaitRounds("box", "/t/ROUND3");
  int replayed = 0;
  for (int i = 0; i < 3; ++i) {
    replayed += Upgrade("box").at("replayed").get<int>();
    AwaitRounds("box", "/t/ROUND3");
  }
  EXPECT_GT(replayed, 0);
  EndProgram("box");
}

// What is to be done again has its limits: then programs wait until it has loaded.
TEST_F(UpgradeTest, WhileMoreIsWrittenThanCanBeDoneAgain) {
  StartBox("box", {"--size-limit", "1G"},
           {"python3", "-c",
            "import os, signal\n"
            "fd = os.open('/f', os.O_CREAT | os.O_RDWR)\n"
            "n = 0\n"
            "while not os.path.exists('/STOP'):\n"
            "  n += 1\n"
            "  os.pwrite(fd, b'%07d\\n' % n * 131072, n % 64 << 20)\n"
            "for i in range(n - 63, n + 1):\n"
            "  assert os.pread(fd, 1 << 20, i % 64 << 20) == b'%07d\\n' % i * 131072\n"
            "os.close(os.open('/WELL', os.O_CREAT))\n"
            "signal.pause()\n"});
  ASSERT_THAT(In("box", "mkdir /m; cd /m; seq 40000 | xargs touch"), Succeeded());
  for (int i = 0; i < 3; ++i) EXPECT_LT(Upgrade("box").at("stall_ns"), 5'000'000'000);
  ASSERT_THAT(In("box", "touch /STOP"), Succeeded());
  EXPECT_TRUE(Eventually([&] { return In("box", "test -e /WELL").exit_code == 0; }));
}

TEST_F(UpgradeTest, ManyInARow) {
  StartBox("box", {"--env", "WHO=box", "--workdir", "/tmp"});
  ASSERT_THAT(In("box", "head -c 300000 /dev/urandom > /f"), Succeeded());
  const std::string sum = In("box", "sha256sum < /f").out;
  const std::string created = Ps("box").at("created");
  for (int i = 1; i <= Rounds(); ++i) {
    ASSERT_EQ(Upgrade("box").value("upgrades", 0), i);
    ASSERT_THAT(In("box", "echo " + std::to_string(i) + " >> /log"), Succeeded());
  }
  EXPECT_EQ(In("box", "sha256sum < /f").out, sum);
  EXPECT_EQ(In("box", "wc -l < /log").out, std::to_string(Rounds()) + "\n");
  EXPECT_EQ(Ps("box").at("created"), created);
  EXPECT_EQ(Ps("box").at("workdir"), "/tmp");
  // No view of what was there before: the memory is mapped once.
  EXPECT_EQ(
      Shell("grep -c memfd:stasis-data /proc/" + std::to_string(DaemonPid("box")) + "/maps").out,
      "1\n");
}

TEST_F(UpgradeTest, WhatIsNoDaemonLeavesTheOldOne) {
  StartBox("box");
  const pid_t daemon = DaemonPid("box");
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", "/bin/false"}),
              FailsWith(1, "ended with code 1"));
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", "/nowhere"}), FailsWith(10, "/nowhere"));
  const std::string sleeps = Script("sleeps", "exec sleep 100");
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", sleeps, "--timeout", "300ms"}),
              FailsWith(1, "in time"));
  const std::string killed = Script("killed", "kill -9 $$");
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", killed}), FailsWith(1, "signal 9"));
  EXPECT_THAT(Stasis({"upgrade", "nobody"}), FailsWith(10, "nobody"));
  EXPECT_THAT(Stasis({"upgrade", "box", "--timeout", "soon"}), FailsWith(2, "--timeout"));
  EXPECT_EQ(DaemonPid("box"), daemon);
  EXPECT_THAT(In("box", "echo usable > /a"), Succeeded());
  EXPECT_EQ(Upgrade("box").value("upgrades", 0), 1);
}

TEST_F(UpgradeTest, AnotherVersionThatCannotReadIsRefusedBefore) {
  StartBox("box");
  const std::string older = SaysHello(
      "older", R"({"hello": {"protocol": 2, "version": "0.0.1", "types": ["vfs.Dentry"]}})",
      "time.sleep(100)");
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", older}), FailsWith(6, "0.0.1"));
  const std::string stranger =
      SaysHello("stranger", R"({"hello": {"protocol": 99}})", "time.sleep(100)");
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", stranger}), FailsWith(6, "protocol"));
  const std::string babbles = SaysHello("babbles", "abc", "time.sleep(100)");
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", babbles}), FailsWith(1, "no message"));
  EXPECT_THAT(In("box", "echo usable > /a"), Succeeded());
}

// When it has loaded the programs wait, and go on.
TEST_F(UpgradeTest, OneThatDiesOrHangsWhileItLoadsLeavesTheOldOne) {
  StartBox("box", {}, {"/bin/sh", "-c", "while :; do date +%s%N > /now; done"});
  ASSERT_NE(Hello(), "");
  const std::string dies = Takes("dies", "s.recv(65536)\nos.kill(os.getpid(), 11)");
  const std::string hangs = Takes("hangs", "time.sleep(100)");
  const std::string fails =
      Takes("fails",
            "s.recv(65536)\ns.send(b'{\"failed\": {\"code\": 12, \"message\": \"too new\"}}')\n"
            "time.sleep(100)");
  const std::string late =
      Takes("late",
            "s.recv(65536)\ns.send(b'{\"loaded\": {}}')\ns.send(b'{\"ready\": {}}')\n"
            "time.sleep(100)");
  const std::string unready =
      Takes("unready", "s.recv(65536)\ns.send(b'{\"loaded\": {}}')\ntime.sleep(100)");
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", dies}), FailsWith(1, "signal 11"));
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", hangs, "--timeout", "2s"}),
              FailsWith(1, "in time"));
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", fails}), FailsWith(6, "too new"));
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", late, "--timeout", "2s"}),
              FailsWith(1, "did not begin to serve"));
  EXPECT_THAT(Stasis({"upgrade", "box", "--binary", unready, "--timeout", "2s"}),
              FailsWith(1, "in time"));
  const std::string now = Cat("box", "/now");
  EXPECT_TRUE(Eventually([&] { return Cat("box", "/now") != now; }));
  EXPECT_EQ(Upgrade("box").value("upgrades", 0), 1);
}

// Whatever it waits for: the start of the other program, its state, or its first word of serving.
TEST_F(UpgradeTest, DoesNotHoldUpTheEndOfTheSandbox) {
  ASSERT_NE(Hello(), "");
  const std::string hangs = "open('" + Path("reached") + "', 'w').close()\ntime.sleep(100)";
  const std::string loaded = "s.recv(65536)\ns.send(b'{\"loaded\": {}}')\n";
  const Strings binaries = {Script("silent", "touch " + Path("reached") + "\nexec sleep 100"),
                            Takes("mute", hangs), Takes("unready", loaded + hangs),
                            Takes("late", loaded + "s.send(b'{\"ready\": {}}')\n" + hangs)};
  for (const std::string& binary : binaries) {
    SCOPED_TRACE(binary);
    StartBox("box");
    const pid_t upgrade = Start({"upgrade", "box", "--binary", binary, "--timeout", "100s"});
    ASSERT_TRUE(Eventually([&] { return access(Path("reached").c_str(), F_OK) == 0; }));
    EXPECT_THAT(Stasis({"stop", "box"}, std::chrono::seconds(10)), Succeeded());
    EXPECT_NE(Wait(upgrade).exit_code, 0);
    ASSERT_EQ(unlink(Path("reached").c_str()), 0);
  }
}

TEST_F(UpgradeTest, IsRefusedWhileACheckpointGoesOn) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 100000000 /dev/urandom > /large"), Succeeded());
  const pid_t checkpoint = Start({"checkpoint", "box", "snaps:v1"});
  Outcome refused;
  EXPECT_TRUE(Eventually([&] { return Ps("box").value("status", "") == "checkpointing"; }));
  refused = Stasis({"upgrade", "box"});
  EXPECT_THAT(Wait(checkpoint), Succeeded());
  EXPECT_THAT(refused, FailsWith(8, "is checkpointing"));
  EXPECT_EQ(Upgrade("box").value("upgrades", 0), 1);
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
}

TEST_F(UpgradeTest, ACheckpointAfterItIsWhole) {
  StartBox("box");
  ASSERT_THAT(In("box",
                 "mkdir /d; head -c 300000 /dev/urandom > /d/f; ln /d/f /g; ln -s f /d/l; "
                 "mkfifo /p; chmod 640 /g; echo x > /empty; : > /empty"),
              Succeeded());
  const nlohmann::json first = Stasis({"checkpoint", "box", "snaps:v1", "--json"}).Json();
  Upgrade("box");
  ASSERT_THAT(In("box", "echo more >> /d/f"), Succeeded());
  const nlohmann::json second = Stasis({"checkpoint", "box", "snaps:v2", "--json"}).Json();
  EXPECT_EQ(second.at("parent"), first.at("digest"));
  EXPECT_LT(second.at("dirty_bytes"), 20000) << "what is stored stays stored";
  const std::string sums = In("box", "cd /d; sha256sum f; stat -c '%n %s %h %a %i' /d/* /g /p").out;
  EXPECT_THAT(Stasis({"verify", "snaps:v2"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v2", "--name", "again", "--detach"}), Succeeded());
  EXPECT_EQ(In("again", "cd /d; sha256sum f; stat -c '%n %s %h %a %i' /d/* /g /p").out, sums);
  ASSERT_THAT(Stasis({"rollback", "box", "snaps:v1"}), Succeeded());
  EXPECT_EQ(In("box", "stat -c %s /d/f").out, "300000\n");
}

TEST_F(UpgradeTest, OfForksAndBeforeForks) {
  StartBox("box");
  ASSERT_THAT(In("box", "head -c 300000 /dev/urandom > /f; echo box > /w"), Succeeded());
  const std::string sum = In("box", "sha256sum < /f").out;
  ASSERT_THAT(Stasis({"fork", "box", "child"}), Succeeded());
  // The fork reads the memory of the first one, whose daemon changes.
  Upgrade("box");
  ASSERT_THAT(In("box", "rm /f; for i in 1 2 3 4 5 6; do head -c 300000 /dev/zero > /z$i; done"),
              Succeeded());
  EXPECT_EQ(In("child", "sha256sum < /f").out, sum);
  Upgrade("child");
  Upgrade("box");
  ASSERT_THAT(In("box", "for i in 7 8 9; do head -c 300000 /dev/zero > /z$i; done"), Succeeded());
  EXPECT_EQ(In("child", "sha256sum < /f").out, sum);
  ASSERT_THAT(In("child", "echo child > /w; echo x >> /f"), Succeeded());
  ASSERT_THAT(Stasis({"fork", "child", "grandchild"}), Succeeded());
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  ASSERT_THAT(Stasis({"stop", "child"}), Succeeded());
  Upgrade("grandchild");
  EXPECT_EQ(In("grandchild", "head -c 300000 /f | sha256sum").out, sum);
  EXPECT_EQ(Cat("grandchild", "/w"), "child\n");
  EXPECT_THAT(Stasis({"checkpoint", "grandchild", "snaps:v1"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
}

TEST_F(UpgradeTest, OfDataThatIsReadLater) {
  StartBox("first");
  ASSERT_THAT(In("first", "for i in 1 2 3 4; do head -c 2000000 /dev/urandom > /f$i; done"),
              Succeeded());
  const std::string sums = In("first", "sha256sum /f*").out;
  ASSERT_THAT(Stasis({"checkpoint", "first", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "box", "--detach", "--prefetch", "none",
                      "--memory-limit", "4M"}),
              Succeeded());
  ASSERT_THAT(In("box", "cat /f1 > /dev/null; echo x >> /f4; truncate -s 2000000 /f4"),
              Succeeded());
  for (int i = 0; i < 2; ++i) {
    Upgrade("box");
    EXPECT_EQ(In("box", "sha256sum /f*").out, sums);
  }
  EXPECT_EQ(Ps("box").at("memory_limit"), 4194304);
  const Outcome removed = Stasis({"rm", "snaps:v1"});
  EXPECT_NE((removed.out + removed.err).find("in use by box"), std::string::npos);
  EXPECT_EQ(In("box", "sha256sum /f*").out, sums);
}

TEST_F(UpgradeTest, OfAFileStore) {
  ASSERT_THAT(Shell("mkdir store"), Succeeded());
  StartBox("box", {"--filestore", Path("store"), "--memory-limit", "8M"});
  ASSERT_THAT(In("box", "head -c 20000000 /dev/urandom > /f"), Succeeded());
  const std::string sum = In("box", "sha256sum < /f").out;
  for (int i = 0; i < 2; ++i) {
    Upgrade("box");
    EXPECT_EQ(In("box", "sha256sum < /f").out, sum);
    ASSERT_THAT(In("box", "cp /f /g; cmp /f /g; rm /g"), Succeeded());
  }
}

TEST_F(UpgradeTest, OfHostDirectories) {
  ASSERT_THAT(Shell("mkdir data shared"), Succeeded());
  WriteFile("data/file", "host");
  WriteFile("data/held", "held");
  WriteFile("shared/file", "host");
  StartBox("box",
           {"--root", "data=" + Path("data"), "--mount", "data:/data", "--root",
            "shared=" + Path("shared"), "--mount", "shared:/shared:interop=shared"},
           {"/bin/sh", "-c",
            "exec 5>> /data/held 6< /data/held; while :; do echo x >&5; sleep 0.01; done"});
  EXPECT_EQ(Cat("box", "/data/file"), "host");
  for (int i = 0; i < 2; ++i) {
    // What others change may give something else the second time.
    EXPECT_EQ(Upgrade("box").at("loaded_in_pause"), true);
    ASSERT_THAT(In("box", "echo box > /data/file; echo box > /shared/file"), Succeeded());
    EXPECT_EQ(ReadFile(Path("data/file")), "box\n");
    WriteFile("shared/file", "other");
    EXPECT_EQ(Cat("box", "/shared/file"), "other");
    const auto size = std::filesystem::file_size(Path("data/held"));
    EXPECT_TRUE(Eventually([&] { return std::filesystem::file_size(Path("data/held")) > size; }));
    EXPECT_EQ(In("box", "stat -c %s /data/file").out, "4\n");
  }
  ASSERT_THAT(Stasis({"umount", "box", "/shared"}), Succeeded());
  ASSERT_THAT(Stasis({"mount-add", "box", "shared:/tmp", "--root", "shared=" + Path("shared")}),
              Succeeded());
  EXPECT_EQ(Cat("box", "/tmp/file"), "other");
  Upgrade("box");
  EXPECT_EQ(Cat("box", "/tmp/file"), "other");
}

// What is not mounted any more is still the host's.
TEST_F(UpgradeTest, OfAHostDirectoryThatIsOnlyOpenStill) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  StartBox("box", {"--root", "data=" + Path("data"), "--mount", "data:/data"},
           {"/bin/sh", "-c",
            "cd /data; while [ ! -e /stop ]; do mkdir d && rmdir d || touch /failed; done; "
            "touch /well; sleep 1000"});
  ASSERT_THAT(Stasis({"umount", "box", "/data", "--detach"}), Succeeded());
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(Upgrade("box").at("loaded_in_pause"), false) << ReadFile(runtime_dir() + "/box/log");
  ASSERT_THAT(In("box", "touch /stop; while [ ! -e /well ]; do sleep 0.01; done"), Succeeded());
  EXPECT_NE(In("box", "test -e /failed").exit_code, 0);
}

// What they do while the other daemon loads is done again with what the host has answered.
TEST_F(UpgradeTest, WhileManyWorkInAHostDirectory) {
  ASSERT_THAT(Shell("mkdir -p data/many; cd data/many; seq 5000 | xargs touch"), Succeeded());
  top_ = "/data/t";
  StartProgram("box", kWorks, "4", {"--root", "data=" + Path("data"), "--mount", "data:/data"});
  ASSERT_THAT(In("box", "ls -l /data/many"), Succeeded());
  AwaitRounds("box", "/data/t/ROUND3");
  int replayed = 0;
  for (int i = 0; i < Rounds(); ++i) {
    const nlohmann::json report = Upgrade("box");
    EXPECT_EQ(report.at("loaded_in_pause"), false);
    replayed += report.at("replayed").get<int>();
    AwaitRounds("box", "/data/t/ROUND3");
    if (HasFailure()) return;
  }
  EXPECT_GT(replayed, 0);
  EndProgram("box");
  const std::string sum = "find . -type f -printf '%p %s %m %n\\n' -exec md5sum {} + | sort";
  EXPECT_EQ(In("box", "cd /data; " + sum).out, Shell("cd data; " + sum).out);
}

// Open through the kernel's passthrough, where there is one.
TEST_F(UpgradeTest, OfHostFilesThatAreOpen) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  top_ = "/data/t";
  StartProgram("box", kUsesOpenFiles, "",
               {"--root", "data=" + Path("data"), "--mount", "data:/data"});
  AwaitRounds("box", "/data/t/ROUND");
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_EQ(Upgrade("box").at("loaded_in_pause"), false);
    AwaitRounds("box", "/data/t/ROUND");
    if (HasFailure()) return;
  }
  EndProgram("box");
}

TEST_F(UpgradeTest, IsRefusedWhereAHostFileIsAnother) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  WriteFile("data/held", "one");
  StartBox("box", {"--root", "data=" + Path("data"), "--mount", "data:/data:interop=shared"},
           {"/bin/sh", "-c",
            "exec 6< /data/held; touch /ready; while [ ! -e /go ]; do sleep 0.01; "
            "done; cat <&6 > /read; exec 6<&-; touch /closed; sleep 1000"});
  EXPECT_TRUE(Eventually([&] { return In("box", "test -e /ready").exit_code == 0; }));
  WriteFile("new", "two");
  ASSERT_THAT(Shell("mv new data/held"), Succeeded());
  // With passthrough it is refused because the old one was deleted.
  EXPECT_THAT(Stasis({"upgrade", "box"}), FailsWith(1, "a program has "));
  ASSERT_THAT(In("box", "touch /go; while [ ! -e /closed ]; do sleep 0.01; done"), Succeeded());
  EXPECT_EQ(Cat("box", "/read /data/held"), "onetwo");
  Upgrade("box");
  ASSERT_THAT(Shell("mv data moved; mkdir data"), Succeeded());
  EXPECT_THAT(Stasis({"upgrade", "box"}), FailsWith(1, "the host directory 'data' is not at"));
  EXPECT_EQ(Cat("box", "/data/held"), "two");
}

constexpr char kWritesToADeletedFile[] =
    "exec 7> /data/f 8< /data/f; rm /data/f; touch /ready; i=0; while [ ! -e /go ]; do i=$((i+1)); "
    "echo x >&7; sleep 0.01; done; echo $i > /count; wc -l <&8 > /lines; touch /done; sleep 1000";

TEST_F(UpgradeTest, OfADeletedHostFileThatIsOpen) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  StartBox("box", {"--root", "data=" + Path("data"), "--mount", "data:/data"},
           {"/bin/sh", "-c", kWritesToADeletedFile});
  EXPECT_TRUE(Eventually([&] { return In("box", "test -e /ready").exit_code == 0; }));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Upgrade("box").at("loaded_in_pause"), false);
  ASSERT_THAT(In("box", "touch /go; while [ ! -e /done ]; do sleep 0.01; done"), Succeeded());
  EXPECT_EQ(Cat("box", "/lines"), Cat("box", "/count"));
}

// What the kernel writes to by itself, and what the new daemon would have, would be two.
TEST_F(UpgradeTest, IsRefusedWhileADeletedHostFileIsWrittenWithoutTheDaemon) {
  ASSERT_THAT(Shell("mkdir data"), Succeeded());
  StartBox("box", {"--root", "data=" + Path("data"), "--mount", "data:/data:interop=shared"},
           {"/bin/sh", "-c", kWritesToADeletedFile});
  EXPECT_TRUE(Eventually([&] { return In("box", "test -e /ready").exit_code == 0; }));
  const Outcome outcome = Stasis({"upgrade", "box"});
  // Without passthrough (an older kernel) its content goes along.
  if (outcome.exit_code != 0) {
    EXPECT_THAT(outcome, FailsWith(1, "was deleted"));
  }
  ASSERT_THAT(In("box", "touch /go; while [ ! -e /done ]; do sleep 0.01; done"), Succeeded());
  EXPECT_EQ(Cat("box", "/lines"), Cat("box", "/count"));
}

TEST_F(UpgradeTest, WithFewDescriptorsItSucceedsOrTheOldOneGoesOn) {
  StartBox("box", {}, {"/bin/sh", "-c", "while :; do date +%s%N > /now; done"});
  const pid_t daemon = DaemonPid("box");
  const auto open_now = std::distance(
      std::filesystem::directory_iterator("/proc/" + std::to_string(daemon) + "/fd"), {});
  rlimit limit{};
  ASSERT_EQ(prlimit(daemon, RLIMIT_NOFILE, nullptr, &limit), 0);
  bool done = false;
  for (rlim_t spare = 0; spare < 40 && !done; spare += 4) {
    const rlimit few{static_cast<rlim_t>(open_now) + spare, limit.rlim_max};
    ASSERT_EQ(prlimit(daemon, RLIMIT_NOFILE, &few, nullptr), 0);
    done = Stasis({"upgrade", "box"}).exit_code == 0;
    if (!done) {
      EXPECT_EQ(DaemonPid("box"), daemon);
    }
    const rlimit enough{static_cast<rlim_t>(open_now) + 40, limit.rlim_max};
    (void)prlimit(daemon, RLIMIT_NOFILE, &enough, nullptr);
    const std::string now = Cat("box", "/now");
    EXPECT_TRUE(Eventually([&] { return Cat("box", "/now") != now; }));
  }
  EXPECT_TRUE(done);
}

TEST_F(UpgradeTest, AKilledSuccessorLeavesNothing) {
  StartBox("box", {}, {"/bin/sh", "-c", "while :; do date +%s%N > /now; done"});
  const pid_t init = InitPid("box");
  Upgrade("box");
  kill(DaemonPid("box"), SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !IsRunning(init); }));
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_FALSE(std::filesystem::exists(runtime_dir() + "/box"));
}

}  // namespace
}  // namespace stasis::cli
