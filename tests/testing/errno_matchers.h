// SPDX-License-Identifier: Apache-2.0
//
// errno_matchers.h: matchers for Result.
//
//   EXPECT_THAT(vfs.RmdirAt(creds, at), IsErrno(ENOTEMPTY));
//   EXPECT_THAT(vfs.MkdirAt(creds, at, 0755), IsOk());

#ifndef STASIS_TESTS_TESTING_ERRNO_MATCHERS_H_
#define STASIS_TESTS_TESTING_ERRNO_MATCHERS_H_

#include <gmock/gmock.h>

#include "state/base/result.h"

namespace stasis::testing {

// A Result that is this error.
MATCHER_P(IsErrno, code, (negation ? "is not " : "is ") + ErrnoName(Errno(code))) {
  *result_listener << "which is " << (arg ? std::string("no error") : ErrnoName(arg.error()));
  return !arg && arg.error() == Errno(code);
}

// A Result that is no error.
MATCHER(IsOk, negation ? "is an error" : "is no error") {
  *result_listener << "which is " << (arg ? std::string("no error") : ErrnoName(arg.error()));
  return arg.has_value();
}

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_ERRNO_MATCHERS_H_
