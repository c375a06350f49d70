// SPDX-License-Identifier: Apache-2.0
//
// The kernel's overlayfs beside ours: the same random operations on the same lower layers give the
// same results and the same trees, and each shows the other's upper layer as that one does.
//
// STASIS_SEED sets the seed, which is printed; STASIS_MODEL_SECONDS how long it goes on.

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <random>

#include "fsimpl/gofer/filesystem.h"
#include "tests/testing/errno_matchers.h"
#include "tests/testing/overlay_layers.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::overlay {
namespace {

using testing::TestVfs;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::mt19937& Random() {
  static std::mt19937 random([] {
    const auto seed = static_cast<uint32_t>(FromEnvironment("STASIS_SEED", std::random_device()()));
    std::cout << "STASIS_SEED=" << seed << std::endl;
    return seed;
  }());
  return random;
}

size_t Pick(size_t n) { return Random()() % n; }

// What a tree shows of a file.
struct Shown {
  std::string what;     // type, mode, owner, size
  std::string content;  // or the target of a link
  std::map<std::string, std::string> xattrs;

  friend bool operator==(const Shown&, const Shown&) = default;
  friend std::ostream& operator<<(std::ostream& os, const Shown& shown) {
    os << shown.what << " '" << shown.content.substr(0, 40) << "'";
    for (const auto& [name, value] : shown.xattrs) os << " " << name << "=" << value;
    return os;
  }
};
using Tree = std::map<std::string, Shown>;

std::string Describe(uint32_t mode, uint32_t uid, uint32_t gid, uint64_t size) {
  char text[64];
  std::snprintf(text, sizeof text, "%06o %u:%u", mode, uid, gid);
  return std::string(text) + (S_ISREG(mode) ? " " + std::to_string(size) : "");
}

// The operations, done one way or the other.
class System {
 public:
  virtual ~System() = default;
  virtual int Make(const std::string& path, uint32_t mode) = 0;
  virtual int Symlink(const std::string& target, const std::string& path) = 0;
  // FIFOs are left alone: in a VFS nobody gives them a life.
  virtual int Write(const std::string& path, int flags, const std::string& bytes) = 0;
  virtual int Remove(const std::string& path, bool directory) = 0;
  virtual int Rename(const std::string& from, const std::string& to, uint32_t flags) = 0;
  virtual int Link(const std::string& from, const std::string& to) = 0;
  virtual int Chmod(const std::string& path, uint32_t mode) = 0;
  virtual int Chown(const std::string& path, uint32_t uid) = 0;
  virtual int Truncate(const std::string& path, uint64_t size) = 0;
  virtual int SetXattr(const std::string& path, const std::string& value) = 0;
  virtual Tree Show() = 0;
};

int Done(long result) { return result < 0 ? errno : 0; }

// A directory of the host.
class Host final : public System {
 public:
  explicit Host(std::string root) : root_(std::move(root)) {}

  int Make(const std::string& path, uint32_t mode) override {
    return S_ISDIR(mode) ? Done(::mkdir(At(path), mode & 07777)) : Done(::mknod(At(path), mode, 0));
  }
  int Symlink(const std::string& target, const std::string& path) override {
    return Done(::symlink(target.c_str(), At(path)));
  }
  int Write(const std::string& path, int flags, const std::string& bytes) override {
    struct stat stat {};
    if (::lstat(At(path), &stat) == 0 && S_ISFIFO(stat.st_mode)) return 0;
    const int fd = ::open(At(path), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0) return errno;
    const int written = Done(::write(fd, bytes.data(), bytes.size()));
    ::close(fd);
    return written;
  }
  int Remove(const std::string& path, bool directory) override {
    return Done(directory ? ::rmdir(At(path)) : ::unlink(At(path)));
  }
  int Rename(const std::string& from, const std::string& to, uint32_t flags) override {
    const std::string target = root_ + to;
    return Done(::syscall(SYS_renameat2, AT_FDCWD, At(from), AT_FDCWD, target.c_str(), flags));
  }
  int Link(const std::string& from, const std::string& to) override {
    const std::string target = root_ + to;
    return Done(::link(At(from), target.c_str()));
  }
  int Chmod(const std::string& path, uint32_t mode) override {
    struct stat stat {};
    if (::lstat(At(path), &stat) == 0 && S_ISLNK(stat.st_mode)) return 0;
    return Done(::chmod(At(path), mode));
  }
  int Chown(const std::string& path, uint32_t uid) override {
    return Done(::lchown(At(path), uid, uid));
  }
  int Truncate(const std::string& path, uint64_t size) override {
    struct stat stat {};
    if (::lstat(At(path), &stat) == 0 && S_ISLNK(stat.st_mode)) return 0;
    return Done(::truncate(At(path), static_cast<off_t>(size)));
  }
  int SetXattr(const std::string& path, const std::string& value) override {
    return Done(::lsetxattr(At(path), "user.test", value.data(), value.size(), 0));
  }
  Tree Show() override {
    Tree tree;
    Show("", tree);
    return tree;
  }
  // Names with types. Without directories: the kernel copies them up for operations that fail.
  std::map<std::string, std::string> ShowLayer() {
    std::map<std::string, std::string> layer;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      struct stat stat {};
      ::lstat(entry.path().c_str(), &stat);
      if (S_ISDIR(stat.st_mode)) continue;
      const bool whiteout = S_ISCHR(stat.st_mode) && stat.st_rdev == 0;
      layer[entry.path().string().substr(root_.size())] =
          whiteout ? "whiteout" : std::to_string(stat.st_mode & S_IFMT);
    }
    return layer;
  }

 private:
  const char* At(const std::string& path) {
    whole_ = root_ + path;
    return whole_.c_str();
  }

  void Show(const std::string& dir, Tree& tree) {
    DIR* stream = ::opendir((root_ + dir + "/").c_str());
    if (stream == nullptr) {
      tree[dir + "/?"].what = std::to_string(errno);
      return;
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(stream)) names.emplace_back(entry->d_name);
    ::closedir(stream);
    for (const std::string& name : names) {
      if (name == "." || name == "..") continue;
      const std::string path = dir + "/" + name;
      struct stat stat {};
      if (::lstat(At(path), &stat) != 0) {
        tree[path].what = "stat: " + std::to_string(errno);
        continue;
      }
      Shown& shown = tree[path];
      shown.what =
          Describe(stat.st_mode, stat.st_uid, stat.st_gid, static_cast<uint64_t>(stat.st_size));
      if (S_ISREG(stat.st_mode)) shown.content = testing::ReadHostFile(root_ + path);
      if (S_ISLNK(stat.st_mode)) shown.content = std::filesystem::read_symlink(root_ + path);
      char value[256];
      const ssize_t size = ::lgetxattr(At(path), "user.test", value, sizeof value);
      if (size >= 0) shown.xattrs["user.test"] = std::string(value, static_cast<size_t>(size));
      if (S_ISDIR(stat.st_mode)) Show(path, tree);
    }
  }

  const std::string root_;
  std::string whole_;
};

// Our overlay, in a VFS.
class Ours final : public System {
 public:
  Ours(const std::string& lowers, const std::vector<std::string>& names, const std::string& top)
      : t_([&](vfs::VirtualFilesystem& vfs) {
          std::vector<vfs::VirtualDentry> layers;
          for (const std::string& name : names)
            layers.push_back(testing::RootOf(vfs, *Gofer(vfs, name, lowers + "/" + name)));
          return RefPtr<vfs::Filesystem>(testing::MakeOverlay(
              vfs, testing::OverlayOn(vfs, *Gofer(vfs, "top", top), std::move(layers))));
        }) {
    for (const std::string& name : names) t_.roots()[name] = lowers + "/" + name;
    t_.roots()["top"] = top;
  }

  int Make(const std::string& path, uint32_t mode) override {
    return Error(S_ISDIR(mode) ? vfs().MkdirAt(creds_, At(path), mode & 07777)
                               : vfs().MknodAt(creds_, At(path), {.mode = mode}));
  }
  int Symlink(const std::string& target, const std::string& path) override {
    return Error(vfs().SymlinkAt(creds_, At(path), target));
  }
  int Write(const std::string& path, int flags, const std::string& bytes) override {
    const auto stat = vfs().StatAt(creds_, At(path));
    if (stat && S_ISFIFO(stat->mode)) return 0;
    const auto file = vfs().OpenAt(creds_, At(path), {.flags = flags | O_NOFOLLOW, .mode = 0644});
    return !file ? file.error().value() : Error((*file)->Write(testing::AsBytes(bytes)));
  }
  int Remove(const std::string& path, bool directory) override {
    return Error(directory ? vfs().RmdirAt(creds_, At(path)) : vfs().UnlinkAt(creds_, At(path)));
  }
  int Rename(const std::string& from, const std::string& to, uint32_t flags) override {
    return Error(vfs().RenameAt(creds_, At(from), At(to), flags));
  }
  int Link(const std::string& from, const std::string& to) override {
    return Error(vfs().LinkAt(creds_, At(from), At(to)));
  }
  int Chmod(const std::string& path, uint32_t mode) override {
    const auto stat = vfs().StatAt(creds_, At(path));
    if (stat && S_ISLNK(stat->mode)) return 0;
    return Error(vfs().SetAttributesAt(creds_, At(path), {.mode = mode}));
  }
  int Chown(const std::string& path, uint32_t uid) override {
    return Error(vfs().SetAttributesAt(creds_, At(path), {.uid = uid, .gid = uid}));
  }
  int Truncate(const std::string& path, uint64_t size) override {
    const auto stat = vfs().StatAt(creds_, At(path));
    if (stat && S_ISLNK(stat->mode)) return 0;
    return Error(vfs().SetAttributesAt(creds_, At(path), {.size = size}));
  }
  int SetXattr(const std::string& path, const std::string& value) override {
    return Error(vfs().SetXattrAt(creds_, At(path), "user.test", value, 0));
  }
  Tree Show() override {
    Tree tree;
    Show("", tree);
    return tree;
  }

  void SaveAndRestore() { t_.SaveAndRestore(); }
  void Settle() {
    for (const auto& filesystem : vfs().filesystems()) {
      auto* overlay = dynamic_cast<OverlayFilesystem*>(filesystem.get());
      if (overlay == nullptr) continue;
      EXPECT_THAT(overlay->SettleUpper(), testing::IsOk());
    }
  }

 private:
  static RefPtr<vfs::Filesystem> Gofer(vfs::VirtualFilesystem& vfs, const std::string& name,
                                       const std::string& directory) {
    ::umask(0);
    auto fs = gofer::GoferFilesystem::Create(vfs, {.root = name, .directory = directory});
    EXPECT_TRUE(fs.ok()) << fs.status();
    return RefPtr<vfs::Filesystem>(*fs);
  }
  template <typename T>
  static int Error(const Result<T>& result) {
    return result ? 0 : result.error().value();
  }
  vfs::VirtualFilesystem& vfs() { return t_.vfs(); }
  vfs::PathOperation At(const std::string& path) { return t_.At(path); }

  void Show(const std::string& dir, Tree& tree) {
    for (const std::string& name : t_.List(dir.empty() ? "/" : dir)) {
      const std::string path = dir + "/" + name;
      const vfs::Stat stat = t_.Stat(path);
      Shown& shown = tree[path];
      shown.what = Describe(stat.mode, stat.uid, stat.gid, stat.size);
      if (S_ISREG(stat.mode)) shown.content = t_.Read(path);
      if (S_ISLNK(stat.mode)) shown.content = t_.ReadLink(path);
      const auto value = vfs().GetXattrAt(creds_, At(path), "user.test");
      if (value) shown.xattrs["user.test"] = *value;
      if (S_ISDIR(stat.mode)) Show(path, tree);
    }
  }

  TestVfs t_;
  const vfs::Credentials creds_ = vfs::Credentials::Root();
};

std::string RandomPath() {
  std::string path;
  for (size_t depth = 1 + Pick(3); depth > 0; --depth)
    path += "/" + std::string(1, "abcd"[Pick(4)]);
  return path;
}

// An operation, with its arguments, to be done to several systems.
std::function<int(System&)> RandomOperation(std::string& text) {
  const std::string path = RandomPath();
  const std::string other = RandomPath();
  const std::string bytes = "bytes" + std::to_string(Pick(1000));
  const auto as = [&](const std::string& name) { text = name + " " + path; };
  switch (Pick(16)) {
    case 0:
    case 1:
      as("mkdir");
      return [=](System& s) { return s.Make(path, S_IFDIR | 0755); };
    case 2:
      as("mkfifo");
      return [=](System& s) { return s.Make(path, S_IFIFO | 0600); };
    case 3:
      as("symlink");
      return [=](System& s) { return s.Symlink("target", path); };
    case 4:
      as("create");
      return [=](System& s) { return s.Write(path, O_WRONLY | O_CREAT | O_TRUNC, bytes); };
    case 5:
      as("append");
      return [=](System& s) { return s.Write(path, O_WRONLY | O_APPEND, bytes); };
    case 6:
    case 7:
      as("unlink");
      return [=](System& s) { return s.Remove(path, false); };
    case 8:
      as("rmdir");
      return [=](System& s) { return s.Remove(path, true); };
    case 9:
    case 10:
    case 11: {
      const uint32_t flags =
          std::array<uint32_t, 4>{0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE}[Pick(4)];
      as("rename " + other + " " + std::to_string(flags));
      return [=](System& s) { return s.Rename(path, other, flags); };
    }
    case 12:
      as("link " + other);
      return [=](System& s) { return s.Link(path, other); };
    case 13:
      as("chmod");
      return [=](System& s) { return s.Chmod(path, 0700 + (bytes.back() & 7)); };
    case 14:
      as("chown");
      return [=](System& s) { return s.Chown(path, 1000 + (bytes.back() & 7)); };
    default:
      if (Pick(2) == 0) {
        as("truncate");
        return [=](System& s) { return s.Truncate(path, bytes.back() & 15); };
      }
      as("setxattr");
      return [=](System& s) { return s.SetXattr(path, bytes); };
  }
}

class KernelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }

  void SetUp() override {
    ASSERT_EQ(::mount("tmpfs", scratch_.path().c_str(), "tmpfs", 0, "size=1g"), 0);
    for (const char* dir : {"lowers", "lowers/l1", "lowers/l2", "theirs", "theirs/upper",
                            "theirs/work", "ours", "ours/upper", "ours/work", "merged"})
      ASSERT_EQ(::mkdir(Path(dir).c_str(), 0755), 0) << dir;
  }
  void TearDown() override {
    Unmount();
    ::umount2(scratch_.path().c_str(), MNT_DETACH);
  }

  std::string Path(const std::string& name) const { return scratch_ / name; }

  // The kernel's overlay on "merged".
  void Mount(const std::string& top) {
    const std::string options =
        "redirect_dir=on,metacopy=on,index=off,lowerdir=" + Path("lowers/l1") + ":" +
        Path("lowers/l2") + ",upperdir=" + Path(top + "/upper") + ",workdir=" + Path(top + "/work");
    ASSERT_EQ(::mount("overlay", Path("merged").c_str(), "overlay", 0, options.c_str()), 0)
        << errno;
    mounted_ = true;
  }
  void Unmount() {
    if (!std::exchange(mounted_, false)) return;
    ASSERT_EQ(::umount(Path("merged").c_str()), 0) << errno;
  }
  std::unique_ptr<Ours> OurOverlay(const std::string& top) {
    return std::make_unique<Ours>(Path("lowers"), std::vector<std::string>{"l1", "l2"}, Path(top));
  }

  // Without hard links: copied up, names of one lower file are names of several to the kernel (with
  // index=off), and of one to us.
  static void Fill(System& system) {
    for (int i = 0; i < 60; ++i) {
      std::string text;
      const auto operation = RandomOperation(text);
      if (!text.starts_with("link")) operation(system);
    }
  }

  // Lower layers as an overlay leaves them: with whiteouts, opaque directories, redirects and, in
  // every other round, metacopies.
  void FillLowers() {
    const std::string empty = Path("empty");
    ::mkdir(empty.c_str(), 0755);
    Host below(Path("lowers/l2"));
    Fill(below);
    const std::string options = std::string("redirect_dir=on,index=off,metacopy=") +
                                (Pick(2) == 0 ? "on" : "off") + ",lowerdir=" + Path("lowers/l2") +
                                ",upperdir=" + Path("lowers/l1") + ",workdir=" + empty;
    ASSERT_EQ(::mount("overlay", Path("merged").c_str(), "overlay", 0, options.c_str()), 0);
    Host middle(Path("merged"));
    Fill(middle);
    ASSERT_EQ(::umount(Path("merged").c_str()), 0);
  }

  static void ExpectSame(const Tree& found, const Tree& expected, const std::string& when) {
    for (const auto& [path, shown] : expected) {
      const auto it = found.find(path);
      if (it == found.end()) {
        ADD_FAILURE() << when << ": " << path << " is missing: " << shown;
      } else {
        EXPECT_EQ(it->second, shown) << when << ": " << path;
      }
    }
    for (const auto& [path, shown] : found)
      EXPECT_TRUE(expected.contains(path)) << when << ": " << path << " should not be: " << shown;
  }

 private:
  testing::ScratchDir scratch_;
  bool mounted_ = false;
};

TEST_F(KernelTest, AMetacopyWithoutDataCannotBeOpened) {
  const std::string file = Path("lowers/l2/f");
  ASSERT_EQ(Host(Path("lowers/l2")).Write("/f", O_WRONLY | O_CREAT, "zeros"), 0);
  ASSERT_EQ(::setxattr(file.c_str(), "trusted.overlay.metacopy", "", 0, 0), 0);
  Mount("theirs");
  Host kernel(Path("merged"));
  auto ours = OurOverlay("ours");
  for (System* system : {static_cast<System*>(&kernel), static_cast<System*>(ours.get())}) {
    EXPECT_EQ(system->Write("/f", O_RDONLY, ""), EIO);
    EXPECT_EQ(system->Write("/f", O_WRONLY, "x"), EIO);
  }
}

TEST_F(KernelTest, SameOperationsGiveTheSameTrees) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(FromEnvironment("STASIS_MODEL_SECONDS", 10));
  int rounds = 0;
  for (; Clock::now() < end && !HasFailure(); ++rounds) {
    if (rounds != 0) {
      TearDown();
      SetUp();
    }
    FillLowers();
    Mount("theirs");
    Host kernel(Path("merged"));
    auto ours = OurOverlay("ours");
    ExpectSame(ours->Show(), kernel.Show(), "at first");
    std::string log;
    for (int i = 0; i < 150 && !HasFailure(); ++i) {
      std::string text;
      const auto operation = RandomOperation(text);
      log += text + "\n";
      EXPECT_EQ(operation(*ours), operation(kernel)) << text;
      if (Pick(50) == 0) ours->SaveAndRestore();
    }
    const Tree tree = kernel.Show();
    ExpectSame(ours->Show(), tree, "at last");
    // Also in the layers themselves.
    EXPECT_EQ(Host(Path("ours/upper")).ShowLayer(), Host(Path("theirs/upper")).ShowLayer());
    Unmount();
    if (Pick(2) == 0) ours->Settle();
    ours.reset();
    Mount("ours");
    ExpectSame(kernel.Show(), tree, "the kernel on our layer");
    Unmount();
    ExpectSame(OurOverlay("theirs")->Show(), tree, "we on the kernel's layer");
    if (HasFailure()) std::cout << log;
  }
  std::cout << rounds << " rounds" << std::endl;
}

}  // namespace
}  // namespace stasis::overlay
