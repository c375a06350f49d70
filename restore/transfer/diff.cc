// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/diff.h"

#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/content.h"
#include "restore/transfer/internal/overlay_format.h"

namespace stasis::restore {
namespace {

constexpr uint64_t kTickFiles = 256;

// A name on one side, as far as it has been looked at.
struct Side {
  FileAttributes attributes;
  uint32_t type() const { return attributes.stat.mode & S_IFMT; }
  bool is_dir() const { return S_ISDIR(attributes.stat.mode); }
  bool linked() const { return !is_dir() && attributes.stat.nlink > 1; }
};

// One comparison. The sources are always in the same directory, as far as each has it.
class Differ {
 public:
  // `upper` is null for two whole trees.
  Differ(TreeSource* upper, TreeSource& before, TreeSource& after, const DiffOptions& options)
      : upper_(upper), before_(before), after_(after), options_(options) {}

  absl::StatusOr<DiffReport> Run();

 private:
  struct Level {
    std::string path;  // "/a"; empty for the root
    std::vector<std::string> names;
    size_t next = 0;
    bool upper = false;  // which sources are in it
    bool before = false;
    bool after = false;
  };

  absl::Status Enter(const std::string& name, Level level);
  absl::Status Leave();
  absl::Status DiffNext();
  absl::StatusOr<std::vector<std::string>> Names(const Level& level);
  absl::Status DiffName(const std::string& name, const std::string& path);
  // What the upper layer says of a name.
  enum class Upper { kNothing, kWhiteout, kMerged, kReplaced };
  absl::StatusOr<Upper> LookAtUpper(const std::string& name, const std::string& path);
  absl::StatusOr<std::optional<Side>> Look(bool there, TreeSource& source, const char* side,
                                           const std::string& name, const std::string& path);

  absl::Status Add(const std::string& name, const std::string& path, const Side& after);
  absl::Status Remove(const std::string& path, const Side& before);
  absl::Status Modify(const std::string& name, const std::string& path, const Side& before,
                      const Side& after);
  void CompareNumbers(Change& change) const;
  absl::Status CompareXattrs(const std::string& name, const std::string& path, Change& change);
  absl::Status CompareTargets(const std::string& name, const std::string& path, Change& change);
  absl::StatusOr<bool> SameContent(const std::string& name, const std::string& path,
                                   const Side& before, const Side& after);
  void CompareLinks(const std::string& path, const Side& before, const Side& after, Change& change);
  void NameLinksOfAdded();
  absl::Status Tick();

  TreeSource* const upper_;
  TreeSource& before_;
  TreeSource& after_;
  const DiffOptions& options_;
  ContentComparer contents_;
  std::vector<Level> levels_;
  // Of files with several names: the first that both sides have.
  absl::flat_hash_map<FileKey, std::string> before_first_;
  absl::flat_hash_map<FileKey, std::string> after_first_;
  // The same of all names after, for those that were added.
  absl::flat_hash_map<FileKey, std::string> after_any_;
  std::vector<std::pair<size_t, FileKey>> added_links_;  // index in the report
  absl::flat_hash_map<std::pair<FileKey, FileKey>, bool> same_content_;
  DiffReport report_;
};

absl::StatusOr<DiffReport> Differ::Run() {
  const auto before = Look(true, before_, "left", "", "/");
  if (!before.ok()) return before.status();
  const auto after = Look(true, after_, "right", "", "/");
  if (!after.ok()) return after.status();
  if (absl::Status s = Modify("", "/", **before, **after); !s.ok()) return s;
  Level root;
  root.before = root.after = true;
  if (upper_ != nullptr) {
    const auto said = LookAtUpper("", "/");
    if (!said.ok()) return said.status();
    root.upper = *said != Upper::kReplaced;
  }
  if (absl::Status s = Enter("", std::move(root)); !s.ok()) return s;
  while (!levels_.empty()) {
    const Level& level = levels_.back();
    absl::Status s = level.next < level.names.size() ? DiffNext() : Leave();
    if (!s.ok()) return s;
  }
  NameLinksOfAdded();
  return std::move(report_);
}

absl::StatusOr<std::vector<std::string>> Differ::Names(const Level& level) {
  std::vector<std::string> names;
  // Only what the upper layer has can have changed, unless it hides what is below.
  const bool guided = level.upper;
  for (const auto& [there, source, side] : {std::tuple{guided, upper_, "upper layer"},
                                            {!guided && level.before, &before_, "left"},
                                            {!guided && level.after, &after_, "right"}}) {
    if (!there) continue;
    auto list = source->List();
    if (!list) return Unreadable(side, level.path, list.error());
    names.insert(names.end(), std::make_move_iterator(list->begin()),
                 std::make_move_iterator(list->end()));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

absl::Status Differ::Enter(const std::string& name, Level level) {
  std::vector<TreeSource*> entered;
  const auto fail = [&](const absl::Status& status) {
    for (TreeSource* each : entered)
      if (Result<void> back = each->Leave(); !back)
        return absl::InternalError(
            Text(Unreadable("way back", level.path, back.error()).message()));
    return status;
  };
  for (const auto& [there, source, side] : {std::tuple{level.upper, upper_, "upper layer"},
                                            {level.before, &before_, "left"},
                                            {level.after, &after_, "right"}}) {
    if (!there || name.empty()) continue;
    if (Result<void> r = source->Enter(name); !r)
      return fail(Unreadable(side, level.path, r.error()));
    entered.push_back(source);
  }
  auto names = Names(level);
  if (!names.ok()) return fail(names.status());
  level.names = *std::move(names);
  levels_.push_back(std::move(level));
  return absl::OkStatus();
}

absl::Status Differ::Leave() {
  const Level level = std::move(levels_.back());
  levels_.pop_back();
  if (levels_.empty()) return absl::OkStatus();
  for (const auto& [there, source, side] : {std::tuple{level.upper, upper_, "upper layer"},
                                            {level.before, &before_, "left"},
                                            {level.after, &after_, "right"}}) {
    if (!there) continue;
    if (Result<void> r = source->Leave(); !r) return Unreadable(side, level.path, r.error());
  }
  return absl::OkStatus();
}

absl::Status Differ::DiffNext() {
  if (absl::Status s = Tick(); !s.ok()) return s;
  Level& level = levels_.back();
  const std::string name = level.names[level.next++];
  const absl::Status status = DiffName(name, level.path + "/" + name);
  // In a tree that is in use a file may be gone since it was listed.
  if (upper_ != nullptr && absl::IsNotFound(status)) return absl::OkStatus();
  return status;
}

absl::StatusOr<std::optional<Side>> Differ::Look(bool there, TreeSource& source, const char* side,
                                                 const std::string& name, const std::string& path) {
  if (!there) return std::optional<Side>();
  const Result<FileAttributes> attributes = source.Stat(name);
  if (!attributes && attributes.error() == Errno(ENOENT)) return std::optional<Side>();
  if (!attributes) return Unreadable(side, path, attributes.error());
  return std::optional<Side>(Side{*attributes});
}

absl::StatusOr<Differ::Upper> Differ::LookAtUpper(const std::string& name,
                                                  const std::string& path) {
  const Result<FileAttributes> attributes = upper_->Stat(name);
  if (!attributes) return Unreadable("upper layer", path, attributes.error());
  if (IsWhiteout(attributes->stat.mode, attributes->stat.rdev)) return Upper::kWhiteout;
  if (!S_ISDIR(attributes->stat.mode)) return Upper::kMerged;
  const Result<Xattrs> xattrs = upper_->GetXattrs(name);
  if (!xattrs) return Unreadable("upper layer", path, xattrs.error());
  const bool replaced =
      OverlayXattr(*xattrs, "opaque") == "y" || OverlayXattr(*xattrs, "redirect").has_value();
  return replaced ? Upper::kReplaced : Upper::kMerged;
}

absl::Status Differ::DiffName(const std::string& name, const std::string& path) {
  Level inside;
  inside.path = path;
  Upper said = Upper::kNothing;
  const Level& here = levels_.back();
  if (here.upper) {
    const auto looked = LookAtUpper(name, path);
    if (!looked.ok()) return looked.status();
    said = *looked;
  }
  const auto before = Look(here.before, before_, "left", name, path);
  if (!before.ok()) return before.status();
  const auto after = Look(here.after && said != Upper::kWhiteout, after_, "right", name, path);
  if (!after.ok()) return after.status();
  ++report_.files;
  absl::Status status;
  if (*before && *after)
    status = Modify(name, path, **before, **after);
  else if (*before)
    status = Remove(path, **before);
  else if (*after)
    status = Add(name, path, **after);
  if (!status.ok() || !*after || !(*after)->is_dir()) return status;
  inside.upper = said == Upper::kMerged;
  inside.before = *before && (*before)->is_dir();
  inside.after = true;
  return Enter(name, std::move(inside));
}

absl::Status Differ::Add(const std::string& name, const std::string& path, const Side& after) {
  Change change;
  change.path = path;
  change.kind = ChangeKind::kAdded;
  FileState& state = change.after.emplace();
  state.stat = after.attributes.stat;
  if (S_ISLNK(state.stat.mode)) {
    Result<std::string> target = after_.ReadLink(name);
    if (!target) return Unreadable("right", path, target.error());
    state.target = *std::move(target);
  }
  Result<Xattrs> xattrs = after_.GetXattrs(name);
  if (!xattrs) return Unreadable("right", path, xattrs.error());
  if (upper_ != nullptr) RemoveOverlayXattrs(*xattrs);
  state.xattrs = *std::move(xattrs);
  if (after.linked()) {
    after_any_.emplace(after.attributes.key, path);
    added_links_.emplace_back(report_.changes.size(), after.attributes.key);
  }
  report_.changes.push_back(std::move(change));
  return absl::OkStatus();
}

absl::Status Differ::Remove(const std::string& path, const Side& before) {
  Change change;
  change.path = path;
  change.kind = ChangeKind::kRemoved;
  change.before.emplace().stat = before.attributes.stat;
  report_.changes.push_back(std::move(change));
  return absl::OkStatus();
}

absl::Status Differ::Modify(const std::string& name, const std::string& path, const Side& before,
                            const Side& after) {
  Change change;
  change.path = path;
  change.kind = ChangeKind::kModified;
  change.before.emplace().stat = before.attributes.stat;
  change.after.emplace().stat = after.attributes.stat;
  const uint32_t type = before.type();
  absl::Status status;
  if (type != after.type()) {
    change.changed.emplace_back("type");
  } else if (type == S_IFREG) {
    const bool sized = before.attributes.stat.size != after.attributes.stat.size;
    if (sized) change.changed.emplace_back("size");
    absl::StatusOr<bool> same = sized ? true : SameContent(name, path, before, after);
    if (!same.ok()) return same.status();
    if (!*same) change.changed.emplace_back("content");
  } else if (type == S_IFLNK) {
    status = CompareTargets(name, path, change);
  }
  if (!status.ok()) return status;
  CompareNumbers(change);
  if (absl::Status s = CompareXattrs(name, path, change); !s.ok()) return s;
  CompareLinks(path, before, after, change);
  if (options_.times && before.attributes.stat.mtime != after.attributes.stat.mtime)
    change.changed.emplace_back("mtime");
  if (!change.changed.empty()) report_.changes.push_back(std::move(change));
  return absl::OkStatus();
}

void Differ::CompareNumbers(Change& change) const {
  const vfs::Stat& a = change.before->stat;
  const vfs::Stat& b = change.after->stat;
  const bool same_type = (a.mode & S_IFMT) == (b.mode & S_IFMT);
  if (same_type && (S_ISCHR(a.mode) || S_ISBLK(a.mode)) && a.rdev != b.rdev)
    change.changed.emplace_back("device");
  // A symbolic link has no mode worth the name.
  if ((a.mode & vfs::kPermissionBits) != (b.mode & vfs::kPermissionBits) && !S_ISLNK(a.mode) &&
      !S_ISLNK(b.mode))
    change.changed.emplace_back("mode");
  if (a.uid != b.uid || a.gid != b.gid) change.changed.emplace_back("owner");
}

absl::Status Differ::CompareTargets(const std::string& name, const std::string& path,
                                    Change& change) {
  Result<std::string> before = before_.ReadLink(name);
  if (!before) return Unreadable("left", path, before.error());
  Result<std::string> after = after_.ReadLink(name);
  if (!after) return Unreadable("right", path, after.error());
  if (*before == *after) return absl::OkStatus();
  change.before->target = *std::move(before);
  change.after->target = *std::move(after);
  change.changed.emplace_back("target");
  return absl::OkStatus();
}

absl::Status Differ::CompareXattrs(const std::string& name, const std::string& path,
                                   Change& change) {
  Result<Xattrs> before = before_.GetXattrs(name);
  if (!before) return Unreadable("left", path, before.error());
  Result<Xattrs> after = after_.GetXattrs(name);
  if (!after) return Unreadable("right", path, after.error());
  if (upper_ != nullptr) {
    RemoveOverlayXattrs(*before);
    RemoveOverlayXattrs(*after);
  }
  std::erase_if(*before, [&](const auto& item) {
    const auto other = after->find(item.first);
    if (other == after->end() || other->second != item.second) return false;
    after->erase(other);
    return true;
  });
  if (before->empty() && after->empty()) return absl::OkStatus();
  change.before->xattrs = *std::move(before);
  change.after->xattrs = *std::move(after);
  change.changed.emplace_back("xattrs");
  return absl::OkStatus();
}

absl::StatusOr<bool> Differ::SameContent(const std::string& name, const std::string& path,
                                         const Side& before, const Side& after) {
  if (!options_.content || before.attributes.stat.size == 0) return true;
  const bool linked = before.linked() && after.linked();
  const std::pair key{before.attributes.key, after.attributes.key};
  if (linked)
    if (const auto known = same_content_.find(key); known != same_content_.end())
      return known->second;
  auto left = before_.Open(name);
  if (!left) return Unreadable("left", path, left.error());
  auto right = after_.Open(name);
  if (!right) return Unreadable("right", path, right.error());
  auto found = contents_.Compare(path, **left, **right);
  if (!found.ok()) return found.status();
  report_.bytes += found->compared;
  if (linked) same_content_[key] = found->equal;
  return found->equal;
}

// Two names are one file before and two after, or the other way round. Names that only one side has
// play no part: what became of them is said by their own lines.
void Differ::CompareLinks(const std::string& path, const Side& before, const Side& after,
                          Change& change) {
  if (before.is_dir() || after.is_dir()) return;
  std::string first_before = path;
  std::string first_after = path;
  if (before.linked())
    first_before = before_first_.emplace(before.attributes.key, path).first->second;
  if (after.linked()) {
    first_after = after_first_.emplace(after.attributes.key, path).first->second;
    after_any_[after.attributes.key] = first_after;
  }
  if (first_before == first_after) return;
  if (first_before != path) change.before->link = first_before;
  if (first_after != path) change.after->link = first_after;
  change.changed.emplace_back("link");
}

// A name that was there before is known only when the walk has come to it.
void Differ::NameLinksOfAdded() {
  for (const auto& [index, key] : added_links_) {
    Change& change = report_.changes[index];
    const std::string& other = after_any_.at(key);
    if (other != change.path) change.after->link = other;
  }
}

absl::Status Differ::Tick() {
  if (options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed))
    return absl::CancelledError("cancelled");
  if (options_.on_progress && report_.files % kTickFiles == 0)
    options_.on_progress({report_.files, report_.bytes});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DiffReport> DiffTrees(TreeSource& before, TreeSource& after,
                                     const DiffOptions& options) {
  return Differ(nullptr, before, after, options).Run();
}

absl::StatusOr<DiffReport> DiffLayers(TreeSource& upper, TreeSource& merged, TreeSource& lower,
                                      const DiffOptions& options) {
  return Differ(&upper, lower, merged, options).Run();
}

}  // namespace stasis::restore
