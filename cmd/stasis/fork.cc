// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/run_options.h"

namespace stasis::cli {

void AddFork(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("fork", "Make a second sandbox out of a running one, which runs on");
  auto options = std::make_shared<RunOptions>();
  command->add_option("name", options->fork_of, "The sandbox")->required()->type_name("NAME");
  command->add_option("new", options->name, "Name of the new one")->required()->type_name("NEW");
  AddForkOptions(*command, *options);
  command->footer(
      "The new sandbox has the files of the moment; programs are not copied. Neither sees what\n"
      "the other does from then on, but in host directories, which both have. Nothing is written:\n"
      "what is only in memory is shared until one of them changes it, and may be forked again.\n"
      "Options that are not given are those of the sandbox.\n\n"
      "  stasis fork box try1 -- make -C /src\n"
      "  stasis exec try1 -- bash");
  command->callback([options, command, &invocation] {
    invocation.action = [options, command, &invocation] {
      options->detach = true;
      return RunSandbox(*options, *command, invocation);
    };
  });
}

}  // namespace stasis::cli
