// SPDX-License-Identifier: Apache-2.0
//
// lock_file.h: the field numbers that a layer has given out, for ever.
//
//   layer vfs 0xd2c4...
//   enum vfs.FileKind u8
//     kRegular = 1
//   class vfs.Dentry
//   class vfs.Mount : vfs.Base
//     0 id : u64
//     1 retired1 : string was title
//   struct vfs.Times
//   retired class vfs.Old
//
// docs/saved_state.md has the rules that Merge() enforces.

#ifndef STASIS_STATE_STATEIFY_LOCK_FILE_H_
#define STASIS_STATE_STATEIFY_LOCK_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "state/stateify/model.h"

namespace stasis::stateify {

struct LockedField {
  uint32_t number = 0;
  std::string name;  // the last one it had
  std::string type;
  bool retired = false;
  friend bool operator==(const LockedField&, const LockedField&) = default;
};

struct LockedClass {
  std::string name;
  bool is_object = true;
  std::string base;
  bool retired = false;
  std::vector<LockedField> fields;  // by number, without gaps
  friend bool operator==(const LockedClass&, const LockedClass&) = default;
};

struct LockedValue {
  std::string name;
  int64_t value = 0;
  bool retired = false;
  friend bool operator==(const LockedValue&, const LockedValue&) = default;
};

struct LockedEnum {
  std::string name;
  std::string type;  // "u8"
  std::vector<LockedValue> values;
  friend bool operator==(const LockedEnum&, const LockedEnum&) = default;
};

struct LockFile {
  std::string layer;
  uint64_t schema_id = 0;            // of the Cap'n Proto file
  std::vector<LockedEnum> enums;     // by name
  std::vector<LockedClass> classes;  // by name

  const LockedClass* FindClass(const std::string& name) const;
  friend bool operator==(const LockFile&, const LockFile&) = default;
};

// The lock of a layer that has none yet.
LockFile NewLock(const std::string& layer);

// False if `text` is not a lock file; says why in `errors`.
bool ParseLock(std::string_view text, LockFile& lock, Errors& errors);
std::string PrintLock(const LockFile& lock);

// Brings `lock` up to date with the classes and enums of its layer in `program`, and gives their
// fields the numbers. What the rules forbid is said in `errors`; `lock` is useless then.
void Merge(Program& program, LockFile& lock, Errors& errors);

}  // namespace stasis::stateify

#endif  // STASIS_STATE_STATEIFY_LOCK_FILE_H_
