// SPDX-License-Identifier: Apache-2.0
//
// Random operations, done to a memfs and to a directory of the kernel's tmpfs side by side: every
// error, every result and the final trees must be equal. Prints its seed; STASIS_SEED sets it.
//
// Runs in a child process that makes the tmpfs directory its root, so that ".." and absolute
// links mean the same on both sides. That, and acting as two users, takes root; without it the test
// is skipped.

#include <grp.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>

#include "tests/fsimpl/memfs/subject.h"

namespace stasis::memfs {
namespace {

bool ReadFlag(const char* path) {
  int value = 0;
  return std::ifstream(path) >> value && value != 0;
}

// What this host does that is no rule of the filesystem.
struct HostRules {
  bool protected_hardlinks = ReadFlag("/proc/sys/fs/protected_hardlinks");
  bool protected_sticky = ReadFlag("/proc/sys/fs/protected_symlinks") ||
                          ReadFlag("/proc/sys/fs/protected_regular") ||
                          ReadFlag("/proc/sys/fs/protected_fifos");
};

constexpr const char* kXattrs[] = {"user.x", "user.y",  "trusted.z", "trusted.",
                                   "user.",  "nothing", "what.ever", "system.else"};

class Generator {
 public:
  Generator(uint64_t seed, HostRules rules) : random_(seed), rules_(rules) {}

  Op Next() {
    Op op;
    op.kind = static_cast<Op::Kind>(Pick(Op::kKinds));
    op.as_user = Pick(3) == 0;
    op.slot = Pick(kSlots);
    op.a = Path();
    op.mode = Mode();
    op.offset = static_cast<int64_t>(Pick(4) == 0 ? Pick(60000) : Pick(300));
    op.length = Pick(4) == 0 ? Pick(40000) : Pick(200);
    Refine(op);
    return op;
  }

 private:
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  template <typename T, size_t n>
  T OneOf(const T (&items)[n]) {
    return items[Pick(n)];
  }

  std::string Component() {
    const size_t kind = Pick(60);
    if (kind == 0) return std::string(255 + Pick(2), 'n');
    if (kind <= 2) return ".";
    if (kind <= 5) return "..";
    return std::string(1, static_cast<char>('a' + Pick(4)));
  }
  std::string Path() {
    std::string path = Pick(4) == 0 ? "/" : "";
    const size_t depth = Pick(20) == 0 ? 0 : 1 + Pick(3);
    for (size_t i = 0; i < depth; ++i) {
      if (i > 0) path += Pick(20) == 0 ? "//" : "/";
      path += Component();
    }
    if (depth > 0 && Pick(16) == 0) path += Pick(2) == 0 ? "/" : "/.";
    return path.empty() ? "." : path;  // empty paths have a meaning of their own here
  }
  uint32_t Mode() {
    const uint32_t mode = OneOf({0755U, 0777U, 0644U, 0666U, 0700U, 0555U, 0444U, 02775U, 02777U,
                                 01777U, 0U, 04755U, 06777U, 02644U});
    return rules_.protected_sticky ? mode & ~01000U : mode;
  }
  void Refine(Op& op) {
    switch (op.kind) {
      case Op::kOpen:
        op.flags = OneOf({O_RDONLY, O_WRONLY, O_RDWR});
        for (const int flag : {O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW}) {
          if (Pick(flag == O_CREAT ? 2 : 6) == 0) op.flags |= flag;
        }
        if (Pick(20) == 0) op.flags |= O_PATH;
        if (Pick(20) == 0) op.flags |= O_NOATIME;
        break;
      case Op::kMkdir:
        if (Pick(4) != 0) op.mode |= 0700;
        break;
      case Op::kMknod:
        op.mode = (op.mode & ~07000U) | OneOf<uint32_t>({S_IFREG, S_IFSOCK, S_IFIFO, S_IFDIR, 0});
        break;
      case Op::kSymlink:
        op.b = Path();
        break;
      case Op::kLink:
        op.b = Path();
        op.flags = static_cast<int>(Pick(2));
        if (rules_.protected_hardlinks) op.as_user = false;
        break;
      case Op::kRename:
        op.b = Path();
        op.flags = OneOf<int>({0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE, 3});
        break;
      case Op::kChown:
        op.mode = OneOf({0U, kUser});
        break;
      case Op::kAccess:
        op.mode = static_cast<uint32_t>(Pick(8));
        break;
      case Op::kSetXattr:
        op.length = Pick(50);
        op.flags = static_cast<int>(Pick(4));
        [[fallthrough]];
      case Op::kGetXattr:
      case Op::kRemoveXattr:
        op.b = OneOf(kXattrs);
        break;
      case Op::kWrite:
      case Op::kPWrite:
        // Who writes is for the front end to know: it drops the set-user-ID bit.
        op.as_user = false;
        break;
      case Op::kSeek:
        op.flags = OneOf({SEEK_SET, SEEK_CUR, SEEK_END, 77});
        if (Pick(3) == 0) op.offset = -op.offset;
        break;
      default:
        break;
    }
  }

  std::mt19937_64 random_;
  const HostRules rules_;
};

class Comparison {
 public:
  explicit Comparison(uint64_t seed, HostRules rules) : seed_(seed), generator_(seed, rules) {}

  // False after a difference, which is reported.
  bool Step() {
    Op op = generator_.Next();
    if (op.kind == Op::kOpen && IsLeftOut(op)) return true;
    return Same(op);
  }

  bool SameTrees() { return SameTree("/"); }

 private:
  // Opening a FIFO waits for the other side on the host. And with O_CREAT the host refuses what is
  // neither a directory nor a regular file in sticky directories, to protect programs.
  bool IsLeftOut(const Op& op) {
    memfs_.tree().creds = vfs::Credentials::Root();
    const auto stat =
        (op.flags & O_NOFOLLOW) != 0 ? memfs_.tree().LStat(op.a) : memfs_.tree().Stat(op.a);
    if (!stat) return false;
    return S_ISFIFO(stat->mode) ||
           ((op.flags & O_CREAT) != 0 && !S_ISDIR(stat->mode) && !S_ISREG(stat->mode));
  }
  bool Same(const Op& op) {
    std::ostringstream text;
    text << op;
    last_.push_back(text.str());
    if (last_.size() > 30) last_.pop_front();
    const Outcome host = host_.Do(op);
    const Outcome mine = memfs_.Do(op);
    if (host == mine) {
      last_.back() += host.error == 0 ? "" : " -> " + ErrnoName(Errno(host.error));
      return true;
    }
    std::string history;
    for (const std::string& line : last_) history += "\n  " + line;
    ADD_FAILURE() << "seed " << seed_ << ": the last differs, tmpfs: " << host
                  << ", memfs: " << mine << history;
    return false;
  }
  bool SameTree(const std::string& dir) {
    if (!Same({.kind = Op::kList, .a = dir})) return false;
    memfs_.tree().creds = vfs::Credentials::Root();
    const auto names = memfs_.tree().List(dir);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
      const std::string path = dir + "/" + name;
      if (!Same({.kind = Op::kLStat, .a = path})) return false;
      const uint32_t mode = memfs_.tree().LStat(path)->mode;
      if (S_ISDIR(mode) && !SameTree(path)) return false;
      if (S_ISLNK(mode) && !Same({.kind = Op::kReadLink, .a = path})) return false;
      if (S_ISREG(mode) &&
          !(Same({.kind = Op::kOpen, .a = path}) && Same({.kind = Op::kPRead, .length = 200000}) &&
            Same({.kind = Op::kListXattr, .a = path}))) {
        return false;
      }
    }
    return true;
  }

  const uint64_t seed_;
  Generator generator_;
  MemfsSubject memfs_;
  HostSubject host_;
  std::deque<std::string> last_;
};

void Empty(const char* dir) {
  for (const auto& entry : std::filesystem::directory_iterator(dir))
    std::filesystem::remove_all(entry.path());
}

// Requires: chrooted to an empty directory of a tmpfs.
void Compare(uint64_t first_seed, HostRules rules) {
  constexpr int kSteps = 3000;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
  ::umask(0);
  for (uint64_t seed = first_seed; std::chrono::steady_clock::now() < end; ++seed) {
    ASSERT_EQ(::chmod("/", 0755), 0);
    ASSERT_EQ(::chown("/", 0, 0), 0);
    for (const char* name : kXattrs) ::removexattr("/", name);
    Comparison comparison(seed, rules);
    bool same = true;
    for (int i = 0; same && i < kSteps; ++i) same = comparison.Step();
    if (!same || !comparison.SameTrees()) return;
    Empty("/");
  }
}

TEST(TmpfsModelTest, BehavesAsTheKernel) {
  std::string dir = "/dev/shm/stasis-model-XXXXXX";
  struct statfs fs;
  if (::geteuid() != 0) FAIL() << "needs root: makes a directory of /dev/shm its root";
  if (::mkdtemp(dir.data()) == nullptr || ::statfs(dir.c_str(), &fs) != 0 ||
      fs.f_type != TMPFS_MAGIC) {
    FAIL() << "/dev/shm is no tmpfs";
  }
  const char* chosen = std::getenv("STASIS_SEED");
  const uint64_t seed =
      chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : std::random_device()();
  std::cout << "STASIS_SEED=" << seed << std::endl;
  const HostRules rules;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::chroot(dir.c_str()) != 0 || ::chdir("/") != 0 || ::setgroups(0, nullptr) != 0)
      ::_exit(77);
    Compare(seed, rules);
    std::cout.flush();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  std::filesystem::remove_all(dir);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == 77) FAIL() << "chroot is not allowed";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "see above";
}

}  // namespace
}  // namespace stasis::memfs
