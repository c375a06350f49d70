// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/union_tree.h"

#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <utility>

#include "restore/transfer/internal/overlay_format.h"

namespace stasis::restore {
namespace {

class UnionTree final : public TreeSource {
 public:
  explicit UnionTree(std::vector<std::unique_ptr<TreeSource>> layers) : layers_(std::move(layers)) {
    std::vector<TreeSource*> all;
    for (const auto& layer : layers_) {
      all.push_back(layer.get());
      // A layer whose root is opaque hides those below it.
      const Result<Xattrs> xattrs = layer->GetXattrs("");
      if (xattrs && OverlayXattr(*xattrs, "opaque") == "y") break;
    }
    levels_.push_back(std::move(all));
  }

  Result<std::vector<std::string>> List() override;
  Result<FileAttributes> Stat(const std::string& name) override {
    STASIS_ASSIGN_OR_RETURN(const Found found, Find(name));
    return found.attributes;
  }
  Result<std::string> ReadLink(const std::string& name) override {
    STASIS_ASSIGN_OR_RETURN(const Found found, Find(name));
    return found.layer->ReadLink(name);
  }
  Result<Xattrs> GetXattrs(const std::string& name) override;
  Result<std::unique_ptr<FileReader>> Open(const std::string& name) override;
  Result<void> Enter(const std::string& name) override;
  Result<void> Leave() override;

 private:
  struct Found {
    TreeSource* layer;
    FileAttributes attributes;
  };

  // The topmost layer that has the name. Errors: ENOENT, also if it is a whiteout.
  Result<Found> Find(const std::string& name);
  // Goes into a directory with one layer. True if those below are hidden.
  static Result<bool> EnterOne(TreeSource& layer, const std::string& name);

  std::vector<std::unique_ptr<TreeSource>> layers_;
  // Per directory on the way: the layers that are in it, topmost first.
  std::vector<std::vector<TreeSource*>> levels_;
};

Result<UnionTree::Found> UnionTree::Find(const std::string& name) {
  for (TreeSource* layer : levels_.back()) {
    Result<FileAttributes> attributes = layer->Stat(name);
    if (!attributes && attributes.error() == Errno(ENOENT)) continue;
    if (!attributes) return Err(attributes.error());
    if (IsWhiteout(attributes->stat.mode, attributes->stat.rdev)) return Err(ENOENT);
    return Found{layer, *attributes};
  }
  return Err(ENOENT);
}

Result<std::vector<std::string>> UnionTree::List() {
  std::set<std::string> all;
  for (TreeSource* layer : levels_.back()) {
    STASIS_ASSIGN_OR_RETURN(std::vector<std::string> names, layer->List());
    all.insert(std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
  }
  std::vector<std::string> seen;
  for (const std::string& name : all) {
    const Result<Found> found = Find(name);
    if (found)
      seen.push_back(name);
    else if (found.error() != Errno(ENOENT))
      return Err(found.error());
  }
  return seen;
}

Result<Xattrs> UnionTree::GetXattrs(const std::string& name) {
  STASIS_ASSIGN_OR_RETURN(const Found found, Find(name));
  STASIS_ASSIGN_OR_RETURN(Xattrs xattrs, found.layer->GetXattrs(name));
  RemoveOverlayXattrs(xattrs);
  return xattrs;
}

Result<std::unique_ptr<FileReader>> UnionTree::Open(const std::string& name) {
  STASIS_ASSIGN_OR_RETURN(const Found found, Find(name));
  STASIS_ASSIGN_OR_RETURN(const Xattrs xattrs, found.layer->GetXattrs(name));
  if (OverlayXattr(xattrs, "metacopy")) return Err(EOPNOTSUPP);
  return found.layer->Open(name);
}

Result<bool> UnionTree::EnterOne(TreeSource& layer, const std::string& name) {
  STASIS_RETURN_IF_ERROR(layer.Enter(name));
  const Result<Xattrs> xattrs = layer.GetXattrs("");
  const bool redirected = xattrs && OverlayXattr(*xattrs, "redirect");
  if (xattrs && !redirected) return OverlayXattr(*xattrs, "opaque") == "y";
  STASIS_RETURN_IF_ERROR(layer.Leave());
  if (redirected) return Err(EOPNOTSUPP);
  return Err(xattrs.error());
}

Result<void> UnionTree::Enter(const std::string& name) {
  std::vector<TreeSource*> inside;
  Errno error(ENOENT);
  for (TreeSource* layer : levels_.back()) {
    const Result<FileAttributes> attributes = layer->Stat(name);
    if (!attributes && attributes.error() == Errno(ENOENT)) continue;
    if (attributes && !S_ISDIR(attributes->stat.mode)) {
      if (!IsWhiteout(attributes->stat.mode, attributes->stat.rdev)) error = Errno(ENOTDIR);
      break;
    }
    const Result<bool> hides = EnterOne(*layer, name);
    if (!hides) {
      for (TreeSource* entered : inside) STASIS_RETURN_IF_ERROR(entered->Leave());
      return Err(hides.error());
    }
    inside.push_back(layer);
    if (*hides) break;
  }
  if (inside.empty()) return Err(error);
  levels_.push_back(std::move(inside));
  return {};
}

Result<void> UnionTree::Leave() {
  const std::vector<TreeSource*> inside = std::move(levels_.back());
  levels_.pop_back();
  for (TreeSource* layer : inside) STASIS_RETURN_IF_ERROR(layer->Leave());
  return {};
}

}  // namespace

std::unique_ptr<TreeSource> OpenUnionTree(std::vector<std::unique_ptr<TreeSource>> layers) {
  return std::make_unique<UnionTree>(std::move(layers));
}

}  // namespace stasis::restore
