// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/mount.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "cmd/fuse/server.h"
#include "cmd/sandbox/signal_relay.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/launch.h"
#include "cmd/stasis/memory_options.h"
#include "cmd/stasis/output.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

struct MountOptions {
  std::string reference;
  std::string directory;
  std::string log = "/dev/null";
  HostOptions host;
  HostRoots roots;  // what `host` says
  MemoryOptions memory;
  MemoryLimits limits;  // what `memory` says
  std::string prefetch = "trace";
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
  how.source = absl::StrCat("stasis:", options.reference);
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
  if (absl::Status set = ApplyMemoryLimits(options.limits); !set.ok()) return set;
  const Types types;
  ContentOptions wanted;
  wanted.reference = options.reference;
  wanted.roots = options.roots;
  absl::StatusOr<image::PrefetchMode> prefetch = image::ParsePrefetchMode(options.prefetch);
  if (!prefetch.ok()) return prefetch.status();
  wanted.prefetch = *prefetch;
  wanted.record_trace = true;
  DataLog log;
  log.error = [](const absl::Status& error) { Warn(std::string(error.message())); };
  log.recovered = [](const std::string& what) { Warn(what); };
  absl::StatusOr<Content> content = MakeContent(types, wanted, {}, interrupted, std::move(log));
  if (!content.ok()) return content.status();
  sandbox::Tree& tree = content->tree;
  const absl::Cleanup teardown = [&tree] { tree.Teardown(); };
  absl::StatusOr<UniqueFd> device = MountOn(options);
  if (!device.ok()) return device.status();
  fuse::ServerOptions how;
  how.passthrough = !options.no_passthrough;
  const auto server = std::make_unique<fuse::Server>(tree.vfs, tree.root(), how);
  if (absl::Status serving = server->Serve(std::move(*device)); !serving.ok()) {
    if (absl::Status unmounted = Unmount(options); !unmounted.ok())
      Warn(std::string(unmounted.message()));
    return serving;
  }
  content->lazy->Start();
  const absl::Cleanup stop_lazy = [&content] { content->lazy->Stop(); };
  on_ready(content->warnings);
  return ServeUntilEnd(*server, options, interrupted);
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
  options.reference = AbsoluteReference(options.reference);
  absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return Fail(roots.status());
  options.roots = *std::move(roots);
  absl::StatusOr<MemoryLimits> limits = ReadMemoryOptions(options.memory);
  if (!limits.ok()) return Fail(limits.status());
  options.limits = *std::move(limits);
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
  command->add_option("image", options->reference, "The image")->required()->type_name("DIR:TAG");
  command->add_option("directory", options->directory, "Where")->required()->type_name("DIR");
  command->add_flag("--read-only", options->read_only,
                    "Refuse writes; they stay in memory otherwise");
  command->add_flag("--no-passthrough", options->no_passthrough,
                    "Do not let the kernel read and write files of the host by itself");
  command->add_flag("--background", options->background, "Return when the mount can be used");
  command->add_option("--log", options->log, "With --background: file for messages")
      ->type_name("FILE");
  AddPrefetchOption(*command, options->prefetch);
  AddHostOptions(*command, options->host);
  AddMemoryOptions(*command, options->memory);
  command->footer(
      "Ends with `umount DIR`, or Ctrl-C in the foreground. Needs root.\n\n"
      "  stasis mount snaps:v1 /mnt --read-only");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Mount(*options); }; });
}

}  // namespace stasis::cli
