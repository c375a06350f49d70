// SPDX-License-Identifier: Apache-2.0
//
// mounts.h: one call that changes mounts, chosen at random, and the two worlds that it is done to:
// the kernel, in mount namespaces of its own, and a VirtualFilesystem.
//
// Both worlds begin with one namespace, whose "/" is an empty tmpfs (memfs). Each call is done from
// the root of the namespace it names, as by somebody who has just entered it.

#ifndef STASIS_TESTS_VFS_MOUNT_MODEL_MOUNTS_H_
#define STASIS_TESTS_VFS_MOUNT_MODEL_MOUNTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <random>
#include <string>

namespace stasis::mount_model {

inline constexpr size_t kNamespaces = 4;  // at most, at a time
inline constexpr size_t kSlots = 3;       // files that are held open

// Plain bytes: it goes through a pipe.
struct Call {
  enum Kind : uint32_t {
    kMkdir,
    kRmdir,
    kMkfile,
    kUnlink,
    kRename,
    kOpen,  // a slot gets an open file: to be written if `flags` is not 0, else only held
    kClose,
    kStat,  // which mount a path leads to: from the root, or from a slot's file if `flags` is not 0
    kMount,
    kBind,  // of `a` at `b`; all below it if `flags` is not 0
    kMove,
    kUmount,
    kPropagation,
    kRemount,
    kSetAttributes,
    kPivotRoot,
    kClone,   // of the namespace; for less privileges if `flags` is not 0, or if it has less
    kRemove,  // of the namespace, which is not the first
    kKinds,
  };
  Kind kind = kMkdir;
  uint32_t ns = 0;
  uint32_t slot = 0;
  uint32_t recursive = 0;
  uint64_t flags = 0;  // of mount(2) or umount2(2); MS_... of kPropagation
  uint64_t set = 0;    // of mount_setattr(2)
  uint64_t clear = 0;
  uint64_t propagation = 0;
  std::array<char, 32> a = {};
  std::array<char, 32> b = {};

  friend std::ostream& operator<<(std::ostream& os, const Call& call);
};

class Mounts {
 public:
  virtual ~Mounts() = default;
  // The error's name, or "ok" and, of kStat, the mount's id; then the mounts of all namespaces as
  // mountinfo lines, with a line
  // "--" after each namespace.
  virtual std::string Do(const Call& call) = 0;
};

std::unique_ptr<Mounts> MakeKernelMounts();
// Saves and restores itself before some calls, or never.
std::unique_ptr<Mounts> MakeVfsMounts(bool saves, uint64_t seed);

// Replaces ids, devices and peer groups by the order of their appearance, and leaves out what is
// after the dash.
std::string Normalized(const std::string& answer);

// Chooses calls; the same ones for the same seed and the same answers.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}
  Call Next(size_t namespaces);

 private:
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  bool Once(size_t in) { return Pick(in) == 0; }
  std::array<char, 32> Path(size_t least_depth);
  // With "..", and relative if asked for.
  std::array<char, 32> WindingPath(bool relative);
  uint64_t MountFlags();
  void Refine(Call& call);
  void RefineAttributes(Call& call);

  std::mt19937_64 random_;
};

}  // namespace stasis::mount_model

#endif  // STASIS_TESTS_VFS_MOUNT_MODEL_MOUNTS_H_
