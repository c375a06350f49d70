// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/flag_names.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_join.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include "restore/internal/format.h"

namespace stasis::cli {
namespace {

struct Name {
  uint32_t bits;
  const char* name;
};

// Those that are all set. What comes first takes its bits from the rest.
template <size_t N>
void AddNames(uint32_t bits, const Name (&names)[N], std::vector<std::string>& to) {
  for (const Name& name : names) {
    if ((bits & name.bits) != name.bits) continue;
    to.emplace_back(name.name);
    bits &= ~name.bits;
  }
}

constexpr Name kOpenFlags[] = {
    {O_APPEND, "O_APPEND"},       {O_NONBLOCK, "O_NONBLOCK"}, {O_SYNC, "O_SYNC"},
    {O_DSYNC, "O_DSYNC"},         {O_DIRECT, "O_DIRECT"},     {O_TMPFILE, "O_TMPFILE"},
    {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {O_NOATIME, "O_NOATIME"},
    {O_ASYNC, "O_ASYNC"},         {O_CLOEXEC, "O_CLOEXEC"},
};

constexpr Name kEvents[] = {
    {IN_CREATE, "create"},     {IN_DELETE, "delete"},           {IN_MOVED_FROM, "moved_from"},
    {IN_MOVED_TO, "moved_to"}, {IN_MODIFY, "modify"},           {IN_ATTRIB, "attrib"},
    {IN_OPEN, "open"},         {IN_CLOSE_WRITE, "close_write"}, {IN_CLOSE_NOWRITE, "close"},
    {IN_ACCESS, "access"},     {IN_DELETE_SELF, "delete_self"}, {IN_MOVE_SELF, "move_self"},
};

}  // namespace

std::vector<std::string> OpenFlagNames(uint32_t flags) {
  std::vector<std::string> names;
  if ((flags & O_PATH) != 0)
    names.emplace_back("O_PATH");
  else if ((flags & O_ACCMODE) == O_RDONLY)
    names.emplace_back("O_RDONLY");
  else
    names.emplace_back((flags & O_ACCMODE) == O_WRONLY ? "O_WRONLY" : "O_RDWR");
  AddNames(flags, kOpenFlags, names);
  return names;
}

std::vector<std::string> EventNames(uint32_t mask) {
  std::vector<std::string> names;
  AddNames(mask, kEvents, names);
  return names;
}

std::string JoinWords(const std::vector<std::string>& words, std::string_view separator) {
  return absl::StrJoin(words, absl::string_view(separator.data(), separator.size()));
}

void PutText(nlohmann::ordered_json& json, const std::string& key, std::string_view text) {
  if (restore::IsUtf8(text))
    json[key] = text;
  else
    json[key + "_base64"] = absl::Base64Escape(absl::string_view(text.data(), text.size()));
}

}  // namespace stasis::cli
