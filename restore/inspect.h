// SPDX-License-Identifier: Apache-2.0
//
// inspect.h: what is in an image, without serving it.
//
// The state is loaded into memory and thrown away again; file data is not read, and host files are
// not looked at: no roots are needed.

#ifndef STASIS_RESTORE_INSPECT_H_
#define STASIS_RESTORE_INSPECT_H_

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "restore/restore.h"
#include "vfs/stat.h"

namespace stasis::restore {

struct TableSummary {
  std::string type;
  uint64_t objects = 0;
  uint64_t bytes = 0;  // of its messages, uncompressed
};

struct RootSummary {
  std::string name;
  std::string type;
};

struct FilesystemSummary {
  std::string type;  // "memfs"
  uint32_t dev = 0;
  uint64_t dentries = 0;
  uint64_t inodes = 0;  // with a name
};

// Of a filesystem that is a directory of the host.
struct HostDirectorySummary {
  std::string name;       // for --root
  std::string directory;  // where it was; empty if the image does not say
  std::string interop;    // "exclusive"
  std::string type;       // of the filesystem: "gofer"
  uint32_t dev = 0;
  uint64_t files = 0;  // that are known, with a name
};

struct MountSummary {
  uint64_t id = 0;
  uint32_t dev = 0;   // of the filesystem
  std::string root;   // path in the filesystem
  std::string point;  // path in the parent's filesystem; empty for a namespace's root
  bool read_only = false;
};

// "regular", "symlink", "character_device", ...: the type in a mode, as in JSON.
const char* FileTypeName(uint32_t mode);

struct ImageSummary {
  std::string reference;
  std::string digest;
  std::string parent;
  std::string created;
  std::string creator;
  uint32_t format_version = 0;
  std::vector<std::string> features;
  std::string state_digest;
  uint64_t state_bytes = 0;  // the blob
  uint64_t packs = 0;
  uint64_t pack_bytes = 0;  // of all packs that it refers to
  uint64_t chunks = 0;
  uint64_t data_bytes = 0;  // content of the chunks
  std::vector<TableSummary> tables;
  std::vector<RootSummary> roots;
  std::vector<FilesystemSummary> filesystems;
  std::vector<HostDirectorySummary> host_directories;
  std::vector<MountSummary> mounts;
  std::map<std::string, uint64_t> files_by_type;  // "regular", "directory", ...
  uint64_t file_bytes = 0;                        // sum of the sizes of regular files
  uint64_t open_files = 0;                        // file descriptions
  uint64_t deleted_files = 0;                     // inodes without a name, which something holds

  std::string ToJson() const;  // indented
  std::string ToText() const;
};

// Uses `registry`, `clock`, `directory`, `tag` and `file_ops` of the request. Errors: as Restore.
absl::StatusOr<ImageSummary> Inspect(const RestoreRequest& request);

// One name of the tree.
struct TreeEntry {
  std::string_view path;  // from the root of the namespace, "/" first
  vfs::Stat stat;
  std::string_view symlink_target;
};

// Calls `fn` for every name of the image's first mount namespace, parents before their children,
// siblings in readdir order, until it returns false. Errors: as Restore.
absl::Status ListTree(const RestoreRequest& request, absl::FunctionRef<bool(const TreeEntry&)> fn);

// "-rw-r--r-- 1 0 0 1024 2026-01-01T00:00:00Z path -> target" of an entry.
std::string FormatTreeEntry(const TreeEntry& entry);
// The same as one line of JSON. A path that is not UTF-8 is given as "path_base64" instead.
std::string TreeEntryToJson(const TreeEntry& entry);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INSPECT_H_
