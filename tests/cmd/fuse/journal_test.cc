// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/testing/seed.h"

namespace stasis::fuse {
namespace {

using Kind = JournalRecord::Kind;

constexpr uint64_t kPage = 4096;

std::string TextOf(const JournalRecord& record) {
  return {reinterpret_cast<const char*>(record.message.data()), record.message.size()};
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() : journal_(*Journal::Create(Journal::kMinCapacity)) {}

  uint64_t Append(std::string_view message, uint64_t unique = 2) {
    absl::MutexLock lock(&journal_->order());
    EXPECT_TRUE(journal_->HasRoom(message.size()));
    return journal_->Append({.server = 7,
                             .time = 1234,
                             .unique = unique,
                             .outcome = {.error = 5, .node = 6, .handle = 8, .digest = 9},
                             .message = std::as_bytes(std::span(message))});
  }
  bool HasRoom(size_t size) {
    absl::MutexLock lock(&journal_->order());
    return journal_->HasRoom(size);
  }
  auto Reopen(uint64_t from = 0) { return Journal::Open(UniqueFd(dup(journal_->fd())), from); }
  // Another that has read everything, and goes on with it.
  absl::StatusOr<std::unique_ptr<Journal>> GoOn(uint64_t from = 0) {
    auto other = Reopen(from);
    if (!other.ok()) return other;
    for (auto record = (*other)->Read(from); record.ok() && record->has_value();
         record = (*other)->Read(from))
      from = (*record)->next;
    if (absl::Status goes_on = (*other)->GoOn(from); !goes_on.ok()) return goes_on;
    return other;
  }
  // All records from a position on; pads are left out.
  static absl::StatusOr<std::vector<JournalRecord>> ReadAll(const Journal& journal, uint64_t from) {
    std::vector<JournalRecord> records;
    for (;;) {
      auto record = journal.Read(from);
      if (!record.ok()) return record.status();
      if (!record->has_value()) return records;
      from = (*record)->next;
      if ((*record)->kind != Kind::kPad) records.push_back(**record);
    }
  }

  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, AnotherReadsWhatWasAppended) {
  Append("first");
  const uint64_t second = Append(std::string(100'000, 'x'));
  journal_->MarkSent(second);
  const auto other = Reopen();
  ASSERT_TRUE(other.ok()) << other.status();
  const auto records = ReadAll(**other, 0);
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 2u);
  const JournalRecord& first = records->front();
  EXPECT_EQ(TextOf(first), "first");
  EXPECT_EQ(first.server, 7u);
  EXPECT_EQ(first.time, 1234);
  EXPECT_EQ(first.unique, 2u);
  EXPECT_EQ(first.outcome, (Outcome{5, 6, 8, 9}));
  EXPECT_FALSE(first.sent);
  EXPECT_EQ(TextOf(records->back()), std::string(100'000, 'x'));
  EXPECT_TRUE(records->back().sent);
}

TEST_F(JournalTest, AnotherReadsWhatIsAppendedMeanwhile) {
  constexpr uint64_t kRecords = 20'000;
  std::thread writer([&] {
    for (uint64_t i = 1; i <= kRecords; ++i) Append(std::string(i % 100, 'x'), i);
  });
  const auto other = Reopen();
  ASSERT_TRUE(other.ok()) << other.status();
  uint64_t position = 0;
  for (uint64_t next = 1; next <= kRecords;) {
    const auto record = (*other)->Read(position);
    ASSERT_TRUE(record.ok()) << record.status();
    if (!record->has_value()) continue;
    position = (*record)->next;
    if ((*record)->kind == Kind::kPad) continue;
    ASSERT_EQ((*record)->unique, next);
    ASSERT_EQ(TextOf(**record), std::string(next % 100, 'x'));
    ++next;
  }
  writer.join();
  EXPECT_TRUE((*other)->GoOn(position).ok());
  EXPECT_EQ((*other)->end(), journal_->end());
}

TEST_F(JournalTest, WhatWaitsForNoReplyCountsAsSent) {
  Append("forget", 0);
  EXPECT_TRUE(ReadAll(*journal_, 0)->front().sent);
}

TEST_F(JournalTest, TheRingGoesRoundAndRound) {
  const uint64_t seed = stasis::testing::NewSeed();
  std::mt19937_64 random(seed);
  std::deque<std::pair<uint64_t, std::string>> kept;
  for (int i = 0; i < 3000; ++i) {
    std::string text(random() % (random() % 20 == 0 ? Journal::kMaxMessage : 4000), 'a' + i % 26);
    while (!HasRoom(text.size())) {
      const size_t dropped = 1 + random() % kept.size();
      kept.erase(kept.begin(), kept.begin() + static_cast<int64_t>(dropped));
      journal_->Release(kept.empty() ? journal_->end() : kept.front().first);
    }
    const uint64_t at = Append(text);
    kept.emplace_back(at, std::move(text));
    if (i % 100 != 0) continue;
    const auto other = Reopen(kept.front().first);
    ASSERT_TRUE(other.ok()) << other.status();
    const auto records = ReadAll(**other, kept.front().first);
    ASSERT_TRUE(records.ok()) << records.status();
    ASSERT_EQ(records->size(), kept.size());
    for (size_t k = 0; k < kept.size(); ++k) ASSERT_EQ(TextOf((*records)[k]), kept[k].second);
  }
}

TEST_F(JournalTest, AnotherGoesOnWithIt) {
  Append("one");
  auto other = GoOn();
  ASSERT_TRUE(other.ok()) << other.status();
  journal_ = *std::move(other);
  Append("two");
  const auto records = ReadAll(*journal_, 0);
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ(TextOf(records->back()), "two");
}

TEST_F(JournalTest, AFullOneHasNoRoomUntilWhatIsOldIsReleased) {
  const std::string text(1 << 20, 'x');
  while (HasRoom(text.size())) Append(text, 0);
  EXPECT_TRUE(journal_->AwaitCheckpoint(absl::ZeroDuration()));
  const auto mark = journal_->Mark(absl::ZeroDuration());
  ASSERT_TRUE(mark.ok()) << mark.status();
  EXPECT_FALSE(HasRoom(text.size()));
  journal_->Release(*mark);
  EXPECT_TRUE(HasRoom(text.size()));
  EXPECT_FALSE(journal_->AwaitCheckpoint(absl::ZeroDuration()));
  EXPECT_FALSE(Reopen(0).ok()) << "what is there now is something else";
}

TEST_F(JournalTest, BehindABarrierEverythingHasRoomAndNothingIsKept) {
  Append("before", 0);
  journal_->AppendBarrier("a mount");
  EXPECT_TRUE(journal_->AwaitCheckpoint(absl::ZeroDuration()));
  const std::string text(1 << 20, 'x');
  std::vector<uint64_t> sent;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(HasRoom(text.size()));
    sent.push_back(Append(text, static_cast<uint64_t>(i) + 1));
  }
  EXPECT_EQ(ReadAll(*journal_, 0)->size(), 2u);
  EXPECT_FALSE(journal_->Mark(absl::ZeroDuration()).ok()) << "replies are on their way";
  for (const uint64_t position : sent) journal_->MarkSent(position);
  const auto mark = journal_->Mark(absl::ZeroDuration());
  ASSERT_TRUE(mark.ok()) << mark.status();
  Append("after", 0);
  EXPECT_EQ(ReadAll(*journal_, *mark)->size(), 1u);
  EXPECT_FALSE(journal_->AwaitCheckpoint(absl::ZeroDuration()));
}

TEST_F(JournalTest, ACheckpointWaitsForReplies) {
  const uint64_t at = Append("request");
  EXPECT_EQ(journal_->Mark(absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  std::thread sender([&] { journal_->MarkSent(at); });
  EXPECT_TRUE(journal_->Mark(absl::Seconds(10)).ok());
  sender.join();
}

// Whoever died has sent them, or the kernel asks again: nobody can wait for that.
TEST_F(JournalTest, ACheckpointDoesNotWaitForRepliesOfWhoDied) {
  const uint64_t at = Append("request");
  journal_ = *GoOn();
  EXPECT_TRUE(journal_->Mark(absl::ZeroDuration()).ok());
  journal_->MarkSent(at);
  Append("another", 4);
  EXPECT_FALSE(journal_->Mark(absl::ZeroDuration()).ok());
}

TEST_F(JournalTest, AClosedOneTakesEverythingAndKeepsNothing) {
  Append("kept", 0);
  journal_->Close();
  const std::string text(1 << 20, 'x');
  for (int i = 0; i < 10; ++i) Append(text);
  EXPECT_EQ(ReadAll(*journal_, 0)->size(), 1u);
  EXPECT_TRUE(journal_->AwaitCheckpoint(absl::ZeroDuration()));
  EXPECT_EQ(journal_->Mark(absl::ZeroDuration()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(GoOn().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(JournalTest, OneThatCanBeDoneWithoutIsClosedWhenItIsFull) {
  journal_->CloseWhenFull();
  const std::string text(1 << 20, 'x');
  for (int i = 0; i < 10; ++i) Append(text);
  EXPECT_TRUE(journal_->closed());
  EXPECT_EQ(GoOn().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(JournalTest, ARecordThatIsNotThereInFullDoesNotCount) {
  Append("whole");
  const uint64_t at = Append("torn");
  const uint64_t zero = 0;  // the word that is written last
  ASSERT_EQ(pwrite(journal_->fd(), &zero, 8, static_cast<off_t>(kPage + at)), 8);
  const auto other = GoOn();
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(ReadAll(**other, 0)->size(), 1u);
  EXPECT_EQ((*other)->end(), at);
}

TEST_F(JournalTest, EveryFlippedBitIsSeen) {
  Append("first");
  const uint64_t at = Append("the second one");
  const uint64_t end = journal_->end();
  for (uint64_t byte = at; byte < end; ++byte) {
    unsigned char was = 0;
    const auto place = static_cast<off_t>(kPage + byte);
    ASSERT_EQ(pread(journal_->fd(), &was, 1, place), 1);
    const auto flipped = static_cast<unsigned char>(was ^ (1u << (byte % 8)));
    ASSERT_EQ(pwrite(journal_->fd(), &flipped, 1, place), 1);
    const auto records = ReadAll(*journal_, 0);
    const bool is_flag = byte - at >= 8 && byte - at < 12;  // whether the reply was sent
    const bool is_padding = byte - at >= 80 + strlen("the second one");
    if (is_flag || is_padding) {
      EXPECT_TRUE(records.ok()) << byte - at;
    } else {
      EXPECT_EQ(records.status().code(), absl::StatusCode::kDataLoss) << byte - at;
      EXPECT_THAT(std::string(records.status().message()),
                  ::testing::HasSubstr(std::to_string(at)));
    }
    ASSERT_EQ(pwrite(journal_->fd(), &was, 1, place), 1);
  }
  EXPECT_TRUE(ReadAll(*journal_, 0).ok());
}

TEST_F(JournalTest, NoiseIsNoJournal) {
  EXPECT_FALSE(Journal::Open(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)), 0).ok());
  UniqueFd plain(memfd_create("noise", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(plain.get(), 8 << 20), 0);
  EXPECT_FALSE(Journal::Open(UniqueFd(dup(plain.get())), 0).ok());
  ASSERT_EQ(fcntl(plain.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_FALSE(Journal::Open(UniqueFd(dup(plain.get())), 0).ok());
  EXPECT_FALSE(Reopen(12).ok());
  const uint64_t seed = stasis::testing::NewSeed();
  std::mt19937_64 random(seed);
  std::string noise(1 << 16, ' ');
  for (int round = 0; round < 200; ++round) {
    for (char& c : noise) c = static_cast<char>(random());
    const uint64_t commit = 1;  // of the record at 0
    std::memcpy(noise.data(), &commit, 8);
    ASSERT_EQ(pwrite(journal_->fd(), noise.data(), noise.size(), kPage), 1 << 16);
    EXPECT_FALSE(ReadAll(*journal_, 0).ok());
  }
}

TEST_F(JournalTest, OddSizesAreRefused) {
  EXPECT_FALSE(Journal::Create(1).ok());
  EXPECT_FALSE(Journal::Create(Journal::kMinCapacity + 1).ok());
}

}  // namespace
}  // namespace stasis::fuse
