// SPDX-License-Identifier: Apache-2.0
//
// Files of the host through a real mount, which the kernel reads and writes by itself.

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

#include "tests/cmd/fuse/file_system_calls.h"
#include "tests/cmd/fuse/host_files.h"
#include "tests/cmd/fuse/mounted_tree.h"
#include "tests/testing/scratch_dir.h"

namespace stasis::fuse {
namespace {

enum Action : uint64_t { kCountPassthrough, kCountFileSyncs };

class PassthroughMount {
 public:
  PassthroughMount(const HostFilesOptions& options, const ServerOptions& server,
                   const std::function<void()>& mounted = {})
      : tree_(60, server,
              {.prepare = [this, options](TestTree& tree) { fs_ = MountHostFiles(tree, options); },
               .mounted = mounted,
               .act = [this](TestTree&, uint64_t what) -> uint64_t {
                 const auto& count = what == kCountFileSyncs ? fs_->file_syncs : fs_->passthrough;
                 return static_cast<uint64_t>(count.load());
               }}) {}

  std::string operator/(const std::string& name) const { return tree_ / ("host/" + name); }
  MountedTree& tree() { return tree_; }
  uint64_t Requests(uint32_t opcode) { return tree_.Count().stats.by_opcode[opcode]; }
  uint64_t DataRequests() { return Requests(FUSE_READ) + Requests(FUSE_WRITE); }
  // RELEASE is sent after close(2) has returned.
  void WaitUntilClosed() {
    while (tree_.Count().handles != 0) usleep(100);
  }

 private:
  RefPtr<HostFiles> fs_;
  MountedTree tree_;
};

class MountPassthroughTest : public ::testing::Test {
 protected:
  std::string Host(const std::string& name) { return scratch_ / name; }

  stasis::testing::ScratchDir scratch_;
  PassthroughMount mount_{{.directory = scratch_.path()}, {}};
};

TEST_F(MountPassthroughTest, ReadsAndWritesDoNotReachTheServer) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "hello"));
  EXPECT_EQ(stasis::testing::ReadHostFile(Host("a")), "hello");
  EXPECT_EQ(ReadFile(mount_ / "a"), "hello");
  EXPECT_EQ(mount_.DataRequests(), 0u);
}

TEST_F(MountPassthroughTest, FilesInMemoryGoThroughTheServerAsBefore) {
  ASSERT_TRUE(WriteFile(mount_.tree() / "a", "hello"));
  EXPECT_EQ(ReadFile(mount_.tree() / "a"), "hello");
  EXPECT_EQ(mount_.Requests(FUSE_WRITE), 1u);
}

TEST_F(MountPassthroughTest, AttributesAreTheHostsAtOnce) {
  UniqueFd fd = Open(mount_ / "a", O_WRONLY | O_CREAT);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(write(fd.get(), "abc", 3), 3);
    EXPECT_EQ(StatOf(mount_ / "a").st_size, 3 * i);
    EXPECT_EQ(StatOf(mount_ / "a").st_mtim.tv_nsec, StatOf(Host("a")).st_mtim.tv_nsec);
  }
  fd.reset();
  mount_.WaitUntilClosed();
  EXPECT_EQ(StatOf(mount_ / "a").st_size, 9);
}

TEST_F(MountPassthroughTest, Append) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "one"));
  UniqueFd fd = Open(mount_ / "a", O_WRONLY | O_APPEND);
  ASSERT_EQ(write(fd.get(), "two", 3), 3);
  ASSERT_EQ(pwrite(fd.get(), "three", 5, 0), 5) << "appends as well";
  EXPECT_EQ(ReadFile(mount_ / "a"), "onetwothree");
}

TEST_F(MountPassthroughTest, Truncation) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "hello"));
  UniqueFd fd = Open(mount_ / "a", O_RDWR);
  ASSERT_EQ(ftruncate(fd.get(), 2), 0);
  EXPECT_EQ(ReadFile(mount_ / "a"), "he");
  ASSERT_TRUE(Open(mount_ / "a", O_WRONLY | O_TRUNC).valid());
  struct stat status;
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 0);
}

TEST_F(MountPassthroughTest, OneReadsWhatAnotherWrites) {
  UniqueFd writer = Open(mount_ / "a", O_WRONLY | O_CREAT);
  UniqueFd reader = Open(mount_ / "a", O_RDONLY);
  UniqueFd both = Open(mount_ / "a", O_RDWR);
  for (char c : {'1', '2', '3'}) {
    ASSERT_EQ(pwrite(writer.get(), &c, 1, 0), 1);
    char text = 0;
    ASSERT_EQ(pread(reader.get(), &text, 1, 0), 1);
    EXPECT_EQ(text, c);
    ASSERT_EQ(pread(both.get(), &text, 1, 0), 1);
    EXPECT_EQ(text, c);
  }
  writer.reset();
  EXPECT_EQ(pwrite(both.get(), "4", 1, 0), 1) << "the backing is there for the others";
  EXPECT_TRUE(Open(mount_ / "a", O_RDONLY).valid());
  EXPECT_EQ(mount_.DataRequests(), 0u);
}

TEST_F(MountPassthroughTest, DeletedFileThatIsOpenIsReadAndWritten) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "hello"));
  UniqueFd fd = Open(mount_ / "a", O_RDWR);
  ASSERT_EQ(unlink((mount_ / "a").c_str()), 0);
  ASSERT_EQ(pwrite(fd.get(), "HE", 2, 0), 2);
  UniqueFd again = Open("/proc/self/fd/" + std::to_string(fd.get()), O_RDONLY);
  char text[6] = {};
  ASSERT_EQ(read(again.get(), text, 5), 5);
  EXPECT_STREQ(text, "HEllo");
  EXPECT_EQ(mount_.DataRequests(), 0u);
}

TEST_F(MountPassthroughTest, FileWithoutAName) {
  UniqueFd fd = Open(mount_ / "", O_TMPFILE | O_RDWR);
  ASSERT_TRUE(fd.valid());
  ASSERT_EQ(pwrite(fd.get(), "hello", 5, 0), 5);
  struct stat status;
  ASSERT_EQ(fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 5);
  EXPECT_EQ(mount_.DataRequests(), 0u);
}

TEST_F(MountPassthroughTest, MappingsAreTheHostsPages) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "hello"));
  UniqueFd fd = Open(mount_ / "a", O_RDWR);
  void* map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  static_cast<char*>(map)[0] = 'H';
  EXPECT_EQ(stasis::testing::ReadHostFile(Host("a")), "Hello");
  ASSERT_EQ(pwrite(fd.get(), "E", 1, 1), 1);
  EXPECT_EQ(static_cast<char*>(map)[1], 'E');
  munmap(map, 4096);
  EXPECT_EQ(mount_.DataRequests(), 0u);
}

// Of what goes on in a mapping neither the kernel's attributes nor the server hear.
TEST_F(MountPassthroughTest, TimesOfAMappedFileAreTrueEvenAfterItIsClosed) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "hello"));
  mount_.WaitUntilClosed();
  ASSERT_EQ(StatOf(mount_ / "a").st_size, 5);
  UniqueFd fd = Open(mount_ / "a", O_RDWR);
  void* map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  fd.reset();
  mount_.WaitUntilClosed();
  const timespec past[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, Host("a").c_str(), past, 0), 0);
  ASSERT_EQ(StatOf(mount_ / "a").st_mtime, 1000);
  static_cast<char*>(map)[0] = 'H';
  EXPECT_GT(StatOf(mount_ / "a").st_mtime, 1000);
  munmap(map, 4096);
}

TEST_F(MountPassthroughTest, EndsWithTheLastOpenFileOrWhenItIsForgotten) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "hello"));
  mount_.WaitUntilClosed();
  EXPECT_EQ(mount_.tree().Do(kCountPassthrough), 0u);
  UniqueFd one = Open(mount_ / "a", O_WRONLY);
  UniqueFd other = Open(mount_ / "a", O_RDONLY);
  EXPECT_EQ(mount_.tree().Do(kCountPassthrough), 1u);
  one.reset();
  other.reset();
  mount_.WaitUntilClosed();
  EXPECT_EQ(mount_.tree().Do(kCountPassthrough), 0u);

  ASSERT_TRUE(Open(mount_ / "a", O_RDWR).valid());
  mount_.WaitUntilClosed();
  EXPECT_EQ(mount_.tree().Do(kCountPassthrough), 1u) << "there may be a mapping";
  ASSERT_EQ(unlink((mount_ / "a").c_str()), 0);
  while (mount_.tree().Do(kCountPassthrough) != 0) usleep(100);
}

TEST_F(MountPassthroughTest, AWriterWithoutPrivilegesTakesSetIds) {
  ASSERT_TRUE(WriteFile(mount_ / "a", "hello"));
  ASSERT_EQ(chmod((mount_ / "a").c_str(), 06777), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0) _exit(1);
    UniqueFd fd = Open(mount_ / "a", O_WRONLY);
    _exit(fd.valid() && write(fd.get(), "x", 1) == 1 ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(StatOf(mount_ / "a").st_mode & 07777, 0777u);
}

TEST_F(MountPassthroughTest, ProgramsRun) {
  std::filesystem::copy_file("/bin/true", mount_ / "program");
  ASSERT_EQ(chmod((mount_ / "program").c_str(), 0755), 0);
  EXPECT_EQ(std::system((mount_ / "program").c_str()), 0);
  EXPECT_EQ(mount_.DataRequests(), 0u);
}

TEST_F(MountPassthroughTest, FsyncReachesTheFile) {
  UniqueFd fd = Open(mount_ / "a", O_RDWR | O_CREAT);
  ASSERT_EQ(write(fd.get(), "hello", 5), 5);
  ASSERT_EQ(fsync(fd.get()), 0);
  EXPECT_EQ(mount_.tree().Do(kCountFileSyncs), 1u);
}

TEST_F(MountPassthroughTest, OpenFilesGoOnWithoutTheServer) {
  UniqueFd fd = Open(mount_ / "a", O_RDWR | O_CREAT);
  ASSERT_EQ(write(fd.get(), "hello", 5), 5);
  mount_.tree().StopServer();
  ASSERT_EQ(pwrite(fd.get(), "HE", 2, 0), 2);
  char text[6] = {};
  ASSERT_EQ(pread(fd.get(), text, 5, 0), 5);
  EXPECT_STREQ(text, "HEllo");
}

// The kernel fails an open with EIO if the server gives it another backing than the file has.
TEST_F(MountPassthroughTest, ManyOpenAndCloseAtOnce) {
  std::atomic<int> failed{0};
  const auto work = [&](int seed) {
    constexpr int kModes[] = {O_RDONLY, O_WRONLY, O_RDWR};
    for (int i = 0; i < 1000; ++i) {
      const std::string path = mount_ / ("file" + std::to_string((i / 3 + seed) % 2));
      UniqueFd fd = Open(path, kModes[(i + seed) % 3] | O_CREAT);
      char c = 'x';
      if (!fd.valid() || (pread(fd.get(), &c, 1, 0) < 0 && pwrite(fd.get(), &c, 1, 0) != 1))
        ++failed;
      if (i % 50 == seed) unlink(path.c_str());
    }
  };
  std::vector<std::thread> threads;
  for (int seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(mount_.DataRequests(), 0u);
  mount_.WaitUntilClosed();
}

void ExpectFilesThroughTheServer(PassthroughMount& mount) {
  ASSERT_TRUE(WriteFile(mount / "a", "hello"));
  UniqueFd one = Open(mount / "a", O_RDWR);
  UniqueFd other = Open(mount / "a", O_RDONLY);
  ASSERT_EQ(pwrite(one.get(), "HE", 2, 0), 2);
  char text[6] = {};
  ASSERT_EQ(pread(other.get(), text, 5, 0), 5);
  EXPECT_STREQ(text, "HEllo");
  EXPECT_EQ(mount.Requests(FUSE_WRITE), 2u);
  EXPECT_EQ(mount.tree().Do(kCountPassthrough), 0u);
}

TEST(MountWithoutPassthroughTest, ByOption) {
  stasis::testing::ScratchDir scratch;
  PassthroughMount mount({.directory = scratch.path()}, {.passthrough = false});
  ExpectFilesThroughTheServer(mount);
}

TEST(MountWithoutPassthroughTest, OfFilesWithoutADescriptor) {
  stasis::testing::ScratchDir scratch;
  PassthroughMount mount({.directory = scratch.path(), .backings = false}, {});
  ExpectFilesThroughTheServer(mount);
}

TEST(MountWithoutPassthroughTest, WithoutPrivileges) {
  stasis::testing::ScratchDir scratch;
  // The server's threads are made by the one that loses it.
  PassthroughMount mount({.directory = scratch.path()}, {}, [] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    syscall(SYS_capget, &header, data);
    data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
    syscall(SYS_capset, &header, data);
  });
  ExpectFilesThroughTheServer(mount);
}

// There the server has CAP_SYS_ADMIN, but not the one that the kernel wants.
TEST(MountWithoutPassthroughTest, InAUserNamespace) {
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !WriteFile("/proc/self/setgroups", "deny") ||
        !WriteFile("/proc/self/uid_map", "0 0 1") || !WriteFile("/proc/self/gid_map", "0 0 1"))
      _exit(1);
    {
      stasis::testing::ScratchDir scratch;
      PassthroughMount mount({.directory = scratch.path()}, {});
      ExpectFilesThroughTheServer(mount);
    }
    _exit(HasFailure() ? 2 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// Another FUSE mount, an overlay: what is stacked already is refused.
TEST(MountWithoutPassthroughTest, OnAStackedFilesystem) {
  stasis::testing::ScratchDir scratch(stasis::testing::ScratchDir::Where::kInMemory);
  for (const char* name : {"lower", "upper", "work", "merged"})
    std::filesystem::create_directory(scratch / name);
  MountedTree in_a_namespace_of_its_own;
  const std::string merged = scratch / "merged";
  const std::string options = "lowerdir=" + (scratch / "lower") +
                              ",upperdir=" + (scratch / "upper") + ",workdir=" + (scratch / "work");
  ASSERT_EQ(::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()), 0);
  {
    PassthroughMount mount({.directory = merged}, {});
    ExpectFilesThroughTheServer(mount);
  }
  EXPECT_EQ(umount(merged.c_str()), 0);
}

}  // namespace
}  // namespace stasis::fuse
