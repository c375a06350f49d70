// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/memory_options.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>

#include "cmd/stasis/content.h"
#include "state/chunk_reclaim.h"

namespace stasis::cli {
namespace {

// Below that, what is read would be gone before it is used.
constexpr uint64_t kSmallestLimit = 4 * 1024 * 1024;

}  // namespace

void AddMemoryOptions(CLI::App& command, MemoryOptions& options) {
  command
      .add_option("--memory-limit", options.limit,
                  "How much file data to hold in memory, such as 512M (default: no limit): what is "
                  "in an image is dropped beyond and read again; what has changed since stays, "
                  "unless there is a --filestore")
      ->type_name("SIZE");
  command
      .add_option("--filestore", options.filestore,
                  "A directory for a nameless file with the file data, which may then be larger "
                  "than memory; writes fail with ENOSPC when its disk is full")
      ->type_name("DIR");
}

absl::StatusOr<MemoryLimits> ReadMemoryOptions(const MemoryOptions& options) {
  MemoryLimits limits;
  if (!options.limit.empty()) {
    absl::StatusOr<uint64_t> limit = ParseSize(options.limit);
    if (!limit.ok()) return limit.status();
    if (*limit < kSmallestLimit)
      return absl::InvalidArgumentError(
          absl::StrCat("--memory-limit ", options.limit, ": it must be 4M at least"));
    limits.limit = *limit;
  }
  if (!options.filestore.empty()) {
    std::error_code error;
    limits.filestore = std::filesystem::canonical(options.filestore, error);
    if (error)
      return absl::ErrnoToStatus(error.value(),
                                 absl::StrCat("cannot use --filestore ", options.filestore));
    if (!std::filesystem::is_directory(limits.filestore, error))
      return absl::InvalidArgumentError(
          absl::StrCat("cannot use --filestore ", options.filestore, ": it is not a directory"));
  }
  return limits;
}

state::ChunkMemoryOptions MemoryOptionsOf(const MemoryLimits& limits) {
  state::ChunkMemoryOptions options;
  options.directory = limits.filestore;
  if (limits.limit != 0) options.kept = std::min(options.kept, limits.limit / 8);
  return options;
}

absl::Status ApplyMemoryLimits(const MemoryLimits& limits) {
  if (const auto made = state::ChunkMemory::Configure(MemoryOptionsOf(limits)); !made)
    return absl::ErrnoToStatus(made.error().value(),
                               limits.filestore.empty()
                                   ? "cannot have memory for file data"
                                   : absl::StrCat("cannot make a file in ", limits.filestore));
  state::ChunkReclaim::SetLimit(limits.limit);
  return absl::OkStatus();
}

}  // namespace stasis::cli
