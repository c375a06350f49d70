// SPDX-License-Identifier: Apache-2.0
//
// Random system calls, done to one of our filesystems and to the kernel's tmpfs: every result,
// every error and the final trees must be the same. A sequence that gives a difference is shrunk to
// one of which nothing can be left out.
//
// STASIS_SEED sets the seed, which is printed; STASIS_MODEL_SECONDS how long each test goes on.

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "state/base/unique_fd.h"
#include "tests/posix/model/operation.h"
#include "tests/posix/posix_test.h"

namespace stasis::posix {
namespace {

constexpr size_t kSequence = 2000;  // operations between two fresh filesystems
constexpr size_t kShrinkRuns = 400;
constexpr uint64_t kSizeLimit = 64 << 20;

// The environment's number of that name.
uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// A process that plays the operations to a new filesystem and writes a line for each, then the
// final tree.
class PlayedOperations {
 public:
  PlayedOperations(const Implementation& implementation, const std::vector<Operation>& operations,
                   bool directory_links) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    process_ = ::fork();
    if (process_ < 0) std::abort();
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ends[0]);
      std::FILE* out = ::fdopen(ends[1], "w");
      PlayTo(out, implementation, operations, directory_links);
      std::fclose(out);
      ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    ::close(ends[1]);
    in_ = ::fdopen(ends[0], "r");
  }
  ~PlayedOperations() {
    std::fclose(in_);
    std::free(line_);  // NOLINT(cppcoreguidelines-no-malloc)
    // It ends by itself, with its mounts, when nobody reads any more.
    ::waitpid(process_, nullptr, 0);
  }
  PlayedOperations(const PlayedOperations&) = delete;
  PlayedOperations& operator=(const PlayedOperations&) = delete;

  // The next line, or "(end)".
  std::string Next() {
    const ssize_t size = ::getline(&line_, &capacity_, in_);
    return size < 0 ? "(end)" : std::string(line_, static_cast<size_t>(size));
  }

 private:
  static void PlayTo(std::FILE* out, const Implementation& implementation,
                     const std::vector<Operation>& operations, bool directory_links) {
    std::signal(SIGPIPE, SIG_IGN);
    const auto sys = implementation.make(kSizeLimit, 0);
    Player player(*sys, directory_links);
    for (const Operation& operation : operations)
      if (std::fputs((player.Play(operation) + "\n").c_str(), out) < 0) return;
    std::fputs(player.Describe("/").c_str(), out);
  }

  pid_t process_ = -1;
  std::FILE* in_ = nullptr;
  char* line_ = nullptr;
  size_t capacity_ = 0;
};

struct Difference {
  size_t at;  // the operation, or the number of operations if the final trees differ
  std::string expected;
  std::string actual;
};

const Implementation& Judge() {
  static const Implementation tmpfs = ImplementationsWith().front();
  return tmpfs;
}

std::optional<Difference> Compare(const Implementation& implementation,
                                  const std::vector<Operation>& operations) {
  const bool directory_links = (implementation.capabilities & kDirectoryLinks) != 0;
  PlayedOperations expected(Judge(), operations, directory_links);
  PlayedOperations actual(implementation, operations, directory_links);
  for (size_t i = 0;; ++i) {
    Difference difference{std::min(i, operations.size()), expected.Next(), actual.Next()};
    if (difference.expected != difference.actual) return difference;
    if (difference.expected != "(end)") continue;
    // Both must have got as far as the trees.
    if (i > operations.size()) return std::nullopt;
    return Difference{i, "an answer", "the end of the process"};
  }
}

// Leaves out what can be left out, larger pieces first.
std::vector<Operation> Shrink(const Implementation& implementation,
                              std::vector<Operation> operations) {
  size_t runs = 0;
  for (size_t piece = operations.size() / 2; piece >= 1; piece = piece > 1 ? piece / 2 : 0) {
    for (size_t from = 0; from < operations.size() && runs < kShrinkRuns; ++runs) {
      std::vector<Operation> fewer = operations;
      const auto begin = fewer.begin() + static_cast<std::ptrdiff_t>(from);
      fewer.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(piece, fewer.size() - from)));
      if (const auto difference = Compare(implementation, fewer)) {
        fewer.resize(std::min(fewer.size(), difference->at + 1));
        operations = std::move(fewer);
      } else {
        from += piece;
      }
    }
  }
  return operations;
}

std::string Report(const Implementation& implementation, const std::vector<Operation>& operations) {
  const auto difference = Compare(implementation, operations);
  std::ostringstream text;
  for (const Operation& operation : operations) text << "  " << operation << "\n";
  if (!difference) return text.str() + "which made no difference when done again\n";
  text << (difference->at < operations.size() ? "of which the last gives\n"
                                              : "after which the trees differ\n")
       << "  tmpfs: " << difference->expected << "  " << implementation.name << ": "
       << difference->actual;
  return text.str();
}

class ModelTest : public ::testing::TestWithParam<Implementation> {};

TEST_P(ModelTest, AnswersAsTheKernelsTmpfs) {
  ASSERT_EQ(::geteuid(), 0u) << "mounts a tmpfs: needs root";
  const Implementation& implementation = GetParam();
  uint64_t seed = FromEnvironment("STASIS_SEED", std::random_device()());
  std::cout << "STASIS_SEED=" << seed << std::endl;
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::seconds(FromEnvironment("STASIS_MODEL_SECONDS", 10));
  size_t count = 0;
  for (; std::chrono::steady_clock::now() < end; ++seed) {
    Generator generator(seed, (implementation.capabilities & kAclChecks) != 0,
                        (implementation.capabilities & kWhiteouts) != 0);
    std::vector<Operation> operations(kSequence);
    for (Operation& operation : operations) operation = generator.Next();
    const auto difference = Compare(implementation, operations);
    if (difference) {
      operations.resize(std::min(operations.size(), difference->at + 1));
      FAIL() << "STASIS_SEED=" << seed << " gives a difference after\n"
             << Report(implementation, Shrink(implementation, operations));
    }
    count += kSequence;
  }
  std::cout << count << " operations without a difference" << std::endl;
}

std::vector<Implementation> OurOwn() {
  std::vector<Implementation> all = ImplementationsWith();
  all.erase(all.begin());
  return all;
}

INSTANTIATE_TEST_SUITE_P(Posix, ModelTest, ::testing::ValuesIn(OurOwn()), NameOf);

}  // namespace
}  // namespace stasis::posix
