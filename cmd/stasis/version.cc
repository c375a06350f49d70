// SPDX-License-Identifier: Apache-2.0

#include <fmt/core.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/types.h"
#include "restore/image/manifest.h"
#include "restore/types.h"

namespace stasis::cli {
namespace {

int PrintVersion(bool json) {
  const Types types;
  if (json)
    return PrintJson({{"version", Version()},
                      {"image_format", image::kFormatVersion},
                      {"features", restore::KnownFeatures(types.registry())}});
  return Print(fmt::format("stasis {} (image format {})", Version(), image::kFormatVersion));
}

}  // namespace

void AddVersion(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("version", "Print the version");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback(
      [json, &invocation] { invocation.action = [json] { return PrintVersion(*json); }; });
}

}  // namespace stasis::cli
