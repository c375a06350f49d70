// SPDX-License-Identifier: Apache-2.0
//
// companion.h: the other half of a checkpoint: a directory in which another program, such as CRIU,
// has saved the processes.
//
// The directory gets a file stasis.json that names the image by its digest; the image gets an
// annotation with the digest of the directory's inventory. So each half tells whether the other is
// the one that it was made with. What the processes' images hold nobody looks at.

#ifndef STASIS_CMD_STASIS_COMPANION_H_
#define STASIS_CMD_STASIS_COMPANION_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>

namespace stasis::cli {

inline constexpr char kCompanionFile[] = "stasis.json";
// What CRIU writes last, and differs from one dump to the next.
inline constexpr char kInventoryFile[] = "inventory.img";
inline constexpr char kAnnotationCompanion[] = "vnd.stasis.checkpoint.companion";

// The digest of the inventory in `directory`. Errors: kNotFound if there is none: the processes are
// to be saved before the files; those of reading it.
absl::StatusOr<std::string> InventoryOf(const std::string& directory);

// Writes the file, in place of an older one.
absl::Status WriteCompanion(const std::string& directory, const std::string& reference,
                            const std::string& digest, const std::string& inventory);

// Whether the directory and the image are halves of one checkpoint; squashed and copied it is the
// same image. Errors: kNotFound; kFailedPrecondition, which says what differs; kDataLoss.
absl::Status CheckCompanion(const std::string& directory, const std::string& reference);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_COMPANION_H_
