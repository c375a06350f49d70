// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/mount_plan.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "cmd/sandbox/paths.h"

namespace stasis::sandbox {
absl::StatusOr<Bind> ParseBind(std::string_view text) {
  Bind bind;
  std::string rest(text);
  for (const char* suffix : {":ro", ":rw"}) {
    if (!absl::EndsWith(rest, suffix)) continue;
    bind.read_only = suffix == std::string_view(":ro");
    rest.resize(rest.size() - 3);
    break;
  }
  const size_t colon = rest.find(':');
  bind.source = rest.substr(0, colon);
  bind.target = colon == std::string::npos ? "" : rest.substr(colon + 1);
  if (bind.source.empty() || (colon != std::string::npos && bind.target.empty()))
    return absl::InvalidArgumentError(
        absl::StrCat("'", std::string(text), "' is not of the form SRC[:DST][:ro|:rw]"));
  bind.source = AbsolutePath(bind.source);
  if (bind.target.empty()) bind.target = bind.source;
  if (bind.target.front() != '/' || AbsolutePath(bind.target) == "/")
    return absl::InvalidArgumentError(absl::StrCat(
        "the place '", bind.target, "' of a bind must be an absolute path below / in the sandbox"));
  bind.target = AbsolutePath(bind.target);
  return bind;
}

absl::StatusOr<SystemDirectories> ParseSystemDirectories(std::string_view text) {
  if (text == "auto") return SystemDirectories::kAuto;
  if (text == "host") return SystemDirectories::kHost;
  if (text == "none") return SystemDirectories::kNone;
  return absl::InvalidArgumentError(
      absl::StrCat("--system is auto, host or none, not '", std::string(text), "'"));
}

nlohmann::json ServedMount::ToJson() const {
  return {{"fs", filesystem},
          {"root", root},
          {"target", target},
          {"attributes", attributes},
          {"sharing",
           {{"group", sharing.group},
            {"masters", sharing.masters},
            {"unbindable", sharing.unbindable}}}};
}

ServedMount ServedMount::FromJson(const nlohmann::json& json) {
  const nlohmann::json& sharing = json.at("sharing");
  return {json.at("fs"),
          json.at("root"),
          json.at("target"),
          json.at("attributes"),
          {sharing.at("group"), sharing.at("masters").get<std::vector<uint32_t>>(),
           sharing.at("unbindable")}};
}

nlohmann::json MountPlan::ToJson() const {
  nlohmann::json served = nlohmann::json::array();
  for (const ServedMount& mount : mounts) served.push_back(mount.ToJson());
  nlohmann::json list = nlohmann::json::array();
  for (const Bind& bind : binds)
    list.push_back({{"source", bind.source}, {"target", bind.target}, {"ro", bind.read_only}});
  return {{"hostname", hostname}, {"mounts", served}, {"binds", list}};
}

MountPlan MountPlan::FromJson(const nlohmann::json& json) {
  MountPlan plan;
  plan.hostname = json.at("hostname");
  for (const nlohmann::json& mount : json.at("mounts"))
    plan.mounts.push_back(ServedMount::FromJson(mount));
  for (const nlohmann::json& bind : json.at("binds"))
    plan.binds.push_back({bind.at("source"), bind.at("target"), bind.at("ro")});
  return plan;
}

}  // namespace stasis::sandbox
