// SPDX-License-Identifier: Apache-2.0

#include "restore/freezer.h"

#include "restore/internal/format.h"

namespace stasis::restore {

FrozenPrograms::~FrozenPrograms() {
  if (frozen_) freezer_.Thaw().IgnoreError();  // some other error is being reported
}

absl::Status FrozenPrograms::Freeze() {
  absl::Status status = freezer_.Freeze();
  frozen_ = status.ok();
  return Annotate(status, "cannot freeze the programs");
}

absl::Status FrozenPrograms::Thaw() {
  frozen_ = false;
  return Annotate(freezer_.Thaw(), "cannot thaw the programs");
}

}  // namespace stasis::restore
