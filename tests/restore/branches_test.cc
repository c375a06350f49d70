// SPDX-License-Identifier: Apache-2.0
//
// Several live filesystems that come from each other: random changes, checkpoints into one layout,
// forks (of forks), rollbacks to any image that is left, removed tags and garbage collections, in
// any order. Each filesystem and each image must hold what a plain model of it holds.
//
// STASIS_SEED sets the seed, which is printed; STASIS_BRANCH_STEPS how many steps are done.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "restore/checkpoint.h"
#include "restore/fork.h"
#include "restore/image/gc.h"
#include "restore/image/index.h"
#include "restore/image/layout.h"
#include "restore/restore.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::restore {
namespace {

using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;

constexpr size_t kMostBranches = 5;
constexpr size_t kMostTags = 8;
constexpr size_t kMostOffers = 12;
constexpr size_t kNames = 24;
constexpr uint64_t kLargestFile = 100'000;  // several chunks

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

// Content by path.
using Model = std::map<std::string, std::string>;

struct Branch {
  std::unique_ptr<TestVfs> tree;
  Model model;
};

class Branches {
 public:
  explicit Branches(uint64_t seed) : random_(seed) {
    branches_.push_back({std::make_unique<TestVfs>(), {}});
  }
  ~Branches() {
    // The forks end before what they read from.
    while (!branches_.empty()) branches_.pop_back();
  }

  void Step() {
    const size_t choice = Pick(100);
    Branch& branch = branches_[Pick(branches_.size())];
    if (choice < 70) return Change(branch);
    if (choice < 80) return Save(branch);
    if (choice < 87) return Fork(branch);
    if (choice < 93) return RollBack(branch);
    if (choice < 96) return End();
    Collect();
  }

  void CheckAll() {
    for (const Branch& branch : branches_) Check(*branch.tree, branch.model, "a live one");
    for (const auto& [tag, model] : tags_) {
      auto restored = Restore(TestVfs::RequestFrom(layout_, tag));
      ASSERT_TRUE(restored.ok()) << tag << ": " << restored.status();
      TestVfs tree(*std::move(restored));
      Check(tree, model, tag);
    }
  }

 private:
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  std::string Name() { return "/f" + std::to_string(Pick(kNames)); }
  // Compresses, and is never the same twice.
  std::string Bytes(size_t size) {
    std::string bytes = std::to_string(++writes_) + ":";
    bytes.resize(size, static_cast<char>('a' + Pick(26)));
    return bytes;
  }

  void Change(Branch& branch) {
    const std::string name = Name();
    const auto it = branch.model.find(name);
    if (it == branch.model.end()) return Write(branch, name, 0);
    switch (Pick(6)) {
      case 0:
        branch.tree->Unlink(name);
        branch.model.erase(it);
        return;
      case 1: {
        const std::string to = Name();
        if (to == name) return;
        branch.tree->Rename(name, to);
        branch.model[to] = std::exchange(it->second, "");
        branch.model.erase(name);
        return;
      }
      case 2: {
        const uint64_t size = Pick(kLargestFile);
        branch.tree->Truncate(name, size);
        it->second.resize(size, '\0');
        return;
      }
      default:
        Write(branch, name, Pick(it->second.size() + 1));
    }
  }

  void Write(Branch& branch, const std::string& name, uint64_t offset) {
    const std::string bytes = Bytes(1 + Pick(Pick(2) == 0 ? 100 : kLargestFile / 2));
    branch.tree->WriteAt(name, offset, bytes);
    std::string& content = branch.model[name];
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
    content.replace(offset, bytes.size(), bytes);
  }

  void Save(Branch& branch) {
    if (tags_.size() == kMostTags) return;
    const std::string tag = "v" + std::to_string(++saves_);
    const auto report = Checkpoint(branch.tree->RequestTo(layout_, tag));
    ASSERT_TRUE(report.ok()) << report.status();
    tags_[tag] = branch.model;
  }

  void Fork(Branch& branch) {
    std::erase_if(offers_, [](const auto& offer) { return offer->ended(); });
    if (branches_.size() == kMostBranches || offers_.size() == kMostOffers) return;
    auto offer = OfferFork(branch.tree->RequestTo("", ""));
    ASSERT_TRUE(offer.ok()) << offer.status();
    auto forked = TakeFork((*offer)->places(), {});
    ASSERT_TRUE(forked.ok()) << forked.status();
    auto restored = RestoreFork(*std::move(forked), TestVfs::RequestFrom("", ""));
    ASSERT_TRUE(restored.ok()) << restored.status();
    offers_.push_back(*std::move(offer));
    Model model = branch.model;
    branches_.push_back({std::make_unique<TestVfs>(*std::move(restored)), std::move(model)});
  }

  void RollBack(Branch& branch) {
    if (tags_.empty()) return;
    const auto [tag, model] = *std::next(tags_.begin(), static_cast<long>(Pick(tags_.size())));
    auto restored = Restore(TestVfs::RequestFrom(layout_, tag));
    ASSERT_TRUE(restored.ok()) << restored.status();
    branch.tree = std::make_unique<TestVfs>(*std::move(restored));
    branch.model = model;
  }

  // One of the live ones ends: those that were forked from it go on.
  void End() {
    if (branches_.size() == 1) return;
    branches_.erase(branches_.begin() + static_cast<long>(Pick(branches_.size())));
  }

  // Some tags go, and what nobody needs any more.
  void Collect() {
    if (saves_ == 0) return;
    auto layout = image::Layout::OpenForWriting(layout_);
    ASSERT_TRUE(layout.ok()) << layout.status();
    auto index = image::Index::Parse((*layout)->ReadIndex().value());
    ASSERT_TRUE(index.ok()) << index.status();
    while (!tags_.empty() && Pick(3) != 0) {
      const auto it = std::next(tags_.begin(), static_cast<long>(Pick(tags_.size())));
      index->Remove(it->first);
      tags_.erase(it);
    }
    ASSERT_TRUE((*layout)->ReplaceIndex(index->Encode()).ok());
    const auto report =
        image::CollectGarbage(**layout, {.now = RealClock().Now(), .older_than = 0});
    ASSERT_TRUE(report.ok()) << report.status();
  }

  static void Check(TestVfs& tree, const Model& model, const std::string& what) {
    std::vector<std::string> names = tree.List("/");
    std::vector<std::string> expected;
    for (const auto& [name, content] : model) expected.push_back(name.substr(1));
    std::sort(names.begin(), names.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(names, expected) << what;
    for (const auto& [name, content] : model)
      ASSERT_TRUE(tree.Read(name) == content) << what << ": " << name << " differs";
  }

  std::mt19937_64 random_;
  const ScratchDir scratch_{ScratchDir::Where::kInMemory};
  const std::string layout_ = scratch_ / "snaps";
  std::deque<std::unique_ptr<ForkOffer>> offers_;
  std::vector<Branch> branches_;
  std::map<std::string, Model> tags_;
  uint64_t writes_ = 0;
  uint64_t saves_ = 0;
};

TEST(BranchesTest, EachHoldsWhatItsModelHolds) {
  const uint64_t seed = FromEnvironment("STASIS_SEED", std::random_device()());
  std::cout << "STASIS_SEED=" << seed << std::endl;
  const uint64_t steps = FromEnvironment("STASIS_BRANCH_STEPS", 400);
  constexpr uint64_t kBetweenChecks = 40;
  Branches branches(seed);
  for (uint64_t i = 1; i <= steps && !::testing::Test::HasFatalFailure(); ++i) {
    ASSERT_NO_FATAL_FAILURE(branches.Step()) << "step " << i;
    if (i % kBetweenChecks == 0) {
      ASSERT_NO_FATAL_FAILURE(branches.CheckAll()) << "after step " << i;
    }
  }
}

}  // namespace
}  // namespace stasis::restore
