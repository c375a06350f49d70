// SPDX-License-Identifier: Apache-2.0
//
// record_lock.h: the ranges that fcntl(2) locks.

#ifndef STASIS_TESTS_TESTING_RECORD_LOCK_H_
#define STASIS_TESTS_TESTING_RECORD_LOCK_H_

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>

namespace stasis::testing {

inline struct flock RecordLock(short type, int64_t start, int64_t length, short whence = SEEK_SET) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = whence;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_RECORD_LOCK_H_
