// SPDX-License-Identifier: Apache-2.0
//
// lookup.h: what the layers make of a name.
//
// From the upper layer down: the first file of the name is it. If that is a directory, those of
// lower layers are merged with it, until an opaque one, a whiteout or a file ends it. Redirects
// change the name for the layers that follow.

#ifndef STASIS_FSIMPL_OVERLAY_LOOKUP_H_
#define STASIS_FSIMPL_OVERLAY_LOOKUP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fsimpl/overlay/format.h"
#include "state/annotations.h"
#include "vfs/path_operation.h"

namespace stasis::overlay {

// A file in a lower layer.
struct LowerFile {
  RefPtr<vfs::Dentry> dentry;
  uint32_t layer = 0;  // 0 is the topmost
  bool xattr_whiteouts = false;

 private:
  STATE_SAVABLE(LowerFile);
};

// A file of the overlay by its places in the layers.
struct Found {
  RefPtr<vfs::Dentry> upper;  // null if it is in lower layers only
  // Of a directory: all that are merged, topmost first. Of another file without an upper one: it,
  // and if it is a metacopy then the one that has its data. Of an upper metacopy: the latter.
  std::vector<LowerFile> lowers;
  std::string redirect;          // of the upper one
  bool xattr_whiteouts = false;  // of the upper one
  bool metacopy = false;         // the upper one is

  vfs::Inode& inode() const { return upper ? upper->inode() : lowers.front().dentry->inode(); }
};

// The layers of an overlay, and where a directory is in them.
struct LayerStack {
  const Format& format;
  const vfs::VirtualDentry& upper;  // not ok() without one
  const std::vector<vfs::VirtualDentry>& lowers;

  vfs::VirtualDentry UpperAt(RefPtr<vfs::Dentry> dentry) const {
    return {RefPtr<vfs::Mount>(&upper.mount()), std::move(dentry)};
  }
  vfs::VirtualDentry At(const LowerFile& file) const {
    return {RefPtr<vfs::Mount>(&lowers[file.layer].mount()), file.dentry};
  }
};

struct MergedDirectory {
  RefPtr<vfs::Dentry> upper;  // null if there is none
  bool xattr_whiteouts = false;
  const std::vector<LowerFile>& lowers;
};

// Errors: ENOENT; EIO for marks that make no sense and for a metacopy without data; those of the
// layers.
Result<Found> Resolve(const LayerStack& layers, const MergedDirectory& dir, std::string_view name);

// Whether a regular file of a lower layer, the last one or not, is to be asked if it is a metacopy,
// as its space does not say that it has its bytes. Asking means opening the file on a host; in the
// last layer a metacopy is an error, for which not all small files are opened.
bool MayBeMetacopy(const vfs::Inode& file, bool last);

// Whether a lower layer has a visible file of that name in the directory. Errors: of the layers.
Result<bool> IsInLowers(const LayerStack& layers, const std::vector<LowerFile>& dirs,
                        std::string_view name);

}  // namespace stasis::overlay

#endif  // STASIS_FSIMPL_OVERLAY_LOOKUP_H_
