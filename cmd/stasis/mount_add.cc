// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/host_mounts.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/stop_sandbox.h"

namespace stasis::cli {
namespace {

struct MountAddOptions {
  std::string name;
  std::string mount;
  HostOptions host;  // only the roots
};

absl::Status AddTo(const MountAddOptions& options) {
  const absl::StatusOr<HostMount> mount = ParseHostMount(options.mount);
  if (!mount.ok()) return mount.status();
  const absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return roots.status();
  control::MountParams params{options.mount, ""};
  for (const auto& [name, directory] : roots->directories) {
    if (name != mount->root)
      return absl::InvalidArgumentError(
          absl::StrCat("--root ", name, " is not the root of ", options.mount));
    params.directory = directory;
  }
  absl::StatusOr<sandbox::RuntimeDir> dir = FindSandbox(options.name);
  if (!dir.ok()) return dir.status();
  absl::StatusOr<std::unique_ptr<control::Client>> client = ConnectTo(*dir);
  if (!client.ok()) return client.status();
  return (*client)->AddMount(params).status();
}

int MountAdd(const MountAddOptions& options) {
  const absl::Status added = AddTo(options);
  return added.ok() ? 0 : Fail(added);
}

}  // namespace

void AddMountAdd(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("mount-add", "Show a host directory in a running sandbox");
  auto options = std::make_shared<MountAddOptions>();
  command->add_option("name", options->name, "The sandbox")->required()->type_name("NAME");
  command->add_option("mount", options->mount, "A root of the sandbox, and where it is to be seen")
      ->required()
      ->type_name("NAME[/PART]:DST[:FLAG][:PROPAGATION][:interop=MODE]");
  command
      ->add_option("--root", options->host.roots,
                   "The host directory, of a root that the sandbox does not have yet")
      ->type_name("NAME=DIR")
      ->expected(1)
      ->take_all();
  command->footer(
      "DST must exist in the sandbox. The next checkpoint saves the mount with the rest.\n"
      "FLAG is ro, noexec, nosuid, nodev, noatime or nosymfollow; repeatable.\n"
      "PROPAGATION is shared, private, slave or unbindable, or one of these with an r before "
      "it.\n\n"
      "  stasis mount-add box data:/mnt/data:ro --root data=/srv/data\n"
      "  stasis umount box /mnt/data");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return MountAdd(*options); }; });
}

}  // namespace stasis::cli
