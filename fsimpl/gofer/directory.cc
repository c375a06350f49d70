// SPDX-License-Identifier: Apache-2.0
//
// directory.cc: host directories: lookups and listings.

#include <absl/strings/str_cat.h>
#include <fcntl.h>

#include <cstring>
#include <utility>

#include "fsimpl/gofer/asked.h"
#include "fsimpl/gofer/inode.h"

namespace stasis::gofer {
namespace {

HostInode& Host(vfs::Inode& inode) { return static_cast<HostInode&>(inode); }

// Of ReadEntries.
struct EntryHead {
  uint64_t ino;
  uint32_t type;
  uint32_t name_size;
};

}  // namespace

// The host passes a default ACL on by itself, if it is given the mode as it was asked for.
void HostDirectory::ApplyDefaultAcl(const vfs::Credentials& creds, vfs::NewFile& file) const {
  if (detached()) return Inode::ApplyDefaultAcl(creds, file);
  if (S_ISLNK(file.mode)) return;
  const_cast<HostDirectory*>(this)->AskDefaultAcl();
  if (!has_default_acl()) file.mode &= ~(creds.umask & 0777);
}

void HostDirectory::AskDefaultAcl() {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (fs().without_host()) return;  // it is known what was made
  if (fs().exclusive() && default_acl_.load(kRelaxed) != DefaultAcl::kUnknown) return;
  absl::MutexLock lock(&mu());
  const auto stored = ReadAcl(vfs::kAclDefaultXattr);
  default_acl_.store(!stored           ? DefaultAcl::kUnknown
                     : stored->empty() ? DefaultAcl::kNone
                                       : DefaultAcl::kSome,
                     kRelaxed);
}

void HostDirectory::ForgetAcls() {
  absl::MutexLock lock(&mu());
  ForgetAcl();
  default_acl_.store(DefaultAcl::kUnknown, std::memory_order_relaxed);
}

absl::Status HostDirectory::PrepareSave() {
  absl::MutexLock lock(&mu());
  if (!is_captured()) return absl::OkStatus();
  const FdCache::Pin pin = fs().fds_->Find(control_);
  if (!pin) return absl::OkStatus();  // nobody can find it any more
  if (auto captured = CaptureXattrs(pin.fd()); !captured)
    return absl::ErrnoToStatus(
        captured.error().value(),
        absl::StrCat("cannot read the attributes of a deleted directory of the host directory ",
                     fs().root_name(), " (inode ", ino(), ")"));
  return absl::OkStatus();
}

void HostDirectory::BeforeResume() {
  absl::MutexLock lock(&mu());
  if (!detached() && deleted()) ForgetAcl();
}

Result<HostStat> HostDirectory::Look(std::string_view name) {
  return Asked(fs(), Question::kLook, ino(), name, [&]() -> Result<HostStat> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
    return fs().ops().Statx(dir.fd(), std::string(name));
  });
}

Result<RefPtr<vfs::Inode>> HostDirectory::LookupChild(std::string_view name) {
  STASIS_ASSIGN_OR_RETURN(const HostStat found, Look(name));
  RefPtr<HostInode> child = fs().InodeFor(found, /*loaded=*/true);
  if (child->is_symlink()) ReadLinkOf(*child, std::string(name));
  return RefPtr<vfs::Inode>(std::move(child));
}

// A restore compares targets: they are part of what is known of a link.
void HostDirectory::ReadLinkOf(HostInode& child, const std::string& name) {
  const auto read = [&]() -> Result<std::string> {
    STASIS_ASSIGN_OR_RETURN(const FdCache::Pin dir, fs().Control(*this));
    return fs().ops().ReadLink(dir.fd(), name);
  };
  if (auto target = Asked(fs(), Question::kLink, ino(), name, read))
    static_cast<HostSymlink&>(child).TakeTarget(*std::move(target));
}

Result<bool> HostDirectory::CheckChild(vfs::Dentry& dentry) {
  HostInode& child = Host(dentry.inode());
  const std::string name(dentry.name());
  const bool first = !child.loaded();
  {
    // So that what was asked for first is taken first.
    absl::MutexLock lock(&child.mu());
    child.NoteAsked();
    auto found = Look(name);
    const bool is = found && child.Is(*found);
    if (is) {
      child.AdoptLocked(*found);
    } else {
      child.set_stale();
      // It was looked at before, by what changed nothing else: that is done later.
      if (fs().without_host() && !found && found.error() == Errno(ESTALE)) return true;
      if (!found && found.error() != Errno(ENOENT)) return Err(found.error());
      if (!found && child.detached()) return true;
      complete_.store(false, std::memory_order_release);
      return false;
    }
  }
  if (child.is_symlink() && first) ReadLinkOf(child, name);
  if (fs().exclusive()) dentry.set_unchecked(false);
  return true;
}

Result<void> HostDirectory::Enter(vfs::Dentry& self, const HostDirent& entry) {
  if (self.directory().LookupLocked(entry.name) != nullptr) return {};
  HostStat found;
  found.key = {key().dev, entry.ino};
  found.stat.mode = entry.type;
  found.stat.nlink = 1;
  const bool loaded = entry.type == 0;
  if (loaded) {  // the filesystem does not say what it is
    auto looked = Look(entry.name);
    if (!looked && looked.error() == Errno(ENOENT)) return {};
    if (!looked) return Err(looked.error());
    found = *looked;
  }
  self.directory().Insert(vfs::Dentry::Make(entry.name, fs().InodeFor(found, loaded)));
  return {};
}

void HostDirectory::ForgetUnseen(vfs::Dentry& self, const NameSet& seen) {
  std::vector<vfs::Dentry*> gone;
  self.directory().ForEach([&](vfs::Dentry& child) {
    if (!Host(child.inode()).detached() && !seen.contains(child.name())) gone.push_back(&child);
  });
  for (vfs::Dentry* child : gone) fs().ForgetLocked(self.directory(), *child);
}

Result<std::string> HostDirectory::ReadEntries() {
  STASIS_ASSIGN_OR_RETURN(const FdCache::Pin control, fs().Control(*this));
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  STASIS_ASSIGN_OR_RETURN(const UniqueFd dir, fs().interop() == Interop::kExclusive
                                                  ? fs().OpenQuietly(control.fd(), kFlags)
                                                  : fs().ops().Reopen(control.fd(), kFlags));
  std::string entries;
  STASIS_RETURN_IF_ERROR(fs().ops().ReadDir(dir.get(), [&entries](const HostDirent& entry) {
    if (!vfs::IsValidName(entry.name)) return;
    const EntryHead head{entry.ino, entry.type, static_cast<uint32_t>(entry.name.size())};
    entries.append(reinterpret_cast<const char*>(&head), sizeof(head));
    entries.append(entry.name);
  }));
  return entries;
}

Result<void> HostDirectory::BeginListing(vfs::Dentry& self) {
  if (detached() || deleted() || complete()) return {};
  vfs::Directory& directory = self.directory();
  absl::MutexLock lock(&directory.mu);
  if (complete() || directory.dead()) return {};
  STASIS_ASSIGN_OR_RETURN(const std::string entries, Asked(fs(), Question::kList, ino(), "",
                                                           [this] { return ReadEntries(); }));
  NameSet seen;
  for (std::string_view left = entries; left.size() > sizeof(EntryHead);) {
    EntryHead head;
    std::memcpy(&head, left.data(), sizeof(head));
    const HostDirent entry{left.substr(sizeof(head), head.name_size), head.ino, head.type};
    left.remove_prefix(sizeof(head) + entry.name.size());
    if (!fs().exclusive()) seen.emplace(entry.name);
    STASIS_RETURN_IF_ERROR(Enter(self, entry));
  }
  if (fs().exclusive()) {
    complete_.store(true, std::memory_order_release);
  } else {
    ForgetUnseen(self, seen);
  }
  return {};
}

}  // namespace stasis::gofer
