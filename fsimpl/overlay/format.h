// SPDX-License-Identifier: Apache-2.0
//
// format.h: how overlayfs marks things in a layer. docs/overlay.md has the list.
//
// A *whiteout* says that a name is in no layer below. An *opaque* directory hides the directories
// of its name below. A *redirect* says what a directory (or a metacopy) is called below: one name,
// in the directories that its parent is made of, or a path from the roots of the layers. A
// *metacopy* has only attributes; its data is below.

#ifndef STASIS_FSIMPL_OVERLAY_FORMAT_H_
#define STASIS_FSIMPL_OVERLAY_FORMAT_H_

#include <string>
#include <string_view>

#include "state/base/result.h"
#include "vfs/inode.h"

namespace stasis::overlay {

// The longest redirect that is followed or written.
inline constexpr size_t kMaxRedirect = 4095;

enum class Opacity : uint8_t {
  kNone,
  kOpaque,
  kXattrWhiteouts,  // not opaque; whiteouts among its files are marked by attributes
};

// The marks, under names that begin with "trusted.overlay." or "user.overlay.".
class Format {
 public:
  explicit Format(bool user_xattrs) : prefix_(user_xattrs ? "user.overlay." : "trusted.overlay.") {}

  // Whether an attribute is a mark, which nobody sees through the overlay.
  bool IsPrivate(std::string_view name) const { return name.substr(0, prefix_.size()) == prefix_; }

  // What a layer says of a file of its own; attributes that cannot be read say nothing.
  // Errors: EIO, ESTALE of a layer that is gone.
  Result<Opacity> OpacityOf(const vfs::Inode& dir) const;
  // Whether a file is a whiteout in a directory of that kind.
  bool IsWhiteout(const vfs::Inode& file, Opacity dir) const;
  // Empty without one. Errors: EIO for one that is none (see IsValidRedirect).
  Result<std::string> RedirectOf(const vfs::Inode& file) const;
  Result<bool> IsMetacopy(const vfs::Inode& file) const;

  Result<void> SetOpaque(vfs::Inode& dir, TimeNs now) const;
  Result<void> SetRedirect(vfs::Inode& file, std::string_view redirect, TimeNs now) const;
  Result<void> SetMetacopy(vfs::Inode& file, TimeNs now) const;
  Result<void> ClearMetacopy(vfs::Inode& file, TimeNs now) const;

 private:
  std::string Name(std::string_view mark) const { return prefix_ + std::string(mark); }
  // Without a value: there is no such mark.
  Result<bool> Read(const vfs::Inode& file, std::string_view mark, std::string* value) const;

  std::string prefix_;
};

// Whether it is one file name, or a path that begins with a slash, of file names.
bool IsValidRedirect(std::string_view redirect);

// A character device 0:0.
bool IsWhiteoutDevice(const vfs::Inode& file);

}  // namespace stasis::overlay

#endif  // STASIS_FSIMPL_OVERLAY_FORMAT_H_
