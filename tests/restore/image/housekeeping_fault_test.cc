// SPDX-License-Identifier: Apache-2.0
//
// Every file operation of gc, squash and copy fails once: nothing that is named is lost.

#include <fcntl.h>

#include <tuple>

#include "tests/restore/image/faulty_ops.h"
#include "tests/restore/image/housekeeping_fixture.h"

namespace stasis::image {
namespace {

using Fault = FaultyOps::Fault;

class HousekeepingFaultTest : public HousekeepingTest {
 protected:
  HousekeepingFaultTest() : fresh_(temp_ / "fresh") {
    Box box = NewBox(20);
    SaveBox(box, "v1");
    for (size_t i = 0; i < 6; ++i) box.Change(i * 3, 100 + i);
    Contents("v2", box);
    box.Change(5, 5);
    Contents("v3", box);
    AddReferrer(*box.parent, kTrace, "trace");
    box.chunks.clear();
    EXPECT_EQ(Untag({"v1"}), absl::OkStatus());
    std::filesystem::rename(dir_, fresh_);
  }

  void Contents(const std::string& tag, Box& box) {
    SaveBox(box, tag);
    contents_[tag] = box.contents;
  }

  void Refresh() {
    std::filesystem::remove_all(dir_);
    std::filesystem::copy(fresh_, dir_, std::filesystem::copy_options::recursive);
  }

  using Work = std::function<absl::Status(std::shared_ptr<FileOps>)>;

  // Lets each operation fail in turn. `finished` looks at what a success has to give.
  void FailEach(const Work& work, const std::function<void()>& finished) {
    for (const auto& [fault, error, step] :
         {std::tuple(Fault::kOnce, EIO, 1), std::tuple(Fault::kFromThenOn, ENOSPC, 3)}) {
      for (uint64_t at = 0;; at += step) {
        SCOPED_TRACE(::testing::Message() << "operation " << at << ", " << Errno(error));
        Refresh();
        auto ops = std::make_shared<FaultyOps>(fault, at, error);
        const absl::Status status = work(ops);
        EXPECT_EQ(status.ok(), status.message().empty());
        for (const auto& [tag, contents] : contents_) ExpectTag(tag, contents);
        ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
        if (status.ok()) finished();
        if (HasFailure()) return;
        if (!ops->hit()) {
          EXPECT_EQ(status, absl::OkStatus());
          EXPECT_GT(at, 20u);
          break;
        }
      }
    }
  }

  std::filesystem::path fresh_;
  std::map<std::string, std::vector<Bytes>> contents_;
};

TEST_F(HousekeepingFaultTest, Gc) {
  FailEach([this](auto ops) { return Gc(0, false, std::move(ops)).status(); },
           [this] {
             const auto rest = Gc(0);
             ASSERT_TRUE(rest.ok());
             EXPECT_TRUE(rest->removed.empty());
             EXPECT_TRUE(EntryOf(ReadLog(), "v3").has_trace);
           });
}

TEST_F(HousekeepingFaultTest, Squash) {
  FailEach([this](auto ops) { return Squash("v3", 0, std::move(ops)).status(); },
           [this] {
             auto reader = Load("v3");
             ASSERT_TRUE(reader.ok());
             EXPECT_EQ((*reader)->info().manifest.packs.size(), 1u);
           });
}

TEST_F(HousekeepingFaultTest, Copy) {
  const std::filesystem::path other = temp_ / "other";
  FailEach(
      [this, &other](auto ops) {
        std::filesystem::remove_all(other);
        return Copy("v3", other, "v3", std::move(ops)).status();
      },
      [this, &other] {
        const auto here = std::exchange(dir_, other);
        ExpectTag("v3", contents_["v3"]);
        dir_ = here;
      });
}

TEST_F(HousekeepingFaultTest, RemovingTags) {
  FailEach(
      [this](auto ops) -> absl::Status {
        auto layout = Layout::OpenForWriting(dir_, std::move(ops));
        if (!layout.ok()) return layout.status();
        const absl::Status none = (*layout)->RemoveTags({"v2", "v9"});
        EXPECT_FALSE(none.ok());
        return absl::IsNotFound(none) ? absl::OkStatus() : none;
      },
      [] {});
}

TEST_F(HousekeepingFaultTest, RemovingATagWithoutSpaceForTheNextIndex) {
  uint64_t removed = 0;
  for (const auto fault : {Fault::kOnce, Fault::kFromThenOn}) {
    bool hit = true;
    for (uint64_t at = 0; hit; ++at) {
      SCOPED_TRACE(::testing::Message() << "operation " << at);
      Refresh();
      auto ops = std::make_shared<FaultyOps>(fault, at, ENOSPC);
      absl::Status status;
      {
        auto layout = Layout::OpenForWriting(dir_, ops);
        status = layout.ok() ? (*layout)->RemoveTags({"v2"}) : layout.status();
      }
      hit = ops->hit();
      ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
      EXPECT_TRUE(TempFiles().empty());
      EXPECT_GE(std::filesystem::file_size(dir_ / ".stasis/reserve"), 64u * 1024);
      ExpectTag("v3", contents_["v3"]);
      const absl::Status left = Verify("v2");
      if (status.ok())
        EXPECT_TRUE(absl::IsNotFound(left)) << left;
      else if (fault == Fault::kOnce || !absl::IsNotFound(left))  // else it cannot be put back
        ExpectTag("v2", contents_["v2"]);
      if (hit && status.ok()) ++removed;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(removed, 3u);
}

class FullDisk final : public PosixFileOps {
 public:
  Result<UniqueFd> OpenAt(int dir, const std::string& name, int flags, mode_t mode) override {
    if ((flags & O_CREAT) != 0 && name != "lock") return Err(ENOSPC);
    return PosixFileOps::OpenAt(dir, name, flags, mode);
  }
};

TEST_F(HousekeepingFaultTest, TheReserveOfACopyIsLeftAlone) {
  Refresh();
  ASSERT_TRUE(Layout::OpenForWriting(dir_).ok());
  std::filesystem::create_hard_link(dir_ / ".stasis/reserve", temp_ / "copy");
  auto layout = Layout::OpenForWriting(dir_, std::make_shared<FullDisk>());
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_TRUE(absl::IsResourceExhausted((*layout)->RemoveTags({"v2"})));
  std::filesystem::remove(temp_ / "copy");
  EXPECT_EQ((*layout)->RemoveTags({"v2"}), absl::OkStatus());
  EXPECT_FALSE(std::filesystem::exists(dir_ / ".stasis/reserve"));
  EXPECT_TRUE(absl::IsResourceExhausted((*layout)->RemoveTags({"v3"})));
}

}  // namespace
}  // namespace stasis::image
