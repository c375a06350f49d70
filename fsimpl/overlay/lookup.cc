// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/overlay/lookup.h"

#include <algorithm>
#include <utility>

#include "fsimpl/overlay/layer.h"

namespace stasis::overlay {
namespace {

using vfs::VirtualDentry;

// One lookup on its way down.
class Descent {
 public:
  Descent(const LayerStack& layers, std::string_view name) : layers_(layers), path_(name) {}

  Result<Found> Run(const MergedDirectory& dir);

 private:
  // One layer. What is found is left in hit_; not ok() if nothing.
  Result<void> LookInto(const VirtualDentry& root, bool is_root_relative, const VirtualDentry& dir,
                        Opacity dir_opacity);
  // One component of path_, which begins at `at` and has `length` bytes.
  Result<VirtualDentry> LookupOne(const VirtualDentry& dir, Opacity dir_opacity, size_t at,
                                  size_t length, Opacity* opacity);
  Result<void> TakeRedirect(const vfs::Inode& file, size_t at, size_t length);
  bool absolute() const { return path_.front() == '/'; }

  const LayerStack& layers_;
  std::string path_;  // a name, or after an absolute redirect a path from the layers' roots
  bool stop_ = false;
  bool is_dir_ = false;    // a directory was found above
  bool metacopy_ = false;  // a metacopy was
  bool in_upper_ = false;
  bool last_ = false;      // no layer follows
  std::string next_path_;  // for the layers that follow
  VirtualDentry hit_;
  Opacity hit_opacity_ = Opacity::kNone;
  bool hit_metacopy_ = false;
  std::string hit_redirect_;
};

Result<void> Descent::TakeRedirect(const vfs::Inode& file, size_t at, size_t length) {
  STASIS_ASSIGN_OR_RETURN(std::string redirect, layers_.format.RedirectOf(file));
  if (redirect.empty()) return {};
  hit_redirect_ = redirect;
  // It leads out of an opaque directory that the path has come through.
  if (redirect.front() == '/') stop_ = false;
  const std::string rest = next_path_.substr(at + length);
  next_path_ =
      redirect.front() == '/' ? redirect + rest : next_path_.substr(0, at) + redirect + rest;
  if (next_path_.size() > kMaxRedirect) return Err(EIO);
  return {};
}

Result<VirtualDentry> Descent::LookupOne(const VirtualDentry& dir, Opacity dir_opacity, size_t at,
                                         size_t length, Opacity* opacity) {
  const bool final = at + length == path_.size();
  auto found = layer::Lookup(dir, std::string_view(path_).substr(at, length));
  if (!found && found.error() == Errno(ENOENT)) return VirtualDentry();
  if (!found) return Err(found.error());
  const vfs::Inode& inode = found->inode();
  const Format& format = layers_.format;
  *opacity = Opacity::kNone;
  if (format.IsWhiteout(inode, dir_opacity)) {
    stop_ = true;
    return VirtualDentry();
  }
  if (!inode.is_dir()) {
    const bool hidden = is_dir_ || !final || (metacopy_ && !inode.is_regular());
    stop_ = true;
    if (hidden) return VirtualDentry();
    if (!inode.is_regular() || !(in_upper_ || MayBeMetacopy(inode, last_))) return found;
    STASIS_ASSIGN_OR_RETURN(hit_metacopy_, format.IsMetacopy(inode));
    if (!hit_metacopy_) return found;
    stop_ = false;
  } else {
    if (final && metacopy_) {
      stop_ = true;
      return VirtualDentry();
    }
    if (final) is_dir_ = true;
    if (last_) return found;
    STASIS_ASSIGN_OR_RETURN(*opacity, format.OpacityOf(inode));
    if (*opacity == Opacity::kOpaque) {
      stop_ = true;
      return found;
    }
  }
  // Positions in next_path_ fit as long as only components from here on were redirected.
  const size_t shift = next_path_.size() - path_.size();
  STASIS_RETURN_IF_ERROR(TakeRedirect(inode, at + shift, length));
  return found;
}

Result<void> Descent::LookInto(const VirtualDentry& root, bool is_root_relative,
                               const VirtualDentry& dir, Opacity dir_opacity) {
  hit_ = VirtualDentry();
  hit_opacity_ = Opacity::kNone;
  hit_metacopy_ = false;
  hit_redirect_.clear();
  next_path_ = path_;
  if (!is_root_relative) {
    STASIS_ASSIGN_OR_RETURN(hit_, LookupOne(dir, dir_opacity, 0, path_.size(), &hit_opacity_));
  } else {
    VirtualDentry base = root;
    STASIS_ASSIGN_OR_RETURN(Opacity opacity, layers_.format.OpacityOf(root.inode()));
    for (size_t at = 1; base.ok() && base.inode().is_dir();) {
      const size_t end = std::min(path_.find('/', at), path_.size());
      STASIS_ASSIGN_OR_RETURN(base, LookupOne(base, opacity, at, end - at, &opacity));
      if (end == path_.size()) {
        hit_ = base;
        hit_opacity_ = opacity;
        break;
      }
      at = end + 1;
    }
  }
  path_ = next_path_;
  return {};
}

Result<Found> Descent::Run(const MergedDirectory& dir) {
  Found found;
  if (dir.upper) {
    in_upper_ = true;
    STASIS_RETURN_IF_ERROR(
        LookInto(layers_.upper, /*is_root_relative=*/false, layers_.UpperAt(dir.upper),
                 dir.xattr_whiteouts ? Opacity::kXattrWhiteouts : Opacity::kNone));
    if (hit_.ok()) {
      found.upper = RefPtr<vfs::Dentry>(&hit_.dentry());
      found.xattr_whiteouts = hit_opacity_ == Opacity::kXattrWhiteouts;
      found.redirect = hit_redirect_;
      found.metacopy = metacopy_ = hit_metacopy_;
    }
  }
  in_upper_ = false;
  const auto layer_count = static_cast<uint32_t>(layers_.lowers.size());
  bool from_root = absolute();
  uint32_t layer = 0;
  for (size_t i = 0; !stop_ && (from_root ? layer < layer_count : i < dir.lowers.size()); ++i) {
    if (!from_root) layer = dir.lowers[i].layer;
    last_ = layer + 1 == layer_count;
    const VirtualDentry base = from_root ? layers_.lowers[layer] : layers_.At(dir.lowers[i]);
    STASIS_RETURN_IF_ERROR(LookInto(
        layers_.lowers[layer], from_root, base,
        !from_root && dir.lowers[i].xattr_whiteouts ? Opacity::kXattrWhiteouts : Opacity::kNone));
    if (hit_.ok()) {
      const LowerFile lower{RefPtr<vfs::Dentry>(&hit_.dentry()), layer,
                            hit_opacity_ == Opacity::kXattrWhiteouts};
      // Of a chain of metacopies the first has the attributes, the last the data.
      if (!hit_.inode().is_dir()) found.lowers.resize(found.upper || found.lowers.empty() ? 0 : 1);
      found.lowers.push_back(lower);
      metacopy_ = hit_metacopy_;
    }
    ++layer;
    if (absolute()) from_root = true;
  }
  if (!found.upper && found.lowers.empty()) return Err(ENOENT);
  if (metacopy_) return Err(EIO);  // nothing has its data
  return found;
}

}  // namespace

bool MayBeMetacopy(const vfs::Inode& file, bool last) {
  // A metacopy has no blocks but those of its attributes, of which Linux knows no larger ones.
  constexpr uint64_t kMaxXattrSize = 65536;
  vfs::Stat stat;
  file.FillStat(stat);
  const uint64_t space = stat.blocks * 512;
  return space < stat.size || (!last && stat.size != 0 && space <= kMaxXattrSize);
}

Result<Found> Resolve(const LayerStack& layers, const MergedDirectory& dir, std::string_view name) {
  return Descent(layers, name).Run(dir);
}

Result<bool> IsInLowers(const LayerStack& layers, const std::vector<LowerFile>& dirs,
                        std::string_view name) {
  for (const LowerFile& dir : dirs) {
    auto found = layer::Lookup(layers.At(dir), name);
    if (!found && found.error() == Errno(ENOENT)) continue;
    if (!found) return Err(found.error());
    return !layers.format.IsWhiteout(
        found->inode(), dir.xattr_whiteouts ? Opacity::kXattrWhiteouts : Opacity::kNone);
  }
  return false;
}

}  // namespace stasis::overlay
