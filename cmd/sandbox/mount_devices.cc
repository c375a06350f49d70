// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/mount_devices.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "cmd/sandbox/paths.h"

namespace stasis::sandbox {
namespace {

struct Line {
  uint64_t id = 0;
  uint64_t parent = 0;
  uint64_t device = 0;
  std::string point;
  bool ours = false;  // of the sandbox's filesystems
};

// "ID PARENT MAJOR:MINOR ROOT POINT FLAGS [TAG...] - TYPE SOURCE OPTIONS".
std::optional<Line> Parse(absl::string_view text, std::string_view source) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  const auto dash = std::find(words.begin(), words.end(), "-");
  if (words.size() < 7 || words.end() - dash < 3) return std::nullopt;
  const std::pair<absl::string_view, absl::string_view> device = absl::StrSplit(words[2], ':');
  Line line;
  uint64_t major = 0, minor = 0;
  if (!absl::SimpleAtoi(words[0], &line.id) || !absl::SimpleAtoi(words[1], &line.parent) ||
      !absl::SimpleAtoi(device.first, &major) || !absl::SimpleAtoi(device.second, &minor))
    return std::nullopt;
  line.device = MountDevices::Device(major, minor);
  line.point = UnescapeOctal({words[4].data(), words[4].size()});
  line.ours = (dash[1] == "fuse" || absl::StartsWith(dash[1], "fuse.")) &&
              UnescapeOctal({dash[2].data(), dash[2].size()}) == source;
  return line;
}

std::vector<Line> ParseAll(std::string_view mountinfo, std::string_view source) {
  std::vector<Line> lines;
  for (const absl::string_view text :
       absl::StrSplit(absl::string_view(mountinfo.data(), mountinfo.size()), '\n'))
    if (std::optional<Line> line = Parse(text, source)) lines.push_back(*std::move(line));
  return lines;
}

// The first mount of those on `mount` (null: the root) that a walk along `path` comes to.
const Line* NextOn(const std::vector<Line>& lines, const Line* mount, const std::string& path) {
  const auto has_parent = [&lines](const Line& line) {
    return std::any_of(lines.begin(), lines.end(), [&line](const Line& other) {
      return other.id == line.parent && other.id != line.id;
    });
  };
  const Line* next = nullptr;
  for (const Line& line : lines) {
    if (mount != nullptr ? line.parent != mount->id || line.id == mount->id : has_parent(line))
      continue;
    if (line.point != "/" && !IsBelow(path, line.point)) continue;
    if (next == nullptr || line.point.size() < next->point.size()) next = &line;
  }
  return next;
}

}  // namespace

std::string UnescapeOctal(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 |
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

MountDevices::MountDevices(std::string_view mountinfo, std::string_view source,
                           const std::map<std::string, std::vector<uint32_t>>& places) {
  std::map<std::string, size_t> seen;  // how many at a path
  std::vector<Line> lines = ParseAll(mountinfo, source);
  std::erase_if(lines, [](const Line& line) { return !line.ours; });
  for (const Line& line : lines) {
    const auto place = places.find(line.point);
    const size_t index = seen[line.point]++;
    uint32_t& number = by_device_.try_emplace(line.device, 0).first->second;
    if (number == 0 && place != places.end() && index < place->second.size())
      number = place->second[index];
  }
  for (const Line& line : lines) by_mount_[line.id] = by_device_[line.device];
}

std::optional<std::string> ForeignMountAt(std::string_view mountinfo, std::string_view source,
                                          const std::string& path) {
  const std::vector<Line> lines = ParseAll(mountinfo, source);
  const Line* mount = NextOn(lines, nullptr, path);
  for (const Line* next = mount; next != nullptr; next = NextOn(lines, next, path)) mount = next;
  if (mount == nullptr || mount->ours) return std::nullopt;
  return mount->point;
}

}  // namespace stasis::sandbox
