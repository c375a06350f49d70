// SPDX-License-Identifier: Apache-2.0

#include "tests/testing/test_vfs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "restore/types.h"

namespace stasis::testing {
namespace {

// Passes the value on, or fails the test and returns an empty one.
template <typename T>
T Expect(Result<T> result, std::string_view verb, std::string_view path) {
  if (result) return *std::move(result);
  ADD_FAILURE() << verb << " " << path << ": " << ErrnoName(result.error());
  return T();
}

void Expect(const Result<void>& result, std::string_view verb, std::string_view path) {
  if (!result) ADD_FAILURE() << verb << " " << path << ": " << ErrnoName(result.error());
}

}  // namespace

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string ReadAll(vfs::FileDescription& file, uint64_t offset) {
  std::string content;
  std::string piece(65536, '\0');
  while (true) {
    const auto n = file.PRead(offset, std::as_writable_bytes(std::span(piece)));
    if (!n) ADD_FAILURE() << "read: " << ErrnoName(n.error());
    if (!n || *n == 0) return content;
    content.append(piece, 0, *n);
    offset += *n;
  }
}

ManualClock& TestVfs::clock() {
  static auto& clock = *new ManualClock(kTestTime);
  return clock;
}

const state::Registry& TestVfs::registry() {
  static const auto& registry = *[] {
    auto* r = new state::Registry;
    restore::RegisterTypes(*r);
    return r;
  }();
  return registry;
}

TestVfs::TestVfs(const memfs::MemfsOptions& options)
    : vfs_(MakeRef<vfs::VirtualFilesystem>(clock())) {
  ns_ = vfs_->NewMountNamespace(memfs::MemFilesystem::Create(*vfs_, options), {});
  root_ = ns_->root();
}

TestVfs::TestVfs(const MakeRoot& make_root) : vfs_(MakeRef<vfs::VirtualFilesystem>(clock())) {
  ns_ = vfs_->NewMountNamespace(make_root(*vfs_), {});
  root_ = ns_->root();
}

TestVfs::TestVfs(restore::RestoredImage image) { Adopt(std::move(image)); }

TestVfs::~TestVfs() { Discard(); }

void TestVfs::Discard() {
  held_.clear();
  root_ = {};
  ns_.reset();
  if (vfs_) vfs_->Teardown();
  vfs_.reset();
}

void TestVfs::Adopt(restore::RestoredImage image) {
  for (const std::string& name : image.root_names()) held_[name] = image.Root<state::Object>(name);
  vfs_ = image.TakeVfs();
  ASSERT_FALSE(vfs_->namespaces().empty());
  ns_ = vfs_->namespaces()[0];
  root_ = ns_->root();
}

RefPtr<vfs::FileDescription> TestVfs::Open(std::string_view path, int flags, uint32_t mode) {
  vfs::OpenOptions options;
  options.flags = flags;
  options.mode = mode;
  return Expect(vfs_->OpenAt(creds_, At(path), options), "open", path);
}

void TestVfs::Write(std::string_view path, std::string_view content) {
  const auto file = Open(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return;
  EXPECT_EQ(Expect(file->PWrite(0, AsBytes(content)), "write", path), content.size());
}

void TestVfs::WriteAt(std::string_view path, uint64_t offset, std::string_view content) {
  const auto file = Open(path, O_WRONLY | O_CREAT);
  if (!file) return;
  EXPECT_EQ(Expect(file->PWrite(offset, AsBytes(content)), "write", path), content.size());
}

std::string TestVfs::Read(std::string_view path) {
  const auto file = Open(path, O_RDONLY | O_NOATIME);
  return file ? ReadAll(*file) : std::string();
}

void TestVfs::Mkdir(std::string_view path, uint32_t mode) {
  Expect(vfs_->MkdirAt(creds_, At(path), mode), "mkdir", path);
}

void TestVfs::Symlink(std::string_view path, std::string_view target) {
  Expect(vfs_->SymlinkAt(creds_, At(path), target), "symlink", path);
}

void TestVfs::Link(std::string_view old_path, std::string_view new_path) {
  Expect(vfs_->LinkAt(creds_, At(old_path), At(new_path)), "link", new_path);
}

void TestVfs::Mknod(std::string_view path, uint32_t mode, uint64_t rdev) {
  Expect(vfs_->MknodAt(creds_, At(path), {mode, rdev}), "mknod", path);
}

void TestVfs::Unlink(std::string_view path) {
  Expect(vfs_->UnlinkAt(creds_, At(path)), "unlink", path);
}

void TestVfs::Rmdir(std::string_view path) {
  Expect(vfs_->RmdirAt(creds_, At(path)), "rmdir", path);
}

void TestVfs::Rename(std::string_view old_path, std::string_view new_path) {
  Expect(vfs_->RenameAt(creds_, At(old_path), At(new_path)), "rename", old_path);
}

void TestVfs::SetXattr(std::string_view path, std::string_view name, std::string_view value) {
  Expect(vfs_->SetXattrAt(creds_, At(path), name, value, 0), "setxattr", path);
}

std::string TestVfs::GetXattr(std::string_view path, std::string_view name) {
  return Expect(vfs_->GetXattrAt(creds_, At(path), name), "getxattr", path);
}

void TestVfs::Set(std::string_view path, const vfs::SetStat& set) {
  Expect(vfs_->SetAttributesAt(creds_, At(path), set), "set attributes of", path);
}

void TestVfs::Truncate(std::string_view path, uint64_t size) {
  vfs::SetStat set;
  set.size = size;
  Set(path, set);
}

vfs::Stat TestVfs::Stat(std::string_view path) {
  return Expect(vfs_->StatAt(creds_, At(path)), "stat", path);
}

bool TestVfs::Exists(std::string_view path) { return vfs_->StatAt(creds_, At(path)).has_value(); }

std::string TestVfs::ReadLink(std::string_view path) {
  return Expect(vfs_->ReadLinkAt(creds_, At(path)), "readlink", path);
}

std::vector<std::string> TestVfs::List(std::string_view path) {
  std::vector<std::string> names;
  const auto dir = Open(path, O_RDONLY | O_DIRECTORY);
  if (!dir) return names;
  Expect(dir->IterateDirectory(0,
                               [&](const vfs::DirectoryEntry& entry) {
                                 if (entry.dentry != nullptr) names.emplace_back(entry.name);
                                 return true;
                               }),
         "list", path);
  return names;
}

void TestVfs::Hold(const std::string& name, RefPtr<state::Object> object) {
  held_[name] = std::move(object);
}

void TestVfs::Release(const std::string& name) { held_.erase(name); }

restore::CheckpointRequest TestVfs::RequestTo(const std::string& directory,
                                              const std::string& tag) {
  restore::CheckpointRequest request;
  request.vfs = vfs_.get();
  request.registry = &registry();
  request.clock = &clock();
  for (const auto& [name, object] : held_) request.roots.push_back({name, object.get()});
  request.directory = directory;
  request.tag = tag;
  request.creator = "stasis test";
  return request;
}

restore::RestoreRequest TestVfs::RequestFrom(const std::string& directory, const std::string& tag) {
  restore::RestoreRequest request;
  request.registry = &registry();
  request.clock = &clock();
  request.directory = directory;
  request.tag = tag;
  return request;
}

absl::Status TestVfs::Save() {
  // A few saves build on each other in one directory; then a new one keeps each of them cheap.
  constexpr int kSavesPerDirectory = 8;
  if (!scratch_) scratch_.emplace(ScratchDir::Where::kInMemory);
  const std::string directory = *scratch_ / ("image" + std::to_string(saves_ / kSavesPerDirectory));
  saved_as_ = "save" + std::to_string(++saves_);
  restore::CheckpointRequest request = RequestTo(directory, saved_as_);
  // Both give the same; a fork of an instrumented process takes long.
  request.rows = saves_ % 4 == 1 ? restore::RowsPlace::kOutsidePause : restore::RowsPlace::kInPause;
  const auto saved = restore::Checkpoint(request);
  if (!saved.ok()) return saved.status();
  // What is in use was read from the image before.
  if (saved_to_ != directory) outdated_ = std::exchange(saved_to_, directory);
  return absl::OkStatus();
}

restore::RestoreRequest TestVfs::RestoreRequest() const {
  restore::RestoreRequest request = RequestFrom(saved_to_, saved_as_);
  request.roots = roots_;
  if (prepare_restore) prepare_restore(request);
  return request;
}

absl::Status TestVfs::Restore() {
  auto restored = restore::Restore(RestoreRequest());
  if (!restored.ok()) return restored.status();
  Discard();
  Adopt(*std::move(restored));
  if (!outdated_.empty()) std::filesystem::remove_all(std::exchange(outdated_, ""));
  return absl::OkStatus();
}

// Another VFS of this process goes on with the chunks where they are.
absl::Status TestVfs::Fork() {
  absl::StatusOr<std::unique_ptr<restore::ForkOffer>> offer = restore::OfferFork(RequestTo("", ""));
  if (!offer.ok()) return offer.status();
  auto forked = restore::TakeFork((*offer)->places(), {});
  if (!forked.ok()) return forked.status();
  restore::RestoreRequest request = RequestFrom("", "");
  request.roots = roots_;
  if (prepare_restore) prepare_restore(request);
  auto restored = restore::RestoreFork(*std::move(forked), request);
  if (!restored.ok()) return restored.status();
  Discard();
  Adopt(*std::move(restored));
  offer_ = *std::move(offer);
  return absl::OkStatus();
}

void TestVfs::SaveAndRestore() {
  if (++round_trips_ % 4 == 0) {
    const absl::Status forked = Fork();
    ASSERT_TRUE(forked.ok()) << forked;
    return;
  }
  const absl::Status saved = Save();
  ASSERT_TRUE(saved.ok()) << saved;
  const absl::Status restored = Restore();
  ASSERT_TRUE(restored.ok()) << restored;
}

}  // namespace stasis::testing
