// SPDX-License-Identifier: Apache-2.0
//
// What a commit makes durable, in which order, and what it leaves of others' changes.

#include "restore/image/transaction.h"

#include <algorithm>
#include <mutex>

#include "tests/restore/image/image_fixture.h"

namespace stasis::image {
namespace {

using ::testing::ElementsAre;

// Notes what becomes durable and what gets a name.
class RecordingOps final : public PosixFileOps {
 public:
  Result<void> SyncData(int fd) override {
    Note("data");
    return PosixFileOps::SyncData(fd);
  }
  Result<void> SyncDirectory(int fd) override {
    Note("directory");
    return PosixFileOps::SyncDirectory(fd);
  }
  Result<void> RenameAt(int from_dir, const std::string& from, int to_dir,
                        const std::string& to) override {
    Note(to == "index.json" ? "index" : "blob");
    return PosixFileOps::RenameAt(from_dir, from, to_dir, to);
  }
  std::vector<std::string> Take() {
    const std::lock_guard lock(mu_);
    return std::exchange(notes_, {});
  }

 private:
  void Note(const char* what) {
    const std::lock_guard lock(mu_);
    notes_.emplace_back(what);
  }

  std::mutex mu_;  // files are synced by several threads
  std::vector<std::string> notes_;
};

class TransactionTest : public ImageTest {
 protected:
  // An open layout, and a transaction in it that has a blob.
  void Open(std::shared_ptr<FileOps> ops = nullptr) {
    auto layout = Layout::OpenForWriting(dir_, std::move(ops));
    ASSERT_TRUE(layout.ok()) << layout.status();
    layout_ = *std::move(layout);
    transaction_.emplace(*layout_);
    const auto blob = transaction_->AddBytes("{\"some\":\"document\"}");
    ASSERT_TRUE(blob.ok()) << blob.status();
    entry_ = DescriptorOf("application/json", *blob);
  }
  // What a program does that knows nothing of locks.
  void AddForeignTag() {
    auto index = Index::Parse(ReadFile(dir_ / "index.json"));
    ASSERT_TRUE(index.ok());
    index->Set("foreign", entry_);
    WriteFile(dir_ / "index.json", index->Encode());
  }
  std::vector<std::string> Tags() {
    std::vector<std::string> tags;
    const auto list = layout_->List();
    EXPECT_TRUE(list.ok()) << list.status();
    for (const TagEntry& tag : *list) tags.push_back(tag.tag);
    return tags;
  }

  std::unique_ptr<Layout> layout_;
  std::optional<Transaction> transaction_;
  Descriptor entry_;
};

TEST_F(TransactionTest, EverythingIsDurableBeforeAnythingHasItsName) {
  auto ops = std::make_shared<RecordingOps>();
  Open(ops);
  ASSERT_TRUE(transaction_->AddBytes("another").ok());
  ops->Take();
  ASSERT_EQ(transaction_->Commit("v1", entry_), absl::OkStatus());
  // Two blobs, their list and the index, at once; then names, then the index's.
  EXPECT_THAT(ops->Take(), ElementsAre("data", "data", "data", "data", "directory", "blob", "blob",
                                       "directory", "index", "directory"));
  EXPECT_THAT(Tags(), ElementsAre("v1"));
  EXPECT_TRUE(TempFiles().empty());
}

TEST_F(TransactionTest, WhatAnotherProgramPutsIntoTheIndexMeanwhileStays) {
  Open();
  CommitOptions options;
  options.check = [this] {
    AddForeignTag();
    return absl::OkStatus();
  };
  ASSERT_EQ(transaction_->Commit("v1", entry_, options), absl::OkStatus());
  EXPECT_THAT(Tags(), ElementsAre("foreign", "v1"));
  EXPECT_TRUE(TempFiles().empty());
}

TEST_F(TransactionTest, ACheckThatFailsLeavesTheIndexAndNoFile) {
  Open();
  CommitOptions options;
  options.check = [] { return absl::DataLossError("not the same"); };
  EXPECT_EQ(transaction_->Commit("v1", entry_, options), absl::DataLossError("not the same"));
  EXPECT_THAT(Tags(), ElementsAre());
  EXPECT_TRUE(TempFiles().empty());
  EXPECT_TRUE(Blobs().empty());
}

}  // namespace
}  // namespace stasis::image
