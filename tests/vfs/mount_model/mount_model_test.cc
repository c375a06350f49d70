// SPDX-License-Identifier: Apache-2.0
//
// Random calls that change mounts, done to our VFS and to the kernel: every error, and after each
// call all mounts of all namespaces, must be the same. A sequence that gives a difference is shrunk
// to one of which nothing can be left out.
//
// STASIS_SEED sets the seed, which is printed; STASIS_MODEL_SECONDS how long each test goes on.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/vfs/mount_model/mounts.h"

namespace stasis::mount_model {
namespace {

constexpr size_t kSequence = 300;    // calls between two fresh worlds
constexpr size_t kMostMounts = 400;  // then the next worlds, too
constexpr size_t kShrinkRuns = 600;

// The environment's number of that name.
uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Difference {
  size_t at;
  std::string kernel;
  std::string vfs;
};

size_t Count(const std::string& text, std::string_view line) {
  size_t count = 0;
  std::istringstream in(text);
  for (std::string each; std::getline(in, each);) count += each == line || line.empty() ? 1 : 0;
  return count;
}

class Pair {
 public:
  Pair(bool saves, uint64_t seed) : kernel_(MakeKernelMounts()), vfs_(MakeVfsMounts(saves, seed)) {}

  // Nothing if both worlds are alike after the call.
  std::optional<Difference> Do(const Call& call) {
    const std::string kernel = Normalized(kernel_->Do(call));
    const std::string vfs = Normalized(vfs_->Do(call));
    namespaces_ = Count(kernel, "--");
    mounts_ = Count(kernel, "");
    if (kernel == vfs) return std::nullopt;
    return Difference{0, kernel, vfs};
  }
  size_t namespaces() const { return namespaces_; }
  size_t mounts() const { return mounts_; }

 private:
  std::unique_ptr<Mounts> kernel_;
  std::unique_ptr<Mounts> vfs_;
  size_t namespaces_ = 1;
  size_t mounts_ = 1;
};

std::optional<Difference> Replay(const std::vector<Call>& calls, bool saves, uint64_t seed) {
  Pair pair(saves, seed);
  for (size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].ns >= pair.namespaces()) continue;
    if (calls[i].kind == Call::kClone && pair.namespaces() == kNamespaces) continue;
    if (auto difference = pair.Do(calls[i])) {
      difference->at = i;
      return difference;
    }
  }
  return std::nullopt;
}

// Leaves out what can be left out, larger pieces first.
std::vector<Call> Shrink(std::vector<Call> calls, bool saves, uint64_t seed) {
  size_t runs = 0;
  for (size_t piece = calls.size() / 2; piece >= 1; piece = piece > 1 ? piece / 2 : 0) {
    for (size_t from = 0; from < calls.size() && runs < kShrinkRuns; ++runs) {
      std::vector<Call> fewer = calls;
      const auto begin = fewer.begin() + static_cast<std::ptrdiff_t>(from);
      fewer.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(piece, fewer.size() - from)));
      if (const auto difference = Replay(fewer, saves, seed)) {
        fewer.resize(difference->at + 1);
        calls = std::move(fewer);
      } else {
        from += piece;
      }
    }
  }
  return calls;
}

std::string Report(const std::vector<Call>& calls, bool saves, uint64_t seed) {
  const auto difference = Replay(calls, saves, seed);
  std::ostringstream text;
  for (const Call& call : calls) text << "  " << call << "\n";
  if (!difference) return text.str() + "which made no difference when done again\n";
  text << "kernel: " << difference->kernel << "ours: " << difference->vfs;
  return text.str();
}

class MountModelTest : public ::testing::TestWithParam<bool> {};

TEST_P(MountModelTest, MountsAsTheKernelDoes) {
  ASSERT_EQ(::geteuid(), 0u) << "mounts and makes namespaces: needs root";
  const bool saves = GetParam();
  uint64_t seed = FromEnvironment("STASIS_SEED", std::random_device()());
  std::cout << "STASIS_SEED=" << seed << std::endl;
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(FromEnvironment("STASIS_MODEL_SECONDS", 10));
  size_t count = 0;
  for (; std::chrono::steady_clock::now() < end; ++seed) {
    Generator generator(seed);
    std::vector<Call> calls;
    std::optional<Difference> difference;
    {
      Pair pair(saves, seed);
      while (!difference && calls.size() < kSequence && pair.mounts() < kMostMounts) {
        calls.push_back(generator.Next(pair.namespaces()));
        difference = pair.Do(calls.back());
      }
    }
    if (difference) {
      FAIL() << "STASIS_SEED=" << seed << " gives a difference after\n"
             << Report(Shrink(calls, saves, seed), saves, seed);
    }
    count += calls.size();
  }
  std::cout << count << " calls without a difference" << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Vfs, MountModelTest, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "saved_at_random" : "vfs"; });

}  // namespace
}  // namespace stasis::mount_model
