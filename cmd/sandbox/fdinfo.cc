// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/fdinfo.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <charconv>
#include <utility>

#include "cmd/sandbox/mount_devices.h"

namespace stasis::sandbox {
namespace {

constexpr absl::string_view kDeleted = " (deleted)";
// Minor numbers as the kernel keeps them (MINORBITS).
constexpr unsigned kMinorBits = 20;

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

// False, and `number` as it was, if `text` is none of that base.
template <typename T>
bool ParseNumber(absl::string_view text, int base, T& number) {
  T parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed, base);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  number = parsed;
  return true;
}

// "1: POSIX  ADVISORY  WRITE 25604 00:35:12 0 EOF"
std::optional<HeldLock> ParseLock(absl::string_view text) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
  if (words.size() < 8) return std::nullopt;
  HeldLock lock;
  if (words[1] == "POSIX")
    lock.kind = vfs::LockKind::kPosix;
  else if (words[1] == "OFDLCK")
    lock.kind = vfs::LockKind::kOpenFile;
  else if (words[1] == "FLOCK")
    lock.kind = vfs::LockKind::kFlock;
  else
    return std::nullopt;  // a lease
  lock.type = words[3] == "WRITE" ? vfs::LockType::kExclusive : vfs::LockType::kShared;
  if (!ParseNumber(words[6], 10, lock.start)) return std::nullopt;
  if (words[7] != "EOF" && !ParseNumber(words[7], 10, lock.last)) return std::nullopt;
  return lock;
}

// "wd:1 ino:2a sdev:35 mask:100 ignored_mask:0 ..."
FdInfo::Watch ParseWatch(absl::string_view text) {
  FdInfo::Watch watch;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(word, ':');
    uint64_t device = 0;
    if (field.first == "wd") ParseNumber(field.second, 10, watch.wd);
    if (field.first == "ino") ParseNumber(field.second, 16, watch.ino);
    if (field.first == "mask") ParseNumber(field.second, 16, watch.mask);
    if (field.first == "sdev" && ParseNumber(field.second, 16, device))
      watch.device =
          MountDevices::Device(device >> kMinorBits, device & ((uint64_t{1} << kMinorBits) - 1));
  }
  return watch;
}

}  // namespace

FdInfo FdInfo::Parse(std::string_view text) {
  FdInfo info;
  for (absl::string_view line : absl::StrSplit(Absl(text), '\n')) {
    if (absl::ConsumePrefix(&line, "inotify ")) {
      info.watches.push_back(ParseWatch(line));
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) continue;
    const absl::string_view key = line.substr(0, colon);
    const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
    if (key == "pos") ParseNumber(value, 10, info.offset);
    if (key == "flags") ParseNumber(value, 8, info.flags);
    if (key == "mnt_id") ParseNumber(value, 10, info.mount_id);
    if (key == "ino") ParseNumber(value, 10, info.ino);
    if (key == "lock")
      if (std::optional<HeldLock> lock = ParseLock(value); lock.has_value())
        info.locks.push_back(*lock);
  }
  return info;
}

// "START-END rwxp OFFSET MAJOR:MINOR INODE     PATH"
std::optional<MapsLine> MapsLine::Parse(std::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(Absl(line), absl::MaxSplits(' ', 5));
  if (words.size() < 6) return std::nullopt;
  const std::pair<absl::string_view, absl::string_view> range = absl::StrSplit(words[0], '-');
  const std::pair<absl::string_view, absl::string_view> device = absl::StrSplit(words[3], ':');
  MapsLine map;
  uint64_t start = 0, end = 0, major = 0, minor = 0;
  if (!ParseNumber(range.first, 16, start) || !ParseNumber(range.second, 16, end) || end < start ||
      !ParseNumber(device.first, 16, major) || !ParseNumber(device.second, 16, minor) ||
      !ParseNumber(words[4], 10, map.ino))
    return std::nullopt;
  const absl::string_view path = absl::StripLeadingAsciiWhitespace(words[5]);
  if (!absl::StartsWith(path, "/")) return std::nullopt;
  map.length = end - start;
  map.access = std::string(words[1]);
  map.device = MountDevices::Device(major, minor);
  map.path = UnescapeOctal({path.data(), path.size()});
  return map;
}

bool StripDeleted(std::string& path) {
  if (!absl::EndsWith(path, kDeleted)) return false;
  path.resize(path.size() - kDeleted.size());
  return true;
}

}  // namespace stasis::sandbox
