// SPDX-License-Identifier: Apache-2.0
//
// bad_host_test.cc: a host directory that is not what a restore would like to find.

#include <absl/cleanup/cleanup.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "fsimpl/gofer/digest.h"
#include "fsimpl/gofer/filesystem.h"
#include "state/base/rcu.h"
#include "state/base/unique_fd.h"
#include "tests/fsimpl/gofer/faulty_host_ops.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::gofer {
namespace {

using ::testing::HasSubstr;
using testing::IsErrno;
using testing::TestVfs;
using ::testing::UnorderedElementsAre;

class BadHostTest : public HostTree {
 protected:
  BadHostTest() : HostTree(testing::ScratchDir::Where::kInMemory) {}

  void MakeFifo(std::string_view name) { ASSERT_EQ(::mkfifo(Path(name).c_str(), 0644), 0); }
  void MakeSocket(std::string_view name) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    Path(name).copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  const std::shared_ptr<FaultyHostOps> ops_ = std::make_shared<FaultyHostOps>();
  GoferServices services_;

  void Append(std::string_view name, std::string_view text) {
    std::ofstream(Path(name), std::ios::app) << text;
  }
};

TEST_F(BadHostTest, ARootThatIsAFifoDoesNotBlock) {
  TestVfs& t = Serve();
  ASSERT_TRUE(t.Save().ok());
  MakeFifo("fifo");
  t.roots()["data"] = Path("fifo");
  EXPECT_THAT(std::string(t.Restore().message()), HasSubstr("Not a directory"));
}

class ReplacedTest : public BadHostTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void Replace(const std::string& name) {
    std::filesystem::remove(Path(name));
    const std::string kind = GetParam();
    if (kind == "Fifo") MakeFifo(name);
    if (kind == "Socket") MakeSocket(name);
    if (kind == "Directory") MakeDir(name);
    if (kind == "DanglingLink") std::filesystem::create_symlink("nowhere", Path(name));
    if (kind == "LoopingLink") std::filesystem::create_symlink(name, Path(name));
    if (kind == "LinkToFifo") {
      MakeFifo("fifo");
      std::filesystem::create_symlink("fifo", Path(name));
    }
  }
};

TEST_P(ReplacedTest, AnOpenFileIsNotOpenedAgain) {
  Put("open", "content");
  Put("closed", "content");
  TestVfs& t = Serve();
  t.Hold("open", t.Open("/open", O_RDWR));
  EXPECT_EQ(t.Read("/closed"), "content");
  fs().set_digest_scope(DigestScope::kAll);
  ASSERT_TRUE(t.Save().ok());
  Replace("open");
  if (OnHost("fifo")) std::filesystem::remove(Path("fifo"));
  Replace("closed");
  if (!t.Restore().ok()) return;
  EXPECT_EQ(t.Stat("/open").mode, HostStatOf("open").st_mode);
  EXPECT_EQ(t.Stat("/closed").mode, HostStatOf("closed").st_mode);
  const auto file = t.Held<vfs::FileDescription>("open");
  std::array<std::byte, 8> out;
  EXPECT_THAT(file->PRead(0, out), IsErrno(EBADF));
  EXPECT_THAT(file->PWrite(0, out), IsErrno(EBADF));
}

INSTANTIATE_TEST_SUITE_P(, ReplacedTest,
                         ::testing::Values("Fifo", "Socket", "Directory", "DanglingLink",
                                           "LoopingLink", "LinkToFifo"),
                         [](const auto& kind) { return kind.param; });

TEST_F(BadHostTest, LinksThatLeadNowhereAreRestored) {
  std::filesystem::create_symlink("nowhere", Path("dangling"));
  std::filesystem::create_symlink("loop", Path("loop"));
  TestVfs& t = Serve();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/dangling", true)), IsErrno(ENOENT));
    EXPECT_THAT(t.vfs().StatAt(t.creds(), t.At("/loop", true)), IsErrno(ELOOP));
    EXPECT_EQ(t.ReadLink("/loop"), "loop");
    if (i == 0) t.SaveAndRestore();
  }
}

TEST_F(BadHostTest, NamesMayBeAnyBytes) {
  const std::string name("\xff\xfe\n\x01\x80", 5);
  Put(name, "content");
  TestVfs& t = Serve();
  EXPECT_THAT(t.List("/"), UnorderedElementsAre(name));
  t.Hold("file", t.Open("/" + name, O_RDWR));
  t.SaveAndRestore();
  EXPECT_EQ(t.Read("/" + name), "content");
  EXPECT_EQ(testing::ReadAll(*t.Held<vfs::FileDescription>("file")), "content");
}

TEST_F(BadHostTest, ALostPermissionIsToldWithTheFile) {
  ASSERT_EQ(::geteuid(), 0u) << "needs root, to lose permissions";
  MakeDir("d");
  Put("d/f", "content");
  TestVfs& t = Serve();
  EXPECT_EQ(t.Read("/d/f"), "content");
  ASSERT_TRUE(t.Save().ok());
  rcu::Barrier();
  const size_t descriptors = OpenDescriptors();
  ::chmod(Path("").c_str(), 0755);
  ::chmod(Path("d").c_str(), 0700);
  // Once the image is open.
  t.prepare_restore = [this](restore::RestoreRequest& request) {
    services_.ops = ops_;
    request.services.Provide(&services_);
  };
  ops_->before_statx = [] { ::setfsuid(1000); };
  const absl::Status restored = t.Restore();
  ::setfsuid(0);
  EXPECT_EQ(restored.code(), absl::StatusCode::kPermissionDenied) << restored;
  EXPECT_THAT(std::string(restored.message()), HasSubstr("/d/f of 'data'"));
  rcu::Barrier();
  EXPECT_EQ(OpenDescriptors(), descriptors);
}

TEST_F(BadHostTest, AFileThatChangesHasNoDigest) {
  Put("f", "content");
  const UniqueFd fd(::open(Path("f").c_str(), O_RDONLY | O_CLOEXEC));
  FaultyHostOps ops;
  const HostStat found = *ops.Statx(fd.get(), "");
  EXPECT_TRUE(DigestOf(ops, fd.get(), found));
  ops.before_read = [this] { Append("f", "and more"); };
  EXPECT_THAT(DigestOf(ops, fd.get(), found), IsErrno(ESTALE));
}

TEST_F(BadHostTest, AFileThatGrowsAllTheTimeIsSaved) {
  Put("f", "content");
  const auto ops = std::make_shared<FaultyHostOps>();
  TestVfs& t = Serve({.interop = Interop::kShared, .ops = ops});
  t.Hold("file", t.Open("/f", O_RDONLY));
  fs().set_digest_scope(DigestScope::kAll);
  int reads = 0;
  ops->before_read = [&] {
    ++reads;
    Append("f", "and more");
  };
  EXPECT_TRUE(t.Save().ok());
  EXPECT_GT(reads, 0);
  EXPECT_LT(reads, 10);
  ops->before_read = nullptr;
}

}  // namespace
}  // namespace stasis::gofer
