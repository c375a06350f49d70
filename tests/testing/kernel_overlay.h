// SPDX-License-Identifier: Apache-2.0
//
// kernel_overlay.h: a mount of the kernel's overlayfs, the judge of what layers mean.

#ifndef STASIS_TESTS_TESTING_KERNEL_OVERLAY_H_
#define STASIS_TESTS_TESTING_KERNEL_OVERLAY_H_

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace stasis::testing {

// Takes this process into a mount namespace of its own, once for all: mounts are seen by it alone,
// and go with it. Needs root.
class MountNamespace {
 public:
  MountNamespace() {
    static const bool done = ::unshare(CLONE_NEWNS) == 0 &&
                             ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    EXPECT_TRUE(done) << "run this test as root";
  }
};

// Mounted in a mount namespace of this process's own, from its construction to its end. Needs root.
class KernelOverlay {
 public:
  // `lowers` topmost first. Makes DIR/upper, DIR/work and DIR/merged, which are empty at first.
  KernelOverlay(const std::string& directory, const std::vector<std::string>& lowers,
                const std::string& options = "redirect_dir=on,metacopy=on,index=off")
      : upper_(directory + "/upper"), work_(directory + "/work"), merged_(directory + "/merged") {
    for (const std::string& each : {upper_, work_, merged_})
      std::filesystem::create_directories(each);
    std::string text = "lowerdir=";
    for (size_t i = 0; i < lowers.size(); ++i) text += (i == 0 ? "" : ":") + lowers[i];
    text += ",upperdir=" + upper_ + ",workdir=" + work_ + "," + options;
    EXPECT_EQ(::mount("overlay", merged_.c_str(), "overlay", 0, text.c_str()), 0)
        << std::strerror(errno) << ": " << text;
  }
  ~KernelOverlay() { EXPECT_EQ(::umount(merged_.c_str()), 0) << std::strerror(errno); }
  KernelOverlay(const KernelOverlay&) = delete;
  KernelOverlay& operator=(const KernelOverlay&) = delete;

  const std::string& upper() const { return upper_; }
  const std::string& merged() const { return merged_; }

 private:
  const MountNamespace namespace_;
  const std::string upper_;
  const std::string work_;
  const std::string merged_;
};

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_KERNEL_OVERLAY_H_
