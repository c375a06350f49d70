// SPDX-License-Identifier: Apache-2.0

#include "restore/image/lease.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>
#include <string_view>

#include "restore/image/internal/files.h"
#include "restore/image/internal/status.h"

namespace stasis::image {
namespace {

constexpr char kOwnFolder[] = ".stasis";
constexpr char kLeaseFolder[] = "leases";
constexpr std::string_view kEverything = "*";
constexpr std::string_view kEnd = "end";
constexpr uint64_t kMaxLease = 1024 * 1024;
constexpr size_t kMaxName = 63;
constexpr int kAttempts = 16;

bool MayBeInName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

// Anything else could be mistaken for another line, or do things to a terminal.
bool IsName(std::string_view name) {
  return name.size() <= kMaxName && std::all_of(name.begin(), name.end(), MayBeInName);
}

Result<UniqueFd> MakeFolder(FileOps& ops, int dir, const char* name) {
  const auto made = ops.MkdirAt(dir, name, 0777);
  if (!made && made.error() != Errno(EEXIST)) return Err(made.error().value());
  return ops.OpenAt(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

Result<UniqueFd> MakeLeaseFolder(const Layout& layout) {
  STASIS_ASSIGN_OR_RETURN(UniqueFd own, MakeFolder(layout.ops(), layout.root_fd(), kOwnFolder));
  return MakeFolder(layout.ops(), own.get(), kLeaseFolder);
}

std::string LinesOf(const std::vector<Digest>& manifests) {
  std::string lines;
  for (const Digest& digest : manifests) lines += digest.Hex() + "\n";
  return lines;
}

// False if the text is not whole.
bool ParseLease(std::string_view text, LeaseInfo& info) {
  bool ended = false;
  while (!text.empty() && !ended) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line == kEnd) {
      ended = true;
    } else if (line == kEverything) {
      info.everything = true;
    } else if (line.starts_with("pid ")) {
      std::from_chars(line.data() + 4, line.data() + line.size(), info.pid);
    } else if (line.starts_with("name ")) {
      if (IsName(line.substr(5))) info.name = std::string(line.substr(5));
    } else if (auto digest = Digest::Parse(fmt::format("sha256:{}", line)); digest.ok()) {
      info.manifests.push_back(*digest);
    } else {
      return false;
    }
  }
  return ended;
}

// One look at the folder.
class LeaseScan {
 public:
  LeaseScan(const Layout& layout, int folder, bool remove_dead)
      : ops_(layout.ops()), folder_(folder), remove_dead_(remove_dead) {}

  // False if a file went away meanwhile: its holder may have made another one.
  absl::StatusOr<bool> Run(const std::string& what) {
    IMAGE_ASSIGN_OR_ERRNO(auto names, ops_.List(folder_), "cannot list " + what);
    std::sort(names.begin(), names.end());
    bool whole = true;
    for (const std::string& name : names) {
      IMAGE_ASSIGN_OR_RETURN(const bool there, Look(name, what + "/" + name));
      whole = whole && there;
    }
    return whole;
  }
  const Leases& leases() const { return leases_; }

 private:
  absl::StatusOr<bool> Look(const std::string& name, const std::string& what) {
    const auto st = ops_.StatAt(folder_, name);
    if (!st && st.error() == Errno(ENOENT)) return false;
    if (st && !S_ISREG(st->st_mode)) return true;  // nobody's lease
    uint64_t size = 0;
    auto fd = OpenRegular(ops_, folder_, name, what, &size);
    if (absl::IsNotFound(fd.status())) return false;
    if (!fd.ok()) {
      AddUnknown(name);
      return true;
    }
    const auto locked = ops_.LockExclusive(fd->get());
    if (locked) return Dead(name, what);
    LeaseInfo info;
    info.file = name;
    auto text = ReadSmallFile(ops_, folder_, name, kMaxLease, what);
    if (absl::IsNotFound(text.status())) return false;
    if (locked.error() != Errno(EWOULDBLOCK) || !text.ok() || !ParseLease(*text, info))
      info.everything = true;
    leases_.live.push_back(std::move(info));
    return true;
  }

  void AddUnknown(const std::string& name) {
    LeaseInfo info;
    info.file = name;
    info.everything = true;
    leases_.live.push_back(std::move(info));
  }

  // The lock is held: whoever makes a lease of that name now finds it taken.
  absl::StatusOr<bool> Dead(const std::string& name, const std::string& what) {
    ++leases_.dead;
    if (!remove_dead_) return true;
    const auto removed = ops_.UnlinkAt(folder_, name);
    if (!removed && removed.error() != Errno(ENOENT))
      return ErrnoStatus(removed.error(), "cannot remove the lease of a dead process " + what);
    return true;
  }

  FileOps& ops_;
  const int folder_;
  const bool remove_dead_;
  Leases leases_;
};

// The folder of leases; an invalid descriptor if there is none.
absl::StatusOr<UniqueFd> OpenLeaseFolder(const Layout& layout, const std::string& what) {
  UniqueFd at;
  for (const char* name : {kOwnFolder, kLeaseFolder}) {
    auto fd = layout.ops().OpenAt(at.valid() ? at.get() : layout.root_fd(), name,
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (!fd && fd.error() == Errno(ENOENT)) return UniqueFd();
    if (!fd && (fd.error() == Errno(ENOTDIR) || fd.error() == Errno(ELOOP)))
      return DataLoss("{} is not a directory", what);
    if (!fd) return ErrnoStatus(fd.error(), "cannot open " + what);
    at = std::move(*fd);
  }
  return at;
}

}  // namespace

Lease::Lease(std::shared_ptr<FileOps> ops, UniqueFd folder, std::string holder)
    : ops_(std::move(ops)),
      folder_(std::move(folder)),
      holder_(std::move(holder)),
      pid_(::getpid()) {}

Lease::~Lease() {
  if (file_.fd.valid() && pid_ == ::getpid()) Remove(file_);
}

std::shared_ptr<Lease> Lease::Take(const Layout& layout, const std::string& name) {
  auto folder = MakeLeaseFolder(layout);
  if (!folder) return nullptr;
  const std::string holder =
      fmt::format("pid {}\n", ::getpid()) +
      (IsName(name) && !name.empty() ? fmt::format("name {}\n", name) : std::string());
  std::shared_ptr<Lease> lease(new Lease(layout.shared_ops(), std::move(*folder), holder));
  auto file = lease->Make(fmt::format("{}\n", kEverything));
  if (!file) return nullptr;
  lease->file_ = std::move(*file);
  return lease;
}

std::shared_ptr<Lease> Lease::TakeOf(const Layout& layout, const std::string& name,
                                     const std::vector<Digest>& manifests) {
  std::shared_ptr<Lease> lease = Take(layout, name);
  if (lease != nullptr) lease->Narrow(manifests);
  return lease;
}

// Whoever looks at leases takes the lock of a file that nobody has locked yet for a dead one's, and
// may have removed it: then another name it is.
Result<Lease::File> Lease::Make(const std::string& content) {
  static std::atomic<uint64_t> next{0};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    File file;
    file.name = fmt::format("{}-{}", ::getpid(), next++);
    auto fd = ops_->OpenAt(folder_.get(), file.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
    if (!fd && fd.error() == Errno(EEXIST)) continue;
    if (!fd) return Err(fd.error().value());
    file.fd = std::move(*fd);
    if (!ops_->LockExclusive(file.fd.get())) {
      Remove(file);
      continue;
    }
    const auto st = ops_->Stat(file.fd.get());
    if (st && st->st_nlink == 0) continue;
    const std::string text = fmt::format("{}{}{}\n", content, holder_, kEnd);
    if (WriteAll(*ops_, file.fd.get(), AsBytes(text), "a lease").ok()) return file;
    Remove(file);
    return Err(EIO);
  }
  return Err(EAGAIN);
}

void Lease::Remove(File& file) {
  (void)ops_->UnlinkAt(folder_.get(), file.name);
  file.fd.reset();
}

void Lease::Narrow(const std::vector<Digest>& manifests) {
  auto narrow = Make(LinesOf(manifests));
  if (!narrow) return;
  Remove(file_);
  file_ = std::move(*narrow);
}

std::string LeaseInfo::Holder() const {
  if (pid == 0) return fmt::format("lease \"{}\"", IsName(file) ? file : "?");
  return name.empty() ? fmt::format("process {}", pid) : fmt::format("{} (process {})", name, pid);
}

bool LeaseInfo::Names(const Digest& manifest) const {
  return everything || std::find(manifests.begin(), manifests.end(), manifest) != manifests.end();
}

absl::StatusOr<Leases> ReadLeases(const Layout& layout, bool remove_dead) {
  const std::string what = fmt::format("{}/{}/{}", layout.directory(), kOwnFolder, kLeaseFolder);
  IMAGE_ASSIGN_OR_RETURN(const UniqueFd folder, OpenLeaseFolder(layout, what));
  if (!folder.valid()) return Leases();
  uint64_t removed = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    LeaseScan scan(layout, folder.get(), remove_dead);
    IMAGE_ASSIGN_OR_RETURN(const bool whole, scan.Run(what));
    Leases leases = scan.leases();
    if (remove_dead) leases.dead = removed += leases.dead;
    if (whole) return leases;
  }
  return absl::UnavailableError(
      fmt::format("{} changes all the time; try again when less is going on", what));
}

}  // namespace stasis::image
