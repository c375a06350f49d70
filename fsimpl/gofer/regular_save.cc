// SPDX-License-Identifier: Apache-2.0
//
// regular_save.cc: what a checkpoint keeps of regular host files, and how what was kept gets back
// to the host.

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "fsimpl/gofer/digest.h"
#include "fsimpl/gofer/inode.h"
#include "state/load_context.h"

namespace stasis::gofer {
namespace {

constexpr size_t kCopySize = size_t{256} << 10;
constexpr uint64_t kPageSize = 4096;  // of FileData

// Reserves so many bytes of the holes, and past the end of the file what is left.
void ReserveHoles(vfs::FileData& data, uint64_t size, uint64_t bytes) {
  bytes -= bytes % kPageSize;
  for (uint64_t at = 0; at < size && bytes != 0;) {
    const uint64_t hole = data.SeekHole(at, size).value_or(size);
    if (hole >= size) break;
    at = data.SeekData(hole, size).value_or(size);
    const uint64_t length = std::min(bytes, (at - hole + kPageSize - 1) / kPageSize * kPageSize);
    data.Reserve(hole, length);
    bytes -= length;
  }
  const uint64_t end = (size + kPageSize - 1) / kPageSize * kPageSize;
  if (bytes != 0 && end < vfs::kMaxFileSize && bytes <= vfs::kMaxFileSize - end)
    data.Reserve(end, bytes);
}

}  // namespace

Result<void> HostRegular::Capture() {
  HostOps& ops = fs().ops();
  UniqueFd opened;
  int fd = handles_ == nullptr ? -1 : handles_->reader();
  if (fd < 0) {
    STASIS_ASSIGN_OR_RETURN(opened, OpenHandle(O_RDONLY, /*force=*/true));
    fd = opened.get();
  }
  std::ignore = RefreshLocked();
  auto data = std::make_unique<vfs::FileData>();
  std::vector<std::byte> buffer(kCopySize);
  uint64_t at = 0;
  while (at < size()) {
    auto start = ops.Seek(fd, at, SEEK_DATA);
    if (!start && start.error() == Errno(ENXIO)) break;
    STASIS_RETURN_IF_ERROR(start);
    STASIS_ASSIGN_OR_RETURN(const uint64_t end, ops.Seek(fd, *start, SEEK_HOLE));
    for (at = *start; at < end;) {
      const size_t wanted = std::min<uint64_t>(buffer.size(), end - at);
      auto done = ops.Read(fd, at, std::span(buffer).first(wanted));
      if (!done && done.error() == Errno(EINTR)) continue;
      STASIS_RETURN_IF_ERROR(done);
      if (*done == 0) return Err(EIO);  // shorter than it said
      STASIS_RETURN_IF_ERROR(data->Write(at, std::span(buffer).first(*done)));
      at += *done;
    }
  }
  // What the host has given it besides, as by fallocate(2): it does not say where.
  const uint64_t allocated = blocks_.load(std::memory_order_relaxed) * 512;
  if (allocated > data->allocated()) ReserveHoles(*data, size(), allocated - data->allocated());
  STASIS_RETURN_IF_ERROR(CaptureXattrs(fd));
  data_ = std::move(data);
  return {};
}

Result<void> HostRegular::WriteTo(int fd, const vfs::XattrMap& xattrs) {
  HostOps& ops = fs().ops();
  std::vector<std::byte> buffer(kCopySize);
  for (uint64_t at = 0; data_ != nullptr && at < size();) {
    const auto start = data_->SeekData(at, size());
    if (!start) break;
    STASIS_ASSIGN_OR_RETURN(const uint64_t end, data_->SeekHole(*start, size()));
    for (at = *start; at < end;) {
      const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), end - at));
      STASIS_RETURN_IF_ERROR(data_->Read(at, piece));
      STASIS_ASSIGN_OR_RETURN(const size_t done, ops.Write(fd, at, piece));
      if (done == 0) return Err(EIO);
      at += done;
    }
  }
  STASIS_RETURN_IF_ERROR(ops.Truncate(fd, size()));
  const OwnerMap& owners = fs().owners_;
  STASIS_RETURN_IF_ERROR(
      ops.Chown(fd, owners.ToHost(uid(), owners.host_uid), owners.ToHost(gid(), owners.host_gid)));
  for (const auto& [name, value] : xattrs) STASIS_RETURN_IF_ERROR(ops.SetXattr(fd, name, value, 0));
  STASIS_RETURN_IF_ERROR(ops.Chmod(fd, mode() & vfs::kPermissionBits));
  vfs::Stat stat;
  Inode::FillStat(stat);
  return ops.SetTimes(fd, ToTimespec(stat.atime), ToTimespec(stat.mtime));
}

Result<void> HostRegular::Attach(int dir, const std::string& name, const vfs::XattrMap& xattrs) {
  HostOps& ops = fs().ops();
  STASIS_ASSIGN_OR_RETURN(
      UniqueFd fd, ops.OpenBeneath(dir, ".", O_TMPFILE | O_RDWR | fs().new_file_flags(), 0600));
  STASIS_RETURN_IF_ERROR(WriteTo(fd.get(), xattrs));
  STASIS_ASSIGN_OR_RETURN(HostStat found, ops.Statx(fd.get(), ""));
  STASIS_RETURN_IF_ERROR(ops.Link(fd.get(), dir, name));
  fs().Rebind(*this, found.key);
  data_.reset();
  ForgetAcl();
  if (handles_ != nullptr) {
    handles_->write = std::move(fd);
    handles_->write_reads = true;
  }
  deleted_.store(false, std::memory_order_release);
  detached_.store(false, std::memory_order_release);
  found.stat.nlink = 1;
  AdoptLocked(found);
  set_stale();
  return {};
}

Result<void> HostRegular::ComputeDigest() {
  constexpr int kTries = 3;
  vfs::Stat stat;
  Inode::FillStat(stat);
  if (digest_ != nullptr && digest_->ctime == stat.ctime && digest_->size == stat.size) return {};
  digest_.reset();
  STASIS_ASSIGN_OR_RETURN(const UniqueFd fd, OpenHandle(O_RDONLY, /*force=*/false));
  HostOps& ops = fs().ops();
  for (int i = 0; i < kTries; ++i) {
    STASIS_ASSIGN_OR_RETURN(const HostStat found, ops.Statx(fd.get(), ""));
    auto sha256 = DigestOf(ops, fd.get(), found);
    if (!sha256 && sha256.error() == Errno(ESTALE)) continue;
    STASIS_RETURN_IF_ERROR(sha256);
    AdoptLocked(found);
    digest_ = std::make_unique<ContentDigest>();
    fs().has_digests_.store(true);
    digest_->sha256 = *sha256;
    digest_->ctime = found.stat.ctime;
    digest_->size = found.stat.size;
    return {};
  }
  return Err(ESTALE);
}

absl::Status HostRegular::PrepareSave() {
  absl::MutexLock lock(&mu());
  if (is_captured()) {
    if (auto captured = Capture(); !captured)
      return absl::ErrnoToStatus(
          captured.error().value(),
          absl::StrCat("cannot read a deleted file of the host directory ", fs().root_name(),
                       " (inode ", ino(), ", ", size(), " bytes)"));
    return absl::OkStatus();
  }
  const DigestScope scope = fs().digest_scope();
  const bool open = handles_ != nullptr && !handles_->unused();
  if (scope == DigestScope::kNone || (scope == DigestScope::kOpen && !open) || detached() ||
      !loaded()) {
    digest_.reset();
    return absl::OkStatus();
  }
  // Without a digest the content is not compared; a file that cannot be read is no reason to fail.
  std::ignore = ComputeDigest();
  return absl::OkStatus();
}

void HostRegular::BeforeResume() {
  absl::MutexLock lock(&mu());
  if (detached() || !deleted()) return;
  data_.reset();
  ForgetAcl();
}

vfs::ChunkMap HostRegular::SaveData() const {
  return data_ == nullptr ? vfs::ChunkMap() : data_->ToMap();
}

absl::Status HostRegular::LoadData(vfs::ChunkMap chunks, state::LoadContext& context) {
  if (chunks.empty()) return absl::OkStatus();
  if (!MakeData().FromMap(std::move(chunks)))
    return context.Invalid(*this, "data", "has a missing chunk or one past the largest offset");
  return absl::OkStatus();
}

vfs::PageMap HostRegular::SaveWritten() const {
  return data_ == nullptr ? vfs::PageMap() : data_->ToWritten();
}

absl::Status HostRegular::LoadWritten(const vfs::PageMap& written, state::LoadContext& context) {
  if (written.empty()) return absl::OkStatus();
  if (!MakeData().FromWritten(written))
    return context.Invalid(*this, "written", "contradicts the chunks");
  return absl::OkStatus();
}

vfs::PageRangeMap HostRegular::SaveReserved() const {
  return data_ == nullptr ? vfs::PageRangeMap() : data_->ToReserved();
}

absl::Status HostRegular::LoadReserved(const vfs::PageRangeMap& reserved,
                                       state::LoadContext& context) {
  if (reserved.empty()) return absl::OkStatus();
  if (!MakeData().FromReserved(reserved))
    return context.Invalid(*this, "reserved", "has a range that is none, or not one of its own");
  return absl::OkStatus();
}

absl::Status HostRegular::AfterLoad(state::LoadContext& context) {
  if (!is_regular()) return context.Invalid(*this, "mode", "is not that of a regular file");
  if (data_ != nullptr && !detached())
    return context.Invalid(*this, "data", "is there although the file is on the host");
  if (data_ != nullptr && data_->EndOfLastChunk() > size())
    return context.Invalid(*this, "data", "has a chunk past the end of the file");
  if (digest_ != nullptr) fs().has_digests_.store(true);
  return absl::OkStatus();
}

}  // namespace stasis::gofer
