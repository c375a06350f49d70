// SPDX-License-Identifier: Apache-2.0
//
// Who holds an image, whether he lives, and lease files that are something else.

#include "restore/image/lease.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/restore/image/faulty_ops.h"
#include "tests/restore/image/housekeeping_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LeaseTest : public HousekeepingTest {
 protected:
  LeaseTest() {
    EXPECT_TRUE(Save(MakeGraph({}), "v1").ok());
    layout_ = *Layout::Open(dir_);
  }

  Leases Read() {
    const auto leases = ReadLeases(*layout_);
    EXPECT_TRUE(leases.ok()) << leases.status();
    return leases.ok() ? *leases : Leases();
  }
  Leases RemoveDead() {
    auto layout = Layout::OpenForWriting(dir_);
    const auto leases = ReadLeases(**layout, true);
    EXPECT_TRUE(leases.ok()) << leases.status();
    return leases.ok() ? *leases : Leases();
  }
  std::filesystem::path Folder() const { return dir_ / ".stasis/leases"; }
  size_t Files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(Folder()), {}));
  }

  std::unique_ptr<Layout> layout_;
};

TEST_F(LeaseTest, IsOfEverythingUntilItIsNarrowed) {
  const auto lease = Lease::Take(*layout_, "box");
  ASSERT_NE(lease, nullptr);
  ASSERT_THAT(Read().live, SizeIs(1));
  EXPECT_TRUE(Read().live[0].everything);
  const Digest digest = layout_->Resolve("v1")->digest;
  lease->Narrow({digest});
  const Leases leases = Read();
  ASSERT_THAT(leases.live, SizeIs(1));
  EXPECT_FALSE(leases.live[0].everything);
  EXPECT_THAT(leases.live[0].manifests, ElementsAre(digest));
  EXPECT_TRUE(leases.live[0].Names(digest));
  EXPECT_FALSE(leases.live[0].Names(Digest()));
  EXPECT_EQ(leases.live[0].Holder(), "box (process " + std::to_string(::getpid()) + ")");
  EXPECT_EQ(Files(), 1u);
}

TEST_F(LeaseTest, EndsWithTheObject) {
  Lease::Take(*layout_, "box").reset();
  EXPECT_THAT(Read().live, IsEmpty());
  EXPECT_EQ(Files(), 0u);
}

TEST_F(LeaseTest, OfADeadProcessIsFoundAndRemoved) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lease = Lease::Take(*layout_, "box");
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(Files(), 1u);
  EXPECT_EQ(Read().dead, 1u);
  EXPECT_EQ(RemoveDead().dead, 1u);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(LeaseTest, StaysTheParentsWhenAChildLetsGo) {
  auto lease = Lease::Take(*layout_, "box");
  const pid_t child = ::fork();
  if (child == 0) {
    lease.reset();
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_THAT(Read().live, SizeIs(1));
  lease.reset();
  EXPECT_EQ(Files(), 0u);
}

TEST_F(LeaseTest, AnImageThatIsWrittenIsLeasedAsLongAsItsChunksAreUsed) {
  Box box = NewBox(2);
  const Digest digest = SaveBox(box, "v2");
  ASSERT_THAT(Read().live, SizeIs(1));
  EXPECT_THAT(Read().live[0].manifests, ElementsAre(digest));
  EXPECT_EQ(Read().live[0].name, "box");
  const Digest next = SaveBox(box, "v3");
  ASSERT_THAT(Read().live, SizeIs(1));
  EXPECT_THAT(Read().live[0].manifests, ElementsAre(next));
  box.chunks.clear();
  EXPECT_THAT(Read().live, IsEmpty());
}

TEST_F(LeaseTest, ALayoutThatCannotBeWrittenTakesNone) {
  for (const int error : {EROFS, EACCES, ENOSPC}) {
    class ReadOnly final : public PosixFileOps {
     public:
      explicit ReadOnly(int error) : error_(error) {}
      Result<UniqueFd> OpenAt(int dir, const std::string& name, int flags, mode_t mode) override {
        if ((flags & O_CREAT) != 0) return Err(error_);
        return PosixFileOps::OpenAt(dir, name, flags, mode);
      }
      int error_;
    };
    auto layout = Layout::Open(dir_, std::make_shared<ReadOnly>(error));
    EXPECT_EQ(Lease::Take(**layout, "box"), nullptr);
  }
}

TEST_F(LeaseTest, AnyFailureGivesALeaseOrNone) {
  for (uint64_t at = 0;; ++at) {
    auto ops = std::make_shared<FaultyOps>(FaultyOps::Fault::kOnce, at, EIO);
    auto layout = Layout::Open(dir_, ops);
    if (!layout.ok()) continue;
    {
      const auto lease = Lease::Take(**layout, "box");
      if (lease != nullptr) {
        EXPECT_THAT(Read().live, SizeIs(1)) << at;
        lease->Narrow({layout_->Resolve("v1")->digest});
        const Leases leases = Read();
        ASSERT_FALSE(leases.live.empty()) << at;
        EXPECT_TRUE(leases.live[0].Names(layout_->Resolve("v1")->digest)) << at;
      }
    }
    (void)RemoveDead();
    EXPECT_EQ(Files(), 0u) << at;
    if (!ops->hit()) break;
  }
}

TEST_F(LeaseTest, NamesThatCouldBeMistakenAreLeftOut) {
  const auto lease = Lease::Take(*layout_, "a\n*\nend");
  EXPECT_EQ(Read().live.at(0).name, "");
  EXPECT_EQ(Read().live.at(0).Holder(), "process " + std::to_string(::getpid()));
}

// What is in a file that somebody holds, but is no lease, keeps everything.
TEST_F(LeaseTest, WhatIsHeldButNotUnderstoodIsOfEverything) {
  std::filesystem::create_directories(Folder());
  for (const std::string& text :
       {std::string(), std::string("pid 1\n"), std::string("../../etc/passwd\nend\n"),
        std::string(64, 'g') + "\nend\n", std::string(64, 'a'), std::string(2'000'000, '\n')}) {
    WriteFile(Folder() / "x", text);
    const UniqueFd fd(::open((Folder() / "x").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::flock(fd.get(), LOCK_EX), 0);
    const Leases leases = RemoveDead();
    ASSERT_THAT(leases.live, SizeIs(1));
    EXPECT_TRUE(leases.live[0].everything) << text.substr(0, 100);
    EXPECT_EQ(Files(), 1u);
  }
}

TEST_F(LeaseTest, LinksPipesSocketsAndDirectoriesAreNoLeasesAndStay) {
  std::filesystem::create_directories(Folder() / "folder");
  WriteFile(temp_ / "outside", "precious");
  std::filesystem::create_symlink(temp_ / "outside", Folder() / "link");
  std::filesystem::create_symlink(temp_ / "nowhere", Folder() / "dangling");
  ASSERT_EQ(::mkfifo((Folder() / "pipe").c_str(), 0600), 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", Folder().c_str());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const Leases leases = RemoveDead();
  EXPECT_THAT(leases.live, IsEmpty());
  EXPECT_EQ(leases.dead, 0u);
  EXPECT_EQ(Files(), 5u);
  EXPECT_EQ(ReadFile(temp_ / "outside"), "precious");
}

TEST_F(LeaseTest, AHugeFileOfADeadProcessIsNotRead) {
  std::filesystem::create_directories(Folder());
  WriteFile(Folder() / "huge", "");
  std::filesystem::resize_file(Folder() / "huge", uint64_t{1} << 40);
  EXPECT_EQ(RemoveDead().dead, 1u);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(LeaseTest, AFolderThatIsALinkIsRefused) {
  std::filesystem::create_directories(temp_ / "elsewhere");
  WriteFile(temp_ / "elsewhere/1-1", "");
  std::filesystem::remove(Folder());
  std::filesystem::create_directory_symlink(temp_ / "elsewhere", Folder());
  EXPECT_THAT(ReadLeases(*layout_).status(), HasCode(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Lease::Take(*layout_, "box"), nullptr);
  EXPECT_TRUE(std::filesystem::exists(temp_ / "elsewhere/1-1"));
}

// Whoever looks takes locks for a moment: that must cost nobody his lease.
TEST_F(LeaseTest, IsNeverOverlookedNorRemovedWhileOthersLook) {
  const Digest digest = layout_->Resolve("v1")->digest;
  std::atomic<bool> done{false};
  std::thread looker([&] {
    auto layout = Layout::OpenForWriting(dir_);
    while (!done) (void)ReadLeases(**layout, true);
  });
  for (int i = 0; i < 300; ++i) {
    const auto lease = Lease::Take(*layout_, "box");
    ASSERT_NE(lease, nullptr);
    EXPECT_EQ(Read().live.size(), 1u);
    lease->Narrow({digest});
    EXPECT_EQ(Read().live.size(), 1u);
  }
  done = true;
  looker.join();
}

}  // namespace
}  // namespace stasis::image
