// SPDX-License-Identifier: Apache-2.0

#include "fsimpl/gofer/asked.h"

#include <array>

namespace stasis::gofer::internal {
namespace {

// In this order; another version may read it.
constexpr size_t kWords = 14;
using Words = std::array<uint64_t, kWords>;

}  // namespace

void Encode(Bytes& bytes, const HostStat& found) {
  const vfs::Stat& stat = found.stat;
  Encode(bytes, Words{found.key.dev, found.key.ino, stat.mode, stat.nlink, stat.uid, stat.gid,
                      stat.size, stat.blocks, stat.blksize, stat.rdev,
                      static_cast<uint64_t>(stat.atime), static_cast<uint64_t>(stat.mtime),
                      static_cast<uint64_t>(stat.ctime), static_cast<uint64_t>(stat.btime)});
}

bool Decode(std::span<const std::byte> bytes, HostStat& found) {
  Words words;
  if (!Decode(bytes, words)) return false;
  vfs::Stat& stat = found.stat;
  found.key = {words[0], words[1]};
  stat.mode = static_cast<uint32_t>(words[2]);
  stat.nlink = static_cast<uint32_t>(words[3]);
  stat.uid = static_cast<uint32_t>(words[4]);
  stat.gid = static_cast<uint32_t>(words[5]);
  stat.size = words[6];
  stat.blocks = words[7];
  stat.blksize = static_cast<uint32_t>(words[8]);
  stat.rdev = words[9];
  stat.atime = static_cast<TimeNs>(words[10]);
  stat.mtime = static_cast<TimeNs>(words[11]);
  stat.ctime = static_cast<TimeNs>(words[12]);
  stat.btime = static_cast<TimeNs>(words[13]);
  return true;
}

void Encode(Bytes& bytes, const std::string& text) { bytes += text; }

bool Decode(std::span<const std::byte> bytes, std::string& text) {
  text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return true;
}

}  // namespace stasis::gofer::internal
