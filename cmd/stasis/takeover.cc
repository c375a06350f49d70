// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/takeover.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "cmd/stasis/commands.h"
#include "cmd/stasis/output.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {
namespace {

int Take(int fd) {
  UniqueFd socket(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!socket.valid())
    return Fail(
        absl::InvalidArgumentError("daemons start this, to be replaced; see stasis upgrade"));
  close(fd);
  return RunTakeover(TakeoverChannel(std::move(socket)));
}

}  // namespace

void AddTakeover(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("takeover", "Go on in the place of a daemon");
  command->group("");  // daemons start it
  auto fd = std::make_shared<int>(-1);
  command->add_option("--fd", *fd, "The channel")->required();
  command->callback([fd, &invocation] { invocation.action = [fd] { return Take(*fd); }; });
}

}  // namespace stasis::cli
