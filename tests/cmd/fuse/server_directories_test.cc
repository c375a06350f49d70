// SPDX-License-Identifier: Apache-2.0
//
// Listings of directories.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/cmd/fuse/server_fixture.h"

namespace stasis::fuse {
namespace {

constexpr uint32_t kOneEntry = 40;  // bytes, of a short name

struct Entry {
  std::string name;
  uint64_t cookie = 0;

  bool operator==(const Entry&) const = default;
};

// What a request without a handle finds in the root from a cookie on.
std::vector<Entry> ReadRoot(FakeKernel& kernel, uint64_t cookie, uint32_t size) {
  fuse_read_in in{};
  in.offset = cookie;
  in.size = size;
  const FakeReply reply = kernel.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(in));
  EXPECT_EQ(reply.error, 0);
  std::vector<Entry> entries;
  for (size_t at = 0; at < reply.payload.size();) {
    fuse_dirent dirent;
    std::memcpy(&dirent, &reply.payload[at], FUSE_NAME_OFFSET);
    const auto* name = reinterpret_cast<const char*>(&reply.payload[at + FUSE_NAME_OFFSET]);
    entries.push_back({{name, dirent.namelen}, dirent.off});
    at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + dirent.namelen);
  }
  return entries;
}

// All of the root, in many requests. Expects that the cookies grow.
std::vector<Entry> ListRoot(FakeKernel& kernel) {
  std::vector<Entry> all;
  uint64_t cookie = 0;
  for (;;) {
    const std::vector<Entry> entries = ReadRoot(kernel, cookie, 4096);
    if (entries.empty()) return all;
    for (const Entry& entry : entries) {
      EXPECT_GT(entry.cookie, cookie) << entry.name;
      cookie = entry.cookie;
      all.push_back(entry);
    }
  }
}

TEST_F(ServerTest, ReaddirOfTooLittleRoom) {
  kernel_.Init();
  fuse_read_in in{};
  in.fh = OpenDir(FUSE_ROOT_ID);
  in.size = 8;
  EXPECT_EQ(kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(in)).error, EINVAL);
  EXPECT_EQ(kernel_.Call(FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in)).error, EINVAL);
  in.offset = ~uint64_t{0};
  in.size = 4096;
  EXPECT_TRUE(kernel_.Call(FUSE_READDIR, FUSE_ROOT_ID, Payload().Struct(in)).payload.empty());
}

TEST_F(ServerTest, ReaddirPlusCountsLookups) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  fuse_read_in in{};
  in.size = 4096;
  in.fh = OpenDir(FUSE_ROOT_ID);
  EXPECT_EQ(kernel_.Call(FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in)).error, 0);
  EXPECT_EQ(kernel_.server().state()->nodes().Find(node)->lookups(), 2u);
}

// The kernel may be about to count them down.
TEST_F(ServerTest, ReaddirPlusTellsNothingOfFilesThatHadSeveralLinks) {
  kernel_.Init();
  kernel_.tree().MakeFile("a");
  const uint64_t node = NodeOf("a");
  const Bytes link = Payload().Struct(fuse_link_in{node}).Text("b");
  EXPECT_EQ(kernel_.Call(FUSE_LINK, FUSE_ROOT_ID, link).error, 0);
  EXPECT_EQ(kernel_.Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("b")).error, 0);
  fuse_read_in in{};
  in.size = 4096;
  in.fh = OpenDir(FUSE_ROOT_ID);
  EXPECT_EQ(kernel_.Call(FUSE_READDIRPLUS, FUSE_ROOT_ID, Payload().Struct(in)).error, 0);
  EXPECT_EQ(kernel_.server().state()->nodes().Find(node)->lookups(), 2u) << "LOOKUP and LINK";
}

TEST_F(ServerTest, AListingGoesOnWithoutAHandleAndEndsWhereItBegan) {
  kernel_.Init(~0u);
  for (const char* name : {"a", "b", "c"}) kernel_.tree().MakeFile(name);
  EXPECT_EQ(kernel_.Call(FUSE_OPENDIR, FUSE_ROOT_ID, Payload().Struct(fuse_open_in{})).error,
            ENOSYS);
  std::vector<std::string> names;
  uint64_t cookie = 0;
  for (int i = 0; i < 10; ++i) {
    const std::vector<Entry> one = ReadRoot(kernel_, cookie, kOneEntry);
    if (one.empty()) break;
    names.push_back(one[0].name);
    cookie = one[0].cookie;
    kernel_.tree().MakeFile("new" + std::to_string(i));
  }
  EXPECT_THAT(names, testing::ElementsAre(".", "..", "a", "b", "c"));
}

TEST_F(ServerTest, CookiesHave31BitsWhereFewNamesWereMade) {
  kernel_.Init(~0u);
  constexpr size_t kFew = 32'764;
  for (size_t i = 0; i < kFew; ++i) kernel_.tree().MakeFile(std::to_string(i));
  const std::vector<Entry> few = ListRoot(kernel_);
  EXPECT_EQ(few.size(), 2 + kFew);
  EXPECT_LT(few.back().cookie, uint64_t{1} << 31);

  // A listing that was begun ends where it did, and another has cookies that hold more.
  kernel_.tree().MakeFile("more");
  EXPECT_TRUE(ReadRoot(kernel_, few.back().cookie, 4096).empty());
  EXPECT_EQ(ReadRoot(kernel_, few[few.size() - 2].cookie, 4096), std::vector{few.back()});
  const std::vector<Entry> more = ListRoot(kernel_);
  EXPECT_EQ(more.size(), few.size() + 1);
  EXPECT_GT(more.front().cookie, uint64_t{1} << 31);
  kernel_.tree().MakeFile("last");
  EXPECT_EQ(ReadRoot(kernel_, more[more.size() - 2].cookie, 4096), std::vector{more.back()});
}

TEST_F(ServerTest, FilesystemsBelowTheRootHaveNumbersOfTheirOwn) {
  kernel_.Init();
  TestTree& tree = kernel_.tree();
  tree.MakeDirectory("m");
  const vfs::VirtualDentry root = tree.root();
  ASSERT_TRUE(tree.vfs()->MountAt(tree.creds(), tree.mounts(), {root, root, "m"},
                                  memfs::MemFilesystem::Create(*tree.vfs(), {}), {}));
  ASSERT_EQ(tree.Find("m").inode().ino(), root.inode().ino());
  const auto mounted = kernel_.Lookup(FUSE_ROOT_ID, "m").As<fuse_entry_out>();
  EXPECT_NE(mounted.attr.ino, root.inode().ino());
  fuse_read_in in{};
  in.fh = OpenDir(mounted.nodeid);
  in.size = 4096;
  const FakeReply list = kernel_.Call(FUSE_READDIR, mounted.nodeid, Payload().Struct(in));
  EXPECT_EQ(list.As<fuse_dirent>().ino, mounted.attr.ino) << "of \".\"";
}

}  // namespace
}  // namespace stasis::fuse
