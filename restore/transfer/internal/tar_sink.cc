// SPDX-License-Identifier: Apache-2.0

#include "restore/transfer/internal/tar_sink.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <utility>

#include "restore/internal/format.h"
#include "restore/transfer/internal/locale_scope.h"

namespace stasis::restore {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// libarchive writes a time as its seconds, a point and its nanoseconds. For that to be the decimal
// number that pax wants, both are counted from zero: -5.75 is -5 and 750,000,000. (Between -1 and 0
// there is no such pair: those become -1.)
time_t Seconds(TimeNs time) {
  return time < 0 && time > -kSecond ? -1 : static_cast<time_t>(time / kSecond);
}
long Nanoseconds(TimeNs time) {  // NOLINT(google-runtime-int)
  if (time < 0 && time > -kSecond) return 0;
  return static_cast<long>(std::abs(time % kSecond));  // NOLINT(google-runtime-int)
}

}  // namespace

ZeroPages::ZeroPages() : size_(size_t{1} << 30) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  memory_ = ::mmap(nullptr, size_, PROT_READ, kFlags, -1, 0);
  if (memory_ == MAP_FAILED) throw std::bad_alloc();
}

ZeroPages::~ZeroPages() { ::munmap(memory_, size_); }

std::span<const std::byte> ZeroPages::First(uint64_t length) const {
  return {static_cast<const std::byte*>(memory_), std::min<uint64_t>(length, size_)};
}

TarSink::TarSink(Output output, TransferReport& report)
    : report_(report),
      output_(std::move(output)),
      archive_(archive_write_new()),
      entry_(archive_entry_new()) {
  archive_write_set_format_pax(archive_);
  archive_write_set_format_option(archive_, "pax", "xattrheader", "SCHILY");
  // What is written is what was asked for: no padding of the last block for tape drives.
  archive_write_set_bytes_in_last_block(archive_, 1);
  if (output_) archive_write_open(archive_, this, nullptr, &OnWrite, nullptr);
}

TarSink::TarSink(int fd, TransferReport& report) : TarSink(Output(), report) {
  archive_write_open_fd(archive_, fd);
}

ssize_t TarSink::OnWrite(struct archive* a, void* self, const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  const Result<void> written = static_cast<TarSink*>(self)->output_({bytes, size});
  if (written) return static_cast<ssize_t>(size);
  archive_set_error(a, written.error().value(), "cannot write");
  return -1;
}

TarSink::~TarSink() {
  const LocaleScope locale;
  archive_entry_free(entry_);
  archive_write_free(archive_);
}

Result<void> TarSink::Finish() {
  if (archive_write_close(archive_) != ARCHIVE_OK) return Failed();
  return {};
}

Result<void> TarSink::EnterDirectory(const TreeNode& node) {
  Describe(node);
  return WriteHeader();
}

Result<void> TarSink::BeginFile(const TreeNode& node) {
  Describe(node);
  const uint64_t size = node.attributes.stat.size;
  archive_entry_set_size(entry_, static_cast<int64_t>(size));
  const bool whole = node.data.size() == 1 && node.data[0].length == size;
  if (!whole && size > 0) {
    for (const Extent& extent : node.data)
      archive_entry_sparse_add_entry(entry_, static_cast<int64_t>(extent.offset),
                                     static_cast<int64_t>(extent.length));
    if (node.data.empty()) archive_entry_sparse_add_entry(entry_, 0, 0);
  }
  position_ = 0;
  return WriteHeader();
}

Result<void> TarSink::WriteData(uint64_t offset, std::span<const std::byte> data) {
  STASIS_RETURN_IF_ERROR(WriteZeros(offset));
  return WriteBytes(data);
}

Result<void> TarSink::EndFile(const TreeNode& node, bool /*complete*/) {
  return WriteZeros(node.attributes.stat.size);
}

Result<bool> TarSink::MakeNode(const TreeNode& node) {
  if (S_ISSOCK(node.mode())) {
    report_.warnings.push_back(
        {PrintablePath(node.path), "a socket was left out: a tar file cannot hold one"});
    return false;
  }
  Describe(node);
  STASIS_RETURN_IF_ERROR(WriteHeader());
  return true;
}

Result<void> TarSink::MakeLink(const TreeNode& node, const std::string& existing) {
  Describe(node);
  archive_entry_unset_size(entry_);
  archive_entry_copy_hardlink(entry_, existing.c_str());
  archive_entry_xattr_clear(entry_);
  return WriteHeader();
}

void TarSink::Describe(const TreeNode& node) {
  archive_entry_clear(entry_);
  const vfs::Stat& stat = node.attributes.stat;
  archive_entry_copy_pathname(entry_, node.path.empty() ? "." : node.path.c_str());
  archive_entry_set_mode(entry_, stat.mode);
  archive_entry_set_uid(entry_, stat.uid);
  archive_entry_set_gid(entry_, stat.gid);
  archive_entry_set_mtime(entry_, Seconds(stat.mtime), Nanoseconds(stat.mtime));
  if (!output_) {
    archive_entry_set_atime(entry_, Seconds(stat.atime), Nanoseconds(stat.atime));
    archive_entry_set_ctime(entry_, Seconds(stat.ctime), Nanoseconds(stat.ctime));
  }
  if (S_ISCHR(stat.mode) || S_ISBLK(stat.mode))
    archive_entry_set_rdev(entry_, static_cast<dev_t>(stat.rdev));
  if (S_ISLNK(stat.mode)) archive_entry_copy_symlink(entry_, node.symlink_target.c_str());
  for (const auto& [key, value] : node.xattrs)
    archive_entry_xattr_add_entry(entry_, key.c_str(), value.data(), value.size());
}

Result<void> TarSink::WriteHeader() {
  const LocaleScope locale;
  // A warning is a name that is not UTF-8, which is then stored as bytes.
  if (archive_write_header(archive_, entry_) < ARCHIVE_WARN) return Failed();
  return {};
}

Result<void> TarSink::WriteZeros(uint64_t end) {
  while (position_ < end) STASIS_RETURN_IF_ERROR(WriteBytes(zeros_.First(end - position_)));
  return {};
}

Result<void> TarSink::WriteBytes(std::span<const std::byte> data) {
  while (!data.empty()) {
    const la_ssize_t n = archive_write_data(archive_, data.data(), data.size());
    if (n < 0) return Failed();
    if (n == 0) return Err(EIO);
    data = data.subspan(static_cast<size_t>(n));
    position_ += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> TarSink::Failed() const {
  const int error = archive_errno(archive_);
  return Err(error > 0 ? error : EIO);
}

}  // namespace stasis::restore
