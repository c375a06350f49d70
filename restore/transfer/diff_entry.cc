// SPDX-License-Identifier: Apache-2.0
//
// diff_entry.cc: how a name differs.

#include <algorithm>
#include <utility>

#include "restore/transfer/internal/differ.h"
#include "restore/transfer/internal/overlay_format.h"

namespace stasis::restore {

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
  bool equal = (*left)->HasSameDataAs(**right);
  if (!equal) {
    auto found = contents_.Compare(path, **left, **right);
    if (!found.ok()) return found.status();
    report_.bytes += found->compared;
    equal = found->equal;
  }
  if (linked) same_content_[key] = equal;
  return equal;
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

}  // namespace stasis::restore
