// SPDX-License-Identifier: Apache-2.0
//
// host_tree.h: a directory of the host, and a VFS whose root it is.

#ifndef STASIS_TESTS_FSIMPL_GOFER_HOST_TREE_H_
#define STASIS_TESTS_FSIMPL_GOFER_HOST_TREE_H_

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "fsimpl/gofer/filesystem.h"
#include "tests/testing/scratch_dir.h"
#include "tests/testing/test_vfs.h"

namespace stasis::gofer {

class HostTree : public ::testing::Test {
 protected:
  explicit HostTree(testing::ScratchDir::Where where = testing::ScratchDir::Where::kOnDisk)
      : host_(where) {}

  // Serves the directory as it is by then.
  testing::TestVfs& Serve(GoferOptions options = {}) {
    options.root = "data";
    options.directory = host_.path();
    tree_ = std::make_unique<testing::TestVfs>([&](vfs::VirtualFilesystem& vfs) {
      auto fs = GoferFilesystem::Create(vfs, options);
      EXPECT_TRUE(fs.ok()) << fs.status();
      return RefPtr<vfs::Filesystem>(*fs);
    });
    tree_->roots()["data"] = host_.path();
    return *tree_;
  }
  void EndServing() { tree_.reset(); }
  testing::TestVfs& tree() { return *tree_; }
  GoferFilesystem& fs() {
    return dynamic_cast<GoferFilesystem&>(*tree_->vfs().filesystems().front());
  }

  // On the host, below the directory.
  std::string Path(std::string_view name) const { return host_ / name; }
  void Put(std::string_view name, std::string_view content) {
    testing::WriteHostFile(Path(name), content);
  }
  void MakeDir(std::string_view name) { ASSERT_EQ(::mkdir(Path(name).c_str(), 0755), 0) << name; }
  std::string Get(std::string_view name) const { return testing::ReadHostFile(Path(name)); }
  bool OnHost(std::string_view name) const {
    struct stat stat {};
    return ::lstat(Path(name).c_str(), &stat) == 0;
  }
  static size_t OpenDescriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<size_t>(std::distance(begin(all), end(all)));
  }
  struct stat HostStatOf(std::string_view name) const {
    struct stat stat {};
    EXPECT_EQ(::lstat(Path(name).c_str(), &stat), 0) << name;
    return stat;
  }

 private:
  const testing::ScratchDir host_;
  std::unique_ptr<testing::TestVfs> tree_;
};

}  // namespace stasis::gofer

#endif  // STASIS_TESTS_FSIMPL_GOFER_HOST_TREE_H_
