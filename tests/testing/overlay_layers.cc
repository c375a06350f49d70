// SPDX-License-Identifier: Apache-2.0

#include "tests/testing/overlay_layers.h"

#include <gtest/gtest.h>

#include <utility>

namespace stasis::testing {

using vfs::VirtualDentry;

VirtualDentry RootOf(vfs::VirtualFilesystem& vfs, vfs::Filesystem& filesystem) {
  return {vfs.MakePrivateMount(filesystem, {}), RefPtr<vfs::Dentry>(&filesystem.root())};
}

VirtualDentry DirectoryIn(vfs::VirtualFilesystem& vfs, const VirtualDentry& parent,
                          std::string_view name, uint32_t mode) {
  const vfs::Credentials root = vfs::Credentials::Root();
  const auto made = vfs.MkdirAt(root, {parent, parent, name}, mode);
  if (!made && made.error() != Errno(EEXIST)) ADD_FAILURE() << ErrnoName(made.error());
  auto found = vfs.GetDentryAt(root, {parent, parent, name});
  if (!found) ADD_FAILURE() << ErrnoName(found.error());
  return found.value_or(VirtualDentry());
}

overlay::OverlayOptions OverlayOn(vfs::VirtualFilesystem& vfs, vfs::Filesystem& filesystem,
                                  std::vector<VirtualDentry> lowers) {
  const VirtualDentry root = RootOf(vfs, filesystem);
  overlay::OverlayOptions options;
  options.upper = DirectoryIn(vfs, root, "upper");
  options.work = DirectoryIn(vfs, root, "work");
  options.lowers = std::move(lowers);
  return options;
}

RefPtr<overlay::OverlayFilesystem> MakeOverlay(vfs::VirtualFilesystem& vfs,
                                               const overlay::OverlayOptions& options) {
  auto made = overlay::OverlayFilesystem::Create(vfs, options);
  if (made) return *made;
  ADD_FAILURE() << ErrnoName(made.error());
  return nullptr;
}

}  // namespace stasis::testing
