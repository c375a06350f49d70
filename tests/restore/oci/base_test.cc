// SPDX-License-Identifier: Apache-2.0

#include "restore/oci/base.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/restore/oci/oci_fixture.h"
#include "tests/testing/kernel_overlay.h"

namespace stasis::oci {
namespace {

using stasis::testing::ReadHostFile;
using stasis::testing::WriteHostFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BaseTest : public OciTest {
 protected:
  // A cache in memory, where many small files take no time.
  struct CacheInMemory {
    explicit CacheInMemory(std::string directory, const char* options = "mode=0700")
        : path(std::move(directory)) {
      std::filesystem::create_directory(path);
      EXPECT_EQ(::mount("tmpfs", path.c_str(), "tmpfs", 0, options), 0);
    }
    ~CacheInMemory() { EXPECT_EQ(::umount(path.c_str()), 0); }
    CacheInMemory(const CacheInMemory&) = delete;
    CacheInMemory& operator=(const CacheInMemory&) = delete;

    const stasis::testing::MountNamespace own;
    const std::string path;
  };
};

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST_F(BaseTest, LayersAreTopmostFirstWithTheirDigests) {
  const TestLayer bottom = MakeLayer({File("a", "bottom")});
  const TestLayer top = MakeLayer({File("a", "top")}, Compression::kZstd);
  AddImage("v1", {bottom, top});
  const auto base = Base("v1");
  ASSERT_TRUE(base.ok()) << base.status();
  ASSERT_THAT(base->layers, SizeIs(2));
  EXPECT_EQ(ReadHostFile(base->layers[0].directory + "/a"), "top");
  EXPECT_EQ(ReadHostFile(base->layers[1].directory + "/a"), "bottom");
  EXPECT_EQ(base->layers[0].digest.ToString(), top.digest);
  EXPECT_EQ(base->layers[1].diff_id.ToString(), bottom.diff_id);
  EXPECT_EQ(base->unpacked, 2u);
}

TEST_F(BaseTest, EveryCompressionIsRead) {
  for (const auto compression : {Compression::kNone, Compression::kGzip, Compression::kZstd})
    EXPECT_EQ(ReadHostFile(Unpack(MakeLayer({File("f", "text")}, compression)) + "/f"), "text")
        << CompressionName(compression);
}

TEST_F(BaseTest, SeveralMembersOfGzipAreOneTarFile) {
  const std::string tar = Tar({File("f", std::string(100'000, 'y'))});
  TestLayer layer = MakeLayer(tar);
  layer.blob = Compress(std::string_view(tar).substr(0, 70'000), Compression::kGzip) +
               Compress(std::string_view(tar).substr(70'000), Compression::kGzip);
  layer.digest = DigestOf(layer.blob).ToString();
  EXPECT_EQ(ReadHostFile(Unpack(layer) + "/f"), std::string(100'000, 'y'));
}

TEST_F(BaseTest, LayersWithoutAnyEntryAreEmptyDirectories) {
  for (const TestLayer& layer : {MakeLayer(std::vector<Entry>{}), MakeLayer(std::string_view()),
                                 MakeLayer(std::string_view(), Compression::kNone)})
    EXPECT_TRUE(std::filesystem::is_empty(Unpack(layer)));
}

TEST_F(BaseTest, ConfigIsRead) {
  const TestLayer layer = MakeLayer({File("a")});
  Json config = Config({layer});
  config["config"] = {{"Env", {"A=1", "B=2"}},
                      {"WorkingDir", "/srv"},
                      {"Entrypoint", {"/bin/init"}},
                      {"Cmd", {"-x"}},
                      {"User", "1000:100"}};
  Tag("v1", AddManifest({layer}, config));
  const auto base = Base("v1");
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_THAT(base->config.env, ElementsAre("A=1", "B=2"));
  EXPECT_EQ(base->config.working_dir, "/srv");
  EXPECT_THAT(base->config.entrypoint, ElementsAre("/bin/init"));
  EXPECT_THAT(base->config.cmd, ElementsAre("-x"));
  EXPECT_EQ(base->config.user, "1000:100");
}

TEST_F(BaseTest, RunSettingsAreKeptAlone) {
  ImageConfig config;
  config.env = {"A=1", "B=\"2\""};
  config.working_dir = "/srv";
  config.entrypoint = {"/bin/sh", "-c"};
  config.cmd = {"true"};
  config.user = "7:8";
  const auto kept = ParseRunSettings(RunSettingsToJson(config));
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->env, config.env);
  EXPECT_EQ(kept->working_dir, "/srv");
  EXPECT_EQ(kept->entrypoint, config.entrypoint);
  EXPECT_EQ(kept->cmd, config.cmd);
  EXPECT_EQ(kept->user, "7:8");
  EXPECT_THAT(Message(ParseRunSettings(R"({"Env":[1]})").status()),
              HasSubstr("\"Env\" has an item that is not a string"));
  EXPECT_EQ(ParseRunSettings("[]").status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(BaseTest, AbsentAndNullSettingsAreEmpty) {
  const TestLayer layer = MakeLayer({File("a")});
  Json config = Config({layer});
  config["config"] = {{"Env", nullptr}, {"Cmd", nullptr}};
  Tag("v1", AddManifest({layer}, config));
  const auto base = Base("v1");
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_THAT(base->config.env, IsEmpty());
  EXPECT_EQ(base->config.user, "");
}

TEST_F(BaseTest, IndexIsResolvedByPlatform) {
  const TestLayer mine = MakeLayer({File("mine")});
  const TestLayer other = MakeLayer({File("other")});
  Json a = AddManifest({other}, Config({other}));
  a["platform"] = {{"os", "linux"}, {"architecture", "pdp11"}};
  Json b = AddManifest({mine}, Config({mine}));
  b["platform"] = {{"os", "linux"}, {"architecture", Platform::Host().architecture}};
  const Json index = {{"schemaVersion", 2}, {"manifests", {a, b}}};
  Tag("v1", AddBlob(index.dump(), image::kMediaTypeIndex));
  const auto base = Base("v1");
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(base->layers[0].digest.ToString(), mine.digest);
  BaseOptions options;
  options.platform = {"linux", "vax", ""};
  const absl::Status status = Base("v1", options).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("has no image for linux/vax; there are: linux/"));
  EXPECT_THAT(Message(status), HasSubstr("linux/pdp11"));
}

TEST_F(BaseTest, DigestsAndTheOnlyImageAreReferencesToo) {
  AddImage("v1", {MakeLayer({File("a")})});
  const auto first = Base("v1");
  ASSERT_TRUE(first.ok()) << first.status();
  BaseOptions options;
  options.cache = cache_;
  for (const std::string& text :
       {"oci:" + layout_, layout_ + "@" + first->manifest.ToString(), "oci:" + layout_ + ":v1"}) {
    const auto reference = ParseImageReference(text);
    ASSERT_TRUE(reference.ok()) << reference.status();
    const auto base = OpenBase(*reference, options);
    ASSERT_TRUE(base.ok()) << base.status();
    EXPECT_EQ(base->manifest, first->manifest);
  }
  AddImage("v2", {MakeLayer({File("b")})});
  EXPECT_THAT(Message(OpenBase({layout_, "", std::nullopt}, options).status()),
              HasSubstr("has several images: name a tag; there are: v1, v2"));
  EXPECT_THAT(Message(Base("v3").status()), HasSubstr("there is no tag \"v3\"; there are: v1, v2"));
}

TEST_F(BaseTest, BadReferencesAreRefused) {
  for (const char* bad : {"", "oci:", "oci::v1", "dir:", "dir@sha256:12"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseImageReference(bad).status())) << bad;
}

TEST_F(BaseTest, SecondUseUnpacksNothing) {
  AddImage("v1", {MakeLayer({File("a")}), MakeLayer({File("b")})});
  ASSERT_TRUE(Base("v1").ok());
  // A layer in the cache needs no blob.
  for (const auto& blob : std::filesystem::directory_iterator(layout_ + "/blobs/sha256"))
    if (std::filesystem::file_size(blob) > 2 && ReadHostFile(blob.path())[0] != '{')
      std::filesystem::remove(blob);
  const auto again = Base("v1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->unpacked, 0u);
}

TEST_F(BaseTest, AttributesAreKept) {
  Entry file = File("f", "text");
  file.mode = S_IFREG | 04751;
  file.uid = 1234;
  file.gid = 56789;
  file.mtime_ns = 123'456'789;
  file.xattrs = {{"user.note", std::string("a\0b", 3)},
                 {"security.capability",
                  std::string("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                              "\x00\x00\x00",
                              20)}};
  Entry dir = Dir("d", 03770);
  dir.mtime = 5;
  Entry old = File("old");
  old.mtime = -6;
  const std::string tree =
      Unpack({dir, File("d/x"), file, old, Symlink("l", "/etc/passwd"), HardLink("f2", "f"),
              Device("null", S_IFCHR, makedev(1, 3)), Device("disk", S_IFBLK, makedev(8, 1)),
              Device("pipe", S_IFIFO, 0)});
  struct stat st = Lstat(tree + "/f");
  EXPECT_EQ(st.st_mode, S_IFREG | 04751u);
  EXPECT_EQ(st.st_uid, 1234u);
  EXPECT_EQ(st.st_gid, 56789u);
  EXPECT_EQ(st.st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(st.st_mtim.tv_nsec, 123'456'789);
  EXPECT_EQ(st.st_nlink, 2u);
  EXPECT_EQ(st.st_ino, Lstat(tree + "/f2").st_ino);
  EXPECT_EQ(Xattr(tree + "/f", "user.note"), std::string("a\0b", 3));
  EXPECT_EQ(Xattr(tree + "/f", "security.capability").size(), 20u);
  EXPECT_EQ(Lstat(tree + "/d").st_mode, S_IFDIR | 03770u);
  EXPECT_EQ(Lstat(tree + "/d").st_mtim.tv_sec, 5);
  EXPECT_EQ(Lstat(tree + "/old").st_mtim.tv_sec, -6);
  EXPECT_EQ(std::filesystem::read_symlink(tree + "/l"), "/etc/passwd");
  EXPECT_EQ(Lstat(tree + "/null").st_rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISBLK(Lstat(tree + "/disk").st_mode));
  EXPECT_TRUE(S_ISFIFO(Lstat(tree + "/pipe").st_mode));
}

TEST_F(BaseTest, NamesOfAnyBytesAreKept) {
  const std::string tree = Unpack({File("\xc3\xa4", "utf8"), File("\xff\xfe\n", "bytes"),
                                   File(std::string(255, 'n'), "long"), File("./a//b/.", "odd")});
  EXPECT_EQ(ReadHostFile(tree + "/\xc3\xa4"), "utf8");
  EXPECT_EQ(ReadHostFile(tree + "/\xff\xfe\n"), "bytes");
  EXPECT_EQ(ReadHostFile(tree + "/" + std::string(255, 'n')), "long");
  EXPECT_EQ(ReadHostFile(tree + "/a/b"), "odd");
}

TEST_F(BaseTest, HolesStayHoles) {
  Entry sparse = File("s", "tail");
  sparse.sparse_size = (8 << 20) + 4;
  sparse.sparse_offset = 8 << 20;
  const std::string tree = Unpack({sparse});
  const struct stat st = Lstat(tree + "/s");
  EXPECT_EQ(st.st_size, (8 << 20) + 4);
  EXPECT_LT(st.st_blocks * 512, 1 << 20);
  EXPECT_EQ(ReadHostFile(tree + "/s").substr(8 << 20), "tail");
}

TEST_F(BaseTest, WhiteoutsAndOpaqueDirectoriesAreOverlays) {
  const std::string tree =
      Unpack({Dir("d"), File("d/.wh.gone", ""), File("d/.wh..wh..opq", ""), File(".wh.a", ""),
              File(".wh..wh.plnk", ""), File(".wh..wh.orph/x", "")});
  EXPECT_TRUE(IsWhiteoutAt(tree + "/a"));
  EXPECT_TRUE(IsWhiteoutAt(tree + "/d/gone"));
  EXPECT_TRUE(IsOpaque(tree + "/d"));
  EXPECT_FALSE(IsOpaque(tree));
  EXPECT_FALSE(std::filesystem::exists(tree + "/.wh..wh.plnk"));
}

TEST_F(BaseTest, WhiteoutBesideItsNameTakesAwayOnlyWhatIsBelow) {
  // In either order.
  for (const bool first : {true, false}) {
    std::vector<Entry> names = {Dir("d"), File("d/new"), File("f", "new")};
    std::vector<Entry> whiteouts = {File(".wh.d", ""), File(".wh.f", "")};
    std::vector<Entry>& front = first ? whiteouts : names;
    std::vector<Entry>& back = first ? names : whiteouts;
    front.insert(front.end(), back.begin(), back.end());
    const std::string tree = Unpack(front);
    EXPECT_TRUE(IsOpaque(tree + "/d"));
    EXPECT_EQ(ReadHostFile(tree + "/d/new"), "x");
    EXPECT_EQ(ReadHostFile(tree + "/f"), "new");
  }
}

TEST_F(BaseTest, DirectoriesWithoutAnEntryAreAsBelow) {
  Entry tmp = Dir("tmp", 01777);
  tmp.gid = 7;
  const TestLayer top = MakeLayer({File("tmp/x/f")});
  const TestLayer one = MakeLayer({tmp});
  const TestLayer two = MakeLayer({Dir("tmp", 0700)});
  AddImage("v1", {one, top});
  AddImage("v2", {two, top});
  const auto first = Base("v1");
  const auto second = Base("v2");
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(Lstat(first->layers[0].directory + "/tmp").st_mode & 07777u, 01777u);
  EXPECT_EQ(Lstat(first->layers[0].directory + "/tmp").st_gid, 7u);
  EXPECT_EQ(Lstat(first->layers[0].directory + "/tmp/x").st_mode & 07777u, 0755u);
  EXPECT_EQ(Lstat(second->layers[0].directory + "/tmp").st_mode & 07777u, 0700u);
  // Both are in the cache.
  EXPECT_EQ(Base("v1")->unpacked, 0u);
  EXPECT_EQ(Base("v2")->unpacked, 0u);
  EXPECT_EQ(Base("v2")->layers[0].directory, second->layers[0].directory);
}

TEST_F(BaseTest, RepeatedDirectoriesHaveTheAttributesOfTheLast) {
  const std::string tree = Unpack({Dir("d", 0700), File("d/f"), Dir("d/", 0711)});
  EXPECT_EQ(Lstat(tree + "/d").st_mode & 07777u, 0711u);
  EXPECT_EQ(ReadHostFile(tree + "/d/f"), "x");
}

TEST_F(BaseTest, TwoProcessesAtOnceGetTheSame) {
  AddImage("v1", {MakeLayer({File("a", std::string(1 << 20, 'a'))}), MakeLayer({File("b")})});
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(Base("v1").ok() ? 0 : 1);
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(cache_ + "/sha256"), {}), 2);
  EXPECT_TRUE(std::filesystem::is_empty(cache_ + "/tmp"));
}

TEST_F(BaseTest, LeftoversOfTheDeadAreRemoved) {
  AddImage("v1", {MakeLayer({File("a")})});
  ASSERT_TRUE(Base("v1").ok());
  std::filesystem::create_directories(cache_ + "/tmp/dead/tree/deep/er");
  WriteHostFile(cache_ + "/tmp/dead/tree/deep/er/f", "x");
  ASSERT_EQ(::symlink("/", (cache_ + "/tmp/dead/tree/link").c_str()), 0);
  std::filesystem::create_directories(cache_ + "/tmp/alive");
  const int alive = ::open((cache_ + "/tmp/alive").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(alive, LOCK_EX), 0);
  ASSERT_TRUE(Base("v1").ok());
  EXPECT_FALSE(std::filesystem::exists(cache_ + "/tmp/dead"));
  EXPECT_TRUE(std::filesystem::exists(cache_ + "/tmp/alive"));
  ::close(alive);
}

TEST_F(BaseTest, KilledUnpackingLeavesNothingThatLasts) {
  const CacheInMemory memory(cache_);
  std::vector<Entry> entries;
  for (int i = 0; i < 3000; ++i) entries.push_back(File("d/" + std::to_string(i), "content"));
  AddImage("v1", {MakeLayer(entries)});
  for (int milliseconds = 5; milliseconds < 150; milliseconds += 20) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(Base("v1").ok() ? 0 : 1);
    ::usleep(milliseconds * 1000);
    ::kill(pid, SIGKILL);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  }
  const auto base = Base("v1");
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(ReadHostFile(base->layers[0].directory + "/d/2999"), "content");
  EXPECT_TRUE(std::filesystem::is_empty(cache_ + "/tmp"));
}

TEST_F(BaseTest, LayersThatNobodyUsesCanBeRemoved) {
  const TestLayer bottom = MakeLayer({File("a", "bottom")});
  AddImage("used", {bottom});
  AddImage("unused", {bottom, MakeLayer({File("b", "top")})});
  (void)Base("unused");
  const auto used = Base("used");
  ASSERT_TRUE(used.ok()) << used.status();
  const auto cache = LayerCache::Open(cache_);
  ASSERT_TRUE(cache.ok()) << cache.status();
  const auto listed = (*cache)->List();
  ASSERT_TRUE(listed.ok()) << listed.status();
  EXPECT_THAT(*listed, SizeIs(2));
  const auto removed = (*cache)->RemoveUnused();
  ASSERT_TRUE(removed.ok()) << removed.status();
  ASSERT_THAT(*removed, SizeIs(1));
  EXPECT_EQ(removed->front().entries, 1u);
  EXPECT_EQ(ReadHostFile(used->layers[0].directory + "/a"), "bottom");
  EXPECT_THAT(*(*cache)->List(), SizeIs(1));
  EXPECT_TRUE((*cache)->List()->front().in_use);
  const auto again = Base("unused");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->unpacked, 1u);
}

TEST_F(BaseTest, DamagedRecordIsNamedWithTheRemedy) {
  AddImage("v1", {MakeLayer({File("a")})});
  const auto base = Base("v1");
  ASSERT_TRUE(base.ok()) << base.status();
  WriteHostFile(base->layers[0].directory + "/../layer.json", "{");
  EXPECT_THAT(
      Message(Base("v1").status()),
      HasSubstr("/tree is damaged: layer.json is not valid JSON; remove the directory above it"));
}

TEST_F(BaseTest, DeepTreesAreUnpackedAndRemoved) {
  std::string deep;
  for (int i = 0; i < 2040; ++i) deep += "d/";
  AddImage("v1", {MakeLayer({File(deep + "f", "deep")})});
  {
    const CacheInMemory memory(cache_);
    const auto base = Base("v1");
    EXPECT_TRUE(base.ok()) << base.status();
  }
  const CacheInMemory memory(cache_);
  EXPECT_TRUE(absl::IsDataLoss(Refused({File(deep + "f"), File("x"), File("x")})));
}

TEST_F(BaseTest, FullDiskLeavesNothing) {
  const CacheInMemory memory(cache_, "size=1M,mode=0700");
  const absl::Status status = Refused({File("a"), File("b", std::string(2 << 20, 'b'))});
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("entry \"b\": cannot write it: No space left on device"));
}

TEST_F(BaseTest, CacheIsForItsOwnerAlone) {
  AddImage("v1", {MakeLayer({File("a")})});
  ASSERT_TRUE(Base("v1").ok());
  EXPECT_EQ(Lstat(cache_).st_mode & 07777u, 0700u);
  ASSERT_EQ(::chmod(cache_.c_str(), 0770), 0);
  EXPECT_THAT(Message(Base("v1").status()), HasSubstr("others can write to the layer cache"));
  ASSERT_EQ(::chmod(cache_.c_str(), 0700), 0);
  ASSERT_EQ(::chown(cache_.c_str(), 1234, 0), 0);
  EXPECT_THAT(Message(Base("v1").status()), HasSubstr("belongs to user 1234"));
}

TEST_F(BaseTest, WithoutPrivilegesOwnersAndDevicesGiveWarnings) {
  Entry file = File("f");
  file.uid = 7;
  AddImage("v1", {MakeLayer({file, File(".wh.x", ""), Dir("d", 0555), File("d/.wh..wh..opq", ""),
                             Device("null", S_IFCHR, makedev(1, 3))})});
  const std::string parent = scratch_ / "user";
  std::filesystem::create_directory(parent);
  ASSERT_EQ(::chown(parent.c_str(), 1234, 1234), 0);
  ASSERT_EQ(::chmod(scratch_.path().c_str(), 0755), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::setresgid(1234, 1234, 1234) != 0 || ::setresuid(1234, 1234, 1234) != 0) ::_exit(2);
    BaseOptions options;
    options.cache = parent + "/cache";
    const auto base = Base("v1", options);
    if (!base.ok()) std::fprintf(stderr, "%s\n", base.status().ToString().c_str());
    if (!base.ok()) ::_exit(3);
    for (const std::string& warning : base->warnings) std::fprintf(stderr, "%s\n", warning.c_str());
    const std::string tree = base->layers[0].directory;
    const bool good = base->warnings.size() == 2 && IsWhiteoutAt(tree + "/x") &&
                      IsOpaque(tree + "/d") && !std::filesystem::exists(tree + "/null") &&
                      tree.find("/sha256-rootless/") != tree.npos;
    ::_exit(good ? 0 : 4);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace stasis::oci
