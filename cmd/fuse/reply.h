// SPDX-License-Identifier: Apache-2.0
//
// reply.h: building the answer to a request.
//
// The payload is built in a buffer of the thread's, which is used again for the next request.

#ifndef STASIS_CMD_FUSE_REPLY_H_
#define STASIS_CMD_FUSE_REPLY_H_

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "state/base/result.h"

namespace stasis::fuse {

// Not thread-safe.
class Reply {
 public:
  // `buffer` holds the largest payload and outlives this.
  explicit Reply(std::span<std::byte> buffer) : buffer_(buffer) {}
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  std::span<const std::byte> payload() const { return buffer_.first(used_); }
  size_t room() const { return buffer_.size() - used_; }

  // Room for `size` bytes at most, whatever is in them; Commit says how many count.
  std::span<std::byte> Space(size_t size) { return buffer_.subspan(used_, std::min(size, room())); }
  void Commit(size_t size) { used_ += size; }

  // Errors: ERANGE if the buffer is too small.
  Result<void> Append(const void* bytes, size_t size) {
    if (size > room()) return Err(ERANGE);
    if (size != 0) std::memcpy(buffer_.data() + used_, bytes, size);
    used_ += size;
    return {};
  }
  Result<void> Append(std::string_view bytes) { return Append(bytes.data(), bytes.size()); }
  template <typename T>
  Result<void> AppendStruct(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return Append(&value, sizeof(T));
  }

  // Overwrites what was committed at `offset`. Requires: it was.
  template <typename T>
  void PutStruct(size_t offset, const T& value) {
    std::memcpy(buffer_.data() + offset, &value, sizeof(T));
  }

  void Reset() {
    used_ = 0;
    looked_up_.clear();
    opened_ = 0;
    changed_.clear();
    malformed_ = false;
  }

  // What the kernel holds once it has the reply, to be taken back if it does not get it.
  void AddLookup(uint64_t node) { looked_up_.push_back(node); }
  void SetOpened(uint64_t handle) { opened_ = handle; }
  std::span<const uint64_t> looked_up() const { return looked_up_; }
  uint64_t opened() const { return opened_; }  // 0: none

  // Nodes whose attributes have changed without the kernel knowing: it is told before the reply.
  void AddChanged(uint64_t node) { changed_.push_back(node); }
  std::span<const uint64_t> changed() const { return changed_; }

  // The message was wrong, not what it asked for.
  void SetMalformed() { malformed_ = true; }
  bool malformed() const { return malformed_; }

 private:
  std::span<std::byte> buffer_;
  size_t used_ = 0;
  absl::InlinedVector<uint64_t, 2> looked_up_;
  uint64_t opened_ = 0;
  absl::InlinedVector<uint64_t, 2> changed_;
  bool malformed_ = false;
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_REPLY_H_
