// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/host_files.h"

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
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

void LookAgain(const vfs::VirtualFilesystem& vfs) {
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems())
    if (auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get()); host != nullptr)
      if (host->exclusive()) host->LookAgain();
}

void KeepAnswers(const vfs::VirtualFilesystem& vfs, const std::set<std::string>& roots, bool on) {
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems())
    if (auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get());
        host != nullptr && roots.contains(host->root_name()))
      host->set_keeps_answers(on);
}

absl::Status DescribeHosts(const vfs::VirtualFilesystem& vfs, restore::Parcel& parcel) {
  nlohmann::json& hosts = parcel.json["hosts"] = nlohmann::json::array();
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems()) {
    auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get());
    if (host == nullptr || !host->keeps_answers()) continue;
    auto files = host->DeletedFiles();
    if (!files)
      return absl::ErrnoToStatus(files.error().value(), "cannot copy the descriptor of a file");
    nlohmann::json deleted = nlohmann::json::array();
    for (gofer::DeletedFile& file : *files)
      deleted.push_back({file.key.dev, file.key.ino, parcel.Add(std::move(file.fd))});
    hosts.push_back({{"filesystem", host->dev()},
                     {"next_ino", host->next_ino()},
                     {"deleted", std::move(deleted)}});
  }
  return absl::OkStatus();
}

absl::Status GoOnWithHosts(const vfs::VirtualFilesystem& vfs, restore::Parcel& parcel) {
  for (const RefPtr<vfs::Filesystem>& fs : vfs.filesystems()) {
    auto* host = dynamic_cast<gofer::GoferFilesystem*>(fs.get());
    if (host == nullptr || !host->without_host()) continue;
    const nlohmann::json& hosts = parcel.json.at("hosts");
    const auto found = std::find_if(hosts.begin(), hosts.end(), [host](const nlohmann::json& one) {
      return one.at("filesystem") == host->dev();
    });
    if (found == hosts.end() || found->at("next_ino") != host->next_ino())
      return absl::DataLossError(absl::StrCat("what was done in the host directory '",
                                              host->root_name(), "' gives other files"));
    std::vector<gofer::DeletedFile> deleted;
    for (const nlohmann::json& file : found->at("deleted")) {
      absl::StatusOr<UniqueFd> fd = parcel.Take(file.at(2).get<int>());
      if (!fd.ok()) return fd.status();
      deleted.push_back({{file.at(0), file.at(1)}, *std::move(fd)});
    }
    if (absl::Status going = host->GoOn(std::move(deleted)); !going.ok()) return going;
  }
  return absl::OkStatus();
}

}  // namespace stasis::cli
