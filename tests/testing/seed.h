// SPDX-License-Identifier: Apache-2.0
//
// seed.h: where a random test begins.

#ifndef STASIS_TESTS_TESTING_SEED_H_
#define STASIS_TESTS_TESTING_SEED_H_

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

namespace stasis::testing {

// STASIS_SEED of the environment, or another one each time; printed.
inline uint64_t NewSeed() {
  const char* given = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
  const uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device()();
  std::cout << "STASIS_SEED=" << seed << std::endl;
  return seed;
}

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_SEED_H_
