// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/mount_groups.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <string>

namespace stasis::sandbox {
namespace {

// The number behind "KEY:"; 0 if the field is another one.
uint32_t NumberOf(absl::string_view field, absl::string_view key) {
  uint32_t number = 0;
  return absl::ConsumePrefix(&field, key) && absl::SimpleAtoi(field, &number) ? number : 0;
}

// A line: ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS [TAG...] - TYPE ...
void ParseLine(absl::string_view line, MountGroups& groups) {
  constexpr size_t kTags = 6;
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
  uint64_t id = 0;
  if (fields.size() <= kTags || !absl::SimpleAtoi(fields[0], &id)) return;
  MountSharing sharing;
  for (size_t i = kTags; i < fields.size() && fields[i] != "-"; ++i) {
    if (const uint32_t group = NumberOf(fields[i], "shared:"); group != 0) sharing.group = group;
    if (const uint32_t master = NumberOf(fields[i], "master:"); master != 0)
      sharing.masters = {master};
    if (fields[i] == "unbindable") sharing.unbindable = true;
  }
  if (!sharing.is_private()) groups[id] = std::move(sharing);
}

}  // namespace

nlohmann::json MountSharing::ToJson() const {
  return {{"group", group}, {"masters", masters}, {"unbindable", unbindable}};
}

MountSharing MountSharing::FromJson(const nlohmann::json& json) {
  return {json.at("group"), json.at("masters").get<std::vector<uint32_t>>(), json.at("unbindable")};
}

MountGroups ParseMountGroups(std::string_view mount_info) {
  MountGroups groups;
  const absl::string_view text(mount_info.data(), mount_info.size());
  for (const absl::string_view line : absl::StrSplit(text, '\n')) ParseLine(line, groups);
  // A group has one master, whichever of its mounts says so.
  std::map<uint32_t, uint32_t> master_of;
  for (const auto& [id, sharing] : groups)
    if (sharing.group != 0 && !sharing.masters.empty())
      master_of[sharing.group] = sharing.masters.front();
  for (auto& [id, sharing] : groups) {
    if (sharing.masters.empty()) continue;
    for (auto it = master_of.find(sharing.masters.back());
         it != master_of.end() && sharing.masters.size() <= master_of.size();
         it = master_of.find(it->second))
      sharing.masters.push_back(it->second);
  }
  return groups;
}

MountGroups GroupsOf(vfs::VirtualFilesystem& vfs, const vfs::MountNamespace& ns) {
  return ParseMountGroups(vfs.MountInfo(ns, ns.root()));
}

MountSharing SharingOf(const vfs::Mount& mount, const MountGroups& groups) {
  const auto it = groups.find(mount.id());
  return it == groups.end() ? MountSharing() : it->second;
}

}  // namespace stasis::sandbox
