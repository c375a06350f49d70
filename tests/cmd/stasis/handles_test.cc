// SPDX-License-Identifier: Apache-2.0
//
// What is open in a sandbox, and was when an image was made.

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Opens files in many ways, says so, and waits.
constexpr char kHolder[] = R"(
import ctypes, fcntl, mmap, os, sys, time
os.makedirs('/work/d', exist_ok=True)
os.makedirs('/gone', exist_ok=True)
os.chdir('/gone'); os.rmdir('/gone')
def make(path, text):
    with open(path, 'w') as f: f.write(text)
for name in 'rabmlx': make('/work/' + name, 'x' * 10000)
r = os.open('/work/r', os.O_RDONLY); os.read(r, 1234)
a = os.open('/work/a', os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
b = os.open('/work/b', os.O_RDWR); os.lseek(b, 77, 0)
os.unlink('/work/b')
d = os.open('/work/d', os.O_RDONLY | os.O_DIRECTORY)
l = os.open('/work/l', os.O_RDWR)
fcntl.lockf(l, fcntl.LOCK_EX, 10, 5)
x = os.open('/work/x', os.O_RDWR); fcntl.flock(x, fcntl.LOCK_SH)
m = os.open('/work/m', os.O_RDWR)
mapping = mmap.mmap(m, 8192); os.close(m)
libc = ctypes.CDLL(None)
n = libc.inotify_init()
libc.inotify_add_watch(n, b'/work/d', 0x100)
p = os.open('/work/l', os.O_PATH)
make('/work/ends (deleted)', 'x')
e = os.open('/work/ends (deleted)', os.O_RDONLY)
ends = dict(r=r, a=a, b=b, d=d, l=l, x=x, n=n, p=p, e=e)
if os.fork() == 0:
    time.sleep(1000)
make('/ready.tmp', ' '.join('%s=%d' % i for i in ends.items()))
os.rename('/ready.tmp', '/ready')
time.sleep(1000)
)";

class HandlesTest : public CliTest {
 protected:
  // Starts a program that holds files open, and reads which.
  void StartHolder() {
    WriteFile("src/holder.py", kHolder);
    StartBox("box", {"--import", "src"}, {"python3", "/holder.py"});
    ASSERT_TRUE(Eventually([this] {
      ready_ = In("box", "cat /ready").out;
      return !ready_.empty();
    }));
  }
  int Fd(const std::string& name) const {
    const size_t at = (" " + ready_).find(" " + name + "=");
    return at == std::string::npos ? -1 : std::stoi(ready_.substr(at + name.size() + 1));
  }
  // The entry of a descriptor of the parent, or null.
  json Entry(const json& report, const std::string& name) {
    json found;
    for (const json& file : report.at("files"))
      if (file.at("fd") == Fd(name) && (found.is_null() || file.at("pid") < found.at("pid")))
        found = file;
    return found;
  }
  static std::vector<json> OfKind(const json& report, const std::string& kind) {
    std::vector<json> found;
    for (const json& file : report.at("files"))
      if (file.at("kind") == kind) found.push_back(file);
    return found;
  }

  void ExpectHolder(const json& report) {
    const json r = Entry(report, "r");
    ASSERT_FALSE(r.is_null()) << report.dump(1);
    EXPECT_EQ(r.at("path"), "/work/r");
    EXPECT_EQ(r.at("offset"), 1234);
    EXPECT_EQ(r.at("kind"), "descriptor");
    EXPECT_EQ(r.at("type"), "regular");
    EXPECT_EQ(r.at("links"), 1);
    EXPECT_EQ(r.at("deleted"), false);
    EXPECT_EQ(r.at("command"), "python3");
    EXPECT_EQ(r.at("flags"), json::array({"O_RDONLY", "O_CLOEXEC"}));
    EXPECT_EQ(Entry(report, "a").at("flags"),
              json::array({"O_WRONLY", "O_APPEND", "O_NONBLOCK", "O_CLOEXEC"}));
    const json b = Entry(report, "b");
    EXPECT_EQ(b.at("path"), "/work/b");
    EXPECT_EQ(b.at("deleted"), true);
    EXPECT_EQ(b.at("links"), 0);
    EXPECT_EQ(b.at("offset"), 77);
    EXPECT_EQ(Entry(report, "d").at("type"), "directory");
    EXPECT_EQ(Entry(report, "p").at("flags"), json::array({"O_PATH", "O_CLOEXEC"}));
    const json e = Entry(report, "e");
    EXPECT_EQ(e.at("path"), "/work/ends (deleted)");
    EXPECT_EQ(e.at("deleted"), false);
    EXPECT_EQ(Entry(report, "l").at("locks"),
              json::array({{{"kind", "posix"}, {"type", "write"}, {"start", 5}, {"last", 14}}}));
    EXPECT_EQ(
        Entry(report, "x").at("locks"),
        json::array({{{"kind", "flock"}, {"type", "read"}, {"start", 0}, {"last", nullptr}}}));
    const json n = Entry(report, "n");
    EXPECT_EQ(n.at("kind"), "inotify");
    ASSERT_THAT(n.at("watches"), SizeIs(1));
    EXPECT_EQ(n.at("watches")[0].at("path"), "/work/d");
    EXPECT_EQ(n.at("watches")[0].at("events"), json::array({"create"}));
    // The child has the same open file descriptions.
    int sharers = 0;
    for (const json& file : report.at("files"))
      sharers += file.at("fd") == Fd("r") && file.at("shared") == r.at("shared") ? 1 : 0;
    EXPECT_EQ(sharers, 2);
    EXPECT_FALSE(r.at("shared").is_null());
    EXPECT_NE(r.at("shared"), b.at("shared"));
    const std::vector<json> cwds = OfKind(report, "cwd");
    ASSERT_FALSE(cwds.empty());
    EXPECT_EQ(cwds[0].at("path"), "/gone");
    EXPECT_EQ(cwds[0].at("deleted"), true);
    const std::vector<json> mappings = OfKind(report, "mapping");
    ASSERT_FALSE(mappings.empty());
    EXPECT_EQ(mappings[0].at("path"), "/work/m");
    EXPECT_EQ(mappings[0].at("access"), "rw-s");
    EXPECT_EQ(mappings[0].at("length"), 8192);
    EXPECT_TRUE(report.at("incomplete").is_null()) << report.at("incomplete");
  }

  std::string ready_;
};

TEST_F(HandlesTest, ListsWhatAProgramHasOpen) {
  StartHolder();
  const Outcome outcome = Stasis({"handles", "box", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  const json report = outcome.Json();
  EXPECT_EQ(report.at("name"), "box");
  ExpectHolder(report);
  EXPECT_GT(Entry(report, "r").at("host_pid"), 1);
  const std::string text = Stasis({"handles", "box"}).out;
  EXPECT_THAT(text, HasSubstr("/work/b (deleted)"));
  EXPECT_THAT(text, HasSubstr("posix write lock 5-14"));
  EXPECT_THAT(text, HasSubstr("watches /work/d"));
}

TEST_F(HandlesTest, AnImageSaysWhatWasOpen) {
  StartHolder();
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  const Outcome outcome = Stasis({"handles", "snaps:v1", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  const json report = outcome.Json();
  EXPECT_EQ(report.at("reference"), "snaps:v1");
  ExpectHolder(report);
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--list-handles", "--json"}).out, outcome.out);
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--list-handles", "--name", "other"}),
              FailsWith(2, "--list-handles excludes --name"));
  EXPECT_THAT(Stasis({"ps", "--json"}).Json().at("sandboxes"), IsEmpty());
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
}

TEST_F(HandlesTest, WithoutACgroupToo) {
  WriteFile("src/f", "text");
  StartBox("box", {"--import", "src", "--freezer", "signal"},
           {"/bin/sh", "-c", "exec 5<>/f; sleep 1000"});
  json report;
  ASSERT_TRUE(Eventually([&] {
    report = Stasis({"handles", "box", "--json"}).Json();
    for (const json& file : report.at("files"))
      if (file.at("fd") == 5 && file.at("command") == "sleep") return true;
    return false;
  })) << report.dump(1);
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1"}), Succeeded());
  EXPECT_THAT(Stasis({"handles", "snaps:v1"}).out, HasSubstr("/f"));
}

TEST_F(HandlesTest, SeesTheSandboxsOtherFilesystems) {
  ASSERT_THAT(Shell("mkdir -p data/sub && echo text > data/sub/f"), Succeeded());
  StartBox("box", {"--root", "data=data", "--mount", "data:/data", "--tmpfs", "/scratch"},
           {"/bin/sh", "-c", "exec 5</data/sub/f 6>/scratch/g; sleep 1000"});
  json report;
  std::vector<std::string> paths;
  ASSERT_TRUE(Eventually([&] {
    paths.clear();
    report = Stasis({"handles", "box", "--json"}).Json();
    for (const json& file : report.at("files"))
      if ((file.at("fd") == 5 || file.at("fd") == 6) && file.at("command") == "sleep")
        paths.push_back(file.at("path"));
    return paths.size() == 2;
  }));
  EXPECT_THAT(paths, ElementsAre("/data/sub/f", "/scratch/g"));
  // Where others may change files the server is asked to open them, and knows them itself.
  EXPECT_THAT(Stasis({"stop", "box"}), Succeeded());
  StartBox("box2", {"--root", "data=data", "--mount", "data:/data:interop=shared"},
           {"/bin/sh", "-c", "exec 5</data/sub/f; sleep 1000"});
  ASSERT_TRUE(Eventually([&] {
    report = Stasis({"handles", "box2", "--json"}).Json();
    for (const json& handle : report.at("server"))
      if (handle.at("type") == "regular") return true;
    return false;
  }));
  std::vector<std::string> held;
  for (const json& handle : report.at("server")) held.push_back(handle.at("path"));
  EXPECT_THAT(held, testing::Contains("/data/sub/f"));
}

TEST_F(HandlesTest, APathThatIsNotUtf8IsInBase64) {
  StartBox("box", {}, {"/bin/sh", "-c", "exec 5>\"$(printf '/\\377')\"; sleep 1000"});
  json report;
  ASSERT_TRUE(Eventually([&] {
    report = Stasis({"handles", "box", "--json"}).Json();
    for (const json& file : report.at("files"))
      if (file.at("fd") == 5) return file.value("path_base64", "") == "L/8=";
    return false;
  })) << report.dump(1);
  EXPECT_THAT(Stasis({"handles", "box"}).out, HasSubstr("/\\xff"));
}

TEST_F(HandlesTest, DeletedFilesGoWithARestore) {
  StartHolder();
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "box3", "--detach"}), Succeeded());
  EXPECT_THAT(Stasis({"handles", "box3", "--json"}).Json().at("kept"), IsEmpty());
  ASSERT_THAT(Stasis({"checkpoint", "box3", "snaps:v2"}), Succeeded());
  EXPECT_EQ(Stasis({"inspect", "snaps:v2", "--json"}).Json().at("deleted_files"), 0);
}

TEST_F(HandlesTest, KeptFilesAreListedAndSavedAgain) {
  StartHolder();
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  const json would = Stasis({"handles", "snaps:v1", "--json"}).Json().at("kept");
  ASSERT_THAT(would, SizeIs(2));  // the file and the working directory
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--handles", "keep", "--name", "box2", "--detach"}),
              Succeeded());
  EXPECT_EQ(Stasis({"handles", "box2", "--json"}).Json().at("kept"), would);
  ASSERT_THAT(Stasis({"checkpoint", "box2", "snaps:v2", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"handles", "snaps:v2", "--json"}).Json().at("kept"), would);
  EXPECT_EQ(Stasis({"inspect", "snaps:v2", "--json"}).Json().at("deleted_files"), 2);
  EXPECT_THAT(Stasis({"verify", "snaps:v2"}), Succeeded());
  // The content is there: what is kept of it again, and is in no other file.
  ASSERT_THAT(Stasis({"restore", "snaps:v2", "--handles", "keep", "--name", "box4", "--detach"}),
              Succeeded());
  EXPECT_EQ(Stasis({"handles", "box4", "--json"}).Json().at("kept"), would);
  // By default they go.
  ASSERT_THAT(Stasis({"restore", "snaps:v2", "--name", "box3", "--detach"}), Succeeded());
  EXPECT_THAT(Stasis({"handles", "box3", "--json"}).Json().at("kept"), IsEmpty());
}

TEST_F(HandlesTest, SaysWhatIsWrong) {
  EXPECT_THAT(Stasis({"handles", "nobody"}), FailsWith(10, "nobody"));
  EXPECT_THAT(Stasis({"handles", "snaps:v1"}), FailsWith(10, "snaps"));
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--handles", "all"}), ExitsWith(2));
  WriteFile("src/f", "text");
  ASSERT_THAT(Stasis({"import", "src", "snaps:v1"}), Succeeded());
  const Outcome outcome = Stasis({"handles", "snaps:v1", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.Json().at("incomplete"), "the image has no table of open files");
  EXPECT_THAT(outcome.Json().at("files"), IsEmpty());
}

}  // namespace
}  // namespace stasis::cli
