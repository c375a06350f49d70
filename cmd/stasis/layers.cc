// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>

#include <memory>
#include <string>
#include <vector>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/output.h"
#include "restore/oci/layer_cache.h"

namespace stasis::cli {
namespace {

struct LayersOptions {
  HostOptions host;  // only the cache
  bool remove_unused = false;
  bool json = false;
};

absl::StatusOr<std::vector<oci::ListedLayer>> ReadLayers(const LayersOptions& options) {
  absl::StatusOr<std::string> directory = options.host.layer_cache.empty()
                                              ? oci::LayerCache::DefaultDirectory()
                                              : sandbox::AbsolutePath(options.host.layer_cache);
  if (!directory.ok()) return directory.status();
  const auto cache = oci::LayerCache::Open(*directory);
  if (!cache.ok()) return cache.status();
  return options.remove_unused ? (*cache)->RemoveUnused() : (*cache)->List();
}

int Layers(const LayersOptions& options) {
  const absl::StatusOr<std::vector<oci::ListedLayer>> layers = ReadLayers(options);
  if (!layers.ok()) return Fail(layers.status(), options.json);
  if (options.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const oci::ListedLayer& layer : *layers)
      list.push_back({{"name", layer.name},
                      {"bytes", layer.bytes},
                      {"entries", layer.entries},
                      {"in_use", layer.in_use}});
    return PrintJson({{options.remove_unused ? "removed" : "layers", list}});
  }
  uint64_t bytes = 0;
  for (const oci::ListedLayer& layer : *layers) {
    bytes += layer.bytes;
    const char* state = options.remove_unused ? "removed" : layer.in_use ? "in use" : "unused";
    PrintLine(fmt::format("{}  {:>10}  {}", layer.name, FormatBytes(layer.bytes), state));
  }
  if (options.remove_unused)
    PrintLine(fmt::format("{} layers removed, {}", layers->size(), FormatBytes(bytes)));
  return FlushLines();
}

}  // namespace

void AddLayers(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("layers", "List the unpacked layers of container images, or remove some");
  auto options = std::make_shared<LayersOptions>();
  AddLayerCacheOption(*command, options->host);
  command->add_flag("--remove-unused", options->remove_unused,
                    "Remove those that no running sandbox has below it");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "A checkpoint needs the layers that its sandbox had: unpack them again with\n"
      "`stasis run --rootfs oci:LAYOUT:TAG -- true`, or it cannot be restored.");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Layers(*options); }; });
}

}  // namespace stasis::cli
