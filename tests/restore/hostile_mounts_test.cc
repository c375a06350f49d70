// SPDX-License-Identifier: Apache-2.0
//
// Images with valid digests whose mounts cannot be.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "restore/image/image_writer.h"
#include "restore/restore.h"
#include "restore/rows.h"
#include "restore/types.h"
#include "tests/testing/mount_tree.h"

namespace stasis::testing {
struct MountIntruder {};  // see Access::Type<MountIntruder>
}  // namespace stasis::testing

namespace stasis::state {

// Comes in through the door of generated code.
template <>
struct Access::Type<::stasis::testing::MountIntruder> {
  using Mount = ::stasis::vfs::Mount;
  static uint64_t& Id(Mount& mount) { return mount.id_; }
  static uint8_t& Locks(Mount& mount) { return mount.locks_; }
  static uint32_t& PeerGroup(Mount& mount) { return mount.peer_group_; }
  static bool& Unbindable(Mount& mount) { return mount.unbindable_; }
  static Mount*& NextPeer(Mount& mount) { return mount.next_peer_; }
  static Mount*& Master(Mount& mount) { return mount.master_; }
  static Mount*& Slaves(Mount& mount) { return mount.slaves_; }
  static Mount*& NextSlave(Mount& mount) { return mount.next_slave_; }
  static std::atomic<Mount*>& Parent(Mount& mount) { return mount.parent_; }
  static std::atomic<::stasis::vfs::Dentry*>& Point(Mount& mount) { return mount.point_; }
  static std::vector<RefPtr<Mount>>& Kept(Mount& mount) { return mount.kept_children_; }
};

}  // namespace stasis::state

namespace stasis::restore {
namespace {

using stasis::testing::IsOk;
using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::HasSubstr;
using Intruder = state::Access::Type<stasis::testing::MountIntruder>;

// Has another value as long as it lives.
template <typename T, typename V>
class Instead {
 public:
  Instead(T& place, V value) : place_(place), old_(place) { place_ = value; }
  ~Instead() { place_ = old_; }
  Instead(const Instead&) = delete;
  Instead& operator=(const Instead&) = delete;

 private:
  T& place_;
  const V old_;
};
template <typename T, typename V>
Instead(T&, V) -> Instead<T, V>;

// /a, /b and /c are peers, /d and /e peers and slaves of theirs, /x is private.
class HostileMountsTest : public stasis::testing::MountTreeTest {
 protected:
  HostileMountsTest() {
    MakeDirectories({"/a", "/b", "/c", "/d", "/e", "/x"});
    EXPECT_THAT(Mount("/a"), IsOk());
    EXPECT_THAT(Make(Propagation::kShared, "/a"), IsOk());
    for (const char* path : {"/b", "/c", "/d"}) EXPECT_THAT(Bind("/a", path), IsOk());
    EXPECT_THAT(Make(Propagation::kSlave, "/d"), IsOk());
    EXPECT_THAT(Make(Propagation::kShared, "/d"), IsOk());
    EXPECT_THAT(Bind("/d", "/e"), IsOk());
    EXPECT_THAT(MountTreeTest::Mount("/x"), IsOk());
  }

  vfs::Mount& At(const char* path) {
    return vfs().GetDentryAt(creds, MountTreeTest::At(path))->mount();
  }

  absl::Status Restored(const std::vector<ExtraRoot>& roots = {}) {
    auto rows = SaveRows(vfs(), TestVfs::registry(), roots);
    if (!rows.ok()) return rows.status();
    ScratchDir scratch;
    auto layout = image::Layout::OpenForWriting(scratch / "snaps");
    if (!layout.ok()) return layout.status();
    image::WriteOptions options;
    options.tag = "v1";
    options.creator = "stasis test";
    options.required_features = RequiredFeatures(rows->graph, TestVfs::registry());
    auto written = image::ImageWriter(**layout).Write(rows->graph, options);
    if (!written.ok()) return written.status();
    return Restore(TestVfs::RequestFrom(scratch / "snaps", "v1")).status();
  }
  // The image is refused, with words that say why.
  void ExpectRefused(const char* field, const char* words,
                     const std::vector<ExtraRoot>& roots = {}) {
    const absl::Status status = Restored(roots);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string("field ") + field));
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
};

TEST_F(HostileMountsTest, TheUnchangedImageIsFine) { EXPECT_EQ(Restored(), absl::OkStatus()); }

TEST_F(HostileMountsTest, RingThatDoesNotClose) {
  const Instead peer(Intruder::NextPeer(At("/b")), &At("/b"));
  ExpectRefused("next_peer", "a ring that does not close");
}

TEST_F(HostileMountsTest, TwoWithTheSameNext) {
  const Instead peer(Intruder::NextPeer(At("/b")), Intruder::NextPeer(At("/a")));
  ExpectRefused("next_peer", "is the next of another mount already");
}

TEST_F(HostileMountsTest, PeerOfAnotherGroup) {
  const Instead group(Intruder::PeerGroup(At("/b")), 2U);
  ExpectRefused("next_peer", "is of another group");
}

TEST_F(HostileMountsTest, GroupOfAMountThatIsNoPeer) {
  const Instead group(Intruder::PeerGroup(At("/x")), 1U);
  ExpectRefused("peer_group", "is that of a mount that is no peer");
}

TEST_F(HostileMountsTest, GroupThatIsNotGivenOut) {
  const Instead group(Intruder::PeerGroup(At("/x")), 1000U);
  ExpectRefused("peer_group", "is not given out yet");
}

TEST_F(HostileMountsTest, UnbindableAndShared) {
  const Instead unbindable(Intruder::Unbindable(At("/a")), true);
  ExpectRefused("unbindable", "is set of a mount that is shared");
}

TEST_F(HostileMountsTest, SlaveThatNobodyLists) {
  const Instead master(Intruder::Master(At("/x")), &At("/a"));
  ExpectRefused("master", "does not list it as a slave");
}

TEST_F(HostileMountsTest, SlaveOfAnotherMaster) {
  const Instead slaves(Intruder::Slaves(At("/x")), &At("/d"));
  ExpectRefused("slaves", "has a mount of another master");
}

TEST_F(HostileMountsTest, MasterThatIsNotShared) {
  const Instead master(Intruder::Master(At("/e")), &At("/x"));
  ExpectRefused("slaves", "has a mount of another master");
}

TEST_F(HostileMountsTest, MastersInACircle) {
  vfs::Mount& d = At("/d");
  vfs::Mount* const list = Intruder::Master(d);
  const Instead master(Intruder::Master(*list), &d);
  const Instead slaves(Intruder::Slaves(d), list);
  ExpectRefused("master", "leads in a circle");
}

TEST_F(HostileMountsTest, PeersAmongSlavesThatDoNotFollowEachOther) {
  // /x comes between /d and /e.
  vfs::Mount& d = At("/d");
  vfs::Mount& x = At("/x");
  const Instead master(Intruder::Master(x), Intruder::Master(d));
  const Instead after(Intruder::NextSlave(x), Intruder::NextSlave(d));
  const Instead next(Intruder::NextSlave(d), &x);
  ExpectRefused("slaves", "has peers that do not follow each other");
}

TEST_F(HostileMountsTest, UnknownLocks) {
  const Instead locks(Intruder::Locks(At("/x")), uint8_t{0x80});
  ExpectRefused("locks", "has unknown bits");
}

TEST_F(HostileMountsTest, IdOfAnother) {
  const Instead id(Intruder::Id(At("/x")), At("/a").id());
  ExpectRefused("id", "that of another mount");
}

TEST_F(HostileMountsTest, IdThatIsNotGivenOut) {
  const Instead id(Intruder::Id(At("/x")), uint64_t{1} << 40);
  ExpectRefused("id", "is not given out yet");
}

TEST_F(HostileMountsTest, TwoMountsAtOnePlace) {
  vfs::Dentry* const point = At("/a").point();
  std::atomic<vfs::Dentry*>& place = Intruder::Point(At("/x"));
  vfs::Dentry* const old = place.exchange(point);
  ExpectRefused("point", "has another mount already");
  place = old;
}

TEST_F(HostileMountsTest, FileOnADirectory) {
  ASSERT_THAT(MakeFile("/f"), IsOk());
  vfs::Dentry& f = vfs().GetDentryAt(creds, MountTreeTest::At("/f"))->dentry();
  std::atomic<vfs::Dentry*>& place = Intruder::Point(At("/x"));
  vfs::Dentry* const old = place.exchange(&f);
  ExpectRefused("point", "is a directory and the root is none");
  place = old;
}

// Of mounts that only an open file holds.
class HostileDetachedMountsTest : public HostileMountsTest {
 protected:
  HostileDetachedMountsTest() {
    MakeDirectories({"/x/in"});
    EXPECT_THAT(MountTreeTest::Mount("/x/in"), IsOk());
    above_ = *Open("/x", O_PATH);
    below_ = *Open("/x/in", O_PATH);
    EXPECT_THAT(Umount("/x", 2 /* MNT_DETACH */), IsOk());
  }
  ~HostileDetachedMountsTest() override { Set(nullptr, nullptr); }

  vfs::Mount& above() { return above_->at().mount(); }
  vfs::Mount& below() { return below_->at().mount(); }
  std::vector<ExtraRoot> Roots() { return {{"above", above_.get()}, {"below", below_.get()}}; }
  // The parents of the two.
  void Set(vfs::Mount* of_above, vfs::Mount* of_below) {
    Attach(above(), of_above);
    Attach(below(), of_below);
  }

 private:
  static void Attach(vfs::Mount& mount, vfs::Mount* parent) {
    Intruder::Parent(mount) = parent;
    Intruder::Point(mount) = parent == nullptr ? nullptr : &parent->root();
  }

  RefPtr<vfs::FileDescription> above_;
  RefPtr<vfs::FileDescription> below_;
};

TEST_F(HostileDetachedMountsTest, TheUnchangedImageIsFine) {
  EXPECT_EQ(Restored(Roots()), absl::OkStatus());
}

TEST_F(HostileDetachedMountsTest, ParentsInACircle) {
  Set(&below(), &above());
  ExpectRefused("parent", "leads in a circle", Roots());
}

TEST_F(HostileDetachedMountsTest, ParentThatDoesNotKeepIt) {
  Set(nullptr, &above());
  ExpectRefused("parent", "is set of a mount that is in no namespace", Roots());
}

TEST_F(HostileDetachedMountsTest, KeptByOneThatIsNotItsParent) {
  Intruder::Kept(above()).emplace_back(&below());
  ExpectRefused("kept_children", "has a mount that is attached elsewhere", Roots());
  Intruder::Kept(above()).clear();
}

TEST_F(HostileDetachedMountsTest, KeptTwice) {
  Set(nullptr, &above());
  Intruder::Kept(above()).emplace_back(&below());
  Intruder::Kept(above()).emplace_back(&below());
  ExpectRefused("kept_children", "has a mount that is attached elsewhere", Roots());
  Intruder::Kept(above()).clear();
}

TEST_F(HostileDetachedMountsTest, KeptByAMountInANamespace) {
  vfs::Mount& a = HostileMountsTest::At("/a");
  Set(nullptr, &a);
  Intruder::Kept(a).emplace_back(&below());
  ExpectRefused("parent", "is one of two that have the mount", Roots());
  Intruder::Kept(a).clear();
}

TEST_F(HostileDetachedMountsTest, UnmountedAndShared) {
  const Instead group(Intruder::PeerGroup(below()), 1U);
  ExpectRefused("peer_group", "and the mount unmounted", Roots());
}

}  // namespace
}  // namespace stasis::restore
