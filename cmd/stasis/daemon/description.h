// SPDX-License-Identifier: Apache-2.0
//
// description.h: everything that a daemon has, for the one that goes on in its place, but the state
// of the tree (restore/handover.h), which is in the same parcel:
//
//   version, created_ns, rollbacks, upgrades, recoveries {count, last}
//   recovery {reason}                 of a keeper: the daemon that gave it all has died
//   keeper {channel, pid, daemon, binary, executable}   if there is one (keeping.h)
//   journal {file, from}              of the requests since the moment of the state
//   options                           see options_json.h
//   config                            as it is now
//   origin {source, base_image, base_settings}, ancestor {digest, directory} or null
//   roots {name: directory}           of the host, layers of container images too
//   asked [name]                      of those, in which programs go on: see host_files.h
//   host_roots, host_files            see host_files.h
//   cgroup {path, version} or null
//   init {pid, process, channel, next_id, protocol}     descriptors: see sandbox::InitLine
//   next_filesystem, served [{number, state, device, connection}]      see ServedFilesystems
//   locks {sandbox, upper, layers []}              descriptors
//
// A newer version reads what older ones write.

#ifndef STASIS_CMD_STASIS_DAEMON_DESCRIPTION_H_
#define STASIS_CMD_STASIS_DAEMON_DESCRIPTION_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "cmd/fuse/journal.h"
#include "cmd/sandbox/init.h"
#include "cmd/sandbox/served_filesystems.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/daemon/box.h"
#include "restore/handover.h"

namespace stasis::cli {

// All but the journal and the keeper. `lent` is of the moment of the state. Requires: nobody
// changes the mounts. Errors: no descriptor is left.
absl::Status DescribeBox(Box& box, std::vector<sandbox::ServedFilesystems::Lent> lent,
                         restore::Parcel& parcel);
absl::Status DescribeJournal(const fuse::Journal& journal, uint64_t from, restore::Parcel& parcel);

struct TakenJournal {
  std::unique_ptr<fuse::Journal> journal;
  uint64_t from = 0;
};
// The other way round; each takes its descriptors out of the parcel.
// They throw nlohmann::json::exception for what is missing. Errors: kDataLoss; kUnimplemented of an
// init of another protocol.
absl::StatusOr<TakenJournal> TakeJournal(restore::Parcel& parcel);
absl::StatusOr<sandbox::InitLine> TakeInit(restore::Parcel& parcel);
absl::StatusOr<std::vector<sandbox::ServedFilesystems::Lent>> TakeServed(restore::Parcel& parcel);
// Locks, history and the rest of what a box knows; but its sandbox and its origin.
absl::Status TakeBox(restore::Parcel& parcel, Box& box);
// Into `content`: all but the tree and what goes on behind it.
absl::Status TakeOrigin(restore::Parcel& parcel, Content& content);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_DAEMON_DESCRIPTION_H_
