// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/overlay_posix.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "tests/testing/overlay_layers.h"

namespace stasis::posix {
namespace {

// The directories that are in the way of limits: beside the root of the upper layer in its
// filesystem, and beside the layers' roots in that of the host.
constexpr uint64_t kOwnInodes = 3;
constexpr uint64_t kOwnOnHost = kOwnInodes + 2;

uint64_t WithOwn(uint64_t inode_limit, uint64_t own) {
  return inode_limit == 0 ? 0 : inode_limit + own;
}

Result<vfs::StatFs> WithoutOwn(Result<vfs::StatFs> stat, uint64_t own) {
  if (stat) stat->files -= own;
  return stat;
}

RefPtr<vfs::Filesystem> Host(vfs::VirtualFilesystem& vfs, const std::string& name,
                             const std::string& directory) {
  ::umask(0);  // as a server's
  auto fs = gofer::GoferFilesystem::Create(vfs, {.root = name, .directory = directory});
  EXPECT_TRUE(fs.ok()) << fs.status();
  return RefPtr<vfs::Filesystem>(*fs);
}

RefPtr<vfs::Filesystem> Memory(vfs::VirtualFilesystem& vfs, uint64_t size, uint64_t inodes) {
  return memfs::MemFilesystem::Create(vfs, {.size_limit = size, .inode_limit = inodes});
}

RefPtr<vfs::Filesystem> Overlay(vfs::VirtualFilesystem& vfs, vfs::Filesystem& upper,
                                vfs::Filesystem& lower, bool lazy) {
  auto options = testing::OverlayOn(vfs, upper, {testing::RootOf(vfs, lower)});
  options.lazy_data = lazy;
  return testing::MakeOverlay(vfs, options);
}

std::map<std::string, std::string> RootsOf(Upper upper, const std::string& path) {
  std::map<std::string, std::string> roots = {{"lower", path + "/lower"}};
  if (upper == Upper::kHost) roots["top"] = path + "/top";
  return roots;
}

}  // namespace

namespace {

testing::TestVfs::MakeRoot InMemory(uint64_t size_limit, uint64_t inode_limit) {
  return [=](vfs::VirtualFilesystem& vfs) {
    const auto lower = Memory(vfs, 0, 0);
    return Overlay(vfs, *Memory(vfs, size_limit, WithOwn(inode_limit, kOwnInodes)), *lower, true);
  };
}

}  // namespace

MemOverlayPosix::MemOverlayPosix(uint64_t size_limit, uint64_t inode_limit, Saves saves)
    : VfsPosix(InMemory(size_limit, inode_limit), {}, saves) {}

FuseOverlayPosix::FuseOverlayPosix(uint64_t size_limit, uint64_t inode_limit)
    : FusePosix(InMemory(size_limit, inode_limit)) {}

Result<vfs::StatFs> FuseOverlayPosix::StatFs(const At& at) {
  return WithoutOwn(FusePosix::StatFs(at), kOwnInodes);
}

namespace {

void SetToHostTime() {
  ManualClock& clock = testing::TestVfs::clock();
  clock.Advance(RealClock().Now() - clock.Now());
}

}  // namespace

// With an upper layer in memory the host has the limits for nothing.
HostOverlayPosix::HostOverlayPosix(Upper upper, uint64_t size_limit, uint64_t inode_limit,
                                   Saves saves)
    : HostTmpfs(upper == Upper::kHost ? size_limit : 0,
                upper == Upper::kHost ? WithOwn(inode_limit, kOwnOnHost) : 0),
      VfsPosix(
          [=, path = HostTmpfs::path()](vfs::VirtualFilesystem& vfs) {
            SetToHostTime();  // others have made it tick
            for (const char* name : {"/lower", "/top"}) ::mkdir((path + name).c_str(), 0755);
            const auto lower = Host(vfs, "lower", path + "/lower");
            const auto top = upper == Upper::kHost
                                 ? Host(vfs, "top", path + "/top")
                                 : Memory(vfs, size_limit, WithOwn(inode_limit, kOwnInodes));
            return Overlay(vfs, *top, *lower, upper == Upper::kMemfs);
          },
          RootsOf(upper, HostTmpfs::path()), saves),
      upper_(upper) {}

Result<vfs::StatFs> MemOverlayPosix::StatFs(const At& at) {
  return WithoutOwn(VfsPosix::StatFs(at), kOwnInodes);
}

Result<vfs::StatFs> HostOverlayPosix::StatFs(const At& at) {
  return WithoutOwn(VfsPosix::StatFs(at), upper_ == Upper::kHost ? kOwnOnHost : kOwnInodes);
}

void HostOverlayPosix::BeforeCall() {
  SetToHostTime();
  VfsPosix::BeforeCall();
}

void HostOverlayPosix::Tick() { std::this_thread::sleep_for(std::chrono::milliseconds(12)); }

}  // namespace stasis::posix
