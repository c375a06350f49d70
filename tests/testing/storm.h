// SPDX-License-Identifier: Apache-2.0
//
// storm.h: many at work in the same directories, each of whom can tell what must come of it.
//
//   VfsCalls calls(t.vfs(), t.root());
//   Storm storm(calls);
//   storm.Run({.owners = 4, .steps = 5000});
//
// Every owner has names of his own in directories that all share, changes them at random, and
// foresees each result: what he finds is his doing alone. In the end the directories hold what all
// foresaw and nothing else. Meanwhile some list the directories, and must see each entry that stays
// exactly once, and some follow a file that is renamed on and on, and must never lose it.

#ifndef STASIS_TESTS_TESTING_STORM_H_
#define STASIS_TESTS_TESTING_STORM_H_

#include <absl/synchronization/mutex.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "state/base/result.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::testing {

// The system calls of a storm. Thread-safe.
class StormCalls {
 public:
  struct File {
    uint64_t ino = 0;
    uint32_t nlink = 0;
    bool is_directory = false;
  };

  virtual ~StormCalls() = default;

  virtual Result<void> Create(const std::string& path) = 0;  // O_EXCL
  virtual Result<void> Mkdir(const std::string& path) = 0;
  virtual Result<void> Link(const std::string& from, const std::string& to) = 0;
  virtual Result<void> Unlink(const std::string& path) = 0;
  virtual Result<void> Rmdir(const std::string& path) = 0;
  virtual Result<void> Rename(const std::string& from, const std::string& to, uint32_t flags) = 0;
  virtual Result<File> Stat(const std::string& path) = 0;
  // All names from one opening to the end, read a few at a time; without "." and "..".
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
};

// On the API of a VFS, as root.
class VfsCalls final : public StormCalls {
 public:
  VfsCalls(vfs::VirtualFilesystem& vfs, vfs::VirtualDentry root)
      : vfs_(vfs), root_(std::move(root)) {}

  Result<void> Create(const std::string& path) override;
  Result<void> Mkdir(const std::string& path) override;
  Result<void> Link(const std::string& from, const std::string& to) override;
  Result<void> Unlink(const std::string& path) override;
  Result<void> Rmdir(const std::string& path) override;
  Result<void> Rename(const std::string& from, const std::string& to, uint32_t flags) override;
  Result<File> Stat(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;

 private:
  vfs::PathOperation At(const std::string& path) const { return {root_, root_, path, false}; }

  vfs::VirtualFilesystem& vfs_;
  const vfs::VirtualDentry root_;
  const vfs::Credentials creds_ = vfs::Credentials::Root();
};

// On a directory of the host.
class KernelCalls final : public StormCalls {
 public:
  explicit KernelCalls(std::string directory) : directory_(std::move(directory)) {}

  Result<void> Create(const std::string& path) override;
  Result<void> Mkdir(const std::string& path) override;
  Result<void> Link(const std::string& from, const std::string& to) override;
  Result<void> Unlink(const std::string& path) override;
  Result<void> Rmdir(const std::string& path) override;
  Result<void> Rename(const std::string& from, const std::string& to, uint32_t flags) override;
  Result<File> Stat(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;

 private:
  std::string At(const std::string& path) const { return directory_ + path; }

  const std::string directory_;
};

// What is at a path: which file, if the same is at several, and whether it is a directory. Of two
// trees that were made alike the numbers differ, but not what Describe() says.
using StormNames = std::map<std::string, std::pair<uint64_t, bool>>;
std::string Describe(const StormNames& names);

// Not thread-safe but for what says so.
class NameOwner {
 public:
  NameOwner(std::string name, uint64_t seed) : name_(std::move(name)), random_(seed) {}

  // One random call, whose result must be the foreseen one. Without `calls` it only foresees.
  void Step(StormCalls* calls);
  const StormNames& names() const { return names_; }

  // Thread-safe. After how many steps it is; what was Describe(names()) after so many.
  size_t steps() const;
  std::string After(size_t steps) const;

 private:
  using Outcome = Result<void>;

  std::string AnyPath();
  bool IsThere(const std::string& path) const { return names_.contains(path); }
  Outcome Foresee(int call, const std::string& from, const std::string& to, uint32_t flags);
  Outcome ForeseeRename(const std::string& from, const std::string& to, uint32_t flags);

  const std::string name_;
  std::mt19937_64 random_;
  StormNames names_;
  uint64_t last_file_ = 0;

  mutable absl::Mutex mu_;
  std::vector<std::string> history_ ABSL_GUARDED_BY(mu_) = {""};
};

class Storm {
 public:
  struct Options {
    int owners = 4;
    int steps = 3000;        // of each owner
    bool processes = false;  // owners are processes of their own
    // Called again and again meanwhile.
    std::function<void()> meanwhile;
  };

  // Makes the directories. STASIS_SEED sets the seed of all that is random; it is printed.
  explicit Storm(StormCalls& calls);

  // Leaves the directories as the owners left them.
  void Run(const Options& options);
  const std::vector<std::unique_ptr<NameOwner>>& owners() const { return owners_; }
  // What `calls` finds of an owner.
  static std::string Found(StormCalls& calls, size_t owner);

 private:
  void RunOwnersAsThreads(int steps);
  std::vector<pid_t> StartOwnersAsProcesses(int steps);
  void WaitForOwners(const std::vector<pid_t>& processes, int steps);
  // Those who look on, until done_.
  void ListWhatStays();
  void FollowAFileThatMovesOn();
  void FindAFileThatMovesToAndFro();
  // Those who rename what they look for.
  void MoveOn();
  void MoveToAndFro();
  void ExpectWhatOwnersForesaw();

  StormCalls& calls_;
  const uint64_t seed_;
  std::vector<std::unique_ptr<NameOwner>> owners_;
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> moved_on_{0};          // the file has at least this number
  std::atomic<uint64_t> moved_to_and_fro_{0};  // odd: is being renamed
};

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_STORM_H_
