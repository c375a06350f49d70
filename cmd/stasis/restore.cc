// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/run_options.h"

namespace stasis::cli {

void AddRestore(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("restore", "Run a program on a sandbox filesystem out of an image");
  auto options = std::make_shared<RunOptions>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  AddPrefetchOption(*command, options->prefetch);
  AddHostOptions(*command, options->host);
  AddSandboxOptions(*command, *options);
  command->footer(
      "The image is only read: what programs change stays in memory until the next\n"
      "checkpoint. File data is read when it is needed, so the image has to stay; with\n"
      "--prefetch all until `stasis ps --json` says that this is done.\n\n"
      "Host directories are opened where --root says, and compared with what the image saw\n"
      "of them; exit code 4 if they differ, and nothing is restored.\n\n"
      "  stasis restore snaps:v1 --name box2 -- bash\n"
      "  stasis restore snaps:v1 --root data=/mnt/copy --on-drift warn -- make");
  command->callback([options, command, &invocation] {
    invocation.action = [options, command, &invocation] {
      return RunSandbox(*options, *command, invocation);
    };
  });
}

}  // namespace stasis::cli
