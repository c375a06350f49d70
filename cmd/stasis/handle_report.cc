// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/handle_report.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fmt/format.h>

#include "cmd/stasis/flag_names.h"
#include "cmd/stasis/output.h"
#include "cmd/stasis/seen_paths.h"
#include "restore/inspect.h"
#include "restore/internal/format.h"

namespace stasis::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kDeletedSuffix[] = " (deleted)";

std::string KindName(sandbox::OpenKind kind) {
  switch (kind) {
    case sandbox::OpenKind::kDescriptor:
      return "descriptor";
    case sandbox::OpenKind::kWorkingDirectory:
      return "cwd";
    case sandbox::OpenKind::kRootDirectory:
      return "root";
    case sandbox::OpenKind::kMapping:
      return "mapping";
    case sandbox::OpenKind::kInotify:
      return "inotify";
  }
  return "";
}

std::string LockKindName(vfs::LockKind kind) {
  if (kind == vfs::LockKind::kPosix) return "posix";
  return kind == vfs::LockKind::kOpenFile ? "ofd" : "flock";
}

std::string LockTypeName(vfs::LockType type) {
  return type == vfs::LockType::kExclusive ? "write" : "read";
}

// The files of a tree by the numbers that programs see, and where they see them.
class FileIndex {
 public:
  explicit FileIndex(const HandleSources& from) : paths_(*from.vfs, *from.ns) {
    const absl::flat_hash_set<Key> wanted = Wanted(from);
    for (const auto& [name, state] : from.states) {
      for (const RefPtr<fuse::Node>& node : state->nodes().List()) Add(node, wanted);
      Add(state->nodes().root(), wanted);
    }
  }

  // Null if the server does not know it.
  const vfs::VirtualDentry* Find(uint32_t dev, uint64_t ino) const {
    const auto it = nodes_.find({dev, ino});
    return it == nodes_.end() ? nullptr : &it->second->at();
  }
  // As programs see it; of what they do not see, from the root of its filesystem.
  std::string PathOf(const vfs::VirtualDentry& at) const {
    const std::string path = at.dentry().Path();
    return paths_.Of(at.mount().filesystem().dev(), path).value_or(path);
  }

 private:
  using Key = std::pair<uint32_t, uint64_t>;

  // A server may know millions, of which few are open.
  static absl::flat_hash_set<Key> Wanted(const HandleSources& from) {
    absl::flat_hash_set<Key> wanted;
    if (!from.files) return wanted;
    for (const sandbox::OpenFile& file : from.files->files()) {
      wanted.insert({file.dev, file.ino});
      for (const sandbox::WatchedFile& watch : file.watches) wanted.insert({watch.dev, watch.ino});
    }
    return wanted;
  }
  void Add(const RefPtr<fuse::Node>& node, const absl::flat_hash_set<Key>& wanted) {
    const Key key{node->at().mount().filesystem().dev(), node->at().inode().ino()};
    if (wanted.contains(key)) nodes_.try_emplace(key, node);
  }

  const SeenPaths paths_;
  absl::flat_hash_map<Key, RefPtr<fuse::Node>> nodes_;
};

// One table, as a row of JSON and a line for each entry.
class Report {
 public:
  explicit Report(const HandleSources& from) : from_(from), index_(from) {}

  control::Report Write();

 private:
  void AddFile(sandbox::OpenFile file);
  Json FileToJson(const sandbox::OpenFile& file, const vfs::VirtualDentry* at) const;
  void AddHandle(const std::string& server, const fuse::Handle& handle);
  void AddKept(const sandbox::KeptFile& file);
  static void PutFile(Json& json, const vfs::VirtualDentry* at);
  std::string Notes(const sandbox::OpenFile& file) const;
  Json Watches(const sandbox::OpenFile& file) const;
  std::string WatchText(const sandbox::OpenFile& file) const;

  const HandleSources& from_;
  const FileIndex index_;
  Json files_ = Json::array();
  Json handles_ = Json::array();
  Json kept_ = Json::array();
  std::string text_;
};

// What the server knows of it.
void Report::PutFile(Json& json, const vfs::VirtualDentry* at) {
  json["type"] = nullptr;
  json["links"] = nullptr;
  if (at == nullptr) return;
  json["type"] = restore::FileTypeName(at->inode().mode());
  json["links"] = at->inode().nlink();
}

Json LocksToJson(const std::vector<sandbox::HeldLock>& locks) {
  Json list = Json::array();
  for (const sandbox::HeldLock& lock : locks) {
    Json each = {{"kind", LockKindName(lock.kind)},
                 {"type", LockTypeName(lock.type)},
                 {"start", lock.start},
                 {"last", lock.last}};
    // To the end, however long the file gets.
    if (lock.last == vfs::FileLock::kMaxOffset) each["last"] = nullptr;
    list.push_back(std::move(each));
  }
  return list;
}

Json Report::Watches(const sandbox::OpenFile& file) const {
  Json list = Json::array();
  for (const sandbox::WatchedFile& watch : file.watches) {
    Json each = {{"wd", watch.wd}, {"filesystem", watch.dev}, {"ino", watch.ino}};
    const vfs::VirtualDentry* at = index_.Find(watch.dev, watch.ino);
    each["path"] = nullptr;
    if (at != nullptr) PutText(each, "path", index_.PathOf(*at));
    each["events"] = EventNames(watch.mask);
    list.push_back(std::move(each));
  }
  return list;
}

std::string Report::WatchText(const sandbox::OpenFile& file) const {
  std::vector<std::string> paths;
  for (const sandbox::WatchedFile& watch : file.watches) {
    const vfs::VirtualDentry* at = index_.Find(watch.dev, watch.ino);
    paths.push_back(at == nullptr ? fmt::format("file {}", watch.ino)
                                  : restore::PrintablePath(index_.PathOf(*at)));
  }
  return "watches " + JoinWords(paths, ", ");
}

std::string Report::Notes(const sandbox::OpenFile& file) const {
  std::string text;
  if (file.deleted) text += kDeletedSuffix;
  if (file.shared != 0) text += fmt::format("  shared {}", file.shared);
  for (const sandbox::HeldLock& lock : file.locks) {
    text += fmt::format("  {} {} lock", LockKindName(lock.kind), LockTypeName(lock.type));
    if (lock.kind == vfs::LockKind::kFlock) continue;
    text += lock.last == vfs::FileLock::kMaxOffset ? fmt::format(" {}-", lock.start)
                                                   : fmt::format(" {}-{}", lock.start, lock.last);
  }
  return text;
}

void Report::AddFile(sandbox::OpenFile file) {
  const vfs::VirtualDentry* at = index_.Find(file.dev, file.ino);
  // A name may end as the kernel says of those that are gone.
  if (file.deleted && at != nullptr && !at->dentry().disconnected() &&
      absl::EndsWith(at->dentry().Path(),
                     file.path.substr(file.path.rfind('/') + 1) + std::string(kDeletedSuffix))) {
    file.deleted = false;
    file.path += kDeletedSuffix;
  }
  files_.push_back(FileToJson(file, at));
  const bool descriptor = file.kind == sandbox::OpenKind::kDescriptor;
  const bool mapping = file.kind == sandbox::OpenKind::kMapping;
  text_ += fmt::format("{:>7} {:<15} {:>7} {:>12} {:<22} {}{}\n", file.pid,
                       restore::PrintablePath(file.command),
                       file.fd >= 0 ? std::to_string(file.fd) : KindName(file.kind),
                       descriptor ? std::to_string(file.offset)
                       : mapping  ? FormatBytes(file.length)
                                  : "-",
                       mapping        ? file.access
                       : file.fd >= 0 ? JoinWords(OpenFlagNames(file.flags), ",")
                                      : "-",
                       file.kind == sandbox::OpenKind::kInotify ? WatchText(file)
                                                                : restore::PrintablePath(file.path),
                       Notes(file));
}

Json Report::FileToJson(const sandbox::OpenFile& file, const vfs::VirtualDentry* at) const {
  Json json = {{"pid", file.pid}, {"host_pid", nullptr}};
  if (file.host_pid != 0) json["host_pid"] = file.host_pid;
  PutText(json, "command", file.command);
  json["kind"] = KindName(file.kind);
  json["fd"] = nullptr;
  if (file.fd >= 0) json["fd"] = file.fd;
  const bool descriptor = file.kind == sandbox::OpenKind::kDescriptor;
  const bool mapping = file.kind == sandbox::OpenKind::kMapping;
  if (file.kind == sandbox::OpenKind::kInotify)
    json["path"] = nullptr;
  else
    PutText(json, "path", file.path);
  json["deleted"] = file.deleted;
  PutFile(json, at);
  json["filesystem"] = file.dev;
  json["ino"] = file.ino;
  json["flags"] = file.fd >= 0 ? Json(OpenFlagNames(file.flags)) : Json(nullptr);
  json["offset"] = descriptor ? Json(file.offset) : Json(nullptr);
  json["access"] = mapping ? Json(file.access) : Json(nullptr);
  json["length"] = mapping ? Json(file.length) : Json(nullptr);
  json["shared"] = file.shared != 0 ? Json(file.shared) : Json(nullptr);
  json["locks"] = LocksToJson(file.locks);
  json["watches"] = Watches(file);
  return json;
}

void Report::AddHandle(const std::string& server, const fuse::Handle& handle) {
  const vfs::VirtualDentry& at = handle.file().at();
  const bool deleted = at.dentry().disconnected();
  const std::string path = index_.PathOf(at);
  Json json = {{"server", server}, {"handle", handle.number()}};
  PutText(json, "path", path);
  json["deleted"] = deleted;
  PutFile(json, &at);
  json["filesystem"] = at.mount().filesystem().dev();
  json["ino"] = at.inode().ino();
  json["flags"] = OpenFlagNames(handle.flags());
  handles_.push_back(std::move(json));
  text_ += fmt::format("{:>7} {:<15} {:>7} {:>12} {:<22} {}{}\n", "server", server, handle.number(),
                       "-", JoinWords(OpenFlagNames(handle.flags()), ","),
                       restore::PrintablePath(path), deleted ? kDeletedSuffix : "");
}

void Report::AddKept(const sandbox::KeptFile& file) {
  const std::string path = index_.PathOf(file.at);
  const vfs::Inode& inode = file.at.inode();
  Json json = {{"id", file.id}};
  PutText(json, "path", path);
  PutFile(json, &file.at);
  json["filesystem"] = file.at.mount().filesystem().dev();
  json["ino"] = inode.ino();
  json["size"] = inode.is_regular() ? Json(inode.size()) : Json(nullptr);
  json["flags"] = nullptr;
  if (file.file) json["flags"] = OpenFlagNames(static_cast<uint32_t>(file.file->status_flags()));
  kept_.push_back(std::move(json));
  text_ += fmt::format("{:>7} {:<15} {:>7} {:>12} {:<22} {}{}\n", "kept", "-", file.id,
                       inode.is_regular() ? FormatBytes(inode.size()) : "-",
                       restore::FileTypeName(inode.mode()), restore::PrintablePath(path),
                       kDeletedSuffix);
}

control::Report Report::Write() {
  text_ = fmt::format("{:>7} {:<15} {:>7} {:>12} {:<22} {}\n", "PID", "COMMAND", "FD", "OFFSET",
                      "FLAGS", "PATH");
  if (from_.files)
    for (const sandbox::OpenFile& file : from_.files->files()) AddFile(file);
  for (const auto& [name, state] : from_.states)
    for (const RefPtr<fuse::Handle>& handle : state->handles().List()) AddHandle(name, *handle);
  if (from_.kept)
    for (const sandbox::KeptFile& file : from_.kept->List()) AddKept(file);
  Json json = {{from_.label, from_.value},
               {"incomplete", nullptr},
               {"files", std::move(files_)},
               {"server", std::move(handles_)},
               {"kept", std::move(kept_)}};
  std::string why =
      from_.files ? from_.files->incomplete() : "the image has no table of open files";
  if (!why.empty()) {
    text_ += fmt::format("incomplete: {}\n", why);
    json["incomplete"] = std::move(why);
  }
  return {json.dump(-1, ' ', false, Json::error_handler_t::replace), std::move(text_)};
}

}  // namespace

control::Report DescribeHandles(const HandleSources& sources) { return Report(sources).Write(); }

absl::StatusOr<control::Report> HandlesOfImage(const Types& types, const std::string& reference) {
  absl::StatusOr<restore::RestoreRequest> request = types.Request(reference);
  if (!request.ok()) return request.status();
  absl::StatusOr<restore::RestoredImage> loaded = restore::Load(*request);
  if (!loaded.ok()) return NameTags(loaded.status(), *request);
  HandleSources sources;
  sources.label = "reference";
  sources.value = reference;
  sources.vfs = &loaded->vfs();
  if (loaded->vfs().namespaces().empty())
    return absl::DataLossError(absl::StrCat(reference, " holds no mount namespace"));
  sources.ns = loaded->vfs().namespaces().front();
  sources.files = loaded->Root<sandbox::OpenFiles>(sandbox::kOpenFiles);
  sources.kept = loaded->Root<sandbox::KeptFiles>(sandbox::kKeptFiles);
  if (!sources.kept) sources.kept = MakeRef<sandbox::KeptFiles>();
  for (const std::string& name : loaded->root_names()) {
    const RefPtr<fuse::FuseState> state = loaded->Root<fuse::FuseState>(name);
    if (!state) continue;
    sources.kept->Take(*state);
    sources.states.emplace_back(name, state);
  }
  return DescribeHandles(sources);
}

}  // namespace stasis::cli
