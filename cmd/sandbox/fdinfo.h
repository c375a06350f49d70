// SPDX-License-Identifier: Apache-2.0
//
// fdinfo.h: the texts that /proc has about an open file.

#ifndef STASIS_CMD_SANDBOX_FDINFO_H_
#define STASIS_CMD_SANDBOX_FDINFO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/sandbox/open_files.h"

namespace stasis::sandbox {

// /proc/PID/fdinfo/FD, as far as it is understood.
struct FdInfo {
  uint64_t offset = 0;
  uint32_t flags = 0;
  uint64_t mount_id = 0;
  uint64_t ino = 0;
  std::vector<HeldLock> locks;

  // Of an inotify descriptor; `device` is one of MountDevices.
  struct Watch {
    int32_t wd = 0;
    uint32_t mask = 0;
    uint64_t device = 0;
    uint64_t ino = 0;
  };
  std::vector<Watch> watches;

  static FdInfo Parse(std::string_view text);
};

// A line of /proc/PID/maps that maps a file.
struct MapsLine {
  uint64_t length = 0;
  std::string access;  // "r-xp"
  uint64_t device = 0;
  uint64_t ino = 0;
  std::string path;  // as it stands there: with " (deleted)", if it is

  static std::optional<MapsLine> Parse(std::string_view line);
};

// Takes " (deleted)" off a path that /proc gives. False if it was not there.
bool StripDeleted(std::string& path);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_FDINFO_H_
