// SPDX-License-Identifier: Apache-2.0

#include <algorithm>

#include "tests/posix/fuse_posix.h"
#include "tests/posix/gofer_posix.h"
#include "tests/posix/kernel_posix.h"
#include "tests/posix/overlay_posix.h"
#include "tests/posix/posix_test.h"
#include "tests/posix/vfs_posix.h"

namespace stasis::posix {
namespace {

template <Saves saves>
std::unique_ptr<Posix> MakeVfs(uint64_t size_limit, uint64_t inode_limit) {
  return std::make_unique<VfsPosix>(
      memfs::MemfsOptions{.size_limit = size_limit, .inode_limit = inode_limit}, saves);
}

std::unique_ptr<Posix> MakeTmpfs(uint64_t size_limit, uint64_t inode_limit) {
  return std::make_unique<TmpfsPosix>(size_limit, inode_limit);
}

template <FusePosix::Server server>
std::unique_ptr<Posix> MakeFuse(uint64_t size_limit, uint64_t inode_limit) {
  return std::make_unique<FusePosix>(
      [=](vfs::VirtualFilesystem& vfs) {
        return memfs::MemFilesystem::Create(vfs,
                                            {.size_limit = size_limit, .inode_limit = inode_limit});
      },
      server);
}

template <gofer::Interop interop, Saves saves>
std::unique_ptr<Posix> MakeGofer(uint64_t size_limit, uint64_t inode_limit) {
  return std::make_unique<GoferPosix>(interop, size_limit, inode_limit, saves);
}

template <Saves saves>
std::unique_ptr<Posix> MakeMemOverlay(uint64_t size_limit, uint64_t inode_limit) {
  return std::make_unique<MemOverlayPosix>(size_limit, inode_limit, saves);
}

std::unique_ptr<Posix> MakeFuseOverlay(uint64_t size_limit, uint64_t inode_limit) {
  return std::make_unique<FuseOverlayPosix>(size_limit, inode_limit);
}

template <Upper upper, Saves saves>
std::unique_ptr<Posix> MakeHostOverlay(uint64_t size_limit, uint64_t inode_limit) {
  return std::make_unique<HostOverlayPosix>(upper, size_limit, inode_limit, saves);
}

constexpr unsigned kPlainDirectories = kWhiteouts | kDirectoryLinks;
constexpr unsigned kOfMemfs = kDevices | kAclChecks | kNamelessFilesStay | kPlainDirectories;
constexpr unsigned kOfTheVfs =
    kOfMemfs | kAccessTimes | kOwnAccessTimes | kDirectoryOffsets | kCallersGroups;
constexpr unsigned kOfGofers =
    kAccessTimes | kDirectoryOffsets | kCallersGroups | kTmpfsAccounting | kPlainDirectories;
constexpr unsigned kOfMemOverlays = kOfTheVfs & ~kPlainDirectories;
constexpr unsigned kOfHostOverlays =
    (kOfGofers & ~kPlainDirectories & ~kTmpfsAccounting) | kOwnAccessTimes;

constexpr Implementation kImplementations[] = {
    {"tmpfs", kOfTheVfs | kSpecialFiles | kTmpfsAccounting, MakeTmpfs},
    {"vfs", kOfTheVfs, MakeVfs<Saves::kNever>},
    {"vfs_saved_every_step", kOfTheVfs, MakeVfs<Saves::kBeforeEveryCall>},
    {"vfs_saved_at_random", kOfTheVfs, MakeVfs<Saves::kAtRandom>},
    {"fuse", kOfMemfs | kSpecialFiles, MakeFuse<FusePosix::Server::kStays>},
    {"fuse_taken_over", kOfMemfs | kSpecialFiles, MakeFuse<FusePosix::Server::kIsTakenOver>},
    {"gofer_exclusive", kOfGofers | kOwnAccessTimes | kNamelessFilesStay,
     MakeGofer<gofer::Interop::kExclusive, Saves::kNever>},
    {"gofer_shared", kOfGofers | kNamelessFilesStay,
     MakeGofer<gofer::Interop::kShared, Saves::kNever>},
    {"gofer_saved_at_random", kOfGofers | kOwnAccessTimes,
     MakeGofer<gofer::Interop::kExclusive, Saves::kAtRandom>},
    {"overlay_mem_on_mem", kOfMemOverlays, MakeMemOverlay<Saves::kNever>},
    {"overlay_mem_on_mem_saved_at_random", kOfMemOverlays, MakeMemOverlay<Saves::kAtRandom>},
    {"fuse_overlay", (kOfMemfs & ~kPlainDirectories) | kSpecialFiles, MakeFuseOverlay},
    {"overlay_mem_on_host", kOfMemOverlays, MakeHostOverlay<Upper::kMemfs, Saves::kNever>},
    {"overlay_mem_on_host_saved_at_random", kOfMemOverlays,
     MakeHostOverlay<Upper::kMemfs, Saves::kAtRandom>},
    {"overlay_host_on_host", kOfHostOverlays | kNamelessFilesStay,
     MakeHostOverlay<Upper::kHost, Saves::kNever>},
    {"overlay_host_on_host_saved_at_random", kOfHostOverlays,
     MakeHostOverlay<Upper::kHost, Saves::kAtRandom>},
};

}  // namespace

std::vector<Implementation> ImplementationsWith(unsigned capabilities) {
  std::vector<Implementation> found;
  for (const Implementation& implementation : kImplementations) {
    if ((implementation.capabilities & capabilities) == capabilities)
      found.push_back(implementation);
  }
  return found;
}

int PosixTest::Open(const At& at, int flags, uint32_t mode) {
  const Result<int> fd = sys.Open(at, flags, mode);
  EXPECT_THAT(fd, IsOk()) << at.path;
  return fd.value_or(-1);
}

void PosixTest::Put(const At& at, std::string_view content, uint32_t mode) {
  const int fd = Open(at, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (!content.empty()) {
    EXPECT_EQ(sys.Write(fd, content).value_or(0), content.size()) << at.path;
  }
  EXPECT_THAT(sys.Close(fd), IsOk());
}

void PosixTest::MakeDir(const At& at, uint32_t mode) {
  EXPECT_THAT(sys.Mkdir(at, mode), IsOk()) << at.path;
}

void PosixTest::GiveTo(uint32_t uid, const At& at) {
  EXPECT_THAT(sys.LChown(at, uid, uid), IsOk()) << at.path;
}

std::string PosixTest::Get(const At& at) {
  const Result<int> fd = sys.Open(at, O_RDONLY);
  if (!fd) return "(" + ErrnoName(fd.error()) + ")";
  std::string content;
  for (;;) {
    const Result<std::string> bytes = sys.Read(*fd, 65536);
    if (!bytes) content = "(" + ErrnoName(bytes.error()) + ")";
    if (!bytes || bytes->empty()) break;
    content += *bytes;
  }
  EXPECT_THAT(sys.Close(*fd), IsOk());
  return content;
}

vfs::Stat PosixTest::StatOf(const At& at) {
  const Result<vfs::Stat> stat = sys.LStat(at);
  EXPECT_THAT(stat, IsOk()) << at.path;
  return stat.value_or(vfs::Stat());
}

std::vector<std::string> PosixTest::List(const At& at) {
  std::vector<std::string> names;
  const int fd = Open(at, O_RDONLY | O_DIRECTORY);
  for (;;) {
    const auto entries = sys.GetDents(fd);
    EXPECT_THAT(entries, IsOk());
    if (!entries || entries->empty()) break;
    for (const Dirent& entry : *entries) {
      if (entry.name != "." && entry.name != "..") names.push_back(entry.name);
    }
  }
  EXPECT_THAT(sys.Close(fd), IsOk());
  std::sort(names.begin(), names.end());
  return names;
}

void PosixTest::WaitForFreeInodes(uint64_t n) {
  for (int i = 0; i < 100 && sys.StatFs("/")->files_free < n; ++i) sys.Tick();
  EXPECT_EQ(sys.StatFs("/")->files_free, n);
}

void PosixTest::MakeLinkChain(int n, const std::string& target) {
  for (int i = 1; i <= n; ++i) {
    const std::string to = i == 1 ? target : std::to_string(i - 1);
    EXPECT_THAT(sys.Symlink(to, "/" + std::to_string(i)), IsOk());
  }
}

}  // namespace stasis::posix
