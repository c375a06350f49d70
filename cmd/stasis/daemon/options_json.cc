// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/options_json.h"

#include <string>
#include <vector>

namespace stasis::cli {
namespace {

nlohmann::json SandboxToJson(const sandbox::SandboxOptions& options) {
  nlohmann::json binds = nlohmann::json::array();
  for (const sandbox::Bind& bind : options.binds)
    binds.push_back(
        {{"source", bind.source}, {"target", bind.target}, {"read_only", bind.read_only}});
  return {{"hostname", options.hostname},
          {"staging", options.staging},
          {"binds", binds},
          {"system", static_cast<int>(options.system)},
          {"freezer", static_cast<int>(options.freezer)},
          {"rootless", options.rootless}};
}

void ReadSandbox(const nlohmann::json& json, sandbox::SandboxOptions& options) {
  json.at("hostname").get_to(options.hostname);
  json.at("staging").get_to(options.staging);
  for (const nlohmann::json& bind : json.at("binds"))
    options.binds.push_back({bind.at("source"), bind.at("target"), bind.at("read_only")});
  options.system = static_cast<sandbox::SystemDirectories>(json.at("system").get<int>());
  options.freezer = static_cast<sandbox::FreezerKind>(json.at("freezer").get<int>());
  json.at("rootless").get_to(options.rootless);
}

nlohmann::json ContentToJson(const ContentOptions& options) {
  return {{"prefetch", static_cast<int>(options.prefetch)},
          {"record_trace", options.record_trace},
          {"share_in", options.share_in},
          {"own_as_root", options.own_as_root},
          {"fd_limit", options.host.fd_limit},
          {"layer_cache", options.roots.layer_cache}};
}

void ReadContent(const nlohmann::json& json, ContentOptions& options) {
  options.prefetch = static_cast<image::PrefetchMode>(json.at("prefetch").get<int>());
  json.at("record_trace").get_to(options.record_trace);
  options.share_in = json.value("share_in", "");
  json.at("own_as_root").get_to(options.own_as_root);
  json.at("fd_limit").get_to(options.host.fd_limit);
  json.at("layer_cache").get_to(options.roots.layer_cache);
  options.host.own_as_root = options.own_as_root;
}

}  // namespace

nlohmann::json OptionsToJson(const DaemonOptions& options) {
  return {{"root", options.dir.root()},
          {"name", options.dir.name()},
          {"sandbox", SandboxToJson(options.sandbox)},
          {"content", ContentToJson(options.content)},
          {"memory_limit", options.memory.limit},
          {"filestore", options.memory.filestore},
          {"keeper", options.keeper},
          {"workdir", options.workdir},
          {"environment", options.environment},
          {"config", options.config}};
}

DaemonOptions OptionsFromJson(const nlohmann::json& json) {
  DaemonOptions options;
  options.dir = sandbox::RuntimeDir(json.at("root"), json.at("name"));
  ReadSandbox(json.at("sandbox"), options.sandbox);
  options.sandbox.name = options.dir.name();
  ReadContent(json.at("content"), options.content);
  options.content.reader = options.dir.name();
  json.at("memory_limit").get_to(options.memory.limit);
  json.at("filestore").get_to(options.memory.filestore);
  options.keeper = json.value("keeper", false);
  json.at("workdir").get_to(options.workdir);
  json.at("environment").get_to(options.environment);
  options.config = json.at("config");
  return options;
}

}  // namespace stasis::cli
