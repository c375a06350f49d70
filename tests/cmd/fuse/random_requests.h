// SPDX-License-Identifier: Apache-2.0
//
// random_requests.h: what a kernel might ask for.

#ifndef STASIS_TESTS_CMD_FUSE_RANDOM_REQUESTS_H_
#define STASIS_TESTS_CMD_FUSE_RANDOM_REQUESTS_H_

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "tests/cmd/fuse/fake_kernel.h"

namespace stasis::fuse {

// Requests at random, of which many fail. What reads sets times that no journal has: there are
// none.
class RandomRequests {
 public:
  RandomRequests(FakeKernel& kernel, uint64_t seed) : kernel_(kernel), random_(seed) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) Step();
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  std::string Name() { return "name" + std::to_string(Below(12)); }
  uint64_t Node() {
    if (nodes_.empty() || Below(4) == 0) return FUSE_ROOT_ID;
    return std::next(nodes_.begin(), static_cast<int64_t>(Below(nodes_.size())))->first;
  }
  uint64_t Handle() {
    if (handles_.empty()) return 0;
    return std::next(handles_.begin(), static_cast<int64_t>(Below(handles_.size())))->first;
  }
  void Told(const FakeReply& reply) {
    const auto entry = reply.As<fuse_entry_out>();
    if (reply.error == 0 && entry.nodeid != 0) ++nodes_[entry.nodeid];
  }

  void Step();
  void MakeSomething();
  void ChangeNames();
  void ChangeAttributes();
  void ChangeData();
  void OpenOrClose();
  void LookOrForget();

  FakeKernel& kernel_;
  std::mt19937_64 random_;
  std::map<uint64_t, uint64_t> nodes_;    // and how often the kernel was told
  std::map<uint64_t, uint64_t> handles_;  // and of which node
};

}  // namespace stasis::fuse

#endif  // STASIS_TESTS_CMD_FUSE_RANDOM_REQUESTS_H_
