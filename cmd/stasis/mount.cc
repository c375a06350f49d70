// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/mount.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "cmd/sandbox/signal_relay.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/launch.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/tree_server.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

struct MountOptions {
  TreeOptions tree;
  ServedTreeOptions read;  // what `tree` says
  std::string directory;
  std::string log = "/dev/null";
  bool read_only = false;
  bool no_passthrough = false;
  bool background = false;
};

absl::Status CheckMountPoint(const std::string& directory) {
  struct stat st {};
  if (stat(directory.c_str(), &st) != 0)
    return WithRemedy(absl::ErrnoToStatus(errno, absl::StrCat("cannot mount on ", directory)),
                      absl::StrCat("make it before: mkdir -p ", directory));
  if (!S_ISDIR(st.st_mode))
    return absl::InvalidArgumentError(
        absl::StrCat("cannot mount on ", directory, ": it is not a directory"));
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MountOn(const MountOptions& options) {
  fuse::MountOptions how;
  how.source = absl::StrCat("stasis:", options.read.content.reference);
  how.read_only = options.read_only;
  how.no_suid = true;
  how.no_dev = true;
  absl::StatusOr<UniqueFd> device = fuse::OpenAndMount(options.directory, how);
  if (device.ok()) return device;
  return absl::FailedPreconditionError(absl::StrCat(
      device.status().message(),
      geteuid() == 0 ? "; `stasis check` says what this host can do"
                     : "; mounting needs root; in a user namespace it works too: "
                       "unshare --user --map-root-user --mount stasis mount IMAGE DIR"));
}

absl::Status Unmount(const MountOptions& options) {
  const absl::Status status = fuse::UnmountLazily(options.directory);
  if (status.ok() || absl::IsNotFound(status)) return absl::OkStatus();
  return WithRemedy(status, absl::StrCat("take the mount away: umount -l ", options.directory));
}

// Until the mount is gone, or somebody wants it to be.
absl::Status ServeUntilEnd(fuse::Server& server, const MountOptions& options,
                           const std::atomic<bool>* interrupted) {
  absl::Status unmounted;
  while (!server.WaitUntilUnmountedFor(kLookInterval)) {
    if (!*interrupted) continue;
    unmounted = Unmount(options);
    // Whoever is still in it must not keep us.
    (void)server.WaitUntilUnmountedFor(absl::Seconds(1));
    break;
  }
  server.Stop();
  return unmounted.ok() ? server.failure() : unmounted;
}

absl::Status Serve(const MountOptions& options, const std::atomic<bool>* interrupted,
                   const std::function<void(const std::vector<std::string>& warnings)>& on_ready) {
  const Types types;
  const auto tree = TreeServer::Make(types, options.read, interrupted);
  if (!tree.ok()) return tree.status();
  absl::StatusOr<UniqueFd> device = MountOn(options);
  if (!device.ok()) return device.status();
  fuse::ServerOptions how;
  how.passthrough = !options.no_passthrough;
  if (absl::Status serving = (*tree)->Serve(std::move(*device), how); !serving.ok()) {
    if (absl::Status unmounted = Unmount(options); !unmounted.ok())
      Warn(std::string(unmounted.message()));
    return serving;
  }
  on_ready((*tree)->warnings());
  return ServeUntilEnd((*tree)->server(), options, interrupted);
}

int MountInBackground(const MountOptions& options) {
  const auto body = [&options](StartupLine line) {
    const std::atomic<bool>* interrupted = CatchInterrupts();
    const absl::Status served = Serve(options, interrupted, [&line](const auto& warnings) {
      line.Ready({{"warnings", warnings}});
    });
    if (!served.ok()) line.Failed(served);
    return served.ok() ? 0 : 1;
  };
  // An interrupt that comes after "ready" must not make the exit code say something else.
  sandbox::SignalRelay signals;
  signals.Hold();
  const absl::StatusOr<nlohmann::json> ready = Launch({options.log, {}}, body);
  if (!ready.ok()) return Fail(ready.status());
  for (const nlohmann::json& warning : ready->at("warnings")) Warn(warning.get<std::string>());
  return 0;
}

int Mount(MountOptions options) {
  if (absl::Status ok = CheckMountPoint(options.directory); !ok.ok()) return Fail(ok);
  std::error_code error;
  options.directory = std::filesystem::canonical(options.directory, error);
  absl::StatusOr<ServedTreeOptions> read = ReadTreeOptions(options.tree);
  if (!read.ok()) return Fail(read.status());
  options.read = *std::move(read);
  if (options.background) return MountInBackground(options);
  const absl::Status served = Serve(options, CatchInterrupts(), [&options](const auto& warnings) {
    for (const std::string& warning : warnings) Warn(warning);
    if (ErrorIsTerminal()) (void)Print(absl::StrCat("serving at ", options.directory));
  });
  return served.ok() ? 0 : Fail(served);
}

}  // namespace

void AddMount(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("mount", "Serve an image at a directory, without a sandbox");
  auto options = std::make_shared<MountOptions>();
  command->add_option("image", options->tree.reference, "The image")
      ->required()
      ->type_name("DIR:TAG");
  command->add_option("directory", options->directory, "Where")->required()->type_name("DIR");
  command->add_flag("--read-only", options->read_only,
                    "Refuse writes; they stay in memory otherwise");
  command->add_flag("--no-passthrough", options->no_passthrough,
                    "Do not let the kernel read and write files of the host by itself");
  command->add_flag("--background", options->background, "Return when the mount can be used");
  command->add_option("--log", options->log, "With --background: file for messages")
      ->type_name("FILE");
  AddTreeOptions(*command, options->tree);
  command->footer(
      "Ends with `umount DIR`, or Ctrl-C in the foreground. Needs root.\n\n"
      "  stasis mount snaps:v1 /mnt --read-only");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Mount(*options); }; });
}

}  // namespace stasis::cli
