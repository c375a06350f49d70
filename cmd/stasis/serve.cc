// SPDX-License-Identifier: Apache-2.0

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include "cmd/sandbox/paths.h"
#include "cmd/stasis/commands.h"
#include "cmd/stasis/interrupt.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/tree_server.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);

// Of one message on a socket: what the largest READ or WRITE takes, and of that what is no data.
constexpr int kMessageBuffer = 4 << 20;
constexpr int kMessageOverhead = 8192;
constexpr int kPageSize = 4096;
constexpr int kMaxPages = 256;

struct ServeOptions {
  TreeOptions tree;
  int fd = -1;
  std::string save;
  bool json = false;
};

// The socket, for this process alone.
absl::StatusOr<UniqueFd> TakeSocket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
    return absl::InvalidArgumentError(absl::StrCat(
        "--fd ", fd,
        errno == EBADF ? " is not open; hand on a socket of type SOCK_SEQPACKET by that number"
                       : " is no socket; it has to be one of type SOCK_SEQPACKET"));
  if (type != SOCK_SEQPACKET)
    return absl::InvalidArgumentError(absl::StrCat(
        "--fd ", fd, " is a socket of another type than SOCK_SEQPACKET, whose messages have ends"));
  UniqueFd socket(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!socket.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot use --fd ", fd));
  if (fd > 2) close(fd);
  return socket;
}

// A reply is one message, which the socket's buffer limits.
uint32_t PagesThatFit(int socket) {
  if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &kMessageBuffer, sizeof kMessageBuffer) != 0)
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kMessageBuffer, sizeof kMessageBuffer);
  int buffer = 0;
  socklen_t size = sizeof buffer;
  (void)getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &buffer, &size);
  return static_cast<uint32_t>(std::clamp((buffer - kMessageOverhead) / kPageSize, 1, kMaxPages));
}

absl::Status ServeUntilEnd(TreeServer& tree, UniqueFd socket,
                           const std::atomic<bool>* interrupted) {
  fuse::ServerOptions how;
  how.passthrough = false;  // there is no kernel to do it
  how.max_pages = PagesThatFit(socket.get());
  if (absl::Status serving = tree.Serve(std::move(socket), how); !serving.ok()) return serving;
  while (!tree.server().WaitUntilUnmountedFor(kLookInterval) && !*interrupted) {
  }
  tree.server().Stop();
  return tree.server().failure();
}

absl::StatusOr<image::Reference> ReadSave(const std::string& text) {
  absl::StatusOr<image::Reference> to = image::ParseReference(text);
  if (!to.ok()) return to.status();
  to->directory = sandbox::AbsolutePath(to->directory);
  if (absl::Status parent = CheckParent(to->directory); !parent.ok()) return parent;
  return to;
}

int PrintSaved(const restore::CheckpointReport& saved, bool json) {
  if (!json) return Print(absl::StrCat(saved.reference, "  ", saved.digest.ToString()));
  auto report = nlohmann::ordered_json::parse(saved.ToJson(), nullptr, false);
  // Nobody waited.
  for (const char* field : {"pause_ns", "pause", "preflush_ns"}) report.erase(field);
  return PrintJson(report);
}

int Serve(const ServeOptions& options) {
  if (!options.tree.reference.empty() && !options.tree.imports.empty())
    return Fail(absl::InvalidArgumentError("an image or --import, not both"), options.json);
  absl::StatusOr<image::Reference> save{image::Reference{}};
  if (!options.save.empty()) save = ReadSave(options.save);
  if (!save.ok()) return Fail(save.status(), options.json);
  const absl::StatusOr<ServedTreeOptions> read = ReadTreeOptions(options.tree);
  if (!read.ok()) return Fail(read.status(), options.json);
  absl::StatusOr<UniqueFd> socket = TakeSocket(options.fd);
  if (!socket.ok()) return Fail(socket.status(), options.json);
  const std::atomic<bool>* interrupted = CatchInterrupts();
  const Types types;
  const auto tree = TreeServer::Make(types, *read, interrupted);
  if (!tree.ok()) return Fail(tree.status(), options.json);
  for (const std::string& warning : (*tree)->warnings()) Warn(warning);
  const absl::Status served = ServeUntilEnd(**tree, *std::move(socket), interrupted);
  if (options.save.empty()) return served.ok() ? 0 : Fail(served, options.json);
  // Also of a socket that failed there is what was written before.
  if (!served.ok()) Warn(std::string(served.message()));
  const auto saved = (*tree)->Save(save->directory, save->tag);
  return saved.ok() ? PrintSaved(*saved, options.json) : Fail(saved.status(), options.json);
}

}  // namespace

void AddServe(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("serve", "Serve a tree over the FUSE protocol on a socket");
  auto options = std::make_shared<ServeOptions>();
  command->add_option("image", options->tree.reference, "The image; without one a new tree")
      ->type_name("DIR:TAG");
  command
      ->add_option("--fd", options->fd,
                   "The number of an inherited socket of type SOCK_SEQPACKET; each of its messages "
                   "is one of the protocol, as /dev/fuse gives and takes them")
      ->required()
      ->type_name("NUMBER")
      ->check(CLI::Range(0, INT_MAX));
  command
      ->add_option("--import", options->tree.imports,
                   "Copy a host directory to DST (default /) of a new tree; repeatable")
      ->type_name("DIR[:DST]")
      ->expected(1)
      ->take_all();
  command->add_option("--save", options->save, "Write the tree to this image in the end")
      ->type_name("DIR:TAG");
  AddTreeOptions(*command, options->tree);
  command->add_flag("--json", options->json, "Print the report of --save as JSON");
  command->footer(
      "For any client that speaks the protocol, such as another sandbox's kernel. Ends when\n"
      "the peer closes its end, or by Ctrl-C.\n\n"
      "  stasis serve --fd 3 snaps:v1 --save snaps:v2");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return Serve(*options); }; });
}

}  // namespace stasis::cli
