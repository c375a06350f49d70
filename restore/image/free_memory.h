// SPDX-License-Identifier: Apache-2.0
//
// free_memory.h: how much memory this process could still use.

#ifndef STASIS_RESTORE_IMAGE_FREE_MEMORY_H_
#define STASIS_RESTORE_IMAGE_FREE_MEMORY_H_

#include <cstdint>
#include <string>

namespace stasis::image {

// Bytes: what the system calls available, or less if a control group (version 2, its own or one
// above) has less room. UINT64_MAX if nothing is known. The folders are those of the system but in
// tests.
uint64_t FreeMemory(const std::string& proc = "/proc",
                    const std::string& cgroups = "/sys/fs/cgroup");

}  // namespace stasis::image

#endif  // STASIS_RESTORE_IMAGE_FREE_MEMORY_H_
