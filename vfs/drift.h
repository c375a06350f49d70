// SPDX-License-Identifier: Apache-2.0
//
// drift.h: how a host's files differ from what was saved of them.
//
// A restore opens host files again. A filesystem that has some compares each with what it saved and
// reports every difference, to a RestoreContext. Then somebody decides what is to be done about
// each, and only after that anything is changed.

#ifndef STASIS_VFS_DRIFT_H_
#define STASIS_VFS_DRIFT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "state/base/ref_ptr.h"
#include "vfs/dentry.h"

namespace stasis::vfs {

class Filesystem;

enum class DriftKind : uint8_t {
  kMissing,   // there is no such file any more
  kType,      // a directory became a file, or the like
  kReplaced,  // another file of that name; names of one file that are names of several, or reverse
  kSize,
  kMtime,
  kCtime,
  kMode,     // permission bits
  kOwner,    // user or group
  kContent,  // other bytes; another target of a symbolic link
  kNew,      // a file in a directory of which all names were known
};
inline constexpr int kDriftKinds = 10;

// "missing", "type" and so on: stable names.
std::string_view NameOf(DriftKind kind);
std::optional<DriftKind> ParseDriftKind(std::string_view name);

enum class DriftPolicy : uint8_t {
  kFail,    // nothing is restored
  kWarn,    // as adopt, and said loudly
  kAdopt,   // what the host has is taken
  kIgnore,  // as adopt, and not even reported
  kHeal,    // what was saved is written to the host
};

// "fail", "warn", "adopt", "ignore", "heal".
std::string_view NameOf(DriftPolicy policy);
std::optional<DriftPolicy> ParseDriftPolicy(std::string_view name);

// One difference.
struct Drift {
  DriftKind kind = DriftKind::kMissing;
  Filesystem* filesystem = nullptr;  // borrowed
  std::string root;                  // the name of the host directory (RestoreContext::roots)
  RefPtr<Dentry> dentry;             // the file; of kNew its directory
  std::string path;                  // below the filesystem's root, such as "/a/b"; any bytes
  // As text: bytes for sizes, RFC 3339 for times, octal modes, "uid:gid", names of types,
  // hexadecimal SHA-256 of content. Empty where there is nothing to say.
  std::string saved;
  std::string found;
  // Why kHeal could not be done; empty if it can.
  std::string not_healable;
  // Set by who decides, before Filesystem::CompleteRestore.
  DriftPolicy policy = DriftPolicy::kFail;
};

// What is compared besides existence and type, which always are.
struct DriftChecks {
  bool size = true;
  bool mtime = true;
  bool ctime = false;
  bool mode = true;
  bool owner = true;
  bool identity = false;  // device, inode number, time of birth: kReplaced
  bool content = false;   // files whose digest was saved
};

}  // namespace stasis::vfs

#endif  // STASIS_VFS_DRIFT_H_
