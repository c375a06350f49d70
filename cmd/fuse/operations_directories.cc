// SPDX-License-Identifier: Apache-2.0

#include <fcntl.h>

#include <vector>

#include "cmd/fuse/operations.h"

namespace stasis::fuse {
namespace {

// Where the kernel is to go on with a listing. Without a handle of its own the listing's end goes
// with the position, or a program that renames what it finds would find it again for ever. Both fit
// into 31 bits, more than which a 32-bit program may not take, where few names were ever made. In
// directories of ever so many names the end does not fit; their listings end where they end by
// then.
struct ListingPlace {
  uint64_t position;
  uint64_t end;  // 0: unknown

  uint64_t ToCookie() const;
  static ListingPlace FromCookie(uint64_t cookie);
};

constexpr int kShortEndShift = 16;
constexpr int kEndShift = 32;
constexpr uint64_t kLastShortEnd = (uint64_t{1} << 15) - 1;
constexpr uint64_t kLastEnd = (uint64_t{1} << 30) - 1;
constexpr uint64_t kLastShortCookie = (uint64_t{1} << 31) - 1;
constexpr uint64_t kWithoutEnd = uint64_t{1} << 62;

// Positions are at most the end.
uint64_t ListingPlace::ToCookie() const {
  if (end <= kLastShortEnd) return end << kShortEndShift | position;
  if (end <= kLastEnd) return end << kEndShift | position;
  return kWithoutEnd | position;
}

ListingPlace ListingPlace::FromCookie(uint64_t cookie) {
  if ((cookie & kWithoutEnd) != 0) return {cookie & ~kWithoutEnd, 0};
  const int shift = cookie <= kLastShortCookie ? kShortEndShift : kEndShift;
  return {cookie & ((uint64_t{1} << shift) - 1), cookie >> shift};
}

constexpr size_t Aligned(size_t size) { return FUSE_DIRENT_ALIGN(size); }

// Fills a READDIR or READDIRPLUS reply. The directory is locked while names are collected, so nodes
// and attributes are put in afterwards.
class Listing {
 public:
  Listing(Call& call, vfs::FileDescription& dir, bool plus, size_t size)
      : call_(call), dir_(dir), plus_(plus), size_(std::min(size, call.reply().room())) {}

  Result<void> Fill(ListingPlace from);

 private:
  struct Found {
    size_t offset;  // of the fuse_entry_out in the reply
    vfs::Dentry* dentry;
    std::string_view name;  // in the reply
  };

  // False if there is no room.
  bool Add(const vfs::DirectoryEntry& entry);
  void FillEntry(const Found& found);
  Result<vfs::VirtualDentry> Resolve(const Found& found);

  Call& call_;
  vfs::FileDescription& dir_;
  const bool plus_;
  const size_t size_;
  bool too_small_ = false;
  std::vector<Found> found_;
};

Result<void> Listing::Fill(ListingPlace from) {
  if (plus_) found_.reserve(size_ / Aligned(sizeof(fuse_direntplus) + 16) + 1);
  if (from.end != 0) dir_.set_listing_end(from.end);
  STASIS_RETURN_IF_ERROR(dir_.IterateDirectory(
      from.position, [this](const vfs::DirectoryEntry& entry) { return Add(entry); }));
  if (too_small_) return Err(EINVAL);
  for (const Found& found : found_) FillEntry(found);
  return {};
}

bool Listing::Add(const vfs::DirectoryEntry& entry) {
  Reply& reply = call_.reply();
  const size_t head = plus_ ? sizeof(fuse_entry_out) : 0;
  const size_t size = Aligned(head + FUSE_NAME_OFFSET + entry.name.size());
  const size_t start = reply.payload().size();
  if (start + size > size_) {
    too_small_ = start == 0;
    return false;
  }
  fuse_dirent dirent{};
  dirent.ino = call_.session().InoOf(dir_.inode().filesystem(), entry.ino);
  dirent.off = ListingPlace{entry.next_position, dir_.listing_end()}.ToCookie();
  dirent.namelen = static_cast<uint32_t>(entry.name.size());
  dirent.type = entry.type >> 12;  // DT_*
  std::span<std::byte> space = reply.Space(size);
  std::memset(space.data(), 0, size);
  reply.Commit(size);
  std::memcpy(space.data() + head, &dirent, FUSE_NAME_OFFSET);
  std::byte* name = space.data() + head + FUSE_NAME_OFFSET;
  std::memcpy(name, entry.name.data(), entry.name.size());
  // What the kernel may not keep is not worth looking for.
  if (plus_ && entry.dentry != nullptr && dir_.inode().filesystem().exclusive()) {
    found_.push_back(
        {start, entry.dentry, {reinterpret_cast<const char*>(name), entry.name.size()}});
  }
  return true;
}

Result<vfs::VirtualDentry> Listing::Resolve(const Found& found) {
  const vfs::VirtualDentry& dir = dir_.at();
  // Of an unchecked one only name and type are known.
  if (found.dentry->is_mountpoint() || found.dentry->unchecked()) {
    return call_.vfs().GetDentryAt(call_.creds(), {call_.state().root(), dir, found.name});
  }
  // The dentry was found without a reference, and may be gone meanwhile but for its memory.
  if (found.dentry->disconnected() || !found.dentry->TryRef()) return Err(ENOENT);
  return vfs::VirtualDentry(RefPtr<vfs::Mount>(&dir.mount()),
                            RefPtr<vfs::Dentry>::Adopt(found.dentry));
}

void Listing::FillEntry(const Found& found) {
  // Left at zero, the kernel has the name only, and asks when it needs more.
  auto file = Resolve(found);
  if (!file) return;
  const RefPtr<Node> known = call_.state().nodes().FindFile(*file);
  if (known && !file->inode().is_dir() && known->had_links()) return;
  call_.reply().PutStruct(found.offset, call_.EntryFor(*file));
}

Result<void> List(Call& call, bool plus) {
  STASIS_ASSIGN_OR_RETURN(fuse_read_in in, call.in().Take<fuse_read_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> dir,
                          call.GetFile(in.fh, call.header().nodeid, O_RDONLY | O_DIRECTORY));
  return Listing(call, *dir, plus, in.size).Fill(ListingPlace::FromCookie(in.offset));
}

}  // namespace

Result<void> OpenDir(Call& call) {
  STASIS_ASSIGN_OR_RETURN(fuse_open_in in, call.in().Take<fuse_open_in>());
  STASIS_RETURN_IF_ERROR(call.in().End());
  // From which the kernel learns not to ask.
  if (call.state().negotiated().opens_directories_unasked()) return Err(ENOSYS);
  STASIS_ASSIGN_OR_RETURN(RefPtr<Node> node, call.GetNode());
  if (!node->at().inode().is_dir()) return Err(ENOTDIR);
  vfs::OpenOptions options;
  options.flags = O_RDONLY | O_NOFOLLOW;
  STASIS_ASSIGN_OR_RETURN(RefPtr<vfs::FileDescription> file,
                          call.vfs().OpenAt(call.creds(), call.At(*node), options));
  fuse_open_out out{};
  out.fh = call.state().handles().Add(std::move(file), in.flags);
  if (node->at().inode().filesystem().exclusive())
    out.open_flags = FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
  call.reply().SetOpened(out.fh);
  return call.reply().AppendStruct(out);
}

Result<void> ReadDir(Call& call) { return List(call, false); }

Result<void> ReadDirPlus(Call& call) { return List(call, true); }

}  // namespace stasis::fuse
