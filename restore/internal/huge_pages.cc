// SPDX-License-Identifier: Apache-2.0

#include "restore/internal/huge_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "state/base/unique_fd.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace stasis::restore {
namespace {

constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
constexpr uintptr_t kPage = 4096;
constexpr size_t kPages = kHugePage / kPage;
constexpr size_t kWorthIt = kPages / 4 * 3;
// Larger ranges are reserved address space (a sanitizer's shadow, say), not a heap.
constexpr uintptr_t kLargestHeap = uintptr_t{64} << 30;

// The huge pages' places that lie wholly in private, writable memory without a file.
std::vector<uintptr_t> Candidates() {
  std::vector<uintptr_t> places;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t start = 0, end = 0;
    char flags[5] = {};
    uint64_t inode = 1;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %" SCNu64, &start, &end,
                    flags, &inode) != 4 ||
        std::string_view(flags) != "rw-p" || inode != 0 || end - start > kLargestHeap)
      continue;
    for (uintptr_t at = (start + kHugePage - 1) / kHugePage * kHugePage; at + kHugePage <= end;
         at += kHugePage)
      places.push_back(at);
  }
  return places;
}

bool MostlyUsed(int pagemap, uintptr_t place) {
  std::array<uint64_t, kPages> entries;
  const auto at = static_cast<off_t>(place / kPage * sizeof(uint64_t));
  if (::pread(pagemap, entries.data(), sizeof entries, at) != sizeof entries) return false;
  size_t used = 0;
  for (uint64_t entry : entries) used += entry >> 63;  // present
  return used >= kWorthIt;
}

}  // namespace

size_t GatherHugePages() {
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  size_t bytes = 0;
  for (uintptr_t place : Candidates()) {
    if (!MostlyUsed(pagemap.get(), place)) continue;
    if (::madvise(reinterpret_cast<void*>(place), kHugePage, MADV_COLLAPSE) == 0)
      bytes += kHugePage;
  }
  return bytes;
}

}  // namespace stasis::restore
