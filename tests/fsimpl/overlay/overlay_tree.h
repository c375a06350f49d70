// SPDX-License-Identifier: Apache-2.0
//
// overlay_tree.h: an overlay and its layers in one tree, for tests.
//
//   Put("/lower/f", "below");
//   Mount();
//   t.Write("/merged/f", "changed");
//   EXPECT_EQ(t.Read("/upper/f"), "changed");
//
// The layers are the directories /upper, /lower and /lower2 (the lowest) of one memfs, and the
// overlay is mounted on /merged there. They are filled before that, and only looked at after it.

#ifndef STASIS_TESTS_FSIMPL_OVERLAY_OVERLAY_TREE_H_
#define STASIS_TESTS_FSIMPL_OVERLAY_OVERLAY_TREE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/testing/errno_matchers.h"
#include "tests/testing/overlay_layers.h"
#include "tests/testing/test_vfs.h"

namespace stasis::overlay {

class OverlayTree : public ::testing::Test {
 protected:
  OverlayTree() : OverlayTree(testing::TestVfs::MakeRoot()) {}
  // With layers in a filesystem of another kind.
  explicit OverlayTree(const testing::TestVfs::MakeRoot& make_root)
      : made_(make_root ? std::make_unique<testing::TestVfs>(make_root)
                        : std::make_unique<testing::TestVfs>()),
        t(*made_) {
    for (const char* dir : {"/upper", "/work", "/lower", "/lower2", "/merged"})
      if (!t.Exists(dir)) t.Mkdir(dir);
  }

  vfs::VirtualDentry At(std::string_view path) {
    auto found = t.vfs().GetDentryAt(t.creds(), t.At(path));
    EXPECT_THAT(found, testing::IsOk()) << path;
    return found.value_or(vfs::VirtualDentry());
  }

  // What Mount() mounts; tests change it before.
  OverlayOptions Options() {
    OverlayOptions options;
    options.upper = At("/upper");
    options.work = At("/work");
    options.lowers = {At("/lower"), At("/lower2")};
    return options;
  }

  void Mount() { Mount(Options()); }
  void Mount(const OverlayOptions& options) {
    const auto overlay = testing::MakeOverlay(t.vfs(), options);
    ASSERT_TRUE(overlay);
    EXPECT_THAT(t.vfs().MountAt(t.creds(), t.ns(), t.At("/merged"), overlay, {}), testing::IsOk());
  }
  // The overlay that lives now, also after a restore.
  OverlayFilesystem& overlay() {
    for (const auto& filesystem : t.vfs().filesystems()) {
      if (auto* found = dynamic_cast<OverlayFilesystem*>(filesystem.get())) return *found;
    }
    std::abort();
  }

  // A file with its directories.
  void Put(const std::string& path, std::string_view content = "") {
    for (size_t at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1))
      if (!t.Exists(path.substr(0, at))) t.Mkdir(path.substr(0, at));
    t.Write(path, content);
  }
  void WhiteOut(std::string_view path) { t.Mknod(path, S_IFCHR, 0); }
  bool IsWhiteout(std::string_view path) {
    if (!t.Exists(path)) return false;
    const vfs::Stat stat = t.Stat(path);
    return S_ISCHR(stat.mode) && stat.rdev == 0;
  }
  void MakeOpaque(std::string_view path) { t.SetXattr(path, "trusted.overlay.opaque", "y"); }
  // Empty without one.
  std::string Xattr(std::string_view path, std::string_view name) {
    return t.vfs().GetXattrAt(t.creds(), t.At(path), name).value_or("");
  }
  Result<void> TryRename(std::string_view from, std::string_view to, uint32_t flags = 0) {
    return t.vfs().RenameAt(t.creds(), t.At(from), t.At(to), flags);
  }

 private:
  std::unique_ptr<testing::TestVfs> made_;

 protected:
  testing::TestVfs& t;  // NOLINT
};

}  // namespace stasis::overlay

#endif  // STASIS_TESTS_FSIMPL_OVERLAY_OVERLAY_TREE_H_
