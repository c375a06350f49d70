// SPDX-License-Identifier: Apache-2.0
//
// The host changes between a checkpoint and a restore.

#include "restore/drift.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "restore/exit_code.h"
#include "state/base/rcu.h"
#include "tests/fsimpl/gofer/faulty_host_ops.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::gofer {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ReadAll;
using testing::TestVfs;
using vfs::DriftPolicy;

// "kind path saved -> found".
using Lines = std::vector<std::string>;
Lines LinesOf(const restore::DriftReport& report) {
  Lines lines;
  for (const restore::DriftFinding& finding : report.findings)
    lines.push_back(std::string(vfs::NameOf(finding.kind)) + " " + finding.path + " " +
                    finding.saved + " -> " + finding.found);
  return lines;
}

class DriftTest : public HostTree {
 protected:
  // A few files of each kind, all of them looked at, and saved.
  void ServeAndSave() {
    Put("file", "content");
    MakeDir("dir");
    Put("dir/inner", "inner");
    fs::create_symlink("file", Path("link"));
    fs::create_hard_link(Path("file"), Path("name"));
    ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0644), 0);
    Serve();
    LookAt("/");
    tree().prepare_restore = [this](restore::RestoreRequest& request) {
      request.checks = checks_;
      request.rules = restore::DriftRules(policy_);
    };
    ASSERT_TRUE(tree().Save().ok());
  }
  void LookAt(const std::string& dir) {
    for (const std::string& name : tree().List(dir)) {
      const std::string path = dir == "/" ? "/" + name : dir + "/" + name;
      if (S_ISDIR(tree().Stat(path).mode)) LookAt(path);
    }
  }
  Lines Drift() {
    auto report = restore::DriftOf(tree().RestoreRequest());
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? LinesOf(*report) : Lines();
  }
  absl::Status RestoreWith(DriftPolicy policy) {
    policy_ = policy;
    return tree().Restore();
  }
  // Keeps the time of modification while `change` runs.
  void Quietly(const std::string& name, const std::function<void()>& change) {
    const struct stat before = HostStatOf(name);
    change();
    const timespec times[] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, Path(name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }

  vfs::DriftChecks checks_;
  DriftPolicy policy_ = DriftPolicy::kFail;
};

TEST_F(DriftTest, NothingChangedIsNoDrift) {
  ServeAndSave();
  checks_ = {.ctime = true, .identity = true, .content = true};
  EXPECT_THAT(Drift(), IsEmpty());
  EXPECT_TRUE(tree().Restore().ok());
}

TEST_F(DriftTest, ACopyElsewhereIsNoDrift) {
  ServeAndSave();
  testing::ScratchDir elsewhere;
  ASSERT_EQ(std::system(("cp -a " + Path(".") + " " + elsewhere / "copy").c_str()), 0);
  tree().roots()["data"] = elsewhere / "copy";
  EXPECT_THAT(Drift(), IsEmpty());
  ASSERT_TRUE(tree().Restore().ok());
  EXPECT_EQ(tree().Read("/name"), "content");
  EXPECT_EQ(tree().Stat("/name").ino, tree().Stat("/file").ino);
}

TEST_F(DriftTest, Missing) {
  ServeAndSave();
  fs::remove_all(Path("dir"));
  EXPECT_THAT(Drift(), ElementsAre("missing /dir directory -> "));
  EXPECT_EQ(restore::ExitCodeOf(tree().Restore()), restore::ExitCode::kDrift);
  ASSERT_TRUE(RestoreWith(DriftPolicy::kAdopt).ok());
  EXPECT_FALSE(tree().Exists("/dir"));
  tree().Mkdir("/dir");
}

TEST_F(DriftTest, MissingIsHealedWhereTheImageHasAll) {
  MakeDir("empty");
  fs::permissions(Path("empty"), fs::perms(0710));
  ServeAndSave();
  fs::remove(Path("link"));
  fs::remove(Path("empty"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kHeal).ok());
  EXPECT_EQ(fs::read_symlink(Path("link")), "file");
  EXPECT_EQ(tree().ReadLink("/link"), "file");
  EXPECT_EQ(HostStatOf("empty").st_mode, S_IFDIR | 0710u);
  ASSERT_TRUE(tree().Save().ok());
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(DriftTest, AMissingDirectoryWithFilesCannotBeHealed) {
  ServeAndSave();
  fs::remove_all(Path("dir"));
  EXPECT_EQ(restore::ExitCodeOf(RestoreWith(DriftPolicy::kHeal)), restore::ExitCode::kDrift);
  EXPECT_FALSE(OnHost("dir"));
}

TEST_F(DriftTest, MissingContentCannotBeHealed) {
  ServeAndSave();
  fs::remove(Path("dir/inner"));
  fs::permissions(Path("fifo"), fs::perms::owner_all);
  const absl::Status status = RestoreWith(DriftPolicy::kHeal);
  EXPECT_EQ(restore::ExitCodeOf(status), restore::ExitCode::kDrift);
  EXPECT_EQ(HostStatOf("fifo").st_mode & 07777, 0700u) << "nothing is healed if something fails";
}

TEST_F(DriftTest, Type) {
  ServeAndSave();
  fs::remove_all(Path("dir"));
  fs::create_symlink("/etc", Path("dir"));
  fs::remove(Path("fifo"));
  MakeDir("fifo");
  EXPECT_THAT(Drift(), ElementsAre("type /dir directory -> link", "type /fifo fifo -> directory"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kWarn).ok());
  EXPECT_EQ(tree().ReadLink("/dir"), "/etc");
  EXPECT_TRUE(S_ISDIR(tree().Stat("/fifo").mode));
}

TEST_F(DriftTest, AFileThatBecameAFifoDoesNotBlock) {
  ServeAndSave();
  fs::remove(Path("dir/inner"));
  ASSERT_EQ(::mkfifo(Path("dir/inner").c_str(), 0644), 0);
  checks_.content = true;
  EXPECT_THAT(Drift(), ElementsAre("type /dir/inner file -> fifo"));
}

TEST_F(DriftTest, ReplacedByIdentity) {
  ServeAndSave();
  checks_.identity = true;
  const struct stat before = HostStatOf("dir/inner");
  fs::copy_file(Path("dir/inner"), Path("dir/other"));
  Quietly("dir/inner", [&] { fs::rename(Path("dir/other"), Path("dir/inner")); });
  const Lines lines = Drift();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr("replaced /dir/inner device "));
  EXPECT_THAT(lines[0], HasSubstr("inode " + std::to_string(before.st_ino) + " -> "));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kAdopt).ok());
  EXPECT_EQ(tree().Read("/dir/inner"), "inner");
}

TEST_F(DriftTest, NamesOfOneFileThatAreTwoFiles) {
  ServeAndSave();
  const struct stat before = HostStatOf("file");
  fs::remove(Path("name"));
  fs::copy_file(Path("file"), Path("name"));
  const timespec times[] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, Path("name").c_str(), times, 0), 0);
  EXPECT_THAT(Drift(), ElementsAre("replaced /name same file as /file -> another file"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kAdopt).ok());
  EXPECT_NE(tree().Stat("/name").ino, tree().Stat("/file").ino);
}

TEST_F(DriftTest, TwoFilesThatAreOne) {
  ServeAndSave();
  fs::remove(Path("dir/inner"));
  fs::create_hard_link(Path("file"), Path("dir/inner"));
  EXPECT_THAT(Drift(),
              ElementsAre("replaced /dir/inner a file of its own -> a name of another file"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kAdopt).ok());
  EXPECT_EQ(tree().Stat("/dir/inner").ino, tree().Stat("/file").ino);
}

TEST_F(DriftTest, Size) {
  ServeAndSave();
  Quietly("dir/inner", [&] { Put("dir/inner", "longer now"); });
  EXPECT_THAT(Drift(), ElementsAre("size /dir/inner 5 -> 10"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kAdopt).ok());
  EXPECT_EQ(tree().Stat("/dir/inner").size, 10u);
  EXPECT_EQ(tree().Read("/dir/inner"), "longer now");
}

TEST_F(DriftTest, Mtime) {
  ServeAndSave();
  const struct stat before = HostStatOf("dir/inner");
  fs::last_write_time(Path("dir/inner"), fs::file_time_type::clock::now() - std::chrono::hours(5));
  ASSERT_EQ(Drift().size(), 1u);
  EXPECT_THAT(Drift()[0], HasSubstr("mtime /dir/inner 20"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kHeal).ok());
  EXPECT_EQ(HostStatOf("dir/inner").st_mtim.tv_sec, before.st_mtim.tv_sec);
  EXPECT_EQ(HostStatOf("dir/inner").st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

TEST_F(DriftTest, Ctime) {
  ServeAndSave();
  fs::permissions(Path("dir/inner"), fs::perms(0600));
  fs::permissions(Path("dir/inner"), fs::perms(0644));
  EXPECT_THAT(Drift(), IsEmpty());
  checks_.ctime = true;
  ASSERT_EQ(Drift().size(), 1u);
  EXPECT_THAT(Drift()[0], HasSubstr("ctime /dir/inner 20"));
}

TEST_F(DriftTest, ModeAndOwner) {
  ServeAndSave();
  const uint32_t mode = HostStatOf("dir/inner").st_mode & 07777;
  fs::permissions(Path("dir/inner"), fs::perms(0600));
  ASSERT_EQ(::lchown(Path("link").c_str(), 1000, 1001), 0);
  ASSERT_EQ(::chown(Path("dir").c_str(), 1000, -1), 0);
  EXPECT_THAT(Drift(), ElementsAre("owner /dir 0:0 -> 1000:0", "mode /dir/inner 0644 -> 0600",
                                   "owner /link 0:0 -> 1000:1001"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kHeal).ok());
  EXPECT_EQ(HostStatOf("dir/inner").st_mode & 07777, mode);
  EXPECT_EQ(HostStatOf("link").st_uid, 0u);
  EXPECT_EQ(HostStatOf("dir").st_uid, 0u);
  EXPECT_EQ(tree().Stat("/dir").uid, 0u);
}

TEST_F(DriftTest, ContentOfALink) {
  ServeAndSave();
  Quietly("link", [&] {
    fs::remove(Path("link"));
    fs::create_symlink("fifo", Path("link"));
  });
  EXPECT_THAT(Drift(), ElementsAre("content /link file -> fifo"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kHeal).ok());
  EXPECT_EQ(fs::read_symlink(Path("link")), "file");
  EXPECT_FALSE(OnHost(".stasis-heal-" + std::to_string(tree().Stat("/link").ino)));
}

TEST_F(DriftTest, ContentByDigest) {
  ServeAndSave();
  for (RefPtr<vfs::Filesystem> each : tree().vfs().filesystems())
    dynamic_cast<GoferFilesystem&>(*each).set_digest_scope(DigestScope::kAll);
  ASSERT_TRUE(tree().Save().ok());
  checks_.content = true;
  EXPECT_THAT(Drift(), IsEmpty());
  Quietly("dir/inner", [&] { Put("dir/inner", "INNER"); });
  ASSERT_EQ(Drift().size(), 1u);
  EXPECT_THAT(Drift()[0], HasSubstr("content /dir/inner "));
  checks_.content = false;
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(DriftTest, New) {
  ServeAndSave();
  Put("dir/fresh", "x");
  MakeDir("more");
  EXPECT_THAT(Drift(), ElementsAre("new /dir/fresh  -> file", "new /more  -> directory"));
  ASSERT_TRUE(RestoreWith(DriftPolicy::kAdopt).ok());
  EXPECT_EQ(tree().Read("/dir/fresh"), "x");
  EXPECT_EQ(tree().List("/").size(), 6u);
}

TEST_F(DriftTest, AnOpenFileBelowADirectoryThatIsGoneIsToldToo) {
  ServeAndSave();
  tree().Hold("file", tree().Open("/dir/inner", O_RDWR));
  ASSERT_TRUE(tree().Save().ok());
  fs::remove_all(Path("dir"));
  EXPECT_THAT(Drift(), ElementsAre("missing /dir directory -> ", "missing /dir/inner file -> "));
}

TEST_F(DriftTest, AFileWhoseModeForbidsItIsOpenedAgain) {
  ServeAndSave();
  tree().Hold("file", tree().Open("/made", O_RDWR | O_CREAT, 0444));
  ASSERT_TRUE(tree().Save().ok());
  ASSERT_TRUE(tree().Restore().ok());
  auto file = tree().Held<vfs::FileDescription>("file");
  EXPECT_TRUE(file->PWrite(0, testing::AsBytes("written")).has_value());
  EXPECT_EQ(Get("made"), "written");
  EXPECT_EQ(HostStatOf("made").st_mode & 07777, 0444u);
}

// Ends a restore at its n-th look at the host.
class CancelledRestoreTest : public DriftTest, public ::testing::WithParamInterface<int> {};

TEST_P(CancelledRestoreTest, ChangesNothingAndCanBeDoneAgain) {
  ServeAndSave();
  ASSERT_EQ(::chmod(Path("file").c_str(), 0600), 0);
  fs::remove(Path("link"));
  const auto ops = std::make_shared<FaultyHostOps>();
  const GoferServices services{.ops = ops};
  std::atomic<bool> cancel{false};
  std::atomic<int> looks{0};
  ops->before_statx = [&] {
    if (++looks == 3) cancel = true;
  };
  tree().prepare_restore = [&](restore::RestoreRequest& request) {
    request.rules = restore::DriftRules(DriftPolicy::kHeal);
    request.services.Provide(&services);
    request.threads = GetParam();
    request.cancel = &cancel;
  };
  policy_ = DriftPolicy::kHeal;
  const size_t descriptors = OpenDescriptors();
  const absl::Status cancelled = tree().Restore();
  EXPECT_EQ(cancelled.code(), absl::StatusCode::kCancelled) << cancelled;
  EXPECT_EQ(restore::ExitCodeOf(cancelled), restore::ExitCode::kInterrupted);
  EXPECT_LE(looks, 3 + GetParam()) << "each thread ends with the file it is at";
  EXPECT_EQ(HostStatOf("file").st_mode & 0777, 0600u);
  EXPECT_FALSE(OnHost("link"));
  rcu::Barrier();
  EXPECT_LE(OpenDescriptors(), descriptors);
  cancel = false;
  ops->before_statx = nullptr;
  ASSERT_TRUE(tree().Restore().ok());
  EXPECT_EQ(HostStatOf("file").st_mode & 0777, 0644u);
  EXPECT_TRUE(OnHost("link"));
}
INSTANTIATE_TEST_SUITE_P(, CancelledRestoreTest, ::testing::Values(1, 3));

TEST_F(DriftTest, APolicyForEachPath) {
  ServeAndSave();
  Put("dir/inner", "longer now");
  fs::permissions(Path("fifo"), fs::perms(0600));
  tree().prepare_restore = [](restore::RestoreRequest& request) {
    request.rules = restore::DriftRules(DriftPolicy::kFail);
    ASSERT_TRUE(request.rules.Add("/dir/**=ignore").ok());
    ASSERT_TRUE(request.rules.Add("/fifo=heal").ok());
  };
  ASSERT_TRUE(tree().Restore().ok());
  EXPECT_EQ(tree().Stat("/dir/inner").size, 10u);
  EXPECT_EQ(HostStatOf("fifo").st_mode & 07777, 0644u);
}

// A thousand changes to a tree of ten thousand files: the report says just those.
class RandomDriftTest : public DriftTest {
 protected:
  RandomDriftTest() {
    const char* given = std::getenv("STASIS_SEED");  // NOLINT(concurrency-mt-unsafe)
    const uint32_t seed = given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 0))
                                           : std::random_device()();
    std::cout << "STASIS_SEED=" << seed << std::endl;
    random_.seed(seed);
  }
  size_t Below(size_t n) { return random_() % n; }

  void MakeFiles() {
    for (int d = 0; d < kDirs; ++d) {
      MakeDir("d" + std::to_string(d));
      for (int f = 0; f < kFiles; ++f) {
        const std::string name = "d" + std::to_string(d) + "/f" + std::to_string(f);
        Put(name, std::string(Below(100), 'x'));
        names_.push_back(name);
      }
    }
    std::shuffle(names_.begin(), names_.end(), random_);
  }

  // Changes one file, and notes what is to be reported.
  void Change(const std::string& name) {
    const std::string path = "/" + name;
    const struct stat before = HostStatOf(name);
    switch (Below(6)) {
      case 0:
        fs::remove(Path(name));
        expected_.insert("missing " + path);
        break;
      case 1:
        Quietly(name, [&] { Put(name, std::string(100 + Below(100), 'y')); });
        expected_.insert("size " + path);
        break;
      case 2: {
        const timespec times[] = {before.st_atim, {before.st_mtim.tv_sec - 100, 5}};
        ASSERT_EQ(::utimensat(AT_FDCWD, Path(name).c_str(), times, 0), 0);
        expected_.insert("mtime " + path);
        break;
      }
      case 3:
        fs::permissions(Path(name), fs::perms(0640));
        expected_.insert("mode " + path);
        break;
      case 4:
        fs::remove(Path(name));
        fs::create_directory(Path(name));
        expected_.insert("type " + path);
        break;
      default:
        Put(name + ".new", "");
        expected_.insert("new " + path + ".new");
    }
  }

  static constexpr int kDirs = 100;
  static constexpr int kFiles = 100;
  std::mt19937 random_;
  std::vector<std::string> names_;
  std::set<std::string> expected_;
};

TEST_F(RandomDriftTest, TheReportIsTheChanges) {
  MakeFiles();
  Serve();
  LookAt("/");
  ASSERT_TRUE(tree().Save().ok());
  for (int i = 0; i < 1000; ++i) Change(names_[static_cast<size_t>(i)]);
  for (const int threads : {1, 4}) {
    restore::RestoreRequest request = tree().RestoreRequest();
    request.threads = threads;
    const auto report = restore::DriftOf(request);
    ASSERT_TRUE(report.ok()) << report.status();
    std::set<std::string> found;
    for (const restore::DriftFinding& finding : report->findings)
      EXPECT_TRUE(found.insert(std::string(vfs::NameOf(finding.kind)) + " " + finding.path).second)
          << finding.path << " is told twice";
    EXPECT_EQ(found, expected_);
  }
}

}  // namespace
}  // namespace stasis::gofer
