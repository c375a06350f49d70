// SPDX-License-Identifier: Apache-2.0
//
// layer.h: operations on the files of a layer, which belong to another filesystem.
//
// All go through the VirtualFilesystem, so that the layer's own tree stays right, as root: who may
// do what was checked in the overlay. Names are single components.

#ifndef STASIS_FSIMPL_OVERLAY_LAYER_H_
#define STASIS_FSIMPL_OVERLAY_LAYER_H_

#include <string>
#include <string_view>
#include <vector>

#include "state/base/result.h"
#include "vfs/file_description.h"
#include "vfs/path_operation.h"

namespace stasis::overlay::layer {

struct Entry {
  std::string name;
  uint32_t type = 0;  // S_IFMT bits
  RefPtr<vfs::Dentry> dentry;
};

// Errors: ENOENT, also for a name that is too long there.
Result<vfs::VirtualDentry> Lookup(const vfs::VirtualDentry& dir, std::string_view name);
// All entries but "." and "..".
Result<std::vector<Entry>> List(const vfs::VirtualDentry& dir);
// The file of a place, also one that was removed.
Result<RefPtr<vfs::FileDescription>> Open(const vfs::VirtualDentry& at, int flags);

// Makes a file like `file`; ACLs are what its directory passes on.
Result<vfs::VirtualDentry> Make(const vfs::VirtualDentry& dir, std::string_view name,
                                const vfs::NewFile& file);
// The same of a regular file, which it opens for reading and writing.
Result<RefPtr<vfs::FileDescription>> MakeOpen(const vfs::VirtualDentry& dir, std::string_view name,
                                              const vfs::NewFile& file);
// Without a name.
Result<RefPtr<vfs::FileDescription>> MakeTmpfile(const vfs::VirtualDentry& dir,
                                                 const vfs::NewFile& file);
Result<void> MakeWhiteout(const vfs::VirtualDentry& dir, std::string_view name);

Result<void> Link(const vfs::VirtualDentry& file, const vfs::VirtualDentry& dir,
                  std::string_view name);
Result<void> Unlink(const vfs::VirtualDentry& dir, std::string_view name);
Result<void> Rmdir(const vfs::VirtualDentry& dir, std::string_view name);
Result<void> Rename(const vfs::VirtualDentry& dir, std::string_view name,
                    const vfs::VirtualDentry& new_dir, std::string_view new_name, uint32_t flags);
// A file or a directory with all that is in it.
Result<void> RemoveTree(const vfs::VirtualDentry& dir, std::string_view name);

}  // namespace stasis::overlay::layer

#endif  // STASIS_FSIMPL_OVERLAY_LAYER_H_
