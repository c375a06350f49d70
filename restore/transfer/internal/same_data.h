// SPDX-License-Identifier: Apache-2.0
//
// same_data.h: files whose bytes need not be read to be compared.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_SAME_DATA_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_SAME_DATA_H_

#include "vfs/inode.h"

namespace stasis::restore {

// Whether two regular files are known to hold the same bytes: they are made of the same chunks, or
// of chunks that images keep at the same place of frames with the same digest, or they are one file
// of the host. False says nothing.
bool HaveSameData(const vfs::Inode& a, const vfs::Inode& b);

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_SAME_DATA_H_
