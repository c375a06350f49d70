// SPDX-License-Identifier: Apache-2.0

#include "tests/testing/storm.h"

#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <thread>

#include "tests/testing/errno_matchers.h"

namespace stasis::testing {
namespace {

constexpr const char* kDirectories[] = {"/storm0", "/storm1", "/storm2"};
constexpr int kNamesOfOwner = 6;  // in each directory
constexpr int kStays = 60;        // entries that nobody changes, in each directory

enum Call { kCreate, kMkdir, kLink, kUnlink, kRmdir, kRename, kCalls };

std::string OwnerName(size_t owner) { return "owner" + std::to_string(owner) + "."; }

// The places of the file that moves on.
std::string PlaceOf(uint64_t number) {
  return std::string(kDirectories[number % 2]) + "/on" + std::to_string(number);
}
// And of the one that moves to and fro: between directories, and from a file's name to another.
constexpr const char* kToAndFro[] = {"/storm0/to", "/storm1/fro"};

uint64_t Seed() {
  const char* given = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
  std::cout << "STASIS_SEED=" << seed << std::endl;
  return seed;
}

Result<void> Make(StormCalls& calls, int call, const std::string& from, const std::string& to,
                  uint32_t flags) {
  switch (call) {
    case kCreate:
      return calls.Create(from);
    case kMkdir:
      return calls.Mkdir(from);
    case kLink:
      return calls.Link(from, to);
    case kUnlink:
      return calls.Unlink(from);
    case kRmdir:
      return calls.Rmdir(from);
    default:
      return calls.Rename(from, to, flags);
  }
}

}  // namespace

std::string Describe(const StormNames& names) {
  std::map<uint64_t, size_t> numbers;
  std::string text;
  for (const auto& [path, file] : names) {
    const size_t number = numbers.emplace(file.first, numbers.size()).first->second;
    text += path + (file.second ? " directory " : " file ") + std::to_string(number) + "\n";
  }
  return text;
}

std::string NameOwner::AnyPath() {
  const auto* directory = kDirectories[random_() % std::size(kDirectories)];
  return std::string(directory) + "/" + name_ + std::to_string(random_() % kNamesOfOwner);
}

void NameOwner::Step(StormCalls* calls) {
  static constexpr uint32_t kFlags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
  const int call = static_cast<int>(random_() % kCalls);
  const std::string from = AnyPath();
  const std::string to = AnyPath();
  const uint32_t flags = kFlags[random_() % std::size(kFlags)];
  const Outcome foreseen = Foresee(call, from, to, flags);
  {
    absl::MutexLock lock(&mu_);
    history_.push_back(Describe(names_));
  }
  if (calls == nullptr) return;
  const Outcome outcome = Make(*calls, call, from, to, flags);
  EXPECT_EQ(outcome ? 0 : outcome.error().value(), foreseen ? 0 : foreseen.error().value())
      << "call " << call << " " << from << " " << to << " flags " << flags;
  for (const std::string& path : {from, to}) {
    const auto stat = calls->Stat(path);
    ASSERT_EQ(stat.has_value(), IsThere(path)) << path << " after call " << call;
    if (!stat) {
      ASSERT_THAT(stat, IsErrno(ENOENT));
      continue;
    }
    const auto [file, is_directory] = names_.at(path);
    ASSERT_EQ(stat->is_directory, is_directory) << path;
    const auto links = std::count_if(names_.begin(), names_.end(), [id = file](const auto& name) {
      return name.second.first == id;
    });
    ASSERT_EQ(stat->nlink, is_directory ? 2 : links) << path;
  }
}

Result<void> NameOwner::Foresee(int call, const std::string& from, const std::string& to,
                                uint32_t flags) {
  const bool is_directory = IsThere(from) && names_[from].second;
  switch (call) {
    case kCreate:
    case kMkdir:
      if (IsThere(from)) return Err(EEXIST);
      names_[from] = {++last_file_, call == kMkdir};
      return {};
    case kLink:
      if (!IsThere(from)) return Err(ENOENT);
      if (IsThere(to)) return Err(EEXIST);
      if (is_directory) return Err(EPERM);
      names_[to] = names_[from];
      return {};
    case kUnlink:
      if (!IsThere(from)) return Err(ENOENT);
      if (is_directory) return Err(EISDIR);
      names_.erase(from);
      return {};
    case kRmdir:
      if (!IsThere(from)) return Err(ENOENT);
      if (!is_directory) return Err(ENOTDIR);
      names_.erase(from);
      return {};
    default:
      return ForeseeRename(from, to, flags);
  }
}

Result<void> NameOwner::ForeseeRename(const std::string& from, const std::string& to,
                                      uint32_t flags) {
  if (!IsThere(from)) return Err(ENOENT);
  if (flags == RENAME_NOREPLACE && IsThere(to)) return Err(EEXIST);
  if (flags == RENAME_EXCHANGE) {
    if (!IsThere(to)) return Err(ENOENT);
    std::swap(names_[from], names_[to]);
    return {};
  }
  if (IsThere(to)) {
    if (names_[from].first == names_[to].first) return {};
    if (names_[from].second && !names_[to].second) return Err(ENOTDIR);
    if (!names_[from].second && names_[to].second) return Err(EISDIR);
  }
  names_[to] = names_[from];
  names_.erase(from);
  return {};
}

size_t NameOwner::steps() const {
  absl::MutexLock lock(&mu_);
  return history_.size() - 1;
}

std::string NameOwner::After(size_t steps) const {
  absl::MutexLock lock(&mu_);
  return history_.at(steps);
}

Storm::Storm(StormCalls& calls) : calls_(calls), seed_(Seed()) {
  for (const std::string directory : kDirectories) {
    EXPECT_THAT(calls_.Mkdir(directory), IsOk());
    for (int i = 0; i < kStays; ++i)
      EXPECT_THAT(calls_.Create(directory + "/stays" + std::to_string(i)), IsOk());
  }
  EXPECT_THAT(calls_.Create(PlaceOf(0)), IsOk());
  EXPECT_THAT(calls_.Create(kToAndFro[0]), IsOk());
}

void Storm::Run(const Options& options) {
  for (int i = 0; i < options.owners; ++i)
    owners_.push_back(std::make_unique<NameOwner>(OwnerName(i), seed_ + i));
  // Before there are threads, whose locks a child would have for ever.
  std::vector<pid_t> processes;
  if (options.processes) processes = StartOwnersAsProcesses(options.steps);
  std::vector<std::thread> others;
  for (void (Storm::*function)() :
       {&Storm::ListWhatStays, &Storm::MoveOn, &Storm::FollowAFileThatMovesOn, &Storm::MoveToAndFro,
        &Storm::FindAFileThatMovesToAndFro})
    others.emplace_back([this, function] {
      while (!done_ && !::testing::Test::HasFailure()) (this->*function)();
    });
  if (options.meanwhile)
    others.emplace_back([this, &options] {
      while (!done_ && !::testing::Test::HasFailure()) options.meanwhile();
    });
  if (options.processes) {
    WaitForOwners(processes, options.steps);
  } else {
    RunOwnersAsThreads(options.steps);
  }
  done_ = true;
  for (std::thread& thread : others) thread.join();
  if (!::testing::Test::HasFailure()) ExpectWhatOwnersForesaw();
}

void Storm::RunOwnersAsThreads(int steps) {
  std::vector<std::thread> threads;
  for (const auto& owner : owners_)
    threads.emplace_back([this, steps, &owner] {
      for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) owner->Step(&calls_);
    });
  for (std::thread& thread : threads) thread.join();
}

std::vector<pid_t> Storm::StartOwnersAsProcesses(int steps) {
  std::vector<pid_t> processes;
  for (const auto& owner : owners_) {
    processes.push_back(fork());
    if (processes.back() != 0) continue;
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) owner->Step(&calls_);
    fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  return processes;
}

void Storm::WaitForOwners(const std::vector<pid_t>& processes, int steps) {
  for (const pid_t process : processes) {
    int status = -1;
    EXPECT_EQ(waitpid(process, &status, 0), process);
    EXPECT_EQ(status, 0) << "an owner found something else than foreseen";
  }
  // What they foresaw is known to them only, but the same is foreseen here.
  for (const auto& owner : owners_)
    for (int i = 0; i < steps; ++i) owner->Step(nullptr);
}

void Storm::ListWhatStays() {
  for (const std::string directory : kDirectories) {
    const auto names = calls_.List(directory);
    ASSERT_THAT(names, IsOk());
    std::map<std::string, int> stays;
    for (const std::string& name : *names) {
      ASSERT_TRUE(name.starts_with("stays") || name.starts_with("owner") || name == "to" ||
                  name == "fro" || name.starts_with("on"))
          << name;
      if (name.starts_with("stays")) ++stays[name];
    }
    ASSERT_EQ(stays.size(), size_t{kStays}) << directory;
    for (const auto& [name, times] : stays) ASSERT_EQ(times, 1) << directory << " " << name;
  }
}

void Storm::MoveOn() {
  const uint64_t number = moved_on_;
  ASSERT_THAT(calls_.Rename(PlaceOf(number), PlaceOf(number + 1), 0), IsOk());
  moved_on_ = number + 1;
}

// It only goes on, so whoever looks at one place after the other comes upon it.
void Storm::FollowAFileThatMovesOn() {
  for (uint64_t number = moved_on_;; ++number) {
    const auto stat = calls_.Stat(PlaceOf(number));
    if (stat) return;
    ASSERT_THAT(stat, IsErrno(ENOENT));
    // It was not there: hence it had gone further.
    ASSERT_LE(number, moved_on_) << "the file that moves on was at none of its places";
  }
}

void Storm::MoveToAndFro() {
  const uint64_t moves = moved_to_and_fro_ / 2;
  ++moved_to_and_fro_;
  ASSERT_THAT(calls_.Rename(kToAndFro[moves % 2], kToAndFro[(moves + 1) % 2], 0), IsOk());
  ++moved_to_and_fro_;
  std::this_thread::sleep_for(std::chrono::microseconds(moves % 64));
}

void Storm::FindAFileThatMovesToAndFro() {
  const uint64_t before = moved_to_and_fro_;
  const bool to = calls_.Stat(kToAndFro[0]).has_value();
  const bool fro = calls_.Stat(kToAndFro[1]).has_value();
  if (before % 2 != 0 || moved_to_and_fro_ != before) return;
  ASSERT_EQ(to, before / 2 % 2 == 0);
  ASSERT_EQ(fro, before / 2 % 2 == 1);
}

std::string Storm::Found(StormCalls& calls, size_t owner) {
  StormNames found;
  for (const std::string directory : kDirectories) {
    const auto names = calls.List(directory);
    EXPECT_THAT(names, IsOk());
    if (!names) continue;
    for (const std::string& name : *names) {
      if (!name.starts_with(OwnerName(owner))) continue;
      const std::string path = directory + "/" + name;
      const auto stat = calls.Stat(path);
      EXPECT_THAT(stat, IsOk()) << path << " is listed";
      EXPECT_FALSE(found.contains(path)) << path << " is listed twice";
      if (stat) found[path] = {stat->ino, stat->is_directory};
    }
  }
  return Describe(found);
}

void Storm::ExpectWhatOwnersForesaw() {
  std::map<std::string, std::set<std::string>> expected;
  for (const std::string directory : kDirectories)
    for (int i = 0; i < kStays; ++i) expected[directory].insert("stays" + std::to_string(i));
  const auto expect = [&expected](const std::string& path) {
    const size_t slash = path.rfind('/');
    expected[path.substr(0, slash)].insert(path.substr(slash + 1));
  };
  expect(PlaceOf(moved_on_));
  expect(kToAndFro[moved_to_and_fro_ / 2 % 2]);
  for (size_t i = 0; i < owners_.size(); ++i) {
    EXPECT_EQ(Found(calls_, i), Describe(owners_[i]->names()));
    for (const auto& [path, file] : owners_[i]->names()) expect(path);
  }
  for (const std::string directory : kDirectories) {
    const auto names = calls_.List(directory);
    ASSERT_THAT(names, IsOk());
    EXPECT_EQ(std::multiset<std::string>(names->begin(), names->end()),
              std::multiset<std::string>(expected[directory].begin(), expected[directory].end()));
  }
}

}  // namespace stasis::testing
