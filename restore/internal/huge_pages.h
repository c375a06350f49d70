// SPDX-License-Identifier: Apache-2.0
//
// huge_pages.h: fewer pages, for a fork that copies fewer page table entries.

#ifndef STASIS_RESTORE_INTERNAL_HUGE_PAGES_H_
#define STASIS_RESTORE_INTERNAL_HUGE_PAGES_H_

#include <cstddef>

namespace stasis::restore {

// Gathers this process's private memory into huge pages wherever most of one is in use. While a
// page is copied its users wait, for about a millisecond. What cannot be gathered stays as it is.
// Returns the bytes that are in huge pages now.
size_t GatherHugePages();

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_INTERNAL_HUGE_PAGES_H_
