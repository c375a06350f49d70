// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/diff.h"

#include <algorithm>
#include <tuple>

#include "restore/internal/format.h"
#include "restore/transfer/internal/differ.h"
#include "restore/transfer/internal/overlay_format.h"

namespace stasis::restore {

static constexpr uint64_t kTickFiles = 256;

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

absl::Status Differ::Tick() {
  if (options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed))
    return absl::CancelledError("cancelled");
  if (options_.on_progress && report_.files % kTickFiles == 0)
    options_.on_progress({report_.files, report_.bytes});
  return absl::OkStatus();
}

absl::StatusOr<DiffReport> DiffTrees(TreeSource& before, TreeSource& after,
                                     const DiffOptions& options) {
  return Differ(nullptr, before, after, options).Run();
}

absl::StatusOr<DiffReport> DiffLayers(TreeSource& upper, TreeSource& merged, TreeSource& lower,
                                      const DiffOptions& options) {
  return Differ(&upper, lower, merged, options).Run();
}

}  // namespace stasis::restore
