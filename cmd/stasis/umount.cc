// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct UmountOptions {
  std::string name;
  std::string target;
  bool detach = false;
};

absl::Status Unmount(const UmountOptions& options) {
  if (options.target.empty() || options.target[0] != '/')
    return absl::InvalidArgumentError("DST is an absolute path in the sandbox");
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  return (*client)->RemoveMount(options.target, options.detach).status();
}

int Umount(const UmountOptions& options) {
  const absl::Status gone = Unmount(options);
  return gone.ok() ? 0 : Fail(gone);
}

}  // namespace

void AddUmount(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("umount", "Take a mount out of a running sandbox");
  auto options = std::make_shared<UmountOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_option("target", options->target, "Where it is seen")->required()->type_name("DST");
  command->add_flag("--detach", options->detach,
                    "Also if programs use it: what they have open stays open; with what is mounted "
                    "below");
  command->footer(
      "For mounts of --mount, --tmpfs and mount-add.\n\n"
      "  stasis umount box /mnt/data");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Umount(*options); }; });
}

}  // namespace stasis::cli
