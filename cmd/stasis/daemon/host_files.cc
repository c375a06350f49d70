// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/host_files.h"

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "fsimpl/gofer/filesystem.h"
#include "fsimpl/gofer/inode.h"

namespace stasis::cli {
namespace {

// Null if it is none, or has no name on the host any more: then its content was saved.
const gofer::HostInode* HostInodeOf(const vfs::Inode& inode) {
  const auto* host = dynamic_cast<const gofer::HostInode*>(&inode);
  return host == nullptr || host->detached() || host->deleted() ? nullptr : host;
}

void ForEachRoot(const vfs::VirtualFilesystem& vfs,
                 absl::FunctionRef<void(const gofer::GoferFilesystem&, gofer::HostKey)> look) {
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems()) {
    const auto* host = dynamic_cast<const gofer::GoferFilesystem*>(fs.get());
    if (host == nullptr) continue;
    if (const gofer::HostInode* root = HostInodeOf(host->root().inode())) look(*host, root->key());
  }
}

// By filesystem and inode number, both of which stay.
using FileId = std::pair<uint32_t, uint64_t>;
FileId IdOf(const vfs::Inode& inode) { return {inode.filesystem().dev(), inode.ino()}; }

void ForEachOpenFile(const fuse::FuseState& state,
                     absl::FunctionRef<void(const vfs::FileDescription&, const vfs::Inode&)> look) {
  for (const RefPtr<fuse::Handle>& handle : state.handles().List())
    look(handle->file(), handle->file().inode());
}

}  // namespace

void DescribeHostFiles(sandbox::Sandbox& sandbox, nlohmann::json& json) {
  json["host_roots"] = nlohmann::json::object();
  ForEachRoot(sandbox.vfs(), [&json](const gofer::GoferFilesystem& fs, gofer::HostKey key) {
    json["host_roots"][fs.root_name()] = {key.dev, key.ino};
  });
  nlohmann::json files = nlohmann::json::array();
  for (const auto& [name, state] : sandbox.served().States())
    ForEachOpenFile(*state, [&files](const vfs::FileDescription&, const vfs::Inode& inode) {
      const gofer::HostInode* host = HostInodeOf(inode);
      if (host == nullptr) return;
      const auto [fs, ino] = IdOf(inode);
      files.push_back({fs, ino, host->key().dev, host->key().ino});
    });
  json["host_files"] = std::move(files);
}

absl::Status CheckHostFiles(const vfs::VirtualFilesystem& vfs,
                            const std::map<std::string, RefPtr<fuse::FuseState>>& states,
                            const nlohmann::json& json) {
  absl::Status status;
  const nlohmann::json& roots = json.at("host_roots");
  ForEachRoot(vfs, [&](const gofer::GoferFilesystem& fs, gofer::HostKey key) {
    if (roots.at(fs.root_name()) != nlohmann::json{key.dev, key.ino})
      status.Update(absl::FailedPreconditionError(absl::StrCat(
          "the host directory '", fs.root_name(), "' is not at ", fs.directory(), " any more")));
  });
  std::map<FileId, gofer::HostKey> files;
  for (const nlohmann::json& file : json.at("host_files"))
    files[{file.at(0), file.at(1)}] = {file.at(2), file.at(3)};
  for (const auto& [name, state] : states)
    ForEachOpenFile(*state, [&](const vfs::FileDescription& file, const vfs::Inode& inode) {
      const auto found = files.find(IdOf(inode));
      const gofer::HostInode* host = HostInodeOf(inode);
      if (found == files.end() || (host != nullptr && host->key() == found->second)) return;
      status.Update(absl::FailedPreconditionError(
          absl::StrCat("a program has ", file.at().dentry().PathForMessages(),
                       " open, which is another file on the host by now")));
    });
  return status;
}

}  // namespace stasis::cli
