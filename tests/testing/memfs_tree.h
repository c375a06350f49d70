// SPDX-License-Identifier: Apache-2.0
//
// memfs_tree.h: a VFS with one memfs, whose verbs return what the operation returned.
//
//   class RenameTest : public MemfsTest {};
//   TEST_F(RenameTest, ReplacesEmptyDirectory) {
//     ASSERT_THAT(Mkdir("/a"), IsOk());
//     EXPECT_THAT(Rename("/a", "/missing/b"), IsErrno(ENOENT));
//   }
//
// Verbs act as `creds`, which a test may change, and relative paths start at `cwd`. Of a final
// symbolic link, those with an L (and those that the system call does not) take the link itself.
// Time stands still until `clock` is moved.

#ifndef STASIS_TESTS_TESTING_MEMFS_TREE_H_
#define STASIS_TESTS_TESTING_MEMFS_TREE_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fsimpl/memfs/filesystem.h"
#include "state/base/clock.h"
#include "tests/testing/errno_matchers.h"
#include "vfs/file_description.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::testing {

inline std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline Result<std::string> ReadSome(vfs::FileDescription& file, size_t n) {
  std::string out(n, '\0');
  STASIS_ASSIGN_OR_RETURN(const size_t done, file.Read(std::as_writable_bytes(std::span(out))));
  out.resize(done);
  return out;
}

inline Result<std::string> PReadSome(vfs::FileDescription& file, uint64_t offset, size_t n) {
  std::string out(n, '\0');
  STASIS_ASSIGN_OR_RETURN(const size_t done,
                          file.PRead(offset, std::as_writable_bytes(std::span(out))));
  out.resize(done);
  return out;
}

class MemfsTree {
 public:
  explicit MemfsTree(const memfs::MemfsOptions& options = {})
      : vfs(MakeRef<vfs::VirtualFilesystem>(clock)),
        fs(memfs::MemFilesystem::Create(*vfs, options)),
        ns(vfs->NewMountNamespace(fs, {})),
        root(ns->root()),
        cwd(root) {}
  ~MemfsTree() {
    root = cwd = {};
    ns.reset();
    vfs->Teardown();
  }
  MemfsTree(const MemfsTree&) = delete;
  MemfsTree& operator=(const MemfsTree&) = delete;

  vfs::PathOperation At(std::string_view path, bool follow = false) const {
    return {root, cwd, path, follow};
  }

  Result<void> Mkdir(std::string_view path, uint32_t mode = 0755) {
    return vfs->MkdirAt(creds, At(path), mode);
  }
  Result<void> Mknod(std::string_view path, uint32_t mode, uint64_t rdev = 0) {
    return vfs->MknodAt(creds, At(path), {mode, rdev});
  }
  Result<void> Symlink(std::string_view target, std::string_view path) {
    return vfs->SymlinkAt(creds, At(path), target);
  }
  Result<void> Link(std::string_view old_path, std::string_view new_path, bool follow = false) {
    return vfs->LinkAt(creds, At(old_path, follow), At(new_path));
  }
  Result<void> Unlink(std::string_view path) { return vfs->UnlinkAt(creds, At(path)); }
  Result<void> Rmdir(std::string_view path) { return vfs->RmdirAt(creds, At(path)); }
  Result<void> Rename(std::string_view from, std::string_view to, uint32_t flags = 0) {
    return vfs->RenameAt(creds, At(from), At(to), flags);
  }

  Result<RefPtr<vfs::FileDescription>> Open(std::string_view path, int flags,
                                            uint32_t mode = 0644) {
    return vfs->OpenAt(creds, At(path), {.flags = flags, .mode = mode});
  }
  // A new empty file.
  Result<void> Create(std::string_view path, uint32_t mode = 0644) {
    STASIS_RETURN_IF_ERROR(Open(path, O_CREAT | O_EXCL | O_WRONLY, mode));
    return {};
  }
  // A file with that content, whether or not it is there.
  Result<void> Put(std::string_view path, std::string_view content) {
    STASIS_ASSIGN_OR_RETURN(auto file, Open(path, O_CREAT | O_TRUNC | O_WRONLY));
    STASIS_RETURN_IF_ERROR(file->Write(BytesOf(content)));
    return {};
  }
  Result<std::string> Get(std::string_view path) {
    STASIS_ASSIGN_OR_RETURN(auto file, Open(path, O_RDONLY));
    return ReadSome(*file, inode_size(*file));
  }

  Result<vfs::Stat> Stat(std::string_view path) { return vfs->StatAt(creds, At(path, true)); }
  Result<vfs::Stat> LStat(std::string_view path) { return vfs->StatAt(creds, At(path)); }
  Result<std::string> ReadLink(std::string_view path) { return vfs->ReadLinkAt(creds, At(path)); }
  Result<void> Access(std::string_view path, vfs::Access want) {
    return vfs->AccessAt(creds, At(path, true), want);
  }
  Result<void> Set(std::string_view path, const vfs::SetStat& set) {
    return vfs->SetAttributesAt(creds, At(path, true), set);
  }
  Result<void> Chmod(std::string_view path, uint32_t mode) { return Set(path, {.mode = mode}); }
  Result<void> Chown(std::string_view path, uint32_t uid, uint32_t gid) {
    return Set(path, {.uid = uid, .gid = gid});
  }
  Result<void> Truncate(std::string_view path, uint64_t size) { return Set(path, {.size = size}); }

  Result<void> SetXattr(std::string_view path, std::string_view name, std::string_view value,
                        int flags = 0) {
    return vfs->SetXattrAt(creds, At(path), name, value, flags);
  }
  Result<std::string> GetXattr(std::string_view path, std::string_view name) {
    return vfs->GetXattrAt(creds, At(path), name);
  }
  Result<std::vector<std::string>> ListXattr(std::string_view path) {
    return vfs->ListXattrAt(creds, At(path));
  }
  Result<void> RemoveXattr(std::string_view path, std::string_view name) {
    return vfs->RemoveXattrAt(creds, At(path), name);
  }

  // Names in order, without "." and "..".
  Result<std::vector<std::string>> List(std::string_view path) {
    STASIS_ASSIGN_OR_RETURN(auto dir, Open(path, O_RDONLY | O_DIRECTORY));
    std::vector<std::string> names;
    STASIS_RETURN_IF_ERROR(dir->IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
      if (entry.dentry != nullptr) names.emplace_back(entry.name);
      return true;
    }));
    return names;
  }

  Result<vfs::VirtualDentry> Lookup(std::string_view path) {
    return vfs->GetDentryAt(creds, At(path, true));
  }
  // Mounts a new memfs.
  Result<RefPtr<vfs::Mount>> Mount(std::string_view path, vfs::MountFlags flags = {}) {
    return vfs->MountAt(creds, *ns, At(path, true), memfs::MemFilesystem::Create(*vfs, {}), flags);
  }
  Result<RefPtr<vfs::Mount>> Bind(std::string_view source, std::string_view path,
                                  vfs::MountFlags flags = {}) {
    return vfs->BindAt(creds, *ns, At(source), At(path), {.flags = flags});
  }
  Result<void> Umount(std::string_view path, int flags = 0) {
    return vfs->UmountAt(creds, *ns, At(path), flags);
  }

  ManualClock clock{TimeNs{1'767'225'600'000'000'000}};  // 2026-01-01
  vfs::Credentials creds = vfs::Credentials::Root();
  RefPtr<vfs::VirtualFilesystem> vfs;
  RefPtr<memfs::MemFilesystem> fs;
  RefPtr<vfs::MountNamespace> ns;
  vfs::VirtualDentry root;
  vfs::VirtualDentry cwd;

 private:
  static size_t inode_size(vfs::FileDescription& file) { return file.inode().size(); }
};

class MemfsTest : public ::testing::Test, public MemfsTree {
 public:
  using MemfsTree::MemfsTree;
};

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_MEMFS_TREE_H_
