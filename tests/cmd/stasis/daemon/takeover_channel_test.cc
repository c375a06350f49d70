// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/takeover_channel.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "cmd/stasis/daemon/options_json.h"

namespace stasis::cli {
namespace {

absl::Time Soon() { return absl::Now() + absl::Seconds(10); }

class TakeoverChannelTest : public testing::Test {
 protected:
  TakeoverChannelTest() {
    auto ends = TakeoverChannel::MakePair();
    EXPECT_TRUE(ends.ok()) << ends.status();
    one_ = std::make_unique<TakeoverChannel>(std::move(ends->first));
    other_ = std::make_unique<TakeoverChannel>(std::move(ends->second));
  }

  std::unique_ptr<TakeoverChannel> one_;
  std::unique_ptr<TakeoverChannel> other_;
};

TEST_F(TakeoverChannelTest, MessagesComeOver) {
  ASSERT_TRUE(one_->Say("hello", {{"version", "1"}}).ok());
  const auto heard = other_->Hear("hello", Soon());
  ASSERT_TRUE(heard.ok()) << heard.status();
  EXPECT_EQ(heard->at("version"), "1");
}

TEST_F(TakeoverChannelTest, WhatIsNotExpectedIsAnError) {
  ASSERT_TRUE(one_->Say("hello").ok());
  EXPECT_TRUE(absl::IsInternal(other_->Hear("ready", Soon()).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(other_->Hear("ready", absl::Now()).status()));
  ASSERT_TRUE(one_->Say("failed", FailureOf(absl::UnimplementedError("too new"))).ok());
  EXPECT_EQ(other_->Hear("ready", Soon()).status(), absl::UnimplementedError("too new"));
  ASSERT_GT(write(one_->fd(), "no JSON", 7), 0);
  EXPECT_TRUE(absl::IsInternal(other_->Hear("ready", Soon()).status()));
  one_.reset();
  EXPECT_TRUE(absl::IsAborted(other_->Hear("ready", Soon()).status()));
  EXPECT_TRUE(absl::IsAborted(other_->Say("ready")));
}

// More descriptors than a packet takes, more text too, and names of any bytes.
TEST_F(TakeoverChannelTest, ParcelsComeOver) {
  restore::Parcel parcel;
  parcel.json["text"] = std::string(1'000'000, 'x');
  parcel.json["name"] = "\xff\xfe";
  for (int i = 0; i < 300; ++i) {
    UniqueFd file(memfd_create("test", MFD_CLOEXEC));
    ASSERT_TRUE(file.valid());
    ASSERT_EQ(ftruncate(file.get(), i), 0);
    EXPECT_EQ(parcel.Add(std::move(file)), i);
  }
  std::thread sender([&] { EXPECT_TRUE(one_->SendParcel(parcel).ok()); });
  absl::StatusOr<restore::Parcel> taken = other_->ReceiveParcel(Soon());
  sender.join();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->json, parcel.json);
  ASSERT_EQ(taken->fds.size(), 300u);
  const absl::StatusOr<UniqueFd> file = taken->Take(299);
  ASSERT_TRUE(file.ok());
  struct stat st {};
  ASSERT_EQ(fstat(file->get(), &st), 0);
  EXPECT_EQ(st.st_size, 299);
  EXPECT_TRUE(absl::IsDataLoss(taken->Take(299).status())) << "it is taken";
  EXPECT_TRUE(absl::IsDataLoss(taken->Take(300).status()));
}

TEST(OptionsJsonTest, OptionsComeBack) {
  DaemonOptions options;
  options.dir = sandbox::RuntimeDir("/run/s", "box");
  options.sandbox.hostname = "host";
  options.sandbox.staging = "/run/s/box/root";
  options.sandbox.binds = {{"/a", "/b", true}};
  options.sandbox.system = sandbox::SystemDirectories::kNone;
  options.sandbox.freezer = sandbox::FreezerKind::kSignal;
  options.sandbox.rootless = true;
  options.content.own_as_root = true;
  options.content.host.fd_limit = 7;
  options.content.roots.layer_cache = "/cache";
  options.memory = {4096, "/store"};
  options.workdir = "/w";
  options.environment = {"A=b"};
  options.config = {{"name", "box"}};
  const nlohmann::json json = OptionsToJson(options);
  const DaemonOptions read = OptionsFromJson(json);
  EXPECT_EQ(OptionsToJson(read), json);
  EXPECT_EQ(read.dir.path(), "/run/s/box");
  EXPECT_EQ(read.sandbox.name, "box");
  EXPECT_EQ(read.content.reader, "box");
  EXPECT_TRUE(read.content.host.own_as_root);
}

}  // namespace
}  // namespace stasis::cli
