// SPDX-License-Identifier: Apache-2.0

#include "state/chunk_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "state/chunk.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::state {
namespace {

using stasis::testing::IsErrno;
using stasis::testing::IsOk;

constexpr size_t kMiB = 1024 * 1024;

std::unique_ptr<ChunkMemory> MakeMemory(const ChunkMemoryOptions& options = {}) {
  auto memory = ChunkMemory::Create(options);
  EXPECT_THAT(memory, IsOk());
  return std::move(*memory);
}

uint32_t Seed() {
  const char* chosen = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
  const uint32_t seed = chosen != nullptr ? static_cast<uint32_t>(std::strtoul(chosen, nullptr, 10))
                                          : std::random_device()();
  std::cout << "STASIS_SEED=" << seed << std::endl;
  return seed;
}

class TempDir {
 public:
  TempDir() {
    path_ = (std::filesystem::temp_directory_path() / "stasis-memory-XXXXXX").string();
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What the system has given, as it counts it.
uint64_t SystemBytes(const ChunkMemory& memory) {
  struct stat stat;
  EXPECT_EQ(::fstat(memory.fd(), &stat), 0);
  return static_cast<uint64_t>(stat.st_blocks) * 512;
}

// A slot that is filled with a number of its own.
struct Filled {
  std::byte* place;
  size_t size;
  std::byte mark;

  bool Intact() const {
    return std::all_of(place, place + size, [this](std::byte b) { return b == mark; });
  }
};

// Allocates, fills, checks and frees slots of random sizes, `steps` times, then frees them all.
void Churn(ChunkMemory& memory, uint32_t seed, int steps, size_t most) {
  std::mt19937 random(seed);
  std::vector<Filled> slots;
  const auto free_one = [&](size_t at) {
    EXPECT_TRUE(slots[at].Intact());
    memory.Free(slots[at].place);
    slots[at] = slots.back();
    slots.pop_back();
  };
  for (int i = 0; i < steps; ++i) {
    if (!slots.empty() && (slots.size() >= most || random() % 5 < 2)) {
      free_one(random() % slots.size());
      continue;
    }
    const size_t size = ChunkMemory::kSmallestSlot << random() % 9;
    auto place = memory.Allocate(size, nullptr);
    ASSERT_THAT(place, IsOk());
    slots.push_back({*place, size, static_cast<std::byte>(random())});
    std::memset(*place, static_cast<int>(slots.back().mark), size);
  }
  while (!slots.empty()) free_one(slots.size() - 1);
}

TEST(ChunkMemoryTest, SlotsKeepWhatIsInThem) {
  auto memory = MakeMemory();
  const uint32_t seed = Seed();
  Churn(*memory, seed, 20'000, 2000);
  EXPECT_EQ(memory->in_use(), 0u);
}

TEST(ChunkMemoryTest, ThreadsDoNotGetEachOthersSlots) {
  auto memory = MakeMemory({.kept = kMiB});
  const uint32_t seed = Seed();
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&memory, seed, t] { Churn(*memory, seed + t, 10'000, 500); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(memory->in_use(), 0u);
  EXPECT_LE(memory->stats().real, 2 * kMiB);
}

TEST(ChunkMemoryTest, CountsWhatIsInUseAndWhatIsReal) {
  auto memory = MakeMemory();
  EXPECT_EQ(SystemBytes(*memory), 0u);
  std::byte* small = *memory->Allocate(64, nullptr);
  std::byte* large = *memory->Allocate(16 * 1024, nullptr);
  EXPECT_EQ(memory->stats().in_use, 64u + 16 * 1024);
  EXPECT_EQ(memory->stats().real, 2 * ChunkMemory::kSpan);
  EXPECT_EQ(SystemBytes(*memory), 2 * ChunkMemory::kSpan);
  memory->Free(small);
  memory->Free(large);
  EXPECT_EQ(memory->stats().in_use, 0u);
}

TEST(ChunkMemoryTest, UsesFreeSlotsAndSpansAgain) {
  auto memory = MakeMemory();
  std::vector<std::byte*> slots;
  for (int i = 0; i < 64; ++i) slots.push_back(*memory->Allocate(16 * 1024, nullptr));
  const uint64_t real = memory->stats().real;
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < slots.size(); i += 2) memory->Free(slots[i]);
    for (size_t i = 0; i < slots.size(); i += 2) slots[i] = *memory->Allocate(16 * 1024, nullptr);
  }
  for (std::byte* slot : slots) memory->Free(slot);
  slots.clear();
  // Spans that have become free serve another size.
  for (int i = 0; i < 256; ++i) slots.push_back(*memory->Allocate(4096, nullptr));
  EXPECT_EQ(memory->stats().real, real);
  for (std::byte* slot : slots) memory->Free(slot);
}

TEST(ChunkMemoryTest, GivesBackWhatIsNotKept) {
  auto memory = MakeMemory({.kept = kMiB});
  std::vector<std::byte*> slots;
  for (size_t i = 0; i < 16 * kMiB; i += 16 * 1024)
    slots.push_back(*memory->Allocate(16 * 1024, nullptr));
  EXPECT_EQ(SystemBytes(*memory), 16 * kMiB);
  for (std::byte* slot : slots) memory->Free(slot);
  EXPECT_LE(SystemBytes(*memory), kMiB);
  EXPECT_EQ(memory->stats().real, SystemBytes(*memory));
  // And takes it again.
  for (std::byte*& slot : slots) {
    slot = *memory->Allocate(16 * 1024, nullptr);
    std::memset(slot, 1, 16 * 1024);
  }
  EXPECT_EQ(SystemBytes(*memory), 16 * kMiB);
  for (std::byte* slot : slots) memory->Free(slot);
}

TEST(ChunkMemoryTest, DoesNotWriteToFreeMemory) {
  auto memory = MakeMemory();
  std::byte* slot = *memory->Allocate(4096, nullptr);
  std::memset(slot, 0x5a, 4096);
  memory->Free(slot);
  std::vector<std::byte> content(4096);
  ASSERT_EQ(::pread(memory->fd(), content.data(), content.size(),
                    static_cast<off_t>(memory->OffsetOf(slot))),
            4096);
  EXPECT_EQ(std::count(content.begin(), content.end(), std::byte{0x5a}), 4096);
}

TEST(ChunkMemoryTest, IsSeenThroughTheDescriptor) {
  auto memory = MakeMemory();
  std::byte* slot = *memory->Allocate(4096, nullptr);
  std::memcpy(slot, "shared", 7);
  const auto offset = memory->OffsetOf(slot);
  void* other = ::mmap(nullptr, ChunkMemory::kSpan, PROT_READ, MAP_SHARED, memory->fd(),
                       static_cast<off_t>(offset / ChunkMemory::kSpan * ChunkMemory::kSpan));
  ASSERT_NE(other, MAP_FAILED);
  EXPECT_STREQ(static_cast<const char*>(other) + offset % ChunkMemory::kSpan, "shared");
  ::munmap(other, ChunkMemory::kSpan);
  memory->Free(slot);
}

TEST(ChunkMemoryTest, AFullRangeIsAnError) {
  auto memory = MakeMemory({.range = 2 * ChunkMemory::kSpan});
  std::vector<std::byte*> slots;
  for (int i = 0; i < 8; ++i) slots.push_back(*memory->Allocate(16 * 1024, nullptr));
  EXPECT_THAT(memory->Allocate(16 * 1024, nullptr), IsErrno(ENOSPC));
  EXPECT_THAT(memory->Allocate(64, nullptr), IsErrno(ENOSPC));
  memory->Free(slots.back());
  slots.back() = *memory->Allocate(16 * 1024, nullptr);
  for (std::byte* slot : slots) memory->Free(slot);
}

TEST(ChunkMemoryTest, VisitsWhoHasAnOwner) {
  auto memory = MakeMemory();
  const auto* owner = reinterpret_cast<const Chunk*>(&memory);
  std::byte* const small = *memory->Allocate(2048, owner);
  std::byte* const owned = *memory->Allocate(4096, owner);
  std::byte* const freed = *memory->Allocate(8192, owner);
  memory->Free(freed);
  std::vector<std::byte*> seen;
  memory->Visit(memory->span_count(), [&](const Chunk* by, std::byte* slot, size_t size) {
    EXPECT_EQ(by, owner);
    EXPECT_EQ(size, 4096u);
    seen.push_back(slot);
    return true;
  });
  EXPECT_EQ(seen, std::vector<std::byte*>{owned});
  memory->Visit(memory->span_count(), [&](const Chunk*, std::byte*, size_t) {
    ADD_FAILURE() << "an owner that had let go";
    return false;
  });
  memory->Free(small);
  memory->Free(owned);
}

TEST(ChunkMemoryTest, AFileIsNotLeftBehind) {
  const TempDir scratch;
  auto memory = MakeMemory({.directory = scratch.path()});
  std::byte* slot = *memory->Allocate(4096, nullptr);
  std::memset(slot, 1, 4096);
  EXPECT_TRUE(memory->in_file());
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  memory->Free(slot);
  EXPECT_THAT(ChunkMemory::Create({.directory = scratch.path() + "/missing"}), IsErrno(ENOENT));
}

// In a child process: it unshares its mounts.
int FillSmallDisk(const char* directory) {
  if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 2;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 2;
  if (::mount("small", directory, "tmpfs", 0, "size=1m") != 0) return 3;
  auto memory = ChunkMemory::Create({.directory = directory, .kept = 0});
  if (!memory) return 4;
  std::vector<std::byte*> slots;
  for (;;) {
    auto slot = (*memory)->Allocate(16 * 1024, nullptr);
    if (!slot) {
      if (slot.error() != Errno(ENOSPC)) return 5;
      break;
    }
    std::memset(*slot, 1, 16 * 1024);
    slots.push_back(*slot);
  }
  if (slots.size() != kMiB / (16 * 1024)) return 6;
  // Room on the disk is room here.
  for (int i = 0; i < 4; ++i) {
    (*memory)->Free(slots.back());
    slots.pop_back();
  }
  if (!(*memory)->Allocate(64, nullptr)) return 7;
  return 0;
}

TEST(ChunkMemoryTest, AFullDiskIsAnError) {
  const TempDir scratch;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(FillSmallDisk(scratch.path().c_str()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace stasis::state
