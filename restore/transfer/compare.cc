// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/compare.h"

#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/content.h"

namespace stasis::restore {
namespace {

// Data is looked at in units of the coarsest side.
constexpr uint64_t kHoleUnit = 16 * 1024;

std::string Quoted(std::string_view bytes) { return "\"" + PrintablePath(bytes) + "\""; }

// Where data is, in whole units, neighbours joined.
Result<std::vector<Extent>> DataUnits(FileReader& reader, uint64_t size) {
  std::vector<Extent> units;
  for (uint64_t at = 0; at < size;) {
    STASIS_ASSIGN_OR_RETURN(const Extent extent, reader.NextData(at, size));
    if (extent.length == 0) break;
    at = extent.offset + extent.length;
    const uint64_t begin = extent.offset / kHoleUnit * kHoleUnit;
    const uint64_t end = (at + kHoleUnit - 1) / kHoleUnit * kHoleUnit;
    if (!units.empty() && units.back().offset + units.back().length >= begin) {
      units.back().length = end - units.back().offset;
    } else {
      units.push_back({begin, end - begin});
    }
  }
  return units;
}

std::string ShowUnits(const std::vector<Extent>& units) {
  std::string text;
  for (const Extent& unit : units)
    text += fmt::format("{}{}+{}", text.empty() ? "" : " ", unit.offset, unit.length);
  return text.empty() ? "none" : text;
}

// One comparison; both sources are always in the same directory.
class Comparer {
 public:
  Comparer(TreeSource& left, TreeSource& right, const CompareOptions& options)
      : left_(left), right_(right), options_(options) {}

  absl::StatusOr<CompareReport> Run();

 private:
  struct Level {
    std::string path;                // empty for the root
    std::vector<std::string> names;  // in both, sorted
    size_t next = 0;
  };

  absl::Status Enter(const std::string& name, const std::string& path);
  absl::Status Leave();
  absl::Status CompareNext();
  // True if both are directories. `name` in the current directories.
  absl::StatusOr<bool> CompareOne(const std::string& name, const std::string& path);
  void CompareAttributes(const std::string& path, const FileAttributes& left,
                         const FileAttributes& right);
  void CompareTimes(const std::string& path, const vfs::Stat& left, const vfs::Stat& right);
  void CompareLinks(const std::string& path, const FileAttributes& left,
                    const FileAttributes& right);
  absl::Status CompareXattrs(const std::string& name, const std::string& path);
  absl::Status CompareTargets(const std::string& name, const std::string& path);
  absl::Status CompareFiles(const std::string& name, const std::string& path, uint64_t size);
  absl::Status CompareContent(const std::string& path, FileReader& left, FileReader& right);
  absl::Status CompareHoles(const std::string& path, FileReader& left, FileReader& right,
                            uint64_t size);
  void Differ(const std::string& path, std::string kind, std::string left, std::string right);

  TreeSource& left_;
  TreeSource& right_;
  const CompareOptions& options_;
  ContentComparer contents_;
  std::vector<Level> levels_;
  absl::flat_hash_map<FileKey, std::string> left_first_;  // name under which it was seen first
  absl::flat_hash_map<FileKey, std::string> right_first_;
  CompareReport report_;
};

absl::StatusOr<CompareReport> Comparer::Run() {
  absl::StatusOr<bool> directories = CompareOne("", ".");
  if (!directories.ok()) return directories.status();
  if (absl::Status s = Enter("", ""); !s.ok()) return s;
  while (!levels_.empty()) {
    const Level& level = levels_.back();
    absl::Status s = level.next < level.names.size() ? CompareNext() : Leave();
    if (!s.ok()) return s;
  }
  return std::move(report_);
}

absl::Status Comparer::Enter(const std::string& name, const std::string& path) {
  if (!name.empty()) {
    if (Result<void> r = left_.Enter(name); !r) return Unreadable("left", path, r.error());
    if (Result<void> r = right_.Enter(name); !r) return Unreadable("right", path, r.error());
  }
  auto left = left_.List();
  if (!left) return Unreadable("left", path, left.error());
  auto right = right_.List();
  if (!right) return Unreadable("right", path, right.error());
  std::sort(left->begin(), left->end());
  std::sort(right->begin(), right->end());
  const std::string prefix = path.empty() ? "" : path + "/";
  std::vector<std::string> only;
  std::set_difference(left->begin(), left->end(), right->begin(), right->end(),
                      std::back_inserter(only));
  for (const std::string& n : only) Differ(prefix + n, "missing", "there", "not there");
  only.clear();
  std::set_difference(right->begin(), right->end(), left->begin(), left->end(),
                      std::back_inserter(only));
  for (const std::string& n : only) Differ(prefix + n, "extra", "not there", "there");
  Level level;
  level.path = path;
  std::set_intersection(left->begin(), left->end(), right->begin(), right->end(),
                        std::back_inserter(level.names));
  levels_.push_back(std::move(level));
  return absl::OkStatus();
}

absl::Status Comparer::Leave() {
  const std::string path = std::move(levels_.back().path);
  levels_.pop_back();
  if (levels_.empty()) return absl::OkStatus();
  if (Result<void> r = left_.Leave(); !r) return Unreadable("left", path, r.error());
  if (Result<void> r = right_.Leave(); !r) return Unreadable("right", path, r.error());
  return absl::OkStatus();
}

absl::Status Comparer::CompareNext() {
  Level& level = levels_.back();
  const std::string name = level.names[level.next++];
  const std::string path = level.path.empty() ? name : level.path + "/" + name;
  absl::StatusOr<bool> directories = CompareOne(name, path);
  if (!directories.ok()) return directories.status();
  return *directories ? Enter(name, path) : absl::OkStatus();
}

absl::StatusOr<bool> Comparer::CompareOne(const std::string& name, const std::string& path) {
  Result<FileAttributes> left = left_.Stat(name);
  if (!left) return Unreadable("left", path, left.error());
  Result<FileAttributes> right = right_.Stat(name);
  if (!right) return Unreadable("right", path, right.error());
  ++report_.files;
  const uint32_t type = left->stat.mode & S_IFMT;
  if (type != (right->stat.mode & S_IFMT)) {
    Differ(path, "type", TypeName(left->stat.mode), TypeName(right->stat.mode));
    return false;
  }
  CompareAttributes(path, *left, *right);
  absl::Status status;
  if (options_.xattrs) status = CompareXattrs(name, path);
  if (status.ok() && type == S_IFLNK) status = CompareTargets(name, path);
  if (status.ok() && type == S_IFREG && left->stat.size == right->stat.size)
    status = CompareFiles(name, path, left->stat.size);
  if (!status.ok()) return status;
  return type == S_IFDIR;
}

void Comparer::CompareAttributes(const std::string& path, const FileAttributes& left,
                                 const FileAttributes& right) {
  const vfs::Stat& l = left.stat;
  const vfs::Stat& r = right.stat;
  if (!S_ISLNK(l.mode) && l.mode != r.mode)
    Differ(path, "mode", fmt::format("{:04o}", l.mode & 07777),
           fmt::format("{:04o}", r.mode & 07777));
  if (options_.owners && (l.uid != r.uid || l.gid != r.gid))
    Differ(path, "owner", fmt::format("{}:{}", l.uid, l.gid), fmt::format("{}:{}", r.uid, r.gid));
  if (S_ISREG(l.mode) && l.size != r.size)
    Differ(path, "size", std::to_string(l.size), std::to_string(r.size));
  if ((S_ISCHR(l.mode) || S_ISBLK(l.mode)) && l.rdev != r.rdev)
    Differ(path, "device", fmt::format("{:#x}", l.rdev), fmt::format("{:#x}", r.rdev));
  CompareTimes(path, l, r);
  if (options_.btime && left.has_btime && right.has_btime && l.btime != r.btime)
    Differ(path, "btime", FormatTime(l.btime), FormatTime(r.btime));
  if (options_.hard_links && !S_ISDIR(l.mode)) CompareLinks(path, left, right);
}

void Comparer::CompareTimes(const std::string& path, const vfs::Stat& left,
                            const vfs::Stat& right) {
  // A host notes every look at a symbolic link, and there is no way to ask it not to.
  if (options_.atime && !S_ISLNK(left.mode) && left.atime != right.atime)
    Differ(path, "atime", FormatTime(left.atime), FormatTime(right.atime));
  if (options_.mtime && left.mtime != right.mtime)
    Differ(path, "mtime", FormatTime(left.mtime), FormatTime(right.mtime));
  if (options_.ctime && left.ctime != right.ctime)
    Differ(path, "ctime", FormatTime(left.ctime), FormatTime(right.ctime));
}

void Comparer::CompareLinks(const std::string& path, const FileAttributes& left,
                            const FileAttributes& right) {
  if (left.stat.nlink != right.stat.nlink)
    Differ(path, "nlink", std::to_string(left.stat.nlink), std::to_string(right.stat.nlink));
  if (left.stat.nlink == 1 && right.stat.nlink == 1) return;
  const std::string& l = left_first_.emplace(left.key, path).first->second;
  const std::string& r = right_first_.emplace(right.key, path).first->second;
  if (l != r) Differ(path, "link", "same file as " + l, "same file as " + r);
}

absl::Status Comparer::CompareXattrs(const std::string& name, const std::string& path) {
  Result<Xattrs> left = left_.GetXattrs(name);
  if (!left) return Unreadable("left", path, left.error());
  Result<Xattrs> right = right_.GetXattrs(name);
  if (!right) return Unreadable("right", path, right.error());
  for (const auto& [key, value] : *left) {
    auto other = right->find(key);
    if (other == right->end()) {
      Differ(path, "xattr " + PrintablePath(key), Quoted(value), "not there");
    } else if (other->second != value) {
      Differ(path, "xattr " + PrintablePath(key), Quoted(value), Quoted(other->second));
    }
  }
  for (const auto& [key, value] : *right)
    if (left->find(key) == left->end())
      Differ(path, "xattr " + PrintablePath(key), "not there", Quoted(value));
  return absl::OkStatus();
}

absl::Status Comparer::CompareTargets(const std::string& name, const std::string& path) {
  Result<std::string> left = left_.ReadLink(name);
  if (!left) return Unreadable("left", path, left.error());
  Result<std::string> right = right_.ReadLink(name);
  if (!right) return Unreadable("right", path, right.error());
  if (*left != *right) Differ(path, "target", Quoted(*left), Quoted(*right));
  return absl::OkStatus();
}

absl::Status Comparer::CompareFiles(const std::string& name, const std::string& path,
                                    uint64_t size) {
  if (size == 0 || !(options_.content || options_.holes)) return absl::OkStatus();
  auto left = left_.Open(name);
  if (!left) return Unreadable("left", path, left.error());
  auto right = right_.Open(name);
  if (!right) return Unreadable("right", path, right.error());
  absl::Status status;
  if (options_.holes) status = CompareHoles(path, **left, **right, size);
  if (status.ok() && options_.content) status = CompareContent(path, **left, **right);
  return status;
}

absl::Status Comparer::CompareContent(const std::string& path, FileReader& left,
                                      FileReader& right) {
  absl::StatusOr<ContentDifference> found = contents_.Compare(path, left, right);
  if (!found.ok()) return found.status();
  report_.bytes += found->compared;
  if (!found->equal)
    Differ(path, "content", fmt::format("differs from byte {} on", found->offset), found->bytes);
  return absl::OkStatus();
}

absl::Status Comparer::CompareHoles(const std::string& path, FileReader& left, FileReader& right,
                                    uint64_t size) {
  auto l = DataUnits(left, size);
  if (!l) return Unreadable("left", path, l.error());
  auto r = DataUnits(right, size);
  if (!r) return Unreadable("right", path, r.error());
  const bool equal =
      std::equal(l->begin(), l->end(), r->begin(), r->end(), [](const Extent& a, const Extent& b) {
        return a.offset == b.offset && a.length == b.length;
      });
  if (!equal) Differ(path, "holes", "data at " + ShowUnits(*l), "data at " + ShowUnits(*r));
  return absl::OkStatus();
}

void Comparer::Differ(const std::string& path, std::string kind, std::string left,
                      std::string right) {
  if (report_.differences.size() >= options_.max_differences) {
    ++report_.dropped;
    return;
  }
  report_.differences.push_back(
      {PrintablePath(path), std::move(kind), std::move(left), std::move(right)});
}

}  // namespace

std::string Difference::ToText() const {
  return fmt::format("{}: {}: {} | {}", path, kind, left, right);
}

std::string CompareReport::ToText() const {
  std::string text;
  for (const Difference& difference : differences) text += difference.ToText() + "\n";
  if (dropped > 0) text += fmt::format("and {} more differences\n", dropped);
  text +=
      fmt::format("{} files, {} compared: {}\n", files, FormatBytes(bytes),
                  equal() ? "equal" : fmt::format("{} differences", differences.size() + dropped));
  return text;
}

std::string CompareReport::ToJson() const {
  auto list = nlohmann::ordered_json::array();
  for (const Difference& d : differences)
    list.push_back({{"path", d.path}, {"kind", d.kind}, {"left", d.left}, {"right", d.right}});
  const nlohmann::ordered_json json = {{"files", files},
                                       {"bytes", bytes},
                                       {"equal", equal()},
                                       {"differences", list},
                                       {"dropped", dropped}};
  return DumpJson(json);
}

absl::StatusOr<CompareReport> CompareTrees(TreeSource& left, TreeSource& right,
                                           const CompareOptions& options) {
  return Comparer(left, right, options).Run();
}

absl::StatusOr<CompareReport> CompareDirectories(const std::string& left, const std::string& right,
                                                 const CompareOptions& options) {
  auto a = OpenHostTree(left);
  if (!a.ok()) return a.status();
  auto b = OpenHostTree(right);
  if (!b.ok()) return b.status();
  return CompareTrees(**a, **b, options);
}

absl::StatusOr<CompareReport> CompareWithVfs(const std::string& left, vfs::VirtualFilesystem& vfs,
                                             const vfs::VirtualDentry& right,
                                             const CompareOptions& options) {
  auto a = OpenHostTree(left);
  if (!a.ok()) return a.status();
  const std::unique_ptr<TreeSource> b = OpenVfsTree(vfs, right);
  return CompareTrees(**a, *b, options);
}

}  // namespace stasis::restore
