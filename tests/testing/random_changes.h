// SPDX-License-Identifier: Apache-2.0
//
// random_changes.h: random changes to a directory of the host, such as programs make.

#ifndef STASIS_TESTS_TESTING_RANDOM_CHANGES_H_
#define STASIS_TESTS_TESTING_RANDOM_CHANGES_H_

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

namespace stasis::testing {

// STASIS_SEED, or another one each time; printed.
inline uint64_t RandomSeed() {
  const char* given = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
  const uint64_t seed =
      given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
  std::cout << "STASIS_SEED=" << seed << std::endl;
  return seed;
}

// Few names, so that changes meet each other. Calls that fail are part of it.
class RandomChanges {
 public:
  RandomChanges(std::string root, uint64_t seed) : root_(std::move(root)), random_(seed) {}

  void Make(int count) {
    for (int i = 0; i < count; ++i) MakeOne();
  }

 private:
  size_t Below(size_t n) { return random_() % n; }
  std::string Name() { return std::string(1, static_cast<char>('a' + Below(5))); }
  std::string Path() {
    std::string path = root_ + "/" + Name();
    for (size_t depth = Below(3); depth > 0; --depth) path += "/" + Name();
    return path;
  }

  void MakeOne() {
    const std::string path = Path();
    const std::string other = Path();
    std::error_code error;
    switch (Below(12)) {
      case 0:
      case 1:
        (void)::mkdir(path.c_str(), 0755);
        return;
      case 2:
      case 3:
        std::ofstream(path) << std::string(Below(20), 'x');
        return;
      case 4:
        std::ofstream(path, std::ios::app) << "more";
        return;
      case 5:
        (void)::unlink(path.c_str());
        return;
      case 6:
        std::filesystem::remove_all(path, error);
        return;
      case 7:
      case 8:
        (void)::rename(path.c_str(), other.c_str());
        return;
      case 9:
        (void)::chmod(path.c_str(), Below(2) == 0 ? 0700 : 0711);
        return;
      case 10:
        (void)::symlink(Name().c_str(), path.c_str());
        return;
      default:
        (void)::setxattr(path.c_str(), "user.note", "value", 1 + Below(5), 0);
        return;
    }
  }

  const std::string root_;
  std::mt19937_64 random_;
};

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_RANDOM_CHANGES_H_
