// SPDX-License-Identifier: Apache-2.0
//
// mount_devices.h: which of the mounts that a process sees show a sandbox's files.

#ifndef STASIS_CMD_SANDBOX_MOUNT_DEVICES_H_
#define STASIS_CMD_SANDBOX_MOUNT_DEVICES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stasis::sandbox {

// A value.
class MountDevices {
 public:
  MountDevices() = default;
  // `mountinfo`: the text of /proc/PID/mountinfo. `source`: what the sandbox's filesystems are
  // called in it. `places`: the numbers of the filesystems that the tree has mounted at a path, in
  // their order. What is no line of such a text is passed over.
  MountDevices(std::string_view mountinfo, std::string_view source,
               const std::map<std::string, std::vector<uint32_t>>& places);

  // The filesystem's number in the tree, 0 if that is not known; nothing of files that are not the
  // sandbox's.
  std::optional<uint32_t> OfMount(uint64_t mount_id) const { return Find(by_mount_, mount_id); }
  std::optional<uint32_t> OfDevice(uint64_t device) const { return Find(by_device_, device); }

  // As the kernel writes device numbers down: "MAJOR:MINOR" to one number.
  static uint64_t Device(uint64_t major, uint64_t minor) { return major << 32 | minor; }

 private:
  using Numbers = std::map<uint64_t, uint32_t>;
  static std::optional<uint32_t> Find(const Numbers& numbers, uint64_t key) {
    const auto it = numbers.find(key);
    return it == numbers.end() ? std::nullopt : std::optional(it->second);
  }

  Numbers by_mount_;
  Numbers by_device_;
};

// The place of the mount in which `path` is seen, if that mount is none of the sandbox's
// filesystems. Of the same text. Nobody looks at the files: where `path` leads through a symbolic
// link, the answer is about the link's own place.
std::optional<std::string> ForeignMountAt(std::string_view mountinfo, std::string_view source,
                                          const std::string& path);

// "a\040b" as /proc writes it: "a b".
std::string UnescapeOctal(std::string_view text);

}  // namespace stasis::sandbox

#endif  // STASIS_CMD_SANDBOX_MOUNT_DEVICES_H_
