// SPDX-License-Identifier: Apache-2.0
//
// mount_tree.h: a fixture for tests of mounts. Its verbs act as root, from the root of the
// namespace `ns`, and return what the operation returned.
//
//   class MoveTest : public MountTreeTest {};
//   TEST_F(MoveTest, CarriesWhatIsMountedBelow) {
//     MakeDirectories({"/a", "/b"});
//     ASSERT_THAT(Mount("/a"), IsOk());
//     ASSERT_THAT(Move("/a", "/b"), IsOk());
//     EXPECT_EQ(Points(), (std::vector<std::string>{"/", "/b"}));
//   }
//
// "/" is a mount on the namespace's root mount, as in a container.

#ifndef STASIS_TESTS_TESTING_MOUNT_TREE_H_
#define STASIS_TESTS_TESTING_MOUNT_TREE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/testing/errno_matchers.h"
#include "tests/testing/test_vfs.h"

namespace stasis::testing {

class MountTreeTest : public ::testing::Test {
 protected:
  using Propagation = vfs::Propagation;

  MountTreeTest() {
    const vfs::VirtualDentry base = t.root();
    EXPECT_THAT(vfs().MountAt(creds, t.ns(), {base, base, "/"}, NewMemfs(), {}), IsOk());
    ns = RefPtr<vfs::MountNamespace>(&t.ns());
  }

  vfs::VirtualFilesystem& vfs() { return t.vfs(); }
  RefPtr<vfs::Filesystem> NewMemfs() { return memfs::MemFilesystem::Create(vfs(), {}); }

  // A path in `ns`, as long as the object lives.
  class Place {
   public:
    Place(vfs::VirtualFilesystem& vfs, vfs::MountNamespace& ns, std::string_view path)
        : root_(vfs.RootOf(ns)), path_(path) {}
    operator vfs::PathOperation() const { return {root_, root_, path_}; }  // NOLINT

   private:
    const vfs::VirtualDentry root_;
    const std::string path_;
  };
  Place At(std::string_view path) { return {vfs(), *ns, path}; }

  void MakeDirectories(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) EXPECT_THAT(vfs().MkdirAt(creds, At(path), 0755), IsOk());
  }
  Result<void> MakeFile(std::string_view path) {
    return vfs().MknodAt(creds, At(path), {S_IFREG | 0644});
  }
  Result<void> Rmdir(std::string_view path) { return vfs().RmdirAt(creds, At(path)); }
  Result<void> Unlink(std::string_view path) { return vfs().UnlinkAt(creds, At(path)); }
  Result<void> Rename(std::string_view from, std::string_view to) {
    return vfs().RenameAt(creds, At(from), At(to));
  }
  Result<vfs::Stat> Stat(std::string_view path) { return vfs().StatAt(creds, At(path)); }
  Result<RefPtr<vfs::FileDescription>> Open(std::string_view path, int flags) {
    return vfs().OpenAt(creds, At(path), {.flags = flags, .mode = 0644});
  }
  bool Exists(std::string_view path) { return Stat(path).has_value(); }

  Result<void> Mount(std::string_view path, vfs::MountFlags flags = {}) {
    return Void(vfs().MountAt(creds, *ns, At(path), NewMemfs(), flags));
  }
  Result<void> Bind(std::string_view source, std::string_view path, bool recursive = false) {
    return Void(vfs().BindAt(creds, *ns, At(source), At(path), {.recursive = recursive}));
  }
  Result<void> Move(std::string_view source, std::string_view path) {
    return vfs().MoveMountAt(creds, *ns, At(source), At(path));
  }
  Result<void> Umount(std::string_view path, int flags = 0) {
    return vfs().UmountAt(creds, *ns, At(path), flags);
  }
  Result<void> Make(Propagation type, std::string_view path, bool recursive = false) {
    return vfs().SetPropagationAt(creds, *ns, At(path), type, recursive);
  }
  Result<void> Remount(std::string_view path, const vfs::MountFlags& flags) {
    return vfs().RemountAt(creds, *ns, At(path), flags);
  }
  Result<void> SetAttributes(std::string_view path, const vfs::MountAttributes& attributes,
                             bool recursive = false) {
    return vfs().SetMountAttributesAt(creds, *ns, At(path), attributes, recursive);
  }
  RefPtr<vfs::MountNamespace> Clone(bool less_privileged = false) {
    auto copy = vfs().CloneMountNamespace(creds, *ns, less_privileged);
    EXPECT_THAT(copy, IsOk());
    return *copy;
  }

  std::string Info() { return vfs().MountInfo(*ns, vfs().RootOf(*ns)); }
  // Field `index` of the line of mountinfo for what was mounted last at `path`; empty if nothing.
  std::string Field(std::string_view path, size_t index) {
    std::istringstream lines(Info());
    std::string found;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::vector<std::string> fields;
      for (std::string word; words >> word;) fields.push_back(word);
      if (fields.at(4) == path) found = fields.at(index);
    }
    return found;
  }
  std::string Options(std::string_view path) { return Field(path, 5); }
  // The optional fields, such as "shared:1 master:2".
  std::string Tags(std::string_view path) {
    std::string tags;
    for (size_t i = 6; Field(path, i) != "-" && !Field(path, i).empty(); ++i)
      tags += (tags.empty() ? "" : " ") + Field(path, i);
    return tags;
  }
  // Where something is mounted, in the order of mounting.
  std::vector<std::string> Points() {
    std::vector<std::string> points;
    std::istringstream lines(Info());
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string word;
      for (int i = 0; i < 5; ++i) words >> word;
      points.push_back(word);
    }
    return points;
  }

  // All goes on with what is restored; `ns` is that which was at its place in the list.
  void SaveAndRestore() {
    const auto before = vfs().namespaces();
    const auto at =
        static_cast<size_t>(std::find(before.begin(), before.end(), ns) - before.begin());
    ns.reset();
    t.SaveAndRestore();
    ns = vfs().namespaces().at(at);
  }

  template <typename T>
  static Result<void> Void(const Result<T>& result) {
    if (!result) return Err(result.error());
    return {};
  }

  TestVfs t;
  const vfs::Credentials creds = vfs::Credentials::Root();
  RefPtr<vfs::MountNamespace> ns;
};

}  // namespace stasis::testing

#endif  // STASIS_TESTS_TESTING_MOUNT_TREE_H_
