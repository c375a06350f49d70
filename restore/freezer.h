// SPDX-License-Identifier: Apache-2.0
//
// freezer.h: how a checkpoint holds the programs of a sandbox still.

#ifndef STASIS_RESTORE_FREEZER_H_
#define STASIS_RESTORE_FREEZER_H_

#include <absl/status/status.h>

namespace stasis::restore {

// Called from the thread that makes the checkpoint.
class Freezer {
 public:
  virtual ~Freezer() = default;

  // Writes back what the kernel holds for the sandbox (syncfs(2) on its mount). Called twice: while
  // the programs run, and while they are frozen. The operation gate is open both times.
  virtual absl::Status Flush() = 0;
  // Returns when no program of the sandbox runs any more. On failure all of them run on.
  virtual absl::Status Freeze() = 0;
  // Lets them run on. Called exactly once after each successful Freeze.
  virtual absl::Status Thaw() = 0;
};

// For a filesystem that no program uses.
class NoFreezer final : public Freezer {
 public:
  absl::Status Flush() override { return absl::OkStatus(); }
  absl::Status Freeze() override { return absl::OkStatus(); }
  absl::Status Thaw() override { return absl::OkStatus(); }
};

// Programs that may be frozen. They run again when this ends, unless Keep() was called.
class FrozenPrograms {
 public:
  explicit FrozenPrograms(Freezer& freezer) : freezer_(freezer) {}
  ~FrozenPrograms();
  FrozenPrograms(const FrozenPrograms&) = delete;
  FrozenPrograms& operator=(const FrozenPrograms&) = delete;

  absl::Status Freeze();
  absl::Status Thaw();
  void Keep() { frozen_ = false; }

 private:
  Freezer& freezer_;
  bool frozen_ = false;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_FREEZER_H_
