// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/tree_setup.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>

namespace stasis::sandbox {
namespace {

constexpr const char* kSystemDirectories[] = {"/usr",   "/bin",   "/sbin",   "/lib",
                                              "/lib32", "/lib64", "/libx32", "/etc"};

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
  // True if there is nothing, or the empty directory that a former mount left its place in.
  bool IsVacant(std::string_view path) const {
    const Result<vfs::Stat> stat = vfs.StatAt(creds, At(path));
    if (!stat) return true;
    if (!S_ISDIR(stat->mode)) return false;
    vfs::OpenOptions options;
    options.flags = O_RDONLY | O_DIRECTORY;
    const Result<RefPtr<vfs::FileDescription>> dir = vfs.OpenAt(creds, At(path), options);
    bool empty = dir.has_value();
    if (empty)
      (void)(*dir)->IterateDirectory(0, [&empty](const vfs::DirectoryEntry& entry) {
        return empty = entry.name == "." || entry.name == "..";
      });
    return empty;
  }
  bool IsDirectory(std::string_view path) const {
    const Result<vfs::Stat> stat = vfs.StatAt(creds, At(path));
    return stat && S_ISDIR(stat->mode);
  }
};

absl::Status Problem(Errno error, const std::string& what) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", strerror(error.value())));
}

absl::Status MakeFile(const Tree& tree, const std::string& path) {
  if (tree.Has(path)) return absl::OkStatus();
  const std::string parent = std::filesystem::path(path).parent_path();
  if (absl::Status made = MakeDirectories(tree.vfs, tree.root, parent); !made.ok()) return made;
  const Result<void> made = tree.vfs.MknodAt(tree.creds, tree.At(path), {S_IFREG | 0644, 0});
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

absl::Status AddSystemDirectory(const Tree& tree, const std::string& path,
                                std::vector<Bind>& binds) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(path, error);
  if (!std::filesystem::exists(status) || !tree.IsVacant(path)) return absl::OkStatus();
  if (std::filesystem::is_symlink(status)) {
    if (tree.Has(path, /*follow=*/false)) return absl::OkStatus();
    const std::string target = std::filesystem::read_symlink(path, error);
    const Result<void> made = tree.vfs.SymlinkAt(tree.creds, tree.At(path), target);
    if (!made) return Problem(made.error(), absl::StrCat("cannot make ", path, " in the sandbox"));
    return absl::OkStatus();
  }
  binds.push_back({path, path, /*read_only=*/true});
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeDirectories(vfs::VirtualFilesystem& vfs, const vfs::VirtualDentry& root,
                             std::string_view path, uint32_t mode) {
  const Tree tree{vfs, root};
  std::string so_far;
  for (absl::string_view name :
       absl::StrSplit(absl::string_view(path.data(), path.size()), '/', absl::SkipEmpty())) {
    absl::StrAppend(&so_far, "/", name);
    const Result<void> made = vfs.MkdirAt(tree.creds, tree.At(so_far), mode);
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

absl::StatusOr<std::vector<Bind>> PrepareTree(vfs::VirtualFilesystem& vfs,
                                              const vfs::VirtualDentry& root,
                                              const std::vector<Bind>& binds,
                                              SystemDirectories system) {
  const Tree tree{vfs, root};
  std::vector<Bind> all;
  const bool bare = tree.IsVacant("/usr") && tree.IsVacant("/bin");
  if (system == SystemDirectories::kHost || (system == SystemDirectories::kAuto && bare))
    for (const char* path : kSystemDirectories)
      if (absl::Status added = AddSystemDirectory(tree, path, all); !added.ok()) return added;
  all.insert(all.end(), binds.begin(), binds.end());
  for (const char* path : {"/proc", "/dev"})
    if (absl::Status made = MakeDirectories(vfs, root, path); !made.ok()) return made;
  if (!tree.Has("/tmp", false))
    if (absl::Status made = MakeDirectories(vfs, root, "/tmp", 01777); !made.ok()) return made;
  for (const Bind& bind : all)
    if (absl::Status made = MakePlace(tree, bind); !made.ok()) return made;
  return all;
}

}  // namespace stasis::sandbox
