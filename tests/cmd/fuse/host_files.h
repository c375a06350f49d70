// SPDX-License-Identifier: Apache-2.0
//
// host_files.h: a filesystem whose regular files are the host's, as a front end sees it. Names,
// directories and links are its own.

#ifndef STASIS_TESTS_CMD_FUSE_HOST_FILES_H_
#define STASIS_TESTS_CMD_FUSE_HOST_FILES_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "tests/cmd/fuse/fake_kernel.h"
#include "vfs/tree_filesystem.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::fuse {

struct HostFilesOptions {
  std::string directory;  // of the host; files are made in it by name
  bool exclusive = true;
  bool backings = true;  // whether open files have a backing_fd()
};

class HostFiles final : public vfs::TreeFilesystem {
 public:
  static RefPtr<HostFiles> Create(vfs::VirtualFilesystem& vfs, const HostFilesOptions& options);

  std::string_view type() const override { return "hostfiles"; }
  bool exclusive() const override { return options_.exclusive; }
  bool opens_matter() const override { return true; }
  Result<void> Sync() override {
    ++syncs;
    return {};
  }
  const HostFilesOptions& options() const { return options_; }

  std::atomic<uint64_t> next_ino{1};
  std::atomic<int> syncs{0};        // of the filesystem
  std::atomic<int> file_syncs{0};   // of its files
  std::atomic<int> passthrough{0};  // BeginPassthrough without EndPassthrough

 private:
  HostFiles(vfs::VirtualFilesystem& vfs, HostFilesOptions options)
      : TreeFilesystem(vfs), options_(std::move(options)) {}
  Result<vfs::StatFs> GetStatFs() const override { return vfs::StatFs{}; }

  const HostFilesOptions options_;
};

// A new one, mounted on /host.
RefPtr<HostFiles> MountHostFiles(TestTree& tree, const HostFilesOptions& options);

}  // namespace stasis::fuse

#endif  // STASIS_TESTS_CMD_FUSE_HOST_FILES_H_
