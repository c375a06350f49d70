// SPDX-License-Identifier: Apache-2.0

#include "tests/posix/gofer_posix.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

namespace stasis::posix {
namespace {

constexpr char kRoot[] = "data";

testing::TestVfs::MakeRoot Serve(const std::string& directory, gofer::Interop interop) {
  return [=](vfs::VirtualFilesystem& vfs) {
    ::umask(0);  // as a server's: a mode that needs mending is a second change
    auto fs = gofer::GoferFilesystem::Create(
        vfs, {.root = kRoot, .directory = directory, .interop = interop});
    EXPECT_TRUE(fs.ok()) << fs.status();
    return RefPtr<vfs::Filesystem>(*fs);
  };
}

}  // namespace

GoferPosix::GoferPosix(gofer::Interop interop, uint64_t size_limit, uint64_t inode_limit,
                       Saves saves)
    : HostTmpfs(size_limit, inode_limit),
      VfsPosix(Serve(HostTmpfs::path(), interop), {{kRoot, HostTmpfs::path()}}, saves) {}

void GoferPosix::BeforeCall() {
  ManualClock& clock = testing::TestVfs::clock();
  clock.Advance(RealClock().Now() - clock.Now());
  VfsPosix::BeforeCall();
}

// The kernel's clock for files moves with the timer interrupt.
void GoferPosix::Tick() { std::this_thread::sleep_for(std::chrono::milliseconds(12)); }

}  // namespace stasis::posix
