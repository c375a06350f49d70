// SPDX-License-Identifier: Apache-2.0

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/run_options.h"

namespace stasis::cli {
namespace {

// What "/" is made of.
void AddRootfsOptions(CLI::App& command, RunOptions& options) {
  command
      .add_option(
          "--rootfs", options.rootfs,
          "What the tree stands on: a directory, whose root is called rootfs, or a container "
          "image, whose layers are unpacked once")
      ->type_name("DIR|oci:LAYOUT:TAG");
  command
      .add_option(
          "--upper", options.upper,
          "Where changes of --rootfs go: memory, a directory (its root is called upper), or "
          "none, then the --rootfs itself is changed")
      ->type_name("memory|DIR|none")
      ->capture_default_str();
  AddLayerCacheOption(command, options.host);
  command
      .add_option("--rootfs-options", options.rootfs_options,
                  "With --upper none: the same as of a --mount")
      ->type_name("[interop=MODE][:specials=KIND]");
  command
      .add_option("--size-limit", options.size_limit,
                  "Most file data in memory, such as 512M (default: no limit)")
      ->type_name("SIZE");
  command.add_option("--inode-limit", options.inode_limit, "Most files (default: no limit)")
      ->type_name("NUMBER");
}

}  // namespace

void AddRun(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("run", "Run a program on a new sandbox filesystem");
  auto options = std::make_shared<RunOptions>();
  AddSandboxOptions(*command, *options);
  command
      ->add_option("--import", options->imports, "Fill the tree from a host directory; repeatable")
      ->type_name("DIR[:DST]")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--root", options->host.roots,
                   "A host directory and the name by which a restore asks for it; repeatable")
      ->type_name("NAME=DIR")
      ->expected(1)
      ->take_all();
  command
      ->add_option(
          "--mount", options->mounts,
          "Where a root is seen, and who else changes it: nobody (exclusive, the default), "
          "nobody but others look (writethrough), anybody (shared); and what may be made on the "
          "host: FIFOs and sockets (all, the default), one of them (fifo, socket), none; and which "
          "of the sandbox's mounts share what is mounted on them (shared, slave, private, "
          "unbindable); repeatable")
      ->type_name("NAME:DST[:ro][:shared][:interop=MODE][:specials=KIND]")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--tmpfs", options->tmpfs,
                   "A directory in memory, saved like the rest (mode 1777); repeatable")
      ->type_name("DST[:size=SIZE][:mode=OCTAL][:inodes=N][:noexec][:ro]")
      ->expected(1)
      ->take_all();
  AddRootfsOptions(*command, *options);
  command->footer(
      "CMD (default: /bin/sh) stands after --. The exit code is CMD's, 128 + the signal\n"
      "that killed it, or 126 or 127 if it could not be started.\n\n"
      "  stasis run --name box --import ./project:/work --workdir /work -- make test\n"
      "  stasis run --name box --detach -- sqlite3 /data.db\n"
      "  stasis run --rootfs oci:images:debian --tmpfs /tmp:size=256m -- apt-get install hello\n"
      "  stasis run --root data=/srv/data --mount data:/data -- make -C /data");
  command->callback([options, command, &invocation] {
    invocation.action = [options, command, &invocation] {
      return RunSandbox(*options, *command, invocation);
    };
  });
}

}  // namespace stasis::cli
