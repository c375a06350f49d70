// SPDX-License-Identifier: Apache-2.0
//
// overlay_layers.h: layers of overlays, for tests.

#ifndef STASIS_TESTS_TESTING_OVERLAY_LAYERS_H_
#define STASIS_TESTS_TESTING_OVERLAY_LAYERS_H_

#include <string_view>

#include "fsimpl/overlay/filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::testing {

// The root of a filesystem that is mounted nowhere.
vfs::VirtualDentry RootOf(vfs::VirtualFilesystem& vfs, vfs::Filesystem& filesystem);

// A directory below `parent`, which is made if it is not there.
vfs::VirtualDentry DirectoryIn(vfs::VirtualFilesystem& vfs, const vfs::VirtualDentry& parent,
                               std::string_view name, uint32_t mode = 0755);

// Options of an overlay with the directories "upper" and "work" of `filesystem`, which are made if
// they are not there, over `lowers`.
overlay::OverlayOptions OverlayOn(vfs::VirtualFilesystem& vfs, vfs::Filesystem& filesystem,
                                  std::vector<vfs::VirtualDentry> lowers);

// Or a failed test, and null.
RefPtr<overlay::OverlayFilesystem> MakeOverlay(vfs::VirtualFilesystem& vfs,
                                               const overlay::OverlayOptions& options);

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_OVERLAY_LAYERS_H_
