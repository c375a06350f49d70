// SPDX-License-Identifier: Apache-2.0
//
// fault_test.cc: each call to the host fails once in turn, with each errno that it may give.
//
// A scenario is done over and over, with another fault each time. After a fault a step may fail;
// one that says it succeeded must have done what it says, and in the end the tree must say what a
// fresh one of the same directory says.

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "state/base/rcu.h"
#include "tests/fsimpl/gofer/faulty_host_ops.h"
#include "tests/fsimpl/gofer/host_tree.h"
#include "tests/fsimpl/gofer/tree_text.h"
#include "tests/testing/errno_matchers.h"

namespace stasis::gofer {
namespace {

using testing::AsBytes;
using testing::IsErrno;
using testing::IsOk;
using testing::TestVfs;

constexpr int kShort = FaultyHostOps::kShort;

// What each call may give, by HostCall.
const std::array<std::vector<int>, kHostCalls> kErrors = {{
    {ENOENT, EACCES, EMFILE, ELOOP},                  // OpenRoot
    {ENOENT, EACCES, EMFILE, EINTR, EAGAIN, ENOSPC},  // OpenBeneath
    {EACCES, EMFILE, EINTR, EIO},                     // Reopen
    {ENOENT, EACCES, EIO, ESTALE},                    // Statx
    {EIO, ESTALE},                                    // ReadLink
    {EIO},                                            // GetStatFs
    {EIO, ENOMEM},                                    // ReadDir
    {ENOSPC, EIO},                                    // Mkdir
    {ENOSPC, EPERM},                                  // Mknod
    {ENOSPC},                                         // Symlink
    {ENOSPC, EMLINK},                                 // Link
    {EIO, EBUSY},                                     // Unlink
    {ENOSPC, EIO},                                    // Rename
    {EPERM, EIO},                                     // Chmod
    {EPERM, EDQUOT},                                  // Chown
    {EPERM, EIO},                                     // SetTimes
    {EACCES, EIO},                                    // GetXattr
    {ENOSPC, EOPNOTSUPP},                             // SetXattr
    {EIO, ENOMEM},                                    // ListXattr
    {EIO},                                            // RemoveXattr
    {EIO, EINTR, kShort},                             // Read
    {EIO, ENOSPC, EINTR, kShort},                     // Write
    {EIO, ENOSPC},                                    // Truncate
    {ENOSPC, EINTR, EOPNOTSUPP},                      // Allocate
    {EIO, EINTR, EXDEV, kShort},                      // CopyRange
    {EIO},                                            // Seek
    {EIO, ENOSPC},                                    // Sync
    {EIO},                                            // SyncFs
}};

struct Step {
  std::string name;
  std::function<Result<void>()> run;
  // Whether it is done, once it was said to be.
  std::function<bool()> done = [] { return true; };
};

template <typename T>
Result<void> Ignore(const Result<T>& result) {
  if (!result) return Err(result.error());
  return {};
}

class FaultTest : public HostTree, public ::testing::WithParamInterface<Interop> {
 protected:
  FaultTest() : HostTree(testing::ScratchDir::Where::kInMemory) {}

  using Scenario = std::function<std::vector<Step>()>;

  TestVfs& t() { return tree(); }
  vfs::VirtualFilesystem& v() { return tree().vfs(); }

  void MakeTree() {
    Put("f", "content of f");
    MakeDir("d");
    Put("d/g", "deeper");
    MakeDir("e");
    ASSERT_EQ(::symlink("d/g", Path("l").c_str()), 0);
    ASSERT_EQ(::mkfifo(Path("p").c_str(), 0644), 0);
  }

  std::vector<HostCall> RunOnce(Scenario scenario, size_t fail_at, int error) {
    Begin();
    ops_->Pause(false);
    ops_->FailAt(fail_at, error);
    for (const Step& step : scenario()) {
      failed_before_ = ops_->failed();
      const Result<void> result = step.run();
      ops_->Pause(true);
      if (!ops_->failed()) {
        EXPECT_THAT(result, IsOk()) << step.name;
      }
      const bool fails_now = ops_->failed() && !failed_before_;
      if (fails_now && error == kShort) {
        EXPECT_THAT(result, IsOk()) << step.name;
      }
      if (result) {
        EXPECT_TRUE(step.done()) << "'" << step.name << "' was not done";
      }
      if (fails_now) CompareWithHost("after " + step.name);
      ops_->Pause(false);
    }
    std::vector<HostCall> calls = ops_->calls();
    ops_->Pause(true);
    CompareWithHost("in the end");
    End();
    return calls;
  }

  // Nothing fails before Pause(false).
  void Begin() {
    MakeTree();
    ops_->Pause(true);
    Serve({.interop = GetParam(), .ops = ops_});
    t().prepare_restore = [this](restore::RestoreRequest& request) {
      request.services.Provide(&services_);
    };
  }
  void End() {
    files_.clear();
    EndServing();
    for (const auto& entry : std::filesystem::directory_iterator(Path("")))
      std::filesystem::remove_all(entry.path());
  }

  void CompareWithHost(const std::string& when) {
    const TreeText text = TextOf(t());
    TestVfs fresh([&](vfs::VirtualFilesystem& vfs) {
      return RefPtr<vfs::Filesystem>(
          *GoferFilesystem::Create(vfs, {.root = "data", .directory = Path("")}));
    });
    EXPECT_EQ(text, TextOf(fresh)) << when;
  }

  // Does something once, of which a call fails, and returns the calls that it made.
  using Once = std::function<std::vector<HostCall>(size_t fail_at, int error)>;

  void RunStepsWithEachFault(const Scenario& scenario) {
    RunWithEachFault([&](size_t fail_at, int error) { return RunOnce(scenario, fail_at, error); });
  }
  void RunWithEachFault(const Once& once) {
    const std::vector<HostCall> calls = once(0, 0);
    rcu::Barrier();
    const size_t descriptors = OpenDescriptors();
    for (size_t i = 0; i < calls.size(); ++i) {
      for (const int error : kErrors[static_cast<size_t>(calls[i])]) {
        SCOPED_TRACE(absl::StrCat("call ", i + 1, " (HostCall ", static_cast<int>(calls[i]),
                                  ") fails with ",
                                  error == kShort ? "less" : ErrnoName(Errno(error))));
        once(i + 1, error);
        if (HasFailure()) return;
      }
    }
    rcu::Barrier();
    EXPECT_EQ(OpenDescriptors(), descriptors);
  }

  Result<void> Open(const std::string& key, std::string_view path, int flags) {
    vfs::OpenOptions options;
    options.flags = flags;
    options.mode = 0640;
    STASIS_ASSIGN_OR_RETURN(files_[key], v().OpenAt(t().creds(), t().At(path), options));
    return {};
  }
  // Of an open file; EBADF if it could not be opened.
  template <typename Fn>
  Result<void> With(const std::string& key, Fn fn) {
    auto file = files_.find(key);
    if (file == files_.end() || !file->second) return Err(EBADF);
    return Ignore(fn(*file->second));
  }
  Step Reads(const std::string& key, const std::string& content) {
    auto read = std::make_shared<std::string>();
    return {"read " + key,
            [=, this] {
              return With(key, [&](vfs::FileDescription& file) {
                read->assign(100, '\0');
                auto size = file.PRead(0, std::as_writable_bytes(std::span(*read)));
                read->resize(size.value_or(0));
                return size;
              });
            },
            // What the failed steps before were to write may be missing.
            [=, this] { return *read == content || failed_before_; }};
  }
  Result<void> Set(std::string_view path, const vfs::SetStat& set) {
    return v().SetAttributesAt(t().creds(), t().At(path), set);
  }
  Result<void> List(std::string_view path, std::vector<std::string>& names) {
    names.clear();
    STASIS_RETURN_IF_ERROR(Open("dir", path, O_RDONLY | O_DIRECTORY));
    return With("dir", [&](vfs::FileDescription& dir) {
      return dir.IterateDirectory(0, [&](const vfs::DirectoryEntry& entry) {
        if (entry.dentry != nullptr) names.emplace_back(entry.name);
        return true;
      });
    });
  }
  bool Is(std::string_view path, uint32_t mode) {
    return OnHost(path) && HostStatOf(path).st_mode == mode;
  }

  std::vector<Step> NamesSteps();
  std::vector<Step> RemovalsSteps();
  std::vector<Step> AttributesSteps();
  std::vector<Step> DataSteps();
  void OpenAll();
  void CheckAll();
  std::vector<HostCall> SaveOnce(size_t fail_at, int error);
  std::vector<HostCall> RestoreOnce(size_t fail_at, int error);

  const std::shared_ptr<FaultyHostOps> ops_ = std::make_shared<FaultyHostOps>();
  const GoferServices services_{.ops = ops_};
  std::map<std::string, RefPtr<vfs::FileDescription>> files_;
  std::vector<std::string> names_;
  bool failed_before_ = false;  // a step before this one met the fault
};

std::vector<Step> FaultTest::NamesSteps() {
  const vfs::Credentials& root = t().creds();
  static const vfs::Credentials alice = vfs::Credentials::User(1000, 1000);
  return {
      {"stat f", [&] { return Ignore(v().StatAt(root, t().At("/f"))); }},
      {"statfs", [&] { return Ignore(v().StatFsAt(root, t().At("/"))); }},
      {"readlink", [&] { return Ignore(v().ReadLinkAt(root, t().At("/l"))); }},
      {"list /", [&] { return List("/", names_); },
       [&] { return failed_before_ || names_.size() == 5; }},
      {"stat through the link", [&] { return Ignore(v().StatAt(root, t().At("/l", true))); }},
      {"open /", [&] { return Set("/", {.mode = 0777}); }, [&] { return Is("", S_IFDIR | 0777); }},
      {"mkdir", [&] { return v().MkdirAt(alice, t().At("/m"), 0700); },
       [&] { return Is("m", S_IFDIR | 0700) && HostStatOf("m").st_uid == 1000; }},
      {"create", [&] { return Open("n", "/n", O_CREAT | O_EXCL | O_RDWR); },
       [&] { return Is("n", S_IFREG | 0640); }},
      {"mknod",
       [&] {
         return v().MknodAt(alice, t().At("/r"), {S_IFREG | 04755, 0});
       },
       [&] { return Is("r", S_IFREG | 04755) && HostStatOf("r").st_uid == 1000; }},
      {"symlink", [&] { return v().SymlinkAt(alice, t().At("/s"), "target"); },
       [&] { return Is("s", S_IFLNK | 0777) && HostStatOf("s").st_uid == 1000; }},
      {"mkfifo",
       [&] {
         return v().MknodAt(alice, t().At("/q"), {S_IFIFO | 0600, 0});
       },
       [&] { return Is("q", S_IFIFO | 0600); }},
      {"whiteout",
       [&] {
         return v().MknodAt(root, t().At("/w"), {S_IFCHR | 0600, 0});
       },
       [&] { return Is("w", S_IFCHR | 0600); }},
      {"tmpfile", [&] { return Open("tmp", "/", O_TMPFILE | O_RDWR); }},
      {"link tmpfile",
       [&] {
         return With("tmp", [&](vfs::FileDescription& file) {
           return v().LinkAt(root, {t().root(), file.at(), ""}, t().At("/t"));
         });
       },
       [&] { return Is("t", S_IFREG | 0640); }},
      {"link", [&] { return v().LinkAt(root, t().At("/f"), t().At("/k")); },
       [&] { return OnHost("k") && HostStatOf("k").st_ino == HostStatOf("f").st_ino; }},
      {"rename", [&] { return v().RenameAt(root, t().At("/n"), t().At("/m/n")); },
       [&] { return OnHost("m/n") && !OnHost("n"); }},
      {"exchange", [&] { return v().RenameAt(root, t().At("/m"), t().At("/d"), RENAME_EXCHANGE); },
       [&] { return OnHost("d/n") || failed_before_; }},
      {"rename leaving a whiteout",
       [&] { return v().RenameAt(root, t().At("/t"), t().At("/t2"), RENAME_WHITEOUT); },
       [&] { return OnHost("t2") && Is("t", S_IFCHR); }},
      {"replace leaving a whiteout",
       [&] { return v().RenameAt(root, t().At("/k"), t().At("/r"), RENAME_WHITEOUT); },
       [&] { return HostStatOf("r").st_size == 12 && Is("k", S_IFCHR); }},
  };
}

std::vector<Step> FaultTest::RemovalsSteps() {
  const vfs::Credentials& root = t().creds();
  return {
      {"link", [&] { return v().LinkAt(root, t().At("/f"), t().At("/k")); },
       [&] { return OnHost("k"); }},
      {"unlink a name", [&] { return v().UnlinkAt(root, t().At("/k")); },
       [&] { return !OnHost("k"); }},
      {"open", [&] { return Open("f", "/f", O_RDWR); }},
      {"open path", [&] { return Open("l", "/l", O_PATH | O_NOFOLLOW); }},
      {"unlink", [&] { return v().UnlinkAt(root, t().At("/f")); }, [&] { return !OnHost("f"); }},
      {"unlink link", [&] { return v().UnlinkAt(root, t().At("/l")); },
       [&] { return !OnHost("l"); }},
      Reads("f", "content of f"),
      {"stat", [&] { return With("f", [](auto& file) { return file.GetStat(); }); }},
      {"chmod of a deleted file",
       [&] {
         return With("f", [&](auto& file) { return file.SetAttributes(root, {.mode = 0600}); });
       },
       [&] { return (files_["f"]->GetStat()->mode & 0777) == 0600; }},
      {"list e", [&] { return List("/e", names_); }, [&] { return names_.empty(); }},
      {"rmdir", [&] { return v().RmdirAt(root, t().At("/e")); }, [&] { return !OnHost("e"); }},
      {"mkdir", [&] { return v().MkdirAt(root, t().At("/x"), 0755); }, [&] { return OnHost("x"); }},
      {"replace a directory", [&] { return v().RenameAt(root, t().At("/d"), t().At("/x")); },
       [&] { return OnHost("x/g") && !OnHost("d"); }},
      {"create", [&] { return Open("y", "/y", O_CREAT | O_RDWR); }, [&] { return OnHost("y"); }},
      {"replace a file", [&] { return v().RenameAt(root, t().At("/y"), t().At("/x/g")); },
       [&] { return HostStatOf("x/g").st_size == 0 && !OnHost("y"); }},
      {"unlink fifo", [&] { return v().UnlinkAt(root, t().At("/p")); },
       [&] { return !OnHost("p"); }},
  };
}

std::vector<Step> FaultTest::AttributesSteps() {
  const vfs::Credentials& root = t().creds();
  static const std::string acl(
      "\2\0\0\0"
      "\1\0\6\0\xff\xff\xff\xff"
      "\2\0\4\0\xe8\3\0\0"
      "\4\0\4\0\xff\xff\xff\xff"
      "\x10\0\4\0\xff\xff\xff\xff"
      "\x20\0\0\0\xff\xff\xff\xff",
      44);
  return {
      {"chmod", [&] { return Set("/f", {.mode = 0604}); }, [&] { return Is("f", S_IFREG | 0604); }},
      {"chmod d", [&] { return Set("/d", {.mode = 01711}); },
       [&] { return Is("d", S_IFDIR | 01711); }},
      {"chown", [&] { return Set("/f", {.uid = 1, .gid = 2}); },
       [&] { return HostStatOf("f").st_uid == 1 && HostStatOf("f").st_gid == 2; }},
      {"chown l", [&] { return Set("/l", {.uid = 3}); },
       [&] { return HostStatOf("l").st_uid == 3; }},
      {"set-id", [&] { return Set("/f", {.mode = 06755}); },
       [&] { return Is("f", S_IFREG | 06755); }},
      {"all",
       [&] { return Set("/d/g", {.mode = 04700, .uid = 4, .mtime = vfs::SetTime{5000000000}}); },
       [&] {
         return HostStatOf("d/g").st_uid == 4 && HostStatOf("d/g").st_mtim.tv_sec == 5 &&
                Is("d/g", S_IFREG | 04700);
       }},
      {"truncate", [&] { return Set("/f", {.size = 7}); },
       [&] { return HostStatOf("f").st_size == 7; }},
      {"times", [&] { return Set("/p", {.atime = vfs::SetTime{7}, .mtime = vfs::SetTime{8}}); },
       [&] { return HostStatOf("p").st_mtim.tv_nsec == 8; }},
      {"setxattr", [&] { return v().SetXattrAt(root, t().At("/f"), "user.a", "A", 0); },
       [&] { return t().GetXattr("/f", "user.a") == "A"; }},
      {"getxattr", [&] { return Ignore(v().GetXattrAt(root, t().At("/f"), "user.a")); }},
      {"listxattr", [&] { return Ignore(v().ListXattrAt(root, t().At("/f"))); }},
      {"removexattr", [&] { return v().RemoveXattrAt(root, t().At("/f"), "user.a"); },
       [&] { return !v().GetXattrAt(root, t().At("/f"), "user.a"); }},
      {"set ACL", [&] { return v().SetXattrAt(root, t().At("/f"), vfs::kAclAccessXattr, acl, 0); },
       [&] { return (HostStatOf("f").st_mode & 0777) == 0640; }},
      {"set default ACL",
       [&] { return v().SetXattrAt(root, t().At("/d"), vfs::kAclDefaultXattr, acl, 0); }},
      {"create by default ACL", [&] { return Open("n", "/d/n", O_CREAT | O_RDWR); },
       [&] { return OnHost("d/n"); }},
      {"remove ACL", [&] { return v().RemoveXattrAt(root, t().At("/f"), vfs::kAclAccessXattr); }},
  };
}

std::vector<Step> FaultTest::DataSteps() {
  return {
      {"open", [&] { return Open("f", "/f", O_RDONLY); }},
      Reads("f", "content of f"),
      {"open for writing", [&] { return Open("w", "/f", O_RDWR); }},
      {"write",
       [&] { return With("w", [](auto& f) { return f.PWrite(8, AsBytes("the file f")); }); },
       [&] { return Get("f") == "content the file f" || failed_before_; }},
      Reads("f", "content the file f"),
      {"open for appending", [&] { return Open("a", "/f", O_WRONLY | O_APPEND); }},
      {"append", [&] { return With("a", [](auto& f) { return f.Write(AsBytes("!!!!")); }); },
       [&] { return failed_before_ || Get("f") == "content the file f!!!!"; }},
      {"allocate", [&] { return With("w", [](auto& f) { return f.Allocate(0, 0, 10000); }); },
       [&] { return HostStatOf("f").st_size == 10000; }},
      {"truncate", [&] { return Set("/f", {.size = 20000}); },
       [&] { return HostStatOf("f").st_size == 20000; }},
      {"seek", [&] { return With("w", [](auto& f) { return f.Seek(0, SEEK_HOLE); }); }},
      {"open g", [&] { return Open("g", "/d/g", O_RDWR); }},
      {"copy",
       [&] {
         return With("f", [&](auto& from) {
           return With("g", [&](auto& to) {
             // A host may copy less at once.
             Result<uint64_t> copied = 0;
             for (uint64_t done = 0; copied && done < 7; done += *copied) {
               copied = vfs::FileDescription::CopyRange(from, done, to, 2 + done, 7 - done);
               if (copied && *copied == 0) return Result<uint64_t>(Err(EIO));
               if (!copied) break;
             }
             return copied;
           });
         });
       },
       [&] { return Get("d/g") == "decontent" || failed_before_; }},
      {"sync", [&] { return With("w", [](auto& f) { return f.Sync(); }); }},
      {"sync all", [&] { return fs().Sync(); }},
      {"close",
       [&] {
         files_.clear();
         return Result<void>();
       }},
      {"open and cut", [&] { return Open("w", "/f", O_WRONLY | O_TRUNC); },
       [&] { return Get("f").empty(); }},
  };
}

// Open files, deleted ones among them.
void FaultTest::OpenAll() {
  t().SetXattr("/f", "user.a", "A");
  t().Truncate("/f", 20000);
  t().Hold("f", t().Open("/f", O_RDWR));
  t().Hold("g", t().Open("/d/g", O_RDWR));
  t().Hold("l", t().Open("/l", O_PATH | O_NOFOLLOW));
  t().Hold("e", t().Open("/e", O_RDONLY | O_DIRECTORY));
  t().Unlink("/f");
  t().Unlink("/l");
  t().Rmdir("/e");
  t().Set("/d/g", {.mode = 0});
  t().List("/d");
  t().List("/");
  fs().set_digest_scope(DigestScope::kAll);
}

void FaultTest::CheckAll() {
  const auto f = t().Held<vfs::FileDescription>("f");
  const auto g = t().Held<vfs::FileDescription>("g");
  const auto l = t().Held<vfs::FileDescription>("l");
  ASSERT_TRUE(f && g && l);
  EXPECT_EQ(testing::ReadAll(*f).substr(0, 16), std::string("content of f\0\0\0\0", 16));
  EXPECT_EQ(f->GetStat()->size, 20000u);
  EXPECT_EQ(f->GetStat()->nlink, 0u);
  EXPECT_EQ(v().GetXattrAt(t().creds(), {t().root(), f->at(), ""}, "user.a").value_or(""), "A");
  EXPECT_EQ(testing::ReadAll(*g), "deeper");
  EXPECT_THAT(g->PWrite(0, AsBytes("deeper")), IsOk());
  EXPECT_EQ(v().ReadLinkAt(t().creds(), {t().root(), l->at(), ""}).value_or(""), "d/g");
  CompareWithHost("restored");
}

// A checkpoint either fails, and everything goes on, or can be restored.
std::vector<HostCall> FaultTest::SaveOnce(size_t fail_at, int error) {
  Begin();
  OpenAll();
  ops_->Pause(false);
  ops_->FailAt(fail_at, error);
  const absl::Status saved = t().Save();
  const bool failed = ops_->failed();
  std::vector<HostCall> calls = ops_->calls();
  ops_->Pause(true);
  if (!failed || error == kShort) {
    EXPECT_TRUE(saved.ok()) << saved;
  }
  if (!saved.ok()) {
    CheckAll();
    EXPECT_TRUE(t().Save().ok());
  }
  EXPECT_TRUE(t().Restore().ok());
  CheckAll();
  End();
  return calls;
}

// A restore either fails, and leaves nothing, or is whole.
std::vector<HostCall> FaultTest::RestoreOnce(size_t fail_at, int error) {
  Begin();
  OpenAll();
  EXPECT_TRUE(t().Save().ok());
  const TreeText before = TextOf(t());
  rcu::Barrier();
  const size_t descriptors = OpenDescriptors();
  ops_->Pause(false);
  ops_->FailAt(fail_at, error);
  const absl::Status restored = t().Restore();
  const bool failed = ops_->failed();
  std::vector<HostCall> calls = ops_->calls();
  ops_->Pause(true);
  if (!failed || error == kShort) {
    EXPECT_TRUE(restored.ok()) << restored;
  }
  if (!restored.ok()) {
    rcu::Barrier();
    EXPECT_EQ(OpenDescriptors(), descriptors);
    EXPECT_EQ(TextOf(t()), before);
    EXPECT_TRUE(t().Restore().ok());
  }
  // A file that is said to be missing is a difference, and no error.
  if (!(restored.ok() && failed && error == ENOENT)) CheckAll();
  End();
  return calls;
}

TEST_P(FaultTest, Names) {
  RunStepsWithEachFault([this] { return NamesSteps(); });
}
TEST_P(FaultTest, Removals) {
  RunStepsWithEachFault([this] { return RemovalsSteps(); });
}
TEST_P(FaultTest, Attributes) {
  RunStepsWithEachFault([this] { return AttributesSteps(); });
}
TEST_P(FaultTest, Create) {
  MakeTree();
  for (const size_t call : {1, 2}) {
    for (const int error : {ENOENT, EACCES, EMFILE}) {
      const size_t descriptors = OpenDescriptors();
      ops_->FailAt(call, error);
      auto vfs = MakeRef<vfs::VirtualFilesystem>(TestVfs::clock());
      EXPECT_FALSE(
          GoferFilesystem::Create(*vfs, {.root = "data", .directory = Path(""), .ops = ops_}).ok());
      vfs->Teardown();
      vfs.reset();
      EXPECT_EQ(OpenDescriptors(), descriptors);
    }
  }
}
TEST_P(FaultTest, Checkpoint) {
  RunWithEachFault([this](size_t fail_at, int error) { return SaveOnce(fail_at, error); });
}
TEST_P(FaultTest, Restore) {
  RunWithEachFault([this](size_t fail_at, int error) { return RestoreOnce(fail_at, error); });
}
TEST_P(FaultTest, Data) {
  RunStepsWithEachFault([this] { return DataSteps(); });
}

INSTANTIATE_TEST_SUITE_P(, FaultTest, ::testing::Values(Interop::kExclusive, Interop::kShared),
                         [](const auto& mode) {
                           return mode.param == Interop::kShared ? "Shared" : "Exclusive";
                         });

}  // namespace
}  // namespace stasis::gofer
