// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/journaling.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "cmd/fuse/protocol.h"

namespace stasis::fuse {
namespace {

using Bytes = std::vector<std::byte>;

void Append(Bytes& to, const void* bytes, size_t size) {
  const auto* begin = static_cast<const std::byte*>(bytes);
  to.insert(to.end(), begin, begin + size);
}

template <typename T>
void AppendStruct(Bytes& to, const T& value) {
  Append(to, &value, sizeof(value));
}

Bytes WithHeader(fuse_in_header header, const Bytes& payload) {
  header.total_extlen = 0;
  header.len = static_cast<uint32_t>(sizeof(header) + payload.size());
  Bytes message;
  message.reserve(header.len);
  AppendStruct(message, header);
  Append(message, payload.data(), payload.size());
  return message;
}

uint64_t Digest(const void* bytes, size_t size) {
  constexpr uint64_t kOffset = 0xcbf29ce484222325;
  constexpr uint64_t kPrime = 0x100000001b3;
  uint64_t digest = kOffset;
  const auto* begin = static_cast<const unsigned char*>(bytes);
  for (size_t i = 0; i < size; ++i) digest = (digest ^ begin[i]) * kPrime;
  return digest;
}

uint64_t DigestOf(const fuse_attr& attr, uint64_t generation) {
  // Of a directory, size and links are the filesystem's affair.
  const bool is_dir = S_ISDIR(attr.mode);
  const uint64_t words[] = {generation,
                            attr.ino,
                            is_dir ? 0 : attr.size,
                            attr.mode,
                            is_dir ? 0 : attr.nlink,
                            attr.uid,
                            attr.gid,
                            attr.rdev,
                            attr.mtime,
                            attr.mtimensec,
                            attr.ctime,
                            attr.ctimensec};
  return Digest(words, sizeof(words));
}

template <typename T>
T TakeFrom(std::span<const std::byte> payload) {
  T value{};
  if (payload.size() >= sizeof(T)) std::memcpy(&value, payload.data(), sizeof(T));
  return value;
}

uint64_t DigestOfReply(uint32_t opcode, std::span<const std::byte> payload) {
  switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_LINK:
    case FUSE_CREATE:
    case FUSE_TMPFILE: {
      const auto entry = TakeFrom<fuse_entry_out>(payload);
      return DigestOf(entry.attr, entry.generation);
    }
    case FUSE_SETATTR:
      return DigestOf(TakeFrom<fuse_attr_out>(payload).attr, 0);
    case FUSE_WRITE:
    case FUSE_COPY_FILE_RANGE:
    case kOpCopyFileRange64:
      return TakeFrom<uint64_t>(payload);
    default:
      return 0;
  }
}

int32_t BackingIn(uint32_t opcode, std::span<const std::byte> payload) {
  if (opcode == FUSE_CREATE)
    payload = payload.subspan(std::min(payload.size(), sizeof(fuse_entry_out)));
  switch (opcode) {
    case FUSE_INIT:
      return (TakeFrom<InitOut>(payload).flags2 & (kPassthrough >> 32)) != 0 ? 1 : 0;
    case FUSE_OPEN:
    case FUSE_CREATE: {
      const auto opened = TakeFrom<OpenOut>(payload);
      return (opened.open_flags & kOpenPassthrough) != 0 ? opened.backing_id : 0;
    }
    default:
      return 0;
  }
}

}  // namespace

Journaling JournalingOf(uint32_t opcode) {
  switch (opcode) {
    case FUSE_LOOKUP:
      return Journaling::kIfFound;
    case FUSE_READDIR:
      return Journaling::kFirstLook;
    case FUSE_READDIRPLUS:
      return Journaling::kListing;
    case FUSE_INIT:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_SETATTR:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_LINK:
    case FUSE_OPEN:
    case FUSE_CREATE:
    case FUSE_TMPFILE:
    case FUSE_WRITE:
    case FUSE_RELEASE:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
    case kOpCopyFileRange64:
    case FUSE_OPENDIR:
    case FUSE_RELEASEDIR:
    case FUSE_SETXATTR:
    case FUSE_REMOVEXATTR:
      return Journaling::kAlways;
    default:
      return Journaling::kNever;
  }
}

Outcome OutcomeOf(uint32_t opcode, int error, const Reply& reply) {
  Outcome outcome;
  outcome.error = error;
  if (error != 0) return outcome;
  if (!reply.looked_up().empty()) outcome.node = reply.looked_up().front();
  outcome.handle = reply.opened();
  outcome.digest = DigestOfReply(opcode, reply.payload());
  outcome.backing = BackingIn(opcode, reply.payload());
  return outcome;
}

Bytes WithOpcode(std::span<const std::byte> message, uint32_t opcode) {
  Bytes changed(message.begin(), message.end());
  std::memcpy(changed.data() + offsetof(fuse_in_header, opcode), &opcode, sizeof(opcode));
  return changed;
}

Bytes ListingOf(const Request& request, const Reply& reply) {
  Bytes lookups;
  std::span<const std::byte> rest = reply.payload();
  while (rest.size() >= FUSE_NAME_OFFSET_DIRENTPLUS) {
    fuse_direntplus entry;
    std::memcpy(&entry, rest.data(), FUSE_NAME_OFFSET_DIRENTPLUS);
    const std::byte* name = rest.data() + FUSE_NAME_OFFSET_DIRENTPLUS;
    if (entry.entry_out.nodeid != 0) {
      AppendStruct(lookups, entry.entry_out.nodeid);
      Append(lookups, name, entry.dirent.namelen);
      lookups.push_back(std::byte{0});
    }
    rest = rest.subspan(FUSE_DIRENTPLUS_SIZE(&entry));
  }
  return lookups.empty() ? lookups : WithHeader(request.header, lookups);
}

Bytes MakeForget(std::span<const uint64_t> nodes) {
  Bytes payload;
  AppendStruct(payload, fuse_batch_forget_in{static_cast<uint32_t>(nodes.size()), 0});
  for (uint64_t node : nodes) AppendStruct(payload, fuse_forget_one{node, 1});
  fuse_in_header header{};
  header.opcode = FUSE_BATCH_FORGET;
  return WithHeader(header, payload);
}

Bytes MakeRelease(uint64_t handle) {
  Bytes payload;
  fuse_release_in in{};
  in.fh = handle;
  AppendStruct(payload, in);
  fuse_in_header header{};
  header.opcode = FUSE_RELEASE;
  return WithHeader(header, payload);
}

Bytes MakeLookup(const fuse_in_header& listing, std::string_view name) {
  Bytes payload;
  Append(payload, name.data(), name.size());
  payload.push_back(std::byte{0});
  fuse_in_header header = listing;
  header.opcode = FUSE_LOOKUP;
  return WithHeader(header, payload);
}

}  // namespace stasis::fuse
