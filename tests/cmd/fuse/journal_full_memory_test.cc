// SPDX-License-Identifier: Apache-2.0
//
// What a journal says of requests for which there was no memory.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cmd/fuse/journal.h"
#include "state/chunk_memory.h"
#include "tests/cmd/fuse/fake_kernel.h"

namespace stasis::fuse {
namespace {

using Kind = JournalRecord::Kind;
using state::ChunkMemory;

constexpr uint64_t kRoom = 16 * ChunkMemory::kSpan;

class JournalFullMemoryTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(ChunkMemory::Configure({.range = kRoom}).has_value());
  }
  JournalFullMemoryTest() : journal_(*Journal::Create()) {}

  void Serve(const memfs::MemfsOptions& tree) {
    ServerOptions options;
    options.journal = journal_.get();
    kernel_ = std::make_unique<FakeKernel>(options, tree);
    kernel_->Init();
  }
  // Writes to a new file until that fails; with what.
  int WriteUntilItFails() {
    fuse_create_in create{};
    create.flags = O_CREAT | O_RDWR;
    create.mode = S_IFREG | 0644;
    const FakeReply created =
        kernel_->Call(FUSE_CREATE, FUSE_ROOT_ID, Payload().Struct(create).Text("f"));
    EXPECT_EQ(created.error, 0);
    const auto entry = created.As<fuse_entry_out>();
    fuse_open_out open;
    std::memcpy(&open, created.payload.data() + sizeof(entry), sizeof(open));
    const std::string data(65536, 'x');
    fuse_write_in write{};
    write.fh = open.fh;
    write.size = static_cast<uint32_t>(data.size());
    for (;; write.offset += data.size()) {
      const FakeReply reply = kernel_->Call(FUSE_WRITE, entry.nodeid,
                                            Payload().Struct(write).Raw(data.data(), data.size()));
      if (reply.error != 0) return reply.error;
    }
  }
  bool HasBarrier() const {
    for (uint64_t position = 0;;) {
      const auto record = journal_->Read(position);
      EXPECT_TRUE(record.ok()) << record.status();
      if (!record.ok() || !record->has_value()) return false;
      if ((*record)->kind == Kind::kBarrier) return true;
      position = (*record)->next;
    }
  }

  const std::unique_ptr<Journal> journal_;
  std::unique_ptr<FakeKernel> kernel_;
};

// Another time there may be some.
TEST_F(JournalFullMemoryTest, NoMemoryIsABarrier) {
  Serve({});
  EXPECT_EQ(WriteUntilItFails(), ENOSPC);
  EXPECT_TRUE(HasBarrier());
}

TEST_F(JournalFullMemoryTest, TheTreesOwnLimitIsNone) {
  Serve({.size_limit = kRoom / 4});
  EXPECT_EQ(WriteUntilItFails(), ENOSPC);
  EXPECT_FALSE(HasBarrier());
}

}  // namespace
}  // namespace stasis::fuse
