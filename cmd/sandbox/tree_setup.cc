// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/tree_setup.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "cmd/sandbox/paths.h"

namespace stasis::sandbox {
namespace {

constexpr const char* kSystemDirectories[] = {"/usr",   "/bin",   "/sbin",   "/lib",
                                              "/lib32", "/lib64", "/libx32", "/etc"};

constexpr const char kResolvConf[] = "/etc/resolv.conf";

// The tree with the identity that makes things in it.
struct Tree {
  vfs::VirtualFilesystem& vfs;
  const vfs::VirtualDentry& root;
  vfs::Credentials creds = vfs::Credentials::Root();

  vfs::PathOperation At(std::string_view path, bool follow = true) const {
    return {root, root, path, follow};
  }
  bool Has(std::string_view path, bool follow = true) const {
    return vfs.StatAt(creds, At(path, follow)).has_value();
  }
  // True if there is nothing but the places that former mounts left: empty directories and files.
  bool IsVacant(const std::string& path, bool follow = true) const {
    const Result<vfs::Stat> stat = vfs.StatAt(creds, At(path, follow));
    if (!stat) return stat.error().value() == ENOENT;
    if (S_ISREG(stat->mode)) return stat->size == 0;
    if (!S_ISDIR(stat->mode)) return false;
    for (const std::string& name : NamesIn(path))
      if (!IsVacant(path + "/" + name, /*follow=*/false)) return false;
    return true;
  }
  std::vector<std::string> NamesIn(const std::string& path) const {
    std::vector<std::string> names;
    vfs::OpenOptions options;
    options.flags = O_RDONLY | O_DIRECTORY;
    const Result<RefPtr<vfs::FileDescription>> dir = vfs.OpenAt(creds, At(path), options);
    if (dir)
      (void)(*dir)->IterateDirectory(0, [&names](const vfs::DirectoryEntry& entry) {
        if (entry.name != "." && entry.name != "..") names.emplace_back(entry.name);
        return true;
      });
    return names;
  }
  bool IsDirectory(std::string_view path, bool follow = true) const {
    const Result<vfs::Stat> stat = vfs.StatAt(creds, At(path, follow));
    return stat && S_ISDIR(stat->mode);
  }
};

absl::Status Problem(Errno error, const std::string& what) {
  const auto code = error.value() == ENOSPC ? absl::StatusCode::kResourceExhausted
                                            : absl::StatusCode::kFailedPrecondition;
  return absl::Status(code, absl::StrCat(what, ": ", strerror(error.value())));
}

absl::Status MakeFile(const Tree& tree, const std::string& path) {
  if (tree.Has(path)) return absl::OkStatus();
  const std::string parent = std::filesystem::path(path).parent_path();
  if (absl::Status made = MakeDirectories(tree.vfs, tree.root, parent); !made.ok()) return made;
  const Result<void> made =
      tree.vfs.MknodAt(tree.creds, tree.At(path), {S_IFREG | 0644, 0, vfs::Placement::kSynthetic});
  if (!made) return Problem(made.error(), absl::StrCat("cannot make ", path, " in the sandbox"));
  return absl::OkStatus();
}

// The place that a bind is mounted on: of the same kind as its source.
absl::Status MakePlace(const Tree& tree, const Bind& bind) {
  struct stat source {};
  if (stat(bind.source.c_str(), &source) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot bind ", bind.source));
  return S_ISDIR(source.st_mode) ? MakeDirectories(tree.vfs, tree.root, bind.target)
                                 : MakeFile(tree, bind.target);
}

// What a sandbox is mounted of, and what of its tree is hidden by that.
struct Plan {
  std::vector<Bind> binds;
  std::vector<std::string> system;  // the host's directories that are seen
  std::vector<std::string> covered = {"/proc", "/dev"};

  bool Covers(const std::string& path) const {
    return std::any_of(covered.begin(), covered.end(), [&path](const std::string& each) {
      return path != each && IsBelow(path, each);
    });
  }
};

absl::Status AddSystemDirectory(const Tree& tree, const std::string& path, bool force, Plan& plan) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(path, error);
  if (!std::filesystem::exists(status) || !(force || tree.IsVacant(path))) return absl::OkStatus();
  if (!std::filesystem::is_symlink(status) || tree.IsDirectory(path, /*follow=*/false)) {
    plan.binds.push_back({std::filesystem::canonical(path, error), path, /*read_only=*/true});
    if (absl::Status made = MakePlace(tree, plan.binds.back()); !made.ok()) return made;
  } else if (!tree.Has(path, /*follow=*/false)) {
    const std::string target = std::filesystem::read_symlink(path, error);
    const Result<void> made =
        tree.vfs.SymlinkAt(tree.creds, tree.At(path), target, vfs::Placement::kSynthetic);
    if (!made) return Problem(made.error(), absl::StrCat("cannot make ", path, " in the sandbox"));
  }
  plan.system.push_back(path);
  plan.covered.push_back(path);
  return absl::OkStatus();
}

// What the host's /etc/resolv.conf leads to, if that is outside of the host's /etc.
std::optional<Bind> BindOfResolvConf() {
  std::error_code error;
  const std::filesystem::path link = std::filesystem::read_symlink(kResolvConf, error);
  const std::string source = std::filesystem::canonical(kResolvConf, error);
  if (link.empty() || source.empty()) return std::nullopt;
  const std::string target = AbsolutePath(std::filesystem::path("/etc") / link);
  if (IsBelow(target, "/etc")) return std::nullopt;
  return Bind{source, target, /*read_only=*/true};
}

absl::Status AddSystemDirectories(const Tree& tree, bool force, const std::vector<Bind>& others,
                                  Plan& plan) {
  for (const char* path : kSystemDirectories)
    if (absl::Status added = AddSystemDirectory(tree, path, force, plan); !added.ok()) return added;
  if (std::find(plan.system.begin(), plan.system.end(), "/etc") == plan.system.end())
    return absl::OkStatus();
  const std::optional<Bind> resolv = BindOfResolvConf();
  if (!resolv.has_value() || plan.Covers(resolv->target)) return absl::OkStatus();
  for (const Bind& other : others)
    if (IsBelow(resolv->target, other.target)) return absl::OkStatus();
  // A tree that has something else there does without.
  if (MakePlace(tree, *resolv).ok()) plan.binds.push_back(*resolv);
  return absl::OkStatus();
}

absl::Status AddBind(const Tree& tree, const Bind& bind, Plan& plan) {
  std::error_code error;
  for (const std::string& path : plan.system)
    if (bind.target != path && IsBelow(bind.target, path) &&
        !std::filesystem::exists(bind.target, error))
      return absl::FailedPreconditionError(
          absl::StrCat("cannot bind ", bind.source, " on ", bind.target, ": the host's ", path,
                       ", which is seen there, has no such place; choose one outside of it, or "
                       "--system none"));
  if (!plan.Covers(bind.target))
    if (absl::Status made = MakePlace(tree, bind); !made.ok()) return made;
  plan.binds.push_back(bind);
  plan.covered.push_back(bind.target);
  return absl::OkStatus();
}

bool IsLessDeep(const Bind& a, const Bind& b) {
  return std::count(a.target.begin(), a.target.end(), '/') <
         std::count(b.target.begin(), b.target.end(), '/');
}

}  // namespace

absl::Status MakeDirectories(vfs::VirtualFilesystem& vfs, const vfs::VirtualDentry& root,
                             std::string_view path, uint32_t mode, vfs::Placement placement) {
  const Tree tree{vfs, root};
  std::string so_far;
  for (absl::string_view name :
       absl::StrSplit(absl::string_view(path.data(), path.size()), '/', absl::SkipEmpty())) {
    absl::StrAppend(&so_far, "/", name);
    const Result<void> made = vfs.MkdirAt(tree.creds, tree.At(so_far), mode, placement);
    if (made) {
      // mkdir leaves out what is beyond the permission bits in some filesystems.
      vfs::SetStat set;
      set.mode = mode;
      (void)vfs.SetAttributesAt(tree.creds, tree.At(so_far), set);
    } else if (!tree.IsDirectory(so_far)) {
      return Problem(made.error(),
                     absl::StrCat("cannot make the directory ", so_far, " in the sandbox"));
    }
  }
  return absl::OkStatus();
}

std::string SystemDirectoryOf(std::string_view path) {
  for (const char* each : kSystemDirectories)
    if (IsBelow(path, each)) return each;
  return "";
}

absl::StatusOr<std::vector<Bind>> PrepareTree(vfs::VirtualFilesystem& vfs,
                                              const vfs::VirtualDentry& root,
                                              const std::vector<Bind>& binds,
                                              SystemDirectories system) {
  const Tree tree{vfs, root};
  Plan plan;
  const bool force = system == SystemDirectories::kHost;
  if (force ||
      (system == SystemDirectories::kAuto && tree.IsVacant("/usr") && tree.IsVacant("/bin")))
    if (absl::Status added = AddSystemDirectories(tree, force, binds, plan); !added.ok())
      return added;
  for (const char* path : {"/proc", "/dev"})
    if (absl::Status made = MakeDirectories(vfs, root, path); !made.ok()) return made;
  if (!tree.Has("/tmp", false))
    if (absl::Status made = MakeDirectories(vfs, root, "/tmp", 01777, vfs::Placement::kStored);
        !made.ok())
      return made;
  // A bind hides what is below it, hence what is below comes after it.
  std::vector<Bind> sorted = binds;
  std::stable_sort(sorted.begin(), sorted.end(), IsLessDeep);
  for (const Bind& bind : sorted)
    if (absl::Status added = AddBind(tree, bind, plan); !added.ok()) return added;
  return std::move(plan.binds);
}

}  // namespace stasis::sandbox
