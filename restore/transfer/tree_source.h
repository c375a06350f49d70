// SPDX-License-Identifier: Apache-2.0
//
// tree_source.h: a tree to read, on a host or in a VFS.
//
// A TreeSource is a cursor: it is in one directory at a time, and names are single components in
// it,
// "" being the directory itself. So no path is ever resolved, no symbolic link followed, and depth
// costs no descriptors.

#ifndef STASIS_RESTORE_TRANSFER_TREE_SOURCE_H_
#define STASIS_RESTORE_TRANSFER_TREE_SOURCE_H_

#include <absl/status/statusor.h>

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "state/base/result.h"
#include "vfs/stat.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::restore {

// A file, whatever its names.
struct FileKey {
  uint64_t dev = 0;
  uint64_t ino = 0;
  friend auto operator<=>(const FileKey&, const FileKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const FileKey& key) {
    return H::combine(std::move(h), key.dev, key.ino);
  }
};

struct FileAttributes {
  vfs::Stat stat;
  FileKey key;
  bool has_btime = true;
};

// By full name; values are any bytes.
using Xattrs = std::map<std::string, std::string>;

// A stretch of data of a file.
struct Extent {
  uint64_t offset = 0;
  uint64_t length = 0;
};

// An open regular file.
class FileReader {
 public:
  virtual ~FileReader() = default;
  // Attributes now: of the file that was opened, whatever its name says meanwhile.
  virtual Result<FileAttributes> Stat() = 0;
  // The first stretch of data that begins at `offset` or after it, within `size`. Length 0: none.
  virtual Result<Extent> NextData(uint64_t offset, uint64_t size) = 0;
  // Fewer bytes than asked for: the end of the file.
  virtual Result<size_t> Read(uint64_t offset, std::span<std::byte> out) = 0;
  virtual Result<Xattrs> GetXattrs() = 0;
  // Whether it is known without reading that both hold the same bytes. False says nothing.
  virtual bool HasSameDataAs(const FileReader&) const { return false; }
};

// Not thread-safe.
class TreeSource {
 public:
  virtual ~TreeSource() = default;

  // Names in the current directory, without "." and "..", in the order of the filesystem.
  virtual Result<std::vector<std::string>> List() = 0;
  virtual Result<FileAttributes> Stat(const std::string& name) = 0;
  virtual Result<std::string> ReadLink(const std::string& name) = 0;
  // Of any kind of file. Attributes that cannot be read are left out.
  virtual Result<Xattrs> GetXattrs(const std::string& name) = 0;
  // Errors: ELOOP or EINVAL if it is not a regular file.
  virtual Result<std::unique_ptr<FileReader>> Open(const std::string& name) = 0;
  // Into a directory below, and back.
  virtual Result<void> Enter(const std::string& name) = 0;
  // Errors: ESTALE if the directory above was moved meanwhile.
  virtual Result<void> Leave() = 0;
};

// Errors: kNotFound, kFailedPrecondition (not a directory), kPermissionDenied.
absl::StatusOr<std::unique_ptr<TreeSource>> OpenHostTree(const std::string& directory);

// `vfs` is borrowed. Reads as root, without changing access times of memfs more than reads do.
std::unique_ptr<TreeSource> OpenVfsTree(vfs::VirtualFilesystem& vfs, vfs::VirtualDentry root);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_TREE_SOURCE_H_
