// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/run_options.h"

namespace stasis::cli {

void AddRestore(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("restore", "Run a program on a sandbox filesystem out of an image");
  auto options = std::make_shared<RunOptions>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  AddSandboxOptions(*command, *options);
  command->footer(
      "The image is only read: what programs change stays in memory until the next\n"
      "checkpoint. File data is read when it is needed, so the image has to stay.\n\n"
      "  stasis restore snaps:v1 --name box2 -- bash");
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return RunSandbox(*options, invocation); };
  });
}

}  // namespace stasis::cli
