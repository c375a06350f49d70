// SPDX-License-Identifier: Apache-2.0
//
// Images with valid digests whose state cannot be: made on purpose, not by accident.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/inotify.h>

#include <cstring>
#include <functional>
#include <new>
#include <vector>

#include "fsimpl/memfs/inode.h"
#include "restore/image/image_writer.h"
#include "restore/restore.h"
#include "restore/rows.h"
#include "restore/types.h"
#include "state/graph_reader.h"
#include "tests/testing/record_lock.h"
#include "tests/testing/test_vfs.h"
#include "vfs/dentry.h"
#include "vfs/inotify.h"

namespace stasis::testing {
struct Intruder {};  // see Access::Type<Intruder>
}  // namespace stasis::testing

namespace stasis::state {

// Comes in through the door of generated code, and leaves things as no operation would.
template <>
struct Access::Type<::stasis::testing::Intruder> {
  static void SetPosition(vfs::Dentry& dentry, uint64_t position) { dentry.position_ = position; }
  static void SetMode(vfs::Inode& inode, uint32_t mode) { inode.mode_ = mode; }
  static void SetSize(vfs::Inode& inode, uint64_t size) { inode.size_ = size; }
  static void SetIno(vfs::Inode& inode, uint64_t ino) { inode.ino_ = ino; }
  static void SetLimits(vfs::Inotify& inotify, const vfs::InotifyLimits& limits) {
    inotify.limits_ = limits;
  }
  static vfs::FileData& Data(vfs::Inode& inode) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return static_cast<memfs::RegularInode&>(inode).data_;
  }
  static void SetExecuting(vfs::FileDescription& file) { file.executing_ = true; }
  static auto& Watches(vfs::Inotify& inotify) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return inotify.watches_;
  }
  static auto& Events(vfs::Inotify& inotify) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return inotify.events_;
  }
  // Returns what was there. The dentry must not be used until it is put back.
  static RefPtr<Object> ExchangeInode(vfs::Dentry& dentry, RefPtr<Object> object) {
    auto old = RefPtr<Object>::Adopt(dentry.inode_.release());
    dentry.inode_ = RefPtr<vfs::Inode>::Adopt(reinterpret_cast<vfs::Inode*>(object.release()));
    return old;
  }
};

}  // namespace stasis::state

namespace stasis::restore {
namespace {

using stasis::testing::RecordLock;
using stasis::testing::ScratchDir;
using stasis::testing::TestVfs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Intruder = state::Access::Type<stasis::testing::Intruder>;

// Writes `graph` as an image and restores it.
absl::Status RestoreGraph(const state::SavedGraph& graph) {
  ScratchDir scratch;
  auto layout = image::Layout::OpenForWriting(scratch / "snaps");
  if (!layout.ok()) return layout.status();
  image::WriteOptions options;
  options.tag = "v1";
  options.creator = "stasis test";
  options.required_features = RequiredFeatures(graph, TestVfs::registry());
  auto written = image::ImageWriter(**layout).Write(graph, options);
  if (!written.ok()) return written.status();
  return Restore(TestVfs::RequestFrom(scratch / "snaps", "v1")).status();
}

class HostileImageTest : public ::testing::Test {
 protected:
  HostileImageTest() {
    t_.Mkdir("/d");
    t_.Write("/d/f", std::string(20'000, 'x'));
    t_.Write("/small", "s");
    t_.Write("/sparse", std::string(20'000, 's'));
    constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    EXPECT_TRUE(t_.Open("/sparse", O_RDWR)->Allocate(kPunch, 4096, 4096));
    EXPECT_TRUE(t_.Open("/sparse", O_RDWR)->Allocate(FALLOC_FL_KEEP_SIZE, 40'000, 10'000));
    t_.Symlink("/link", "target");
    t_.Mknod("/null", S_IFCHR | 0600, 0x103);
    t_.Hold("file", t_.Open("/small", O_RDWR));
    t_.Hold("inotify", MakeRef<vfs::Inotify>(RefPtr<vfs::VirtualFilesystem>(&t_.vfs())));
    EXPECT_TRUE(File().SetPosixLock({.id = 1, .pid = 2}, RecordLock(F_WRLCK, 0, 2)));
    EXPECT_TRUE(File().SetOpenFileLock(RecordLock(F_WRLCK, 2, 2)));
    EXPECT_TRUE(File().Flock(LOCK_EX));
    EXPECT_TRUE(Queue().AddWatch(t_.creds(), t_.At("/d"), IN_ALL_EVENTS));
    EXPECT_TRUE(Queue().AddWatch(t_.creds(), t_.At("/small"), IN_ATTRIB | IN_ONESHOT));
    t_.Mkdir("/d/sub");
  }

  vfs::FileDescription& File() { return *t_.Held<vfs::FileDescription>("file"); }
  vfs::Inotify& Queue() { return *t_.Held<vfs::Inotify>("inotify"); }
  // Gets a lock of /small that no operation would ask for.
  void PlantLock(const vfs::FileLock& lock) {
    EXPECT_TRUE(t_.vfs().file_locks().Lock(t_.vfs().gate(), File().inode(), lock, nullptr));
  }

  vfs::Dentry& DentryAt(const char* path) {
    return t_.vfs().GetDentryAt(t_.creds(), t_.At(path))->dentry();
  }
  vfs::Inode& InodeAt(const char* path) { return DentryAt(path).inode(); }
  // A name that no operation would make.
  void Plant(const char* directory, std::string_view name) {
    vfs::Dentry& dir = DentryAt(directory);
    absl::MutexLock lock(&dir.directory().mu);
    dir.directory().Insert(vfs::Dentry::Make(name, RefPtr<vfs::Inode>(&InodeOf(dir, "small"))));
  }
  state::SavedGraph Graph() {
    std::vector<ExtraRoot> roots = extra_roots_;
    roots.push_back({"file", &File()});
    roots.push_back({"inotify", &Queue()});
    auto rows = SaveRows(t_.vfs(), TestVfs::registry(), roots);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return std::move(rows->graph);
  }
  absl::Status RestoreAsIs() { return RestoreGraph(Graph()); }

  static state::SavedTable& Table(state::SavedGraph& graph, std::string_view type) {
    for (state::SavedTable& table : graph.tables)
      if (table.type == type) return table;
    ADD_FAILURE() << "no table " << type;
    return graph.tables[0];
  }

  TestVfs t_;
  std::vector<ExtraRoot> extra_roots_;

 private:
  vfs::Inode& InodeOf(vfs::Dentry&, const char* name) {
    return InodeAt((std::string("/") + name).c_str());
  }
};

// kDataLoss with a message that names what is wrong.
void ExpectRefused(const absl::Status& status, std::initializer_list<const char*> words) {
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  for (const char* word : words) EXPECT_THAT(std::string(status.message()), HasSubstr(word));
}

TEST_F(HostileImageTest, TheUnchangedImageIsFine) {
  const absl::Status status = RestoreAsIs();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(HostileImageTest, NamesThatAreNoneAreRefused) {
  for (const char* name : {"..", ".", "a/b", "/", "../../etc/passwd"}) {
    TestVfs fresh;
    fresh.Write("/small", "s");
    vfs::Dentry& root = fresh.root().dentry();
    RefPtr<vfs::Dentry> planted;
    {
      absl::MutexLock lock(&root.directory().mu);
      planted = vfs::Dentry::Make(
          name,
          RefPtr<vfs::Inode>(&fresh.vfs().GetDentryAt(fresh.creds(), fresh.At("/small"))->inode()));
      root.directory().Insert(planted);
    }
    auto rows = SaveRows(fresh.vfs(), TestVfs::registry());
    ASSERT_TRUE(rows.ok()) << rows.status();
    ExpectRefused(RestoreGraph(rows->graph), {"table vfs.Dentry", "row", "field name"});
  }
}

TEST_F(HostileImageTest, NameWithNulIsRefused) {
  Plant("/", std::string_view("a\0b", 3));
  ExpectRefused(RestoreAsIs(), {"table vfs.Dentry", "field name"});
}

TEST_F(HostileImageTest, EmptyNameIsRefused) {
  Plant("/", "");
  ExpectRefused(RestoreAsIs(), {"table vfs.Dentry", "field name", "empty"});
}

TEST_F(HostileImageTest, DuplicateNamesAreRefused) {
  Plant("/", "small");
  ExpectRefused(RestoreAsIs(), {"table vfs.Dentry", "field name", "twice"});
}

TEST_F(HostileImageTest, PositionsThatDoNotGrowAreRefused) {
  Intruder::SetPosition(DentryAt("/small"), 1);
  ExpectRefused(RestoreAsIs(), {"table vfs.Dentry", "field position"});
}

TEST_F(HostileImageTest, CycleInTheTreeIsRefused) {
  // The root as its own grandchild.
  vfs::Dentry& d = DentryAt("/d");
  vfs::Dentry& root = DentryAt("/");
  {
    absl::MutexLock lock(&d.directory().mu);
    d.directory().Insert(RefPtr<vfs::Dentry>(&root));
  }
  const absl::Status status = RestoreAsIs();
  {
    absl::MutexLock lock(&d.directory().mu);
    d.directory().Remove(root);
  }
  ExpectRefused(status, {"table vfs.Dentry", "row"});
}

TEST_F(HostileImageTest, DirectoryWithTwoNamesIsRefused) {
  vfs::Dentry& root = DentryAt("/");
  {
    absl::MutexLock lock(&root.directory().mu);
    root.directory().Insert(vfs::Dentry::Make("again", RefPtr<vfs::Inode>(&InodeAt("/d"))));
  }
  ExpectRefused(RestoreAsIs(), {"table vfs.Dentry", "field inode"});
}

TEST_F(HostileImageTest, ModeOfAnotherKindIsRefused) {
  Intruder::SetMode(InodeAt("/small"), S_IFDIR | 0755);
  ExpectRefused(RestoreAsIs(), {"field mode"});
  Intruder::SetMode(InodeAt("/small"), S_IFREG | 0644);
  Intruder::SetMode(InodeAt("/link"), 0xffffffff);
  ExpectRefused(RestoreAsIs(), {"field mode"});
  Intruder::SetMode(InodeAt("/link"), S_IFLNK | 0777);
}

TEST_F(HostileImageTest, ChunkPastTheEndOfTheFileIsRefused) {
  Intruder::SetSize(InodeAt("/d/f"), 10);
  ExpectRefused(RestoreAsIs(), {"table memfs.RegularInode", "field data"});
}

TEST_F(HostileImageTest, SizeLargerThanAFileCanBeIsRefused) {
  Intruder::SetSize(InodeAt("/small"), uint64_t{1} << 63);
  ExpectRefused(RestoreAsIs(), {"table memfs.RegularInode", "field size"});
}

TEST_F(HostileImageTest, SizeOfExabytesCostsNothing) {
  Intruder::SetSize(InodeAt("/small"), (uint64_t{1} << 63) - 1);
  EXPECT_TRUE(RestoreAsIs().ok());
}

// What two files reserve is more than can be counted.
TEST_F(HostileImageTest, ReservationsWithoutEndAreRefused) {
  constexpr uint64_t kMost = uint64_t{1} << 63;
  vfs::FileData& one = Intruder::Data(InodeAt("/sparse"));
  vfs::FileData& other = Intruder::Data(InodeAt("/small"));
  one.Reserve(0, kMost);
  EXPECT_TRUE(RestoreAsIs().ok());
  other.Reserve(0, kMost);
  ExpectRefused(RestoreAsIs(), {"table memfs.RegularInode", "field data", "limit"});
  EXPECT_TRUE(one.Truncate(20'000));
  EXPECT_TRUE(other.Truncate(1));
}

TEST_F(HostileImageTest, LocksThatConflictAreRefused) {
  ASSERT_TRUE(t_.vfs().file_locks().Restore(
      File().inode(), {.type = vfs::LockType::kExclusive, .start = 0, .last = 0, .owner = 9}));
  ExpectRefused(RestoreAsIs(), {"table memfs.RegularInode", "field locks", "conflict"});
}

TEST_F(HostileImageTest, LockWithoutBytesIsRefused) {
  PlantLock({.start = 20, .last = 19, .owner = 1});
  ExpectRefused(RestoreAsIs(), {"memfs.RegularInode", "locks", "range"});
}

TEST_F(HostileImageTest, LockPastTheLargestOffsetIsRefused) {
  PlantLock({.start = 20, .last = UINT64_MAX, .owner = 1});
  ExpectRefused(RestoreAsIs(), {"memfs.RegularInode", "locks", "range"});
}

TEST_F(HostileImageTest, FlockOfAPartOfAFileIsRefused) {
  ASSERT_TRUE(File().Flock(LOCK_UN));
  PlantLock({.kind = vfs::LockKind::kFlock, .start = 20, .description = &File()});
  ExpectRefused(RestoreAsIs(), {"vfs.FileDescription", "locks", "range"});
}

TEST_F(HostileImageTest, PosixLockOfADescriptionIsRefused) {
  PlantLock({.start = 20, .description = &File()});
  ExpectRefused(RestoreAsIs(), {"vfs.FileDescription", "locks", "not the description's"});
}

TEST_F(HostileImageTest, WriterThatExecutesIsRefused) {
  Intruder::SetExecuting(File());
  ExpectRefused(RestoreAsIs(), {"vfs.FileDescription", "executing", "reading"});
}

TEST_F(HostileImageTest, FileThatIsWrittenAndExecutedIsRefused) {
  const auto program = t_.Open("/small", O_RDONLY);
  Intruder::SetExecuting(*program);
  extra_roots_.push_back({"program", program.get()});
  ExpectRefused(RestoreAsIs(), {"vfs.FileDescription", "executing", "written and executed"});
}

TEST_F(HostileImageTest, WatchesThatCannotBeAreRefused) {
  auto& watches = Intruder::Watches(Queue());
  const auto good = watches;
  watches[0] = good.at(1);
  watches.erase(1);
  ExpectRefused(RestoreAsIs(), {"vfs.Inotify", "watches", "number"});
  watches = good;
  watches[1].mask |= IN_ISDIR;
  ExpectRefused(RestoreAsIs(), {"vfs.Inotify", "watches", "events"});
  watches = good;
  watches[7] = good.at(1);
  ExpectRefused(RestoreAsIs(), {"vfs.Inotify", "watches", "two of one file"});
  watches = good;
  watches[1].inode.reset();
  ExpectRefused(RestoreAsIs(), {"vfs.Inotify", "watches", "file"});
  watches = good;
  Intruder::SetLimits(Queue(), {.max_user_watches = 1});
  ExpectRefused(RestoreAsIs(), {"vfs.Inotify", "watches", "limit"});
}

TEST_F(HostileImageTest, EventsThatCannotBeAreRefused) {
  auto& events = Intruder::Events(Queue());
  ASSERT_FALSE(events.empty());
  events[0].name = "a/b";
  ExpectRefused(RestoreAsIs(), {"vfs.Inotify", "events", "name"});
  events[0].name = "sub";
  events.resize(3, events[0]);
  Intruder::SetLimits(Queue(), {.max_queued_events = 1});
  ExpectRefused(RestoreAsIs(), {"vfs.Inotify", "events", "limit"});
}

TEST_F(HostileImageTest, ReferenceToAnotherTypeIsRefused) {
  vfs::Dentry& small = DentryAt("/small");
  auto real = Intruder::ExchangeInode(small, RefPtr<state::Object>(&DentryAt("/d")));
  state::SavedGraph graph = Graph();
  Intruder::ExchangeInode(small, std::move(real));
  ExpectRefused(RestoreGraph(graph), {"table vfs.Dentry", "row", "field inode"});
}

TEST_F(HostileImageTest, ReferencesPastTheEndOfATableAreRefused) {
  state::SavedGraph graph = Graph();
  std::erase_if(graph.tables,
                [](const state::SavedTable& t) { return t.type == "memfs.SymlinkInode"; });
  ExpectRefused(RestoreGraph(graph), {"table "});
}

TEST_F(HostileImageTest, RowsThatAreNotThereAreRefused) {
  state::SavedGraph graph = Graph();
  Table(graph, "vfs.Dentry").row_count += 1;
  ExpectRefused(RestoreGraph(graph), {"vfs.Dentry"});
}

TEST_F(HostileImageTest, BillionsOfRowsAreRefusedWithoutMemory) {
  state::SavedGraph graph = Graph();
  Table(graph, "vfs.Dentry").row_count = uint64_t{1} << 40;
  ExpectRefused(RestoreGraph(graph), {"vfs.Dentry"});
}

TEST_F(HostileImageTest, RootsThatAreNoneAreRefused) {
  state::SavedGraph graph = Graph();
  graph.roots[0].row = 7;
  ExpectRefused(RestoreGraph(graph), {"vfs"});
  graph = Graph();
  graph.roots[0].type = "vfs.Dentry";
  ExpectRefused(RestoreGraph(graph), {"vfs.VirtualFilesystem"});
  graph = Graph();
  graph.roots.clear();
  ExpectRefused(RestoreGraph(graph), {"no root vfs"});
  graph = Graph();
  graph.roots.push_back(graph.roots[0]);
  EXPECT_EQ(RestoreGraph(graph).code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileImageTest, UnknownTypeIsANewerVersion) {
  state::SavedGraph graph = Graph();
  graph.tables.back().type = "zfs.Pool";
  EXPECT_EQ(RestoreGraph(graph).code(), absl::StatusCode::kUnimplemented);
}

// Chunks as the image has them, for a load without one.
class GivenChunks final : public state::ChunkTable {
 public:
  explicit GivenChunks(const state::SavedGraph& graph) : graph_(graph) {}
  uint32_t size() const override { return static_cast<uint32_t>(graph_.chunks.size()); }
  RefPtr<state::Chunk> Get(uint32_t index) override {
    return RefPtr<state::Chunk>(const_cast<state::Chunk*>(graph_.chunks[index].get()));
  }

 private:
  const state::SavedGraph& graph_;
};

// Whatever one byte of the state says instead: an error or a filesystem, never a crash.
TEST_F(HostileImageTest, EveryByteOfTheStateMayBeAnything) {
  state::SavedGraph graph = Graph();
  GivenChunks chunks(graph);
  state::LoadOptions options;
  options.Provide(static_cast<const Clock*>(&TestVfs::clock()));
  int loaded = 0;
  int refused = 0;
  for (state::SavedTable& table : graph.tables) {
    for (auto& message : table.messages) {
      auto bytes = message.asBytes();
      for (size_t i = 0; i < bytes.size(); ++i) {
        const auto original = bytes[i];
        for (const int change : {0x01, 0xff}) {
          bytes[i] = static_cast<unsigned char>(original ^ change);
          auto result = state::LoadGraph(TestVfs::registry(), graph, chunks, options);
          if (result.ok()) {
            ++loaded;
            auto root = result->Root<state::Object>("vfs");
            ASSERT_TRUE(root.ok());
            const auto vfs =
                RefPtr<vfs::VirtualFilesystem>(dynamic_cast<vfs::VirtualFilesystem*>(root->get()));
            *result = state::LoadedGraph();
            vfs->Teardown();
          } else {
            ++refused;
            EXPECT_TRUE(absl::IsDataLoss(result.status()) || absl::IsUnimplemented(result.status()))
                << table.type << " byte " << i << ": " << result.status();
          }
        }
        bytes[i] = original;
      }
    }
  }
  EXPECT_GT(loaded, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace stasis::restore
