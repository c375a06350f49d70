// SPDX-License-Identifier: Apache-2.0
//
// events.h: what happens in the files of a daemon's sandbox, for one who follows it.

#ifndef STASIS_CMD_STASIS_DAEMON_EVENTS_H_
#define STASIS_CMD_STASIS_DAEMON_EVENTS_H_

#include <memory>

#include "cmd/control/server.h"
#include "cmd/stasis/daemon/box.h"

namespace stasis::cli {

// From now on, and from the tree that a rollback puts in the place of the first as well. Of what
// the programs do the events are those that reach the server: the kernel opens most files, and
// reads what it has cached, without it. `box` is borrowed.
std::unique_ptr<control::EventSource> FollowEvents(Box& box, bool reads);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_EVENTS_H_
