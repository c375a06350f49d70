// SPDX-License-Identifier: Apache-2.0

#include "tests/vfs/mount_model/mounts.h"

#include <sys/mount.h>

#include <cstring>
#include <iomanip>
#include <iterator>
#include <map>
#include <sstream>
#include <string_view>

namespace stasis::mount_model {
namespace {

constexpr std::string_view kNames[] = {"mkdir",      "rmdir",  "mkfile",      "unlink",  "rename",
                                       "open",       "close",  "stat",        "mount",   "bind",
                                       "move",       "umount", "propagation", "remount", "setattr",
                                       "pivot_root", "clone",  "remove"};
static_assert(std::size(kNames) == Call::kKinds);

// How often each kind comes.
constexpr size_t kWeights[] = {14, 3, 4, 1, 3, 3, 3, 10, 16, 14, 8, 10, 14, 4, 4, 3, 2, 1};
static_assert(std::size(kWeights) == Call::kKinds);

constexpr uint64_t kPropagations[] = {MS_SHARED, MS_SHARED,  MS_SHARED,    MS_SLAVE,
                                      MS_SLAVE,  MS_PRIVATE, MS_UNBINDABLE};

// Numbers in the order of their appearance.
class Numbering {
 public:
  std::string Of(const std::string& value) {
    return std::to_string(numbers_.emplace(value, numbers_.size()).first->second);
  }

 private:
  std::map<std::string, size_t> numbers_;
};

}  // namespace

std::ostream& operator<<(std::ostream& os, const Call& call) {
  os << "ns " << call.ns << ": " << kNames[call.kind] << " " << call.a.data();
  if (call.b[0] != '\0') os << " " << call.b.data();
  if (call.kind == Call::kOpen || call.kind == Call::kClose || call.kind == Call::kStat)
    os << " slot " << call.slot;
  os << std::hex << std::showbase;
  if (call.flags != 0) os << " flags " << call.flags;
  if (call.set != 0) os << " set " << call.set;
  if (call.clear != 0) os << " clear " << call.clear;
  if (call.propagation != 0) os << " propagation " << call.propagation;
  os << std::dec << std::noshowbase;
  if (call.recursive != 0) os << " recursive";
  return os;
}

std::string Normalized(const std::string& answer) {
  std::istringstream in(answer);
  std::ostringstream out;
  Numbering mounts;
  Numbering devices;
  Numbering groups;
  std::string line;
  std::getline(in, line);
  const size_t space = line.find(' ');
  out << line.substr(0, space);
  if (space != line.npos) out << " " << mounts.Of(line.substr(space + 1));
  out << "\n";
  while (std::getline(in, line)) {
    if (line == "--") {
      out << "--\n";
      continue;
    }
    std::istringstream fields(line);
    std::string id;
    std::string parent;
    std::string device;
    std::string field;
    fields >> id >> parent >> device;
    out << mounts.Of(id);
    out << " on " << mounts.Of(parent);
    out << " dev " << devices.Of(device);
    for (bool more = static_cast<bool>(fields >> field); more && field != "-";
         more = static_cast<bool>(fields >> field)) {
      const size_t colon = field.find(':');
      out << " "
          << (colon == field.npos
                  ? field
                  : field.substr(0, colon) + ":" + groups.Of(field.substr(colon + 1)));
    }
    out << "\n";
  }
  return out.str();
}

std::array<char, 32> Generator::Path(size_t least_depth) {
  constexpr size_t kDeepest = 3;
  std::string path;
  const size_t depth = least_depth + Pick(kDeepest + 1 - least_depth);
  for (size_t i = 0; i < depth; ++i) path += std::string("/") + static_cast<char>('a' + Pick(3));
  if (path.empty()) path = "/";
  std::array<char, 32> bytes = {};
  std::memcpy(bytes.data(), path.data(), path.size());
  return bytes;
}

std::array<char, 32> Generator::WindingPath(bool relative) {
  constexpr size_t kLongest = 8;
  std::string path;
  const size_t length = 1 + Pick(kLongest);
  for (size_t i = 0; i < length; ++i) {
    if (i != 0 || !relative) path += "/";
    path += Once(3) ? ".." : std::string(1, static_cast<char>('a' + Pick(3)));
  }
  std::array<char, 32> bytes = {};
  std::memcpy(bytes.data(), path.data(), path.size());
  return bytes;
}

uint64_t Generator::MountFlags() {
  uint64_t flags = 0;
  for (const uint64_t flag : {MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_NODIRATIME,
                              MS_STRICTATIME, MS_RELATIME})
    if (Once(6)) flags |= flag;
  if (Once(8)) flags |= 256;  // MS_NOSYMFOLLOW
  return flags;
}

void Generator::RefineAttributes(Call& call) {
  for (const uint64_t bit : {MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV,
                             MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOSYMFOLLOW}) {
    if (Once(4)) call.set |= bit;
    if (Once(4)) call.clear |= bit;
  }
  if (Once(3)) {
    call.clear |= MOUNT_ATTR__ATIME;
    call.set |= uint64_t{0x10} * Pick(3);
  }
  if (Once(20)) call.set |= MOUNT_ATTR_NOATIME;  // an error unless all is cleared
  if (Once(4)) call.propagation = kPropagations[Pick(std::size(kPropagations))];
  call.recursive = Once(2) ? 1 : 0;
}

void Generator::Refine(Call& call) {
  switch (call.kind) {
    case Call::kMount:
      if (Once(12)) call.a = Path(0);
      if (Once(5)) call.flags = MountFlags();
      break;
    case Call::kBind:
      call.a = Path(Once(6) ? 0 : 1);
      call.b = Path(Once(16) ? 0 : 1);
      call.recursive = Once(2) ? 1 : 0;
      break;
    case Call::kRename:
    case Call::kMove:
    case Call::kPivotRoot:
      call.b = Path(1);
      break;
    case Call::kUmount:
      if (Once(3)) call.flags |= MNT_DETACH;
      if (Once(8)) call.flags |= MNT_EXPIRE;
      if (Once(30)) call.flags |= UMOUNT_NOFOLLOW;
      break;
    case Call::kPropagation:
      call.a = Path(Once(3) ? 0 : 1);
      call.flags = kPropagations[Pick(std::size(kPropagations))];
      call.recursive = Once(3) ? 1 : 0;
      break;
    case Call::kRemount:
      call.flags = MountFlags();
      break;
    case Call::kSetAttributes:
      call.a = Path(Once(4) ? 0 : 1);
      RefineAttributes(call);
      break;
    case Call::kOpen:
      call.flags = Once(2) ? 1 : 0;
      break;
    case Call::kStat:
      call.flags = Once(2) ? 1 : 0;
      call.a = WindingPath(call.flags != 0);
      break;
    case Call::kClone:
      call.flags = Once(3) ? 1 : 0;
      break;
    default:
      break;
  }
}

Call Generator::Next(size_t namespaces) {
  Call call;
  size_t total = 0;
  for (const size_t weight : kWeights) total += weight;
  for (;;) {
    size_t chosen = Pick(total);
    uint32_t kind = 0;
    while (chosen >= kWeights[kind]) chosen -= kWeights[kind++];
    call.kind = static_cast<Call::Kind>(kind);
    call.ns = static_cast<uint32_t>(Pick(namespaces));
    if (call.kind == Call::kClone && namespaces == kNamespaces) continue;
    if (call.kind == Call::kRemove && call.ns == 0) continue;
    break;
  }
  call.slot = static_cast<uint32_t>(Pick(kSlots));
  call.a = Path(1);
  Refine(call);
  return call;
}

}  // namespace stasis::mount_model
