// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/companion.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/handle_report.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/run_options.h"

namespace stasis::cli {

void AddRestore(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("restore", "Run a program on a sandbox filesystem out of an image");
  auto options = std::make_shared<RunOptions>();
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  AddPrefetchOption(*command, options->prefetch);
  command
      ->add_option("--handles", options->handles,
                   "Files that were deleted while programs had them open: drop, or keep them in "
                   "the tree and in its checkpoints")
      ->type_name("drop|keep")
      ->check(CLI::IsMember({"drop", "keep"}))
      ->capture_default_str();
  command
      ->add_option("--companion", options->companion,
                   "Refuse the image unless it was made together with what another program has "
                   "saved in this directory (`checkpoint --companion`)")
      ->type_name("DIR");
  command->add_flag("--list-handles", options->list_handles,
                    "Print what was open when the image was made, as `stasis handles`, and "
                    "restore nothing");
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
    if (options->list_handles)
      for (const CLI::Option* option : command->get_options({}))
        if (option->count() != 0 && option->nonpositional() &&
            option->get_name() != "--list-handles" && option->get_name() != "--json")
          throw CLI::ExcludesError("--list-handles", option->get_name());
    invocation.action = [options, command, &invocation] {
      if (options->list_handles) return PrintHandlesOfImage(options->reference, options->json);
      if (!options->companion.empty())
        if (absl::Status belongs = CheckCompanion(options->companion, options->reference);
            !belongs.ok())
          return Fail(belongs, options->json);
      return RunSandbox(*options, *command, invocation);
    };
  });
}

}  // namespace stasis::cli
