// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/tmpfs_mounts.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <cstdlib>
#include <vector>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/content.h"
#include "fsimpl/memfs/filesystem.h"

namespace stasis::cli {
namespace {

absl::Status ReadMode(absl::string_view text, uint32_t& mode) {
  const std::string digits(text);
  char* end = nullptr;
  const unsigned long value = std::strtoul(digits.c_str(), &end, 8);
  if (digits.empty() || *end != '\0' || value > 07777)
    return absl::InvalidArgumentError(
        absl::StrCat("'", digits, "' is no mode; write octal digits, such as 1777"));
  mode = static_cast<uint32_t>(value);
  return absl::OkStatus();
}

absl::Status ReadSize(absl::string_view text, uint64_t& size) {
  const absl::StatusOr<uint64_t> value = ParseSize(std::string_view(text.data(), text.size()));
  if (value.ok()) size = *value;
  return value.status();
}

absl::Status ReadOption(absl::string_view option, TmpfsMount& mount) {
  if (option == "ro" || option == "rw") {
    mount.flags.read_only = option == "ro";
    return absl::OkStatus();
  }
  if (option == "noexec" || option == "exec") {
    mount.flags.no_exec = option == "noexec";
    return absl::OkStatus();
  }
  if (absl::ConsumePrefix(&option, "size=")) return ReadSize(option, mount.size_limit);
  if (absl::ConsumePrefix(&option, "inodes=")) return ReadSize(option, mount.inode_limit);
  if (absl::ConsumePrefix(&option, "mode=")) return ReadMode(option, mount.mode);
  return absl::InvalidArgumentError(
      absl::StrCat("'", option,
                   "' is no option of a tmpfs; there are size=SIZE, inodes=NUMBER, "
                   "mode=OCTAL, noexec and ro"));
}

}  // namespace

absl::StatusOr<TmpfsMount> ParseTmpfsMount(std::string_view text) {
  const std::string given(text);
  const std::vector<std::string> parts = absl::StrSplit(given, ':');
  TmpfsMount mount;
  mount.target = parts[0];
  if (mount.target.empty() || mount.target[0] != '/' || sandbox::AbsolutePath(mount.target) == "/")
    return absl::InvalidArgumentError(absl::StrCat(
        "--tmpfs ", given, " is not of the form DST[:size=SIZE] with an absolute DST below /"));
  mount.target = sandbox::AbsolutePath(mount.target);
  for (size_t i = 1; i < parts.size(); ++i)
    if (absl::Status read = ReadOption(parts[i], mount); !read.ok())
      return absl::InvalidArgumentError(absl::StrCat("--tmpfs ", given, ": ", read.message()));
  return mount;
}

RefPtr<vfs::Filesystem> NewTmpfs(vfs::VirtualFilesystem& vfs, const TmpfsMount& mount) {
  memfs::MemfsOptions options;
  options.size_limit = mount.size_limit;
  options.inode_limit = mount.inode_limit;
  options.root_mode = mount.mode;
  return memfs::MemFilesystem::Create(vfs, options);
}

}  // namespace stasis::cli
