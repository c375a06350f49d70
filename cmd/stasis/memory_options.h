// SPDX-License-Identifier: Apache-2.0
//
// memory_options.h: how much memory file data takes, and where it is.

#ifndef STASIS_CMD_STASIS_MEMORY_OPTIONS_H_
#define STASIS_CMD_STASIS_MEMORY_OPTIONS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "state/chunk_memory.h"

namespace stasis::cli {

// As on the command line.
struct MemoryOptions {
  std::string limit;
  std::string filestore;
};
void AddMemoryOptions(CLI::App& command, MemoryOptions& options);

struct MemoryLimits {
  uint64_t limit = 0;     // 0: none
  std::string filestore;  // a directory, absolute; empty: none
};
// Errors: kInvalidArgument; kNotFound and kFailedPrecondition for a directory that is none.
absl::StatusOr<MemoryLimits> ReadMemoryOptions(const MemoryOptions& options);

state::ChunkMemoryOptions MemoryOptionsOf(const MemoryLimits& limits);
// For this process, which has no file data yet. It may start a thread.
// Errors: those of the system, if there can be no file in the directory.
absl::Status ApplyMemoryLimits(const MemoryLimits& limits);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_MEMORY_OPTIONS_H_
