// SPDX-License-Identifier: Apache-2.0
//
// convert.h: between the messages of control.capnp and plain values.

#ifndef STASIS_CMD_CONTROL_CONVERT_H_
#define STASIS_CMD_CONTROL_CONVERT_H_

#include <absl/status/status.h>
#include <kj/async-io.h>

#include <string>
#include <vector>

#include "cmd/control/control.capnp.h"
#include "cmd/control/messages.h"

namespace stasis::control {

inline std::string ToString(capnp::Text::Reader text) { return {text.begin(), text.size()}; }

void WriteStatus(const absl::Status& status, rpc::Status::Builder to);
absl::Status ReadStatus(rpc::Status::Reader from);
// Into a list of the same size.
void WriteTexts(const std::vector<std::string>& texts, capnp::List<capnp::Text>::Builder to);
std::vector<std::string> ReadTexts(capnp::List<capnp::Text>::Reader from);
void WriteCheckpointParams(const CheckpointParams& params, rpc::CheckpointParams::Builder to);
CheckpointParams ReadCheckpointParams(rpc::CheckpointParams::Reader from);
void WriteEvents(const Events& events, capnp::List<rpc::Event>::Builder to);
Events ReadEvents(capnp::List<rpc::Event>::Reader from, uint64_t lost);

void WriteRollbackParams(const RollbackParams& params, rpc::RollbackParams::Builder to);
RollbackParams ReadRollbackParams(rpc::RollbackParams::Reader from);
void WriteInfo(const Info& info, rpc::Info::Builder to);
Info ReadInfo(rpc::Info::Reader from);

// True if the other end of a connection is root's or our user's.
bool IsTrusted(kj::AsyncIoStream& stream);

// What went wrong in Cap'n Proto itself: kNotFound if the peer is gone, else kInternal.
absl::Status StatusOf(const kj::Exception& exception);

}  // namespace stasis::control

#endif  // STASIS_CMD_CONTROL_CONVERT_H_
