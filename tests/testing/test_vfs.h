// SPDX-License-Identifier: Apache-2.0
//
// test_vfs.h: a VFS with a memfs in it, for tests.
//
//   TestVfs t;
//   t.Mkdir("/a");
//   t.Write("/a/f", "hello");
//   auto file = t.Open("/a/f", O_RDONLY);
//   t.Hold("file", file);
//   t.SaveAndRestore();               // through a real image, into a new VFS
//   file = t.Held<vfs::FileDescription>("file");
//   EXPECT_EQ(t.Read("/a/f"), "hello");
//
// Verbs act as root on absolute paths and do not follow a final symbolic link. One that fails is a
// test failure that names path and errno; for expected errors use vfs() and At().

#ifndef STASIS_TESTS_TESTING_TEST_VFS_H_
#define STASIS_TESTS_TESTING_TEST_VFS_H_

#include <absl/status/statusor.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fsimpl/memfs/filesystem.h"
#include "restore/checkpoint.h"
#include "restore/fork.h"
#include "restore/restore.h"
#include "state/base/clock.h"
#include "state/registry.h"
#include "tests/testing/scratch_dir.h"
#include "vfs/file_description.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::testing {

// 2026-01-01T00:00:00.123456789Z
inline constexpr TimeNs kTestTime = 1'767'225'600'123'456'789;

class TestVfs {
 public:
  explicit TestVfs(const memfs::MemfsOptions& options = {});
  // With a root of another kind.
  using MakeRoot = std::function<RefPtr<vfs::Filesystem>(vfs::VirtualFilesystem&)>;
  explicit TestVfs(const MakeRoot& make_root);
  // Continues with what a restore made.
  explicit TestVfs(restore::RestoredImage image);
  ~TestVfs();
  TestVfs(const TestVfs&) = delete;
  TestVfs& operator=(const TestVfs&) = delete;

  vfs::VirtualFilesystem& vfs() { return *vfs_; }
  vfs::MountNamespace& ns() { return *ns_; }
  const vfs::VirtualDentry& root() const { return root_; }
  const vfs::Credentials& creds() const { return creds_; }
  // Stands still until a test moves it.
  static ManualClock& clock();
  // All types of the library.
  static const state::Registry& registry();

  vfs::PathOperation At(std::string_view path, bool follow = false) const {
    return {root_, root_, path, follow};
  }

  RefPtr<vfs::FileDescription> Open(std::string_view path, int flags, uint32_t mode = 0644);
  // Replaces the content; makes the file if need be.
  void Write(std::string_view path, std::string_view content);
  // Writes at `offset` of a file, which is made if need be.
  void WriteAt(std::string_view path, uint64_t offset, std::string_view content);
  std::string Read(std::string_view path);
  void Mkdir(std::string_view path, uint32_t mode = 0755);
  void Symlink(std::string_view path, std::string_view target);
  void Link(std::string_view old_path, std::string_view new_path);
  void Mknod(std::string_view path, uint32_t mode, uint64_t rdev = 0);
  void Unlink(std::string_view path);
  void Rmdir(std::string_view path);
  void Rename(std::string_view old_path, std::string_view new_path);
  void SetXattr(std::string_view path, std::string_view name, std::string_view value);
  std::string GetXattr(std::string_view path, std::string_view name);
  void Set(std::string_view path, const vfs::SetStat& set);
  void Truncate(std::string_view path, uint64_t size);
  vfs::Stat Stat(std::string_view path);
  bool Exists(std::string_view path);
  std::string ReadLink(std::string_view path);
  // Names in readdir order, without "." and "..".
  std::vector<std::string> List(std::string_view path);

  // Objects that are saved beside the filesystem, under a name, and come back by it.
  void Hold(const std::string& name, RefPtr<state::Object> object);
  void Release(const std::string& name);
  template <typename T>
  RefPtr<T> Held(const std::string& name) {
    auto it = held_.find(name);
    return it == held_.end() ? nullptr : RefPtr<T>(dynamic_cast<T*>(it->second.get()));
  }

  // A request for this filesystem with all held objects, to `directory`:`tag`.
  restore::CheckpointRequest RequestTo(const std::string& directory, const std::string& tag);
  static restore::RestoreRequest RequestFrom(const std::string& directory, const std::string& tag);

  // Saves to an image and goes on with what is restored from it. The image stays until the end.
  // Every fourth time it goes on with a fork instead.
  void SaveAndRestore();
  absl::Status Fork();
  // The two halves of it. A save is to a new image; a restore is from the last one.
  absl::Status Save();
  absl::Status Restore();
  // What Restore asks for; valid as long as this.
  restore::RestoreRequest RestoreRequest() const;
  // Where restores find host directories.
  std::map<std::string, std::string>& roots() { return roots_; }
  // Completes the request of a restore, if it is set.
  std::function<void(restore::RestoreRequest&)> prepare_restore;

 private:
  void Adopt(restore::RestoredImage image);
  void Discard();

  const vfs::Credentials creds_ = vfs::Credentials::Root();
  RefPtr<vfs::VirtualFilesystem> vfs_;
  RefPtr<vfs::MountNamespace> ns_;
  vfs::VirtualDentry root_;
  std::map<std::string, RefPtr<state::Object>> held_;
  std::optional<ScratchDir> scratch_;  // made by the first save
  int saves_ = 0;
  std::string saved_to_;  // the last directory
  std::string saved_as_;  // the last tag
  std::string outdated_;  // an older directory, still in use
  std::map<std::string, std::string> roots_;
  int round_trips_ = 0;
  std::unique_ptr<restore::ForkOffer> offer_;  // of the last fork
};

// Everything that `file` holds from `offset` on, or a test failure.
std::string ReadAll(vfs::FileDescription& file, uint64_t offset = 0);

std::span<const std::byte> AsBytes(std::string_view text);

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_TEST_VFS_H_
