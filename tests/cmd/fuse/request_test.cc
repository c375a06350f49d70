// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "cmd/fuse/attributes.h"
#include "cmd/fuse/init.h"

namespace stasis::fuse {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

template <typename T>
std::span<const std::byte> BytesOf(const T& value) {
  return std::as_bytes(std::span<const T>(&value, 1));
}

TEST(MessageReaderTest, TakesStructuresOnlyWhole) {
  const uint64_t value = 7;
  EXPECT_EQ(*MessageReader(BytesOf(value)).Take<uint64_t>(), 7u);
  EXPECT_EQ(MessageReader(BytesOf(value).first(7)).Take<uint64_t>().error(), Errno(EINVAL));
}

TEST(MessageReaderTest, TextEndsWithNul) {
  using namespace std::string_view_literals;
  EXPECT_EQ(*MessageReader(BytesOf("abc\0"sv)).TakeText(), "abc");
  EXPECT_EQ(MessageReader(BytesOf("abc"sv)).TakeText().error(), Errno(EINVAL));
  EXPECT_EQ(MessageReader({}).TakeText().error(), Errno(EINVAL));
}

TEST(MessageReaderTest, NamesAreFileNames) {
  const auto error_of = [](std::string name) {
    name += '\0';
    auto taken = MessageReader(BytesOf(std::string_view(name))).TakeName();
    return taken ? 0 : taken.error().value();
  };
  EXPECT_EQ(error_of("a"), 0);
  EXPECT_EQ(error_of(std::string(255, 'a')), 0);
  EXPECT_EQ(error_of(std::string(256, 'a')), ENAMETOOLONG);
  for (const char* bad : {"", ".", "..", "a/b", "/", "a/"}) EXPECT_EQ(error_of(bad), EINVAL) << bad;
}

TEST(MessageReaderTest, RestMustBeTaken) {
  using namespace std::string_view_literals;
  MessageReader reader(BytesOf("abc\0x"sv));
  ASSERT_TRUE(reader.TakeText());
  EXPECT_EQ(reader.End().error(), Errno(EINVAL));
  ASSERT_TRUE(reader.TakeBytes(1));
  EXPECT_TRUE(reader.End());
  EXPECT_EQ(reader.TakeBytes(1).error(), Errno(EINVAL));
}

TEST(ParseRequestTest, RefusesWrongLengths) {
  struct Message {
    fuse_in_header header{};
    uint64_t rest[2] = {};
  } message;
  Request request;
  message.header.len = sizeof(message);
  ASSERT_TRUE(ParseRequest(BytesOf(message), request));
  EXPECT_EQ(request.payload.size(), 16u);

  message.header.total_extlen = 1;
  ASSERT_TRUE(ParseRequest(BytesOf(message), request));
  EXPECT_EQ(request.payload.size(), 8u);

  message.header.total_extlen = 3;
  EXPECT_EQ(ParseRequest(BytesOf(message), request).error(), Errno(EINVAL));
  message.header.total_extlen = 0;
  for (uint32_t length : {0u, 40u, 55u, 57u, ~0u}) {
    message.header.len = length;
    EXPECT_EQ(ParseRequest(BytesOf(message), request).error(), Errno(EINVAL)) << length;
  }
  EXPECT_EQ(ParseRequest(BytesOf(message).first(39), request).error(), Errno(EBADMSG));
}

fuse_init_in InitOf(uint32_t major, uint32_t minor) {
  fuse_init_in in{};
  in.major = major;
  in.minor = minor;
  in.max_readahead = 1 << 17;
  in.flags = ~0u;
  in.flags2 = ~0u;
  return in;
}

TEST(NegotiateTest, AgreesOnWhatBothHave) {
  auto result = Negotiate(BytesOf(InitOf(7, 38)), {});
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->done());
  EXPECT_TRUE(result->Valid());
  EXPECT_EQ(result->minor(), 38u);
  EXPECT_EQ(result->max_write(), 1u << 20);
  EXPECT_EQ(result->max_readahead(), 1u << 17);
  for (uint64_t flag :
       {FUSE_PARALLEL_DIROPS, FUSE_HANDLE_KILLPRIV_V2, FUSE_DO_READDIRPLUS, FUSE_NO_OPEN_SUPPORT,
        FUSE_CACHE_SYMLINKS, FUSE_POSIX_ACL, FUSE_DONT_MASK, FUSE_SETXATTR_EXT}) {
    EXPECT_TRUE(result->Has(flag)) << flag;
  }
  for (uint64_t flag : {FUSE_POSIX_LOCKS, FUSE_FLOCK_LOCKS, FUSE_WRITEBACK_CACHE,
                        FUSE_HANDLE_KILLPRIV, FUSE_EXPORT_SUPPORT}) {
    EXPECT_FALSE(result->Has(flag)) << flag;
  }
  EXPECT_TRUE(result->Has(kNoExportSupport));
  EXPECT_TRUE(result->Has(kHasResend));
}

TEST(NegotiateTest, EitherAskedAtOpenOrToTruncateApart) {
  auto unasked = Negotiate(BytesOf(InitOf(7, 38)), {});
  EXPECT_TRUE(unasked->opens_unasked());
  EXPECT_FALSE(unasked->Has(FUSE_ATOMIC_O_TRUNC));

  auto asked = Negotiate(BytesOf(InitOf(7, 38)), {.ask_at_open = true});
  EXPECT_FALSE(asked->opens_unasked());
  EXPECT_TRUE(asked->Has(FUSE_ATOMIC_O_TRUNC));

  fuse_init_in in = InitOf(7, 38);
  in.flags &= ~uint32_t{FUSE_NO_OPEN_SUPPORT};
  auto not_offered = Negotiate(BytesOf(in), {});
  EXPECT_FALSE(not_offered->opens_unasked());
  EXPECT_TRUE(not_offered->Has(FUSE_ATOMIC_O_TRUNC));
}

TEST(NegotiateTest, DirectoriesMayBeOpenedUnaskedWhereFilesAreNot) {
  auto files = Negotiate(BytesOf(InitOf(7, 38)), {.ask_at_open = true});
  EXPECT_FALSE(files->opens_unasked());
  EXPECT_TRUE(files->opens_directories_unasked());
  auto both = Negotiate(BytesOf(InitOf(7, 38)), {.ask_at_open = true, .ask_at_opendir = true});
  EXPECT_FALSE(both->opens_unasked());
  EXPECT_FALSE(both->opens_directories_unasked());
}

TEST(NegotiateTest, TimesAreComparedWhereOthersChangeFiles) {
  EXPECT_FALSE(Negotiate(BytesOf(InitOf(7, 38)), {})->Has(FUSE_AUTO_INVAL_DATA));
  auto shared = Negotiate(BytesOf(InitOf(7, 38)), {.check_times = true});
  EXPECT_TRUE(shared->Has(FUSE_AUTO_INVAL_DATA));
  EXPECT_TRUE(shared->Valid());
}

TEST(NegotiateTest, PassthroughIfTheKernelHasItAndAsksAtOpen) {
  const Wishes wishes{.ask_at_open = true, .passthrough = true};
  auto offered = Negotiate(BytesOf(InitOf(7, 40)), wishes);
  EXPECT_TRUE(offered->passthrough());
  EXPECT_TRUE(offered->Valid());
  InitOut out{};
  offered->FillReply(out);
  EXPECT_EQ(out.max_stack_depth, 1u);
  EXPECT_NE(out.flags2 & (1u << 5), 0u);

  EXPECT_FALSE(Negotiate(BytesOf(InitOf(7, 40)), {.ask_at_open = true})->passthrough());
  EXPECT_FALSE(Negotiate(BytesOf(InitOf(7, 40)), {.passthrough = true})->passthrough());
  fuse_init_in in = InitOf(7, 39);
  in.flags2 &= ~(1u << 5);
  auto not_offered = Negotiate(BytesOf(in), wishes);
  EXPECT_FALSE(not_offered->passthrough());
  out = {};
  not_offered->FillReply(out);
  EXPECT_EQ(out.max_stack_depth, 0u);
}

TEST(NegotiateTest, NewerKernelGetsOurVersion) {
  EXPECT_EQ(Negotiate(BytesOf(InitOf(7, 1000)), {})->minor(), kNewestMinorVersion);
  auto next_major = Negotiate(BytesOf(InitOf(8, 0)), {});
  ASSERT_TRUE(next_major);
  EXPECT_EQ(next_major->major(), 7u);
  EXPECT_EQ(next_major->max_pages(), 0u);
}

TEST(NegotiateTest, OlderClientsSayLess) {
  const fuse_init_in in = InitOf(7, 31);
  auto short_init = Negotiate(BytesOf(in).first(offsetof(fuse_init_in, flags2)), {});
  ASSERT_TRUE(short_init);
  EXPECT_EQ(short_init->minor(), 31u);
  EXPECT_EQ(short_init->flags() >> 32, 0u);
  EXPECT_TRUE(short_init->Valid());
}

TEST(NegotiateTest, RefusesOldKernelsAndShortMessages) {
  EXPECT_EQ(Negotiate(BytesOf(InitOf(7, 30)), {}).error(), Errno(EPROTO));
  EXPECT_EQ(Negotiate(BytesOf(InitOf(6, 40)), {}).error(), Errno(EPROTO));
  EXPECT_EQ(Negotiate(BytesOf(InitOf(7, 38)).first(8), {}).error(), Errno(EINVAL));
}

TEST(NegotiateTest, SmallRequestsWithoutMaxPages) {
  fuse_init_in in = InitOf(7, 38);
  in.flags &= ~static_cast<uint32_t>(FUSE_MAX_PAGES);
  EXPECT_EQ(Negotiate(BytesOf(in), {})->max_write(), std::min(32u * PageSize(), kMaxData));
  EXPECT_EQ(Negotiate(BytesOf(InitOf(7, 38)), {.max_pages = 100'000})->max_pages(), MaxPages());
}

TEST(AttributesTest, TimesBeforeTheEpoch) {
  vfs::Stat stat;
  stat.mtime = -1;
  const fuse_attr attr = ToAttr(stat);
  EXPECT_EQ(static_cast<int64_t>(attr.mtime), -1);
  EXPECT_EQ(attr.mtimensec, 999'999'999u);

  fuse_setattr_in in{};
  in.valid = FATTR_MTIME;
  in.mtime = attr.mtime;
  in.mtimensec = attr.mtimensec;
  EXPECT_EQ(ToSetStat(in)->mtime->value, -1);
  in.mtimensec = 1'000'000'000;
  EXPECT_EQ(ToSetStat(in).error(), Errno(EINVAL));
}

TEST(AttributesTest, TimesOutOfRangeBecomeTheNearest) {
  fuse_setattr_in in{};
  in.valid = FATTR_ATIME | FATTR_MTIME;
  in.atime = ~uint64_t{0} >> 1;
  in.mtime = uint64_t{1} << 63;
  auto set = ToSetStat(in);
  ASSERT_TRUE(set);
  EXPECT_GT(set->atime->value, int64_t{9'000'000'000} * 1'000'000'000);
  EXPECT_LT(set->mtime->value, int64_t{-9'000'000'000} * 1'000'000'000);
}

TEST(AttributesTest, DeviceNumbersGoBothWays) {
  for (uint32_t encoded : {0u, 0x103u, 0xfff00u, 0x12345678u, ~0u}) {
    EXPECT_EQ(EncodeDevice(DecodeDevice(encoded)), encoded);
  }
}

TEST(AttributesTest, PrivilegesGoWithOwnerAndContent) {
  const auto lost = [](uint32_t valid) {
    fuse_setattr_in in{};
    in.valid = valid;
    const vfs::DropPrivileges drop = ToSetStat(in)->drop_privileges;
    return std::pair(drop.set_ids, drop.capabilities);
  };
  using testing::Pair;
  EXPECT_THAT(lost(FATTR_MODE), Pair(false, false));
  EXPECT_THAT(lost(FATTR_UID), Pair(true, true));
  EXPECT_THAT(lost(FATTR_GID | FATTR_MODE), Pair(true, true));
  EXPECT_THAT(lost(FATTR_SIZE | FATTR_FH), Pair(false, true));
  EXPECT_THAT(lost(FATTR_SIZE | FATTR_KILL_SUIDGID), Pair(true, true));
  for (uint32_t nothing : {0u, uint32_t{FATTR_FH}, uint32_t{FATTR_FH | FATTR_LOCKOWNER}})
    EXPECT_THAT(lost(nothing), Pair(true, true)) << nothing;
}

TEST(ReplyErrorTest, IsOneThatTheKernelTakes) {
  EXPECT_EQ(ReplyError(Errno(ENOENT)), Errno(ENOENT));
  EXPECT_EQ(ReplyError(Errno(511)), Errno(511));
  EXPECT_EQ(ReplyError(Errno(512)), Errno(EIO));
  EXPECT_EQ(ReplyError(Errno(1 << 20)), Errno(EIO));
}

}  // namespace
}  // namespace stasis::fuse
