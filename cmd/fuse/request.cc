// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/request.h"

#include "vfs/dentry.h"

namespace stasis::fuse {

Result<std::string_view> MessageReader::TakeText() {
  if (rest_.empty()) return Malformed();
  const void* end = std::memchr(rest_.data(), 0, rest_.size());
  if (end == nullptr) return Malformed();
  const auto* begin = reinterpret_cast<const char*>(rest_.data());
  const size_t length = static_cast<size_t>(static_cast<const char*>(end) - begin);
  rest_ = rest_.subspan(length + 1);
  return std::string_view(begin, length);
}

Result<std::string_view> MessageReader::TakeName() {
  STASIS_ASSIGN_OR_RETURN(std::string_view name, TakeText());
  if (name.size() > vfs::kNameMax) return Err(ENAMETOOLONG);
  if (!vfs::IsValidName(name)) return Malformed();
  return name;
}

Result<std::span<const std::byte>> MessageReader::TakeBytes(uint64_t size) {
  if (size > rest_.size()) return Malformed();
  auto bytes = rest_.first(size);
  rest_ = rest_.subspan(size);
  return bytes;
}

Result<void> MessageReader::End() {
  if (!rest_.empty()) return Malformed();
  return {};
}

Result<void> ParseRequest(std::span<const std::byte> message, Request& request) {
  if (message.size() < sizeof(fuse_in_header)) return Err(EBADMSG);
  std::memcpy(&request.header, message.data(), sizeof(fuse_in_header));
  request.payload = message.subspan(sizeof(fuse_in_header));
  if (request.header.len != message.size()) return Err(EINVAL);
  const size_t extensions = size_t{request.header.total_extlen} * 8;
  if (extensions > request.payload.size()) return Err(EINVAL);
  request.payload = request.payload.first(request.payload.size() - extensions);
  return {};
}

bool WantsReply(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

bool IsInterruptible(const Request& request) {
  switch (request.header.opcode) {
    case FUSE_LOOKUP:
    case FUSE_GETATTR:
    case kOpStatx:
    case FUSE_READ:
      return false;
    case FUSE_WRITE: {
      auto in = MessageReader(request.payload).Take<fuse_write_in>();
      return in && (in->write_flags & FUSE_WRITE_CACHE) == 0;
    }
    default:
      return WantsReply(request.header.opcode);
  }
}

Errno ReplyError(Errno error) { return error.value() <= kMaxError ? error : Errno(EIO); }

}  // namespace stasis::fuse
