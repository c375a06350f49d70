// SPDX-License-Identifier: Apache-2.0
//
// open_files.h: what the programs of a sandbox have open.
//
// The kernel opens most files of a sandbox without asking its server (docs/fuse.md), so who has
// what open is known to the kernel alone: open_file_scan.h reads it from /proc. A checkpoint takes
// such a table while the programs are frozen and saves it beside the tree, as the root kOpenFiles,
// for people to look at; nothing is done by it at a restore, and images without it are fine.

#ifndef STASIS_CMD_SANDBOX_OPEN_FILES_H_
#define STASIS_CMD_SANDBOX_OPEN_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "state/annotations.h"
#include "state/object.h"
#include "vfs/file_locks.h"

namespace stasis::sandbox {

// The name of the root in an image.
inline constexpr char kOpenFiles[] = "open_files";

enum class OpenKind : uint8_t {
  kDescriptor = 0,
  kWorkingDirectory = 1,
  kRootDirectory = 2,  // of a program with another root than the sandbox's
  kMapping = 3,
  kInotify = 4,  // a descriptor of inotify(7) that watches files of the sandbox
};

// A lock that is held through a descriptor. Of flock(2) the range means nothing.
struct HeldLock {
  vfs::LockKind kind = vfs::LockKind::kPosix;
  vfs::LockType type = vfs::LockType::kShared;
  uint64_t start = 0;
  uint64_t last = vfs::FileLock::kMaxOffset;  // the last byte of it

  STATE_SAVABLE(HeldLock);
};

// What an inotify descriptor watches.
struct WatchedFile {
  int32_t wd = 0;
  uint32_t mask = 0;  // IN_...
  uint32_t dev = 0;   // as of OpenFile
  uint64_t ino = 0;

  STATE_SAVABLE(WatchedFile);
};

// One descriptor, directory or mapping of one process. A value.
struct OpenFile {
  OpenKind kind = OpenKind::kDescriptor;
  int32_t pid = 0;  // as programs of the sandbox see it
  int32_t fd = -1;  // -1: not a descriptor
  pid_t host_pid STATE(nosave) = 0;
  std::string command;   // the process's name
  std::string path;      // as programs see it
  bool deleted = false;  // that name is gone
  uint32_t dev = 0;      // of the filesystem in the tree; 0: not known
  uint64_t ino = 0;      // 0: not known
  uint32_t flags = 0;    // as open(2) got them, and fcntl(2) changed them
  uint64_t offset = 0;   // of a directory, its position
  std::string access;    // of mappings: "r-xp", of several the sum
  uint64_t length = 0;   // of mappings
  // Descriptors with the same number other than 0 are one open file description.
  uint32_t shared = 0;
  std::vector<HeldLock> locks;
  std::vector<WatchedFile> watches;

  STATE_SAVABLE(OpenFile);
};

// The table of one moment. Not thread-safe while it is filled.
class OpenFiles final : public state::Object {
 public:
  OpenFiles() = default;

  const std::vector<OpenFile>& files() const { return files_; }
  std::vector<OpenFile>& files() { return files_; }
  // Why some are missing, or what is not known of them; empty if all is there.
  const std::string& incomplete() const { return incomplete_; }
  void set_incomplete(std::string why) { incomplete_ = std::move(why); }

 private:
  STATE_SAVABLE(OpenFiles);

  std::vector<OpenFile> files_;
  std::string incomplete_;
};

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_OPEN_FILES_H_
