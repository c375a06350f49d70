// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/internal/tar_entry.h"

#include <archive_entry.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "restore/image/internal/status.h"
#include "restore/internal/format.h"
#include "restore/transfer/internal/host_dir_stack.h"
#include "restore/transfer/internal/overlay_format.h"

namespace stasis::oci {
namespace {

using image::DataLoss;
using restore::IsOverlayXattr;
using restore::kOpaqueName;
using restore::kReservedPrefix;
using restore::kWhiteoutPrefix;
using restore::StartsWith;

constexpr int64_t kSecond = 1'000'000'000;
// -1 means "leave it" to chown(2).
constexpr int64_t kMaxId = int64_t{UINT32_MAX} - 1;

// `what` is "its name" or "the name that it links to".
absl::StatusOr<std::string> CleanPath(const char* raw, const char* what) {
  if (raw == nullptr) return DataLoss("{} is not UTF-8, nor marked as binary", what);
  std::string_view rest = raw;
  if (rest.size() >= PATH_MAX)
    return DataLoss("{} has {} bytes, more than {}", what, rest.size(), PATH_MAX - 1);
  if (StartsWith(rest, "/")) return DataLoss("{} is absolute", what);
  std::string path;
  while (!rest.empty()) {
    const std::string_view component = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(component.size() + 1, rest.size()));
    if (component.empty() || component == ".") continue;
    if (component == "..") return DataLoss("{} has \"..\" in it", what);
    if (component.size() > NAME_MAX)
      return DataLoss("{} has a component of {} bytes, more than {}", what, component.size(),
                      NAME_MAX);
    if (!path.empty()) path += '/';
    path += component;
  }
  return path;
}

// As libarchive reads "-5.75": -5 and 750,000,000, both counted from zero.
TimeNs ToNs(time_t seconds, long nanoseconds) {  // NOLINT(google-runtime-int)
  constexpr int64_t kMax = INT64_MAX / kSecond - 1;
  const int64_t clamped = std::clamp<int64_t>(seconds, -kMax, kMax);
  return clamped * kSecond + (clamped < 0 ? -nanoseconds : nanoseconds);
}

absl::Status ReadNumbers(struct archive_entry* entry, vfs::Stat& stat) {
  const int64_t uid = archive_entry_uid(entry);
  const int64_t gid = archive_entry_gid(entry);
  if (uid < 0 || uid > kMaxId || gid < 0 || gid > kMaxId)
    return DataLoss("its owner is {}:{}, beyond 0 to {}", uid, gid, kMaxId);
  stat.mode = archive_entry_mode(entry);
  stat.uid = static_cast<uint32_t>(uid);
  stat.gid = static_cast<uint32_t>(gid);
  stat.mtime = ToNs(archive_entry_mtime(entry), archive_entry_mtime_nsec(entry));
  stat.atime = archive_entry_atime_is_set(entry) != 0
                   ? ToNs(archive_entry_atime(entry), archive_entry_atime_nsec(entry))
                   : stat.mtime;
  if (S_ISCHR(stat.mode) || S_ISBLK(stat.mode)) stat.rdev = archive_entry_rdev(entry);
  const int64_t size = archive_entry_size_is_set(entry) != 0 ? archive_entry_size(entry) : 0;
  if (size < 0) return DataLoss("its size is {}", size);
  if (S_ISREG(stat.mode)) stat.size = static_cast<uint64_t>(size);
  return absl::OkStatus();
}

void ReadXattrs(struct archive_entry* entry, TarEntry& out) {
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  std::set<std::string> left_out;  // one may be there in two forms
  archive_entry_xattr_reset(entry);
  while (archive_entry_xattr_next(entry, &name, &value, &size) == 0) {
    if (name == nullptr) continue;
    // They would be instructions to the overlay, which only the whiteouts of OCI may give.
    if (IsOverlayXattr(name))
      left_out.insert(name);
    else
      out.node.xattrs[name] = std::string(static_cast<const char*>(value), size);
  }
  for (const std::string& each : left_out)
    out.warnings.push_back(fmt::format("extended attribute {} is left out: it is overlayfs's own",
                                       restore::PrintablePath(each)));
  if (archive_entry_acl_types(entry) != 0)
    out.warnings.emplace_back("its ACL is left out: only those in extended attributes are kept");
}

// True for aufs's own files, and for all in its own directories.
bool IsReserved(std::string_view path) {
  return path.substr(path.rfind('/') + 1) != kOpaqueName &&
         (StartsWith(path, kReservedPrefix) || path.find("/.wh..wh.") != path.npos);
}

// Turns a name of OCI's markers into what it says.
absl::Status ReadMarker(TarEntry& out) {
  std::string& path = out.node.path;
  if (IsReserved(path)) {
    out.kind = TarEntry::Kind::kIgnored;
    return absl::OkStatus();
  }
  const std::string parent(ParentOf(path));
  if (parent.find("/.wh.") != parent.npos || StartsWith(parent, kWhiteoutPrefix))
    return DataLoss("it is in a directory whose name begins with \".wh.\", which is for whiteouts");
  const std::string name = restore::LastComponent(path);
  if (!StartsWith(name, kWhiteoutPrefix)) return absl::OkStatus();
  const std::string base = name.substr(kWhiteoutPrefix.size());
  if (name == kOpaqueName) {
    out.kind = TarEntry::Kind::kOpaque;
    path = parent;
  } else if (base.empty() || base == "." || base == "..") {
    return DataLoss("it is a whiteout of \"{}\", which is no name", base);
  } else {
    out.kind = TarEntry::Kind::kWhiteout;
    path = parent.empty() ? base : parent + "/" + base;
  }
  return absl::OkStatus();
}

absl::Status ReadTargets(struct archive_entry* entry, TarEntry& out) {
  if (const char* link = archive_entry_hardlink(entry); link != nullptr) {
    IMAGE_ASSIGN_OR_RETURN(out.hard_link, CleanPath(link, "the name that it is a hard link to"));
    out.is_hard_link = true;
    return absl::OkStatus();
  }
  if (!S_ISLNK(out.node.mode())) return absl::OkStatus();
  const char* target = archive_entry_symlink(entry);
  if (target == nullptr || *target == '\0') return DataLoss("it is a symbolic link to nothing");
  out.node.symlink_target = target;
  if (out.node.symlink_target.size() >= PATH_MAX)
    return DataLoss("it is a symbolic link to {} bytes, more than {}",
                    out.node.symlink_target.size(), PATH_MAX - 1);
  return absl::OkStatus();
}

}  // namespace

std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

std::string ShownName(struct archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  return fmt::format("entry \"{}\"", name == nullptr ? "?" : restore::PrintablePath(name));
}

absl::StatusOr<TarEntry> ReadTarEntry(struct archive_entry* entry) {
  TarEntry out;
  IMAGE_ASSIGN_OR_RETURN(out.node.path, CleanPath(archive_entry_pathname(entry), "its name"));
  IMAGE_RETURN_IF_ERROR(ReadMarker(out));
  out.node.name = restore::LastComponent(out.node.path);
  IMAGE_RETURN_IF_ERROR(ReadNumbers(entry, out.node.attributes.stat));
  if (out.kind != TarEntry::Kind::kFile) return out;
  IMAGE_RETURN_IF_ERROR(ReadTargets(entry, out));
  if (!out.is_hard_link) ReadXattrs(entry, out);
  return out;
}

}  // namespace stasis::oci
