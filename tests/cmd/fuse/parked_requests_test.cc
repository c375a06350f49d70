// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/parked_requests.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "cmd/fuse/channel.h"

namespace stasis::fuse {
namespace {

using std::chrono::hours;
using std::chrono::nanoseconds;

class ParkedRequestsTest : public testing::Test {
 protected:
  ParkedRequestsTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    peer_ = UniqueFd(ends[0]);
    channel_ = Channel::Create(UniqueFd(ends[1]), {stop_event_.get()}).value();
  }

  bool Add(uint64_t unique, bool interruptible = true) {
    return parked_.Add(*channel_, unique, interruptible, message_);
  }

  const UniqueFd stop_event_{eventfd(0, EFD_CLOEXEC)};
  UniqueFd peer_;
  std::unique_ptr<Channel> channel_;
  const std::vector<std::byte> message_{40};
  ParkedRequests parked_;
};

TEST_F(ParkedRequestsTest, AreTakenInOrder) {
  for (uint64_t unique : {2, 4, 6}) ASSERT_TRUE(Add(unique));
  for (uint64_t unique : {2, 4, 6}) EXPECT_EQ(parked_.Take()->unique, unique);
  EXPECT_FALSE(parked_.Take().has_value());
}

TEST_F(ParkedRequestsTest, AreIdleOnceTheLastOneIsDone) {
  EXPECT_TRUE(parked_.idle());
  Add(2);
  EXPECT_FALSE(parked_.idle());
  parked_.Take();
  EXPECT_FALSE(parked_.idle()) << "it runs";
  parked_.Done();
  EXPECT_TRUE(parked_.idle());
}

TEST_F(ParkedRequestsTest, InterruptedOnesAreGivenTime) {
  Add(2);
  Add(4);
  parked_.Interrupt(4);
  EXPECT_FALSE(parked_.TakeInterrupted(hours(1)).has_value());
  EXPECT_EQ(parked_.TakeInterrupted(nanoseconds(0))->unique, 4u);
  EXPECT_FALSE(parked_.TakeInterrupted(nanoseconds(0)).has_value());
}

TEST_F(ParkedRequestsTest, SomeAreNotInterrupted) {
  parked_.Interrupt(2);
  Add(2, false);
  Add(4, false);
  parked_.Interrupt(4);
  EXPECT_FALSE(parked_.TakeInterrupted(nanoseconds(0)).has_value());
}

TEST_F(ParkedRequestsTest, InterruptMayComeFirst) {
  // Those whose requests never come are forgotten one after the other.
  for (uint64_t unique = 1000; unique < 100'000; unique += 2) parked_.Interrupt(unique);
  parked_.Interrupt(2);
  Add(2);
  EXPECT_EQ(parked_.TakeInterrupted(nanoseconds(0))->unique, 2u);
}

// Small messages take memory, too.
TEST_F(ParkedRequestsTest, MemoryIsLimited) {
  constexpr size_t kMost = ParkedRequests::kMaxMemory / sizeof(ParkedRequest) + 1;
  std::atomic<size_t> added{0};
  std::thread adder([&] {
    while (added <= kMost && Add(2)) ++added;
  });
  for (size_t last = ~size_t{0}; last != added;) {
    last = added;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_LE(added, kMost);
  const size_t full = added;
  parked_.Take();
  for (int i = 0; i < 1000 && added == full; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(added, full + 1) << "there was room again";
  parked_.Stop();
  adder.join();
}

}  // namespace
}  // namespace stasis::fuse
