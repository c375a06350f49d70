// SPDX-License-Identifier: Apache-2.0
//
// files.h: two saved classes with about the fields of a dentry and an inode, for benchmarks.

#ifndef STASIS_TESTS_STATE_MODEL_FILES_H_
#define STASIS_TESTS_STATE_MODEL_FILES_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "state/annotations.h"
#include "state/base/ref_ptr.h"
#include "state/object.h"

namespace stasis::model {

class Record final : public state::Object {
 public:
  STATE_SAVABLE(Record);
  std::atomic<uint32_t> mode{0};
  std::atomic<uint32_t> uid{0};
  std::atomic<uint32_t> gid{0};
  std::atomic<uint32_t> nlink{0};
  uint64_t ino = 0;
  std::atomic<uint64_t> size{0};
  std::atomic<int64_t> atime{0};
  std::atomic<int64_t> mtime{0};
  std::atomic<int64_t> ctime{0};
  std::atomic<int64_t> btime{0};
};

class Entry final : public state::Object {
 public:
  STATE_SAVABLE(Entry);
  std::string name;
  RefPtr<Entry> parent;
  RefPtr<Record> record;
  std::vector<RefPtr<Entry>> children;
  uint64_t position = 0;
};

}  // namespace stasis::model

#endif  // STASIS_TESTS_STATE_MODEL_FILES_H_
