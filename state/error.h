// SPDX-License-Identifier: Apache-2.0
//
// error.h: what may be wrong with saved state.
//
// Two kinds matter to a person: the bytes are damaged (CorruptError), or they are fine but made by
// a newer version (NewerError). Everything a load returns is one of them, or what a hook returned.

#ifndef STASIS_STATE_ERROR_H_
#define STASIS_STATE_ERROR_H_

#include <absl/status/status.h>

#include <string_view>

namespace stasis::state {

inline absl::Status CorruptError(std::string_view what) {
  return absl::DataLossError(absl::string_view(what.data(), what.size()));
}
inline absl::Status NewerError(std::string_view what) {
  return absl::UnimplementedError(absl::string_view(what.data(), what.size()));
}

inline bool IsCorrupt(const absl::Status& status) { return absl::IsDataLoss(status); }
inline bool IsNewer(const absl::Status& status) { return absl::IsUnimplemented(status); }

}  // namespace stasis::state

#endif  // STASIS_STATE_ERROR_H_
