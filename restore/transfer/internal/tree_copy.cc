// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/tree_copy.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "restore/internal/format.h"

namespace stasis::restore {
namespace {

constexpr size_t kBufferSize = size_t{1} << 20;
constexpr uint64_t kTickFiles = 256;
constexpr uint64_t kTickBytes = 16 << 20;
constexpr size_t kErrorsInMessage = 12;
constexpr size_t kMaxIssues = 10'000;

std::string Shown(std::string_view path) { return path.empty() ? "." : PrintablePath(path); }

Result<std::vector<Extent>> FindData(FileReader& reader, const vfs::Stat& stat) {
  std::vector<Extent> data;
  if (stat.size == 0) return data;
  if (stat.blocks * 512 >= stat.size) return std::vector<Extent>{{0, stat.size}};
  for (uint64_t at = 0; at < stat.size;) {
    STASIS_ASSIGN_OR_RETURN(const Extent extent, reader.NextData(at, stat.size));
    if (extent.length == 0) break;
    data.push_back(extent);
    at = extent.offset + extent.length;
  }
  return data;
}

}  // namespace

absl::Status TreeCopy::Run() {
  if (absl::Status s = EnterRoot(); !s.ok()) return s;
  while (!levels_.empty()) {
    const Level& level = levels_.back();
    absl::Status s = level.next < level.names.size() ? CopyNext() : Leave();
    if (!s.ok()) return s;
  }
  if (options_.on_progress) options_.on_progress({report_.files, report_.bytes});
  report_.wall_ns = watch_.Total();
  return options_.ignore_errors ? absl::OkStatus() : ReadErrors();
}

absl::Status TreeCopy::EnterRoot() {
  TreeNode root;
  Result<FileAttributes> attributes = source_.Stat("");
  if (!attributes) return ErrnoStatus(attributes.error().value(), "cannot read the directory");
  root.attributes = *attributes;
  root_dev_ = root.attributes.key.dev;
  MapOwner(root);
  return Enter(std::move(root));
}

// Requires: the source is in the directory above, or `node` is the root.
absl::Status TreeCopy::Enter(TreeNode node) {
  if (!node.name.empty()) {
    if (Result<void> r = source_.Enter(node.name); !r) {
      Unreadable(node.path, "cannot open directory", r.error());
      return absl::OkStatus();
    }
  }
  if (Result<Xattrs> xattrs = source_.GetXattrs(""); xattrs) {
    node.xattrs = *std::move(xattrs);
  } else {
    Unreadable(node.path, "cannot read extended attributes", xattrs.error());
  }
  Level level;
  if (options_.one_file_system && node.attributes.key.dev != root_dev_) {
    // A mount point: the directory itself, and nothing of what is in it.
  } else if (auto names = source_.List(); names) {
    level.names = *std::move(names);
  } else {
    Unreadable(node.path, "cannot list", names.error());
  }
  if (Result<void> r = sink_.EnterDirectory(node); !r) return Unwritable(node.path, r.error());
  ++report_.files;
  ++report_.directories;
  level.node = std::move(node);
  levels_.push_back(std::move(level));
  return absl::OkStatus();
}

absl::Status TreeCopy::Leave() {
  const TreeNode node = std::move(levels_.back().node);
  levels_.pop_back();
  if (Result<void> r = sink_.LeaveDirectory(node); !r) return Unwritable(node.path, r.error());
  if (levels_.empty()) return absl::OkStatus();
  if (Result<void> r = source_.Leave(); !r)
    return ErrnoStatus(r.error().value(), "cannot go back from " + Shown(node.path));
  return absl::OkStatus();
}

absl::Status TreeCopy::CopyNext() {
  if (absl::Status s = Tick(); !s.ok()) return s;
  Level& level = levels_.back();
  TreeNode node;
  node.name = std::move(level.names[level.next++]);
  node.path = level.node.path.empty() ? node.name : level.node.path + "/" + node.name;
  Result<FileAttributes> attributes = source_.Stat(node.name);
  if (!attributes) {
    // Removed since it was listed: as if it had never been there.
    if (attributes.error() == Errno(ENOENT)) return absl::OkStatus();
    Unreadable(node.path, "cannot stat", attributes.error());
    return absl::OkStatus();
  }
  node.attributes = *attributes;
  MapOwner(node);
  return S_ISDIR(node.mode()) ? Enter(std::move(node)) : CopyOne(std::move(node));
}

absl::Status TreeCopy::CopyOne(TreeNode node) {
  const bool linked = node.attributes.stat.nlink > 1;
  if (linked) {
    if (auto first = first_names_.find(node.attributes.key); first != first_names_.end()) {
      Result<void> r = sink_.MakeLink(node, first->second);
      if (!r) return Unwritable(node.path, r.error());
      ++report_.files;
      ++report_.hard_links;
      return absl::OkStatus();
    }
  }
  if (S_ISREG(node.mode())) return CopyFile(node);
  if (S_ISLNK(node.mode())) {
    Result<std::string> target = source_.ReadLink(node.name);
    if (!target) {
      Unreadable(node.path, "cannot read link", target.error());
      return absl::OkStatus();
    }
    node.symlink_target = *std::move(target);
  }
  if (Result<Xattrs> xattrs = source_.GetXattrs(node.name); xattrs)
    node.xattrs = *std::move(xattrs);
  Result<bool> made = sink_.MakeNode(node);
  if (!made) return Unwritable(node.path, made.error());
  if (!*made) return absl::OkStatus();
  ++report_.files;
  if (linked) first_names_[node.attributes.key] = node.path;
  return absl::OkStatus();
}

absl::Status TreeCopy::CopyFile(TreeNode& node) {
  Result<std::unique_ptr<FileReader>> reader = source_.Open(node.name);
  if (!reader) {
    Unreadable(node.path, "cannot open", reader.error());
    return absl::OkStatus();
  }
  if (Result<void> r = ReadFileNode(node, **reader); !r) {
    Unreadable(node.path, "cannot read", r.error());
    return absl::OkStatus();
  }
  if (Result<void> r = sink_.BeginFile(node); !r) return Unwritable(node.path, r.error());
  absl::StatusOr<bool> complete = CopyData(node, **reader);
  if (!complete.ok()) return complete.status();
  if (Result<void> r = sink_.EndFile(node, *complete); !r) return Unwritable(node.path, r.error());
  if (!*complete) return absl::OkStatus();
  ++report_.files;
  CheckUnchanged(node, **reader);
  if (node.attributes.stat.nlink > 1) first_names_[node.attributes.key] = node.path;
  return absl::OkStatus();
}

// Attributes of the file that was opened: its name may have moved on to another one.
Result<void> TreeCopy::ReadFileNode(TreeNode& node, FileReader& reader) {
  STASIS_ASSIGN_OR_RETURN(FileAttributes now, reader.Stat());
  const FileKey key = now.key;
  if (key != node.attributes.key || now.stat.size != node.attributes.stat.size) {
    node.attributes = now;
    MapOwner(node);
  }
  STASIS_ASSIGN_OR_RETURN(node.xattrs, reader.GetXattrs());
  STASIS_ASSIGN_OR_RETURN(node.data, FindData(reader, node.attributes.stat));
  return {};
}

absl::StatusOr<bool> TreeCopy::CopyData(const TreeNode& node, FileReader& reader) {
  for (const Extent& extent : node.data) {
    absl::StatusOr<bool> whole = CopyExtent(node, reader, extent);
    if (!whole.ok() || !*whole) return whole;
  }
  return true;
}

absl::StatusOr<bool> TreeCopy::CopyExtent(const TreeNode& node, FileReader& reader, Extent extent) {
  if (buffer_.empty()) buffer_.resize(kBufferSize);
  while (extent.length > 0) {
    const size_t want = std::min<uint64_t>(extent.length, buffer_.size());
    Result<size_t> got = reader.Read(extent.offset, std::span(buffer_).first(want));
    if (!got) {
      Unreadable(node.path, "cannot read", got.error());
      return false;
    }
    if (*got == 0) break;  // it was cut meanwhile; CheckUnchanged says so
    if (auto r = sink_.WriteData(extent.offset, std::span(buffer_).first(*got)); !r)
      return Unwritable(node.path, r.error());
    extent.offset += *got;
    extent.length -= *got;
    report_.bytes += *got;
    if (absl::Status s = Tick(); !s.ok()) return s;
  }
  return true;
}

void TreeCopy::CheckUnchanged(const TreeNode& node, FileReader& reader) {
  const Result<FileAttributes> now = reader.Stat();
  const vfs::Stat& before = node.attributes.stat;
  if (now && now->stat.size == before.size && now->stat.mtime == before.mtime) return;
  if (report_.warnings.size() < kMaxIssues)
    report_.warnings.push_back({Shown(node.path), "changed while it was read"});
}

void TreeCopy::MapOwner(TreeNode& node) const {
  vfs::Stat& stat = node.attributes.stat;
  stat.uid = options_.owners.Uid(stat.uid);
  stat.gid = options_.owners.Gid(stat.gid);
}

absl::Status TreeCopy::Tick() {
  if (options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed))
    return absl::CancelledError("cancelled");
  if (report_.files < next_tick_files_ && report_.bytes < next_tick_bytes_) return absl::OkStatus();
  next_tick_files_ = report_.files + kTickFiles;
  next_tick_bytes_ = report_.bytes + kTickBytes;
  if (options_.on_progress) options_.on_progress({report_.files, report_.bytes});
  return absl::OkStatus();
}

void TreeCopy::Unreadable(std::string_view path, std::string_view what, Errno error) {
  report_.errors.push_back(
      {Shown(path), fmt::format("{}: {}", what, std::strerror(error.value()))});
}

absl::Status TreeCopy::Unwritable(std::string_view path, Errno error) {
  return ErrnoStatus(error.value(), "cannot write " + Shown(path));
}

absl::Status TreeCopy::ReadErrors() const {
  const std::vector<TransferIssue>& errors = report_.errors;
  if (errors.empty()) return absl::OkStatus();
  std::string message =
      fmt::format("{} of {} files could not be read", errors.size(), report_.files + errors.size());
  for (size_t i = 0; i < std::min(errors.size(), kErrorsInMessage); ++i)
    message += fmt::format("\n  {}: {}", errors[i].path, errors[i].message);
  if (errors.size() > kErrorsInMessage)
    message += fmt::format("\n  and {} more", errors.size() - kErrorsInMessage);
  return absl::Status(options_.read_error, message);
}

}  // namespace stasis::restore
