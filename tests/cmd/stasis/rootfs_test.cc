// SPDX-License-Identifier: Apache-2.0
//
// Sandboxes on a base: a directory or a container image, with a writable layer on top.

#include <regex>
#include <sstream>

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class RootfsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(
        Shell(
            "mkdir -p base/etc base/srv/deep base/tmp base/proc base/dev; echo one > base/etc/conf;"
            "echo two > base/srv/deep/file; ln base/srv/deep/file base/srv/link;"
            "chmod 750 base/srv; ln -s conf base/etc/symlink"),
        Succeeded());
    before_ = Tree("base");
  }
  std::string Tree(const std::string& directory) {
    return Shell("cd " + directory +
                 "; find . -printf '%p %y %m %n %s %T@ %l\\n' | sort; "
                 "find . -type f | sort | xargs sha256sum")
        .out;
  }
  // But for the places of the host's system directories, which the base does not have.
  std::string Diff(Strings arguments) {
    arguments.insert(arguments.begin(), "diff");
    const Outcome outcome = Stasis(arguments);
    EXPECT_THAT(outcome, Succeeded());
    std::istringstream lines(outcome.out);
    std::string kept;
    for (std::string line; std::getline(lines, line);)
      if (!std::regex_match(line, std::regex("A /(s?bin|lib(x?32|64)?|usr)"))) kept += line + "\n";
    return kept;
  }
  // Changes of every kind.
  void Change(const std::string& box) {
    const Outcome changed = In(box,
                               "echo more >> /etc/conf; rm /srv/link; mkdir /new; echo n > /new/n;"
                               "mv /srv/deep /srv/moved; chmod 700 /srv");
    ASSERT_THAT(changed, Succeeded());
  }
  static constexpr char kChanges[] =
      "M /etc/conf (size 4 -> 9)\n"
      "A /new\n"
      "A /new/n\n"
      "M /srv (mode 750 -> 700)\n"
      "D /srv/deep\n"
      "D /srv/link\n"
      "A /srv/moved\n"
      "A /srv/moved/file\n";

  std::string before_;
};

TEST_F(RootfsTest, TheBaseStaysAsItIs) {
  StartBox("box", {"--rootfs", "base"});
  EXPECT_EQ(In("box", "cat /etc/symlink; stat -c %a /srv; ls /srv/deep").out, "one\n750\nfile\n");
  Change("box");
  EXPECT_EQ(In("box", "cat /etc/conf /srv/moved/file; ls /srv").out, "one\nmore\ntwo\nmoved\n");
  EXPECT_EQ(Tree("base"), before_);
  EXPECT_EQ(Diff({"box"}), kChanges);
  EXPECT_EQ(Stasis({"diff", "box", "--json"}).Json()["removed"], 2);
}

TEST_F(RootfsTest, RestoredOnACopyOfTheBase) {
  StartBox("box", {"--rootfs", "base"});
  Change("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Shell("cp -a base copy; rm -r base"), Succeeded());
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--", "true"}), FailsWith(2, "--root rootfs=DIR"));
  EXPECT_EQ(Diff({"snaps:v1", "--root", "rootfs=copy"}), kChanges);
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--name", "again", "--root", "rootfs=copy", "-d"}),
              Succeeded());
  EXPECT_EQ(In("again", "cat /etc/conf /srv/moved/file; echo x > /etc/more; ls /etc").out,
            "one\nmore\ntwo\nconf\nmore\nsymlink\n");
  EXPECT_EQ(Tree("copy"), before_);
  ASSERT_THAT(Stasis({"checkpoint", "again", "snaps:v2", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"diff", "snaps:v1", "snaps:v2", "--root", "rootfs=copy"}).out, "A /etc/more\n");
}

TEST_F(RootfsTest, AChangedBaseIsReportedBeforeAnythingIsMounted) {
  StartBox("box", {"--rootfs", "base"});
  ASSERT_THAT(In("box", "cat /etc/conf /srv/deep/file"), Succeeded());
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Shell("echo changed > base/etc/conf"), Succeeded());
  const Outcome refused = Stasis({"restore", "snaps:v1", "--root", "rootfs=base", "--", "true"});
  EXPECT_THAT(refused, FailsWith(4, "/etc/conf"));
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--root", "rootfs=base", "--on-drift", "adopt", "--",
                    "cat", "/etc/conf"})
                .out,
            "changed\n");
}

TEST_F(RootfsTest, AnUpperDirectoryStays) {
  ASSERT_THAT(Shell("mkdir up"), Succeeded());
  StartBox("box", {"--rootfs", "base", "--upper", "up"});
  Change("box");
  ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
  EXPECT_EQ(Tree("base"), before_);
  EXPECT_EQ(ReadFile(Path("up/upper/etc/conf")), "one\nmore\n");
  StartBox("other", {"--rootfs", "base", "--upper", "up"});
  EXPECT_THAT(Stasis({"run", "--rootfs", "base", "--upper", "up", "--", "true"}),
              FailsWith(8, "upper layer of another sandbox"));
  ASSERT_THAT(Stasis({"stop", "other"}), Succeeded());
  EXPECT_EQ(Stasis({"run", "--rootfs", "base", "--upper", "up", "--", "/bin/sh", "-c",
                    "cat /etc/conf /srv/moved/file; ls /srv"})
                .out,
            "one\nmore\ntwo\nmoved\n");
  const Outcome kernel = Host(
      {"unshare", "--mount", "/bin/sh", "-ec",
       "mkdir merged; mount -t overlay -o "
       "lowerdir=base,upperdir=up/upper,workdir=up/work,redirect_dir=on,metacopy=on overlay merged;"
       "cat merged/etc/conf merged/srv/moved/file; ls merged/srv"});
  EXPECT_EQ(kernel.out, "one\nmore\ntwo\nmoved\n") << kernel.err;
}

// The kernel opens files of an overlay in memory without asking.
constexpr char kUsesOpenFiles[] = R"(
import mmap, os, sys
os.chdir(sys.argv[1])
read = lambda fd, at=0: os.pread(fd, 20, at)
for name in "abcdefgh":
    with open(name) as file: assert file.read() == "content of " + name, name
fd = os.open("a", os.O_RDWR); os.unlink("a"); print(read(fd), os.fstat(fd).st_nlink)
os.pwrite(fd, b"XY", 1); os.ftruncate(fd, 9); os.fsync(fd); print(read(fd), os.path.exists("a"))
fd = os.open("b", os.O_RDONLY); os.rename("c", "b"); print(read(fd), open("b").read())
fd = os.open("d", os.O_WRONLY | os.O_TRUNC); print(os.fstat(fd).st_size); os.write(fd, b"D")
fd = os.open("d", os.O_WRONLY | os.O_APPEND); os.write(fd, b"++"); print(open("d").read())
fd = os.open("e", os.O_RDONLY); writer = os.open("e", os.O_WRONLY); os.pwrite(writer, b"Z", 2)
print(read(fd)); os.truncate("e", 4); print(read(fd))
fd = os.open("f", os.O_RDWR); map = mmap.mmap(fd, 0); map[0:3] = b"MAP"; map.flush()
os.unlink("f"); map[3:6] = b"PAM"; map.close(); print(read(fd))
fd = os.open("g", os.O_RDWR); os.chmod("g", 0); child = os.fork()
if child == 0:
    os.setuid(65534); os.pwrite(fd, b"Q", 0); os._exit(read(fd)[:1] != b"Q")
print(os.waitpid(child, 0)[1], read(fd))
os.close(os.open("h", os.O_WRONLY)); print(open("h").read(), oct(os.stat("h").st_mode))
)";

TEST_F(RootfsTest, OpenFilesAreWhatTheyAreOnTheHost) {
  WriteFile("program.py", kUsesOpenFiles);
  ASSERT_THAT(Shell("mkdir base/w; for i in a b c d e f g h; do echo -n content of $i >base/w/$i;"
                    " done; cp -r base/w native"),
              Succeeded());
  const Outcome native = Host({"python3", Path("program.py"), Path("native")});
  ASSERT_THAT(native, Succeeded());
  const Outcome ours = Stasis({"run", "--rootfs", "base", "--bind", Path("program.py") + ":/p",
                               "--", "python3", "/p", "/w"});
  EXPECT_THAT(ours, Succeeded());
  EXPECT_EQ(ours.out, native.out);
  EXPECT_EQ(ReadFile(Path("base/w/e")), "content of e") << "the base is as it was";
}

TEST_F(RootfsTest, WithoutAnUpperLayerTheDirectoryItselfIsChanged) {
  ASSERT_THAT(
      Stasis({"run", "--rootfs", "base", "--upper", "none", "--", "/bin/sh", "-c", "echo x > /x"}),
      Succeeded());
  EXPECT_EQ(ReadFile(Path("base/x")), "x\n");
}

TEST_F(RootfsTest, MemoryHasLimitsAndTmpfsToo) {
  StartBox("box", {"--rootfs", "base", "--size-limit", "1M", "--tmpfs", "/tmp:size=64k:mode=700",
                   "--tmpfs", "/tmp/below:ro"});
  EXPECT_THAT(In("box", "head -c 2M /dev/zero > /big").err, HasSubstr("No space left"));
  EXPECT_THAT(In("box", "head -c 100K /dev/zero > /tmp/big").err, HasSubstr("No space left"));
  EXPECT_THAT(In("box", "echo x > /tmp/below/x").err, HasSubstr("Read-only"));
  EXPECT_EQ(In("box", "stat -c %a /tmp; rm /tmp/big; echo kept > /tmp/f").out, "700\n");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v1", "--root", "rootfs=base", "--", "/bin/sh", "-c",
                    "cat /tmp/f; grep -c fuse.stasis /proc/self/mountinfo"})
                .out,
            "kept\n3\n");
}

TEST_F(RootfsTest, BadOptionsAreRefused) {
  EXPECT_THAT(Stasis({"run", "--rootfs", "none"}), FailsWith(10, "no such directory"));
  EXPECT_THAT(Stasis({"run", "--rootfs", "base/etc/conf"}), FailsWith(10, "no such directory"));
  EXPECT_THAT(Stasis({"run", "--rootfs", "base", "--upper", "nowhere"}), FailsWith(10, "--upper"));
  ASSERT_THAT(Shell("mkdir base/up up"), Succeeded());
  EXPECT_THAT(Stasis({"run", "--rootfs", "base", "--upper", "base/up"}),
              FailsWith(2, "within each other"));
  EXPECT_THAT(Stasis({"run", "--upper", "up"}), FailsWith(2, "--upper is for a --rootfs"));
  EXPECT_THAT(Stasis({"run", "--rootfs", "base", "--upper", "up", "--size-limit", "1M"}),
              FailsWith(2, "--size-limit"));
  EXPECT_THAT(Stasis({"run", "--rootfs", "oci:none:tag"}), FailsWith(10, "none"));
  EXPECT_THAT(Stasis({"run", "--tmpfs", "tmp"}), FailsWith(2, "--tmpfs tmp"));
  EXPECT_THAT(Stasis({"run", "--tmpfs", "/tmp:size=x"}), FailsWith(2, "not a size"));
  EXPECT_THAT(Stasis({"run", "--tmpfs", "/tmp:huge"}), FailsWith(2, "'huge' is no option"));
  StartBox("plain");
  EXPECT_THAT(Stasis({"diff", "plain"}), FailsWith(2, "its root is memfs"));
  EXPECT_THAT(Stasis({"commit", "plain", "oci:images:x"}), FailsWith(2, "its root is memfs"));
  EXPECT_THAT(Shell("ls images 2>&1 || true").out, HasSubstr("No such file"));
}

class ImageTest : public RootfsTest {
 protected:
  void SetUp() override {
    RootfsTest::SetUp();
    cache_ = {"--layer-cache", "cache"};
    StartBox("maker", {"--rootfs", "base"});
    ASSERT_THAT(Stasis({"commit", "maker", "oci:images:base"}), Succeeded());
    ASSERT_THAT(Stasis({"stop", "maker"}), Succeeded());
  }
  Strings On(const std::string& image, Strings more = {}) {
    Strings options = {"--rootfs", "oci:images:" + image, "--layer-cache", "cache"};
    options.insert(options.end(), more.begin(), more.end());
    return options;
  }
  Strings cache_;
};

TEST_F(ImageTest, ACommitIsAnImageToRunOn) {
  StartBox("box", On("base"));
  EXPECT_EQ(In("box", "cat /etc/symlink /srv/link; stat -c '%a %h' /srv /srv/link").out,
            "one\ntwo\n750 1\n644 2\n");
  Change("box");
  EXPECT_EQ(Diff({"box"}), kChanges);
  const Outcome committed = Stasis({"commit", "box", "oci:images:second", "--compression", "zstd",
                                    "--author", "me", "-m", "why", "--json"});
  ASSERT_THAT(committed, Succeeded());
  StartBox("next", On("second"));
  EXPECT_EQ(In("next", "cat /etc/conf /srv/moved/file; ls /srv").out, "one\nmore\ntwo\nmoved\n");
  EXPECT_THAT(Diff({"next"}), IsEmpty());
}

TEST_F(ImageTest, ARestoreFindsTheLayersInTheCache) {
  StartBox("box", On("base"));
  Change("box");
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_THAT(Stasis({"drift", "snaps:v1", "--layer-cache", "cache"}), Succeeded());
  EXPECT_EQ(Diff({"snaps:v1", "--layer-cache", "cache"}), kChanges);
  Strings restore = {"restore", "snaps:v1", "--layer-cache", "cache", "--name", "again", "-d"};
  ASSERT_THAT(Stasis(restore), Succeeded());
  EXPECT_EQ(In("again", "cat /srv/moved/file").out, "two\n");
  ASSERT_THAT(Stasis({"commit", "again", "oci:images:third"}), Succeeded())
      << "the base is known after a restore, too";
  EXPECT_EQ(Stasis({"run", "--rootfs", "oci:images:third", "--layer-cache", "cache", "--", "cat",
                    "/etc/conf"})
                .out,
            "one\nmore\n");
  ASSERT_THAT(Stasis({"stop", "again"}), Succeeded());
  EXPECT_THAT(Stasis({"restore", "snaps:v1", "--layer-cache", "other", "--", "true"}),
              FailsWith(2, "--root layer-"));
}

TEST_F(ImageTest, WhatTheImageSaysCountsWhereTheCommandLineDoesNot) {
  const Outcome made = Shell(
      "umoci config --image images:base --config.env COLOR=blue --config.env SIZE=big "
      "--config.workingdir /srv --config.entrypoint /bin/sh --config.entrypoint -c "
      "--config.cmd 'echo $COLOR $SIZE $PWD'");
  ASSERT_THAT(made, Succeeded());
  Strings run = On("base", {"--env", "SIZE=small"});
  run.insert(run.begin(), "run");
  EXPECT_EQ(Stasis(run).out, "blue small /srv\n");
  run.insert(run.end(), {"--workdir", "/etc", "--", "/bin/sh", "-c", "echo $COLOR; pwd"});
  EXPECT_EQ(Stasis(run).out, "blue\n/etc\n");
  StartBox("box", On("base"));
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  Strings restore = {"restore", "snaps:v1", "--layer-cache", "cache"};
  EXPECT_EQ(Stasis(restore).out, "blue big /srv\n") << "an image knows what its base said";
  restore.insert(restore.end(), {"--name", "again", "-d"});
  ASSERT_THAT(Stasis(restore), Succeeded());
  EXPECT_EQ(In("again", "echo $COLOR; pwd").out, "blue\n/srv\n");
  ASSERT_THAT(Stasis({"checkpoint", "again", "snaps:v2", "--stop"}), Succeeded());
  EXPECT_EQ(Stasis({"restore", "snaps:v2", "--layer-cache", "cache"}).out, "blue big /srv\n");
}

// Names come and go, and the two names of a file of the base stay one file.
TEST_F(ImageTest, ACommitIsOfOneMoment) {
  for (const Strings& upper : {Strings{}, Strings{"--upper", "up"}}) {
    ASSERT_THAT(Shell("rm -rf up; mkdir up"), Succeeded());
    StartBox("box", On("base", upper));
    ASSERT_THAT(
        In("box",
           "mkdir /t; (i=0; while :; do i=$((i+1)); echo $i > /t/a; mv /t/a /t/b; mkdir /t/d$i; "
           "rmdir /t/d$i; rm /t/b; done) > /dev/null 2>&1 & "
           "(sleep 0.05; echo longer >> /srv/deep/file; while :; do echo x >> /srv/link; done) "
           "> /dev/null 2>&1 &"),
        Succeeded());
    for (int i = 0; i < 3; ++i)
      ASSERT_THAT(Stasis({"commit", "box", "oci:images:moment", "--json"}), Succeeded());
    ASSERT_THAT(Stasis({"stop", "box"}), Succeeded());
    EXPECT_EQ(Stasis({"run", "--rootfs", "oci:images:moment", "--layer-cache", "cache", "--",
                      "/bin/sh", "-c", "test /srv/deep/file -ef /srv/link && stat -c %h /srv/link"})
                  .out,
              "2\n");
  }
}

TEST_F(ImageTest, ALayerWithAttributesAloneIsComparedWithTheDataBelow) {
  StartBox("box", On("base"));
  ASSERT_THAT(In("box", "echo > /top"), Succeeded());
  ASSERT_THAT(Stasis({"commit", "box", "oci:images:second"}), Succeeded());
  ASSERT_THAT(
      Stasis({"run", "--rootfs", "oci:images:second", "--layer-cache", "cache", "--", "true"}),
      Succeeded());
  // As the kernel's overlayfs leaves it after a chmod and a rename.
  ASSERT_THAT(Shell("top=$(find cache -name top); cd ${top%/top}; mkdir -p etc; truncate -s 4 "
                    "etc/conf etc/moved; chmod 600 etc/conf;"
                    "setfattr -n trusted.overlay.metacopy etc/conf etc/moved;"
                    "setfattr -n trusted.overlay.redirect -v /srv/deep/file etc/moved"),
              Succeeded());
  StartBox("next", On("second"));
  EXPECT_EQ(In("next", "cat /etc/conf /etc/moved; stat -c %a /etc/conf").out, "one\ntwo\n600\n");
  ASSERT_THAT(In("next", "echo new > /etc/conf; chmod 640 /etc/moved"), Succeeded());
  EXPECT_EQ(Diff({"next"}), "M /etc/conf (content)\nM /etc/moved (mode 644 -> 640)\n");
  ASSERT_THAT(Stasis({"commit", "next", "oci:images:third"}), Succeeded());
  EXPECT_EQ(Stasis({"run", "--rootfs", "oci:images:third", "--layer-cache", "cache", "--", "cat",
                    "/etc/conf", "/etc/moved"})
                .out,
            "new\ntwo\n");
}

TEST_F(ImageTest, LayersInUseStayInTheCache) {
  StartBox("box", On("base"));
  ASSERT_THAT(Stasis({"commit", "box", "oci:images:second"}), Succeeded());
  ASSERT_THAT(
      Stasis({"run", "--rootfs", "oci:images:second", "--layer-cache", "cache", "--", "true"}),
      Succeeded());
  const Strings list = {"layers", "--layer-cache", "cache", "--json"};
  const Strings remove = {"layers", "--layer-cache", "cache", "--remove-unused", "--json"};
  EXPECT_EQ(Stasis(list).Json()["layers"].size(), 3u);
  EXPECT_EQ(Stasis(remove).Json()["removed"].size(), 1u) << "the one that box does not have";
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  ASSERT_THAT(Stasis({"restore", "snaps:v1", "--layer-cache", "cache", "--name", "again", "-d"}),
              Succeeded());
  EXPECT_EQ(Stasis(remove).Json()["removed"].size(), 0u) << "restored sandboxes keep theirs";
  EXPECT_EQ(In("again", "cat /srv/deep/file").out, "two\n");
  ASSERT_THAT(Stasis({"stop", "again"}), Succeeded());
  EXPECT_THAT(Stasis({"layers", "--layer-cache", "cache", "--remove-unused"}).out,
              HasSubstr("2 layers removed"));
  EXPECT_EQ(Stasis(list).Json()["layers"].size(), 0u);
}

// As after a crash: without an index nobody knows that they were one.
TEST_F(RootfsTest, NamesOfAFileThatWereCopiedUpApartAreRestored) {
  ASSERT_THAT(Shell("mkdir low up && head -c 100000 /dev/urandom > low/a && ln low/a low/b && "
                    "ln low/a low/c"),
              Succeeded());
  const Strings options = {"--rootfs", "low", "--upper", Path("up"), "--system", "host"};
  Strings first = {"run", "--name", "first", "--", "chmod", "600", "/a"};
  first.insert(first.begin() + 3, options.begin(), options.end());
  ASSERT_THAT(Stasis(first), Succeeded());
  StartBox("box", options);
  ASSERT_THAT(In("box", "chmod 640 /b; cat /c > /dev/null"), Succeeded());
  const std::string list = In("box", "stat -c '%n %a' /a /b /c; sha256sum /a /b /c").out;
  ASSERT_THAT(Stasis({"checkpoint", "box", "snaps:v1", "--stop"}), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:v1"}), Succeeded());
  ASSERT_THAT(
      Stasis({"restore", "snaps:v1", "--name", "again", "--detach", "--root",
              "rootfs=" + Path("low"), "--root", "upper=" + Path("up"), "--system", "host"}),
      Succeeded());
  EXPECT_EQ(In("again", "stat -c '%n %a' /a /b /c; sha256sum /a /b /c").out, list);
}

}  // namespace
}  // namespace stasis::cli
