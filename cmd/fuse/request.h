// SPDX-License-Identifier: Apache-2.0
//
// request.h: reading a request. Nothing in it is believed.

#ifndef STASIS_CMD_FUSE_REQUEST_H_
#define STASIS_CMD_FUSE_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "cmd/fuse/protocol.h"
#include "state/base/result.h"

namespace stasis::fuse {

// Takes a message apart from front to back. Views lead into the message.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::byte> rest) : rest_(rest) {}

  // A structure of the protocol. Errors: EINVAL if the message is too short.
  template <typename T>
  Result<T> Take() {
    static_assert(std::is_trivially_copyable_v<T>);
    if (rest_.size() < sizeof(T)) return Malformed();
    T value;
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }

  // A text that ends with a NUL, which must be there. Errors: EINVAL.
  Result<std::string_view> TakeText();

  // The name of a file in a directory. Errors: EINVAL if it cannot be one, ENAMETOOLONG.
  Result<std::string_view> TakeName();

  // Exactly `size` bytes. Errors: EINVAL.
  Result<std::span<const std::byte>> TakeBytes(uint64_t size);

  // That nothing is left. Errors: EINVAL.
  Result<void> End();

  std::span<const std::byte> rest() const { return rest_; }
  // True if something was not as it must be.
  bool malformed() const { return malformed_; }

 private:
  tl::unexpected<Errno> Malformed() {
    malformed_ = true;
    return Err(EINVAL);
  }

  std::span<const std::byte> rest_;
  bool malformed_ = false;
};

// A request's header and payload. Borrows the message.
struct Request {
  fuse_in_header header{};
  std::span<const std::byte> payload;  // without extensions
};

// Errors: EINVAL if the lengths in the header do not fit the message. `request.header` is valid
// nevertheless, unless the message is shorter than a header (EBADMSG).
Result<void> ParseRequest(std::span<const std::byte> message, Request& request);

// True if the kernel expects an answer to that opcode.
bool WantsReply(uint32_t opcode);

// True if a signal may end it. Not stat(2), a path walk or a page fault, whose callers do not know
// EINTR, nor pages that are written back, which would be lost.
bool IsInterruptible(const Request& request);

// The error as a reply may carry it: EIO for what is no error number of the kernel's.
Errno ReplyError(Errno error);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_REQUEST_H_
