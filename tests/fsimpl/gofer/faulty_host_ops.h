// SPDX-License-Identifier: Apache-2.0
//
// faulty_host_ops.h: the host's system calls, of which one fails or does less than it was asked
// for.

#ifndef STASIS_TESTS_FSIMPL_GOFER_FAULTY_HOST_OPS_H_
#define STASIS_TESTS_FSIMPL_GOFER_FAULTY_HOST_OPS_H_

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fsimpl/gofer/host_ops.h"

namespace stasis::gofer {

enum class HostCall : uint8_t {
  kOpenRoot,
  kOpenBeneath,
  kReopen,
  kStatx,
  kReadLink,
  kGetStatFs,
  kReadDir,
  kMkdir,
  kMknod,
  kSymlink,
  kLink,
  kUnlink,
  kRename,
  kChmod,
  kChown,
  kSetTimes,
  kGetXattr,
  kSetXattr,
  kListXattr,
  kRemoveXattr,
  kRead,
  kWrite,
  kTruncate,
  kAllocate,
  kCopyRange,
  kSeek,
  kSync,
  kSyncFs,
};
inline constexpr int kHostCalls = 28;

// Thread-safe.
class FaultyHostOps : public HostOps {
 public:
  // In place of an errno: half of what was asked for.
  static constexpr int kShort = 0;

  // The n-th call from now, from 1, fails with `error`; all that is recorded begins anew.
  void FailAt(size_t n, int error) {
    absl::MutexLock lock(&mu_);
    calls_.clear();
    fail_at_ = n;
    error_ = error;
  }
  void Record() { FailAt(0, 0); }
  // Calls are neither recorded nor fail.
  void Pause(bool on) {
    absl::MutexLock lock(&mu_);
    paused_ = on;
  }
  // All since the last FailAt or Record.
  std::vector<HostCall> calls() const {
    absl::MutexLock lock(&mu_);
    return calls_;
  }
  bool failed() const {
    absl::MutexLock lock(&mu_);
    return fail_at_ != 0 && calls_.size() >= fail_at_;
  }

  // Run before each such call.
  std::function<void()> before_read;
  std::function<void()> before_statx;
  std::function<void()> before_open;

  Result<UniqueFd> OpenRoot(const std::string& path) override {
    return Try(HostCall::kOpenRoot, [&] { return real_->OpenRoot(path); });
  }
  Result<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags,
                               uint32_t mode) override {
    if (before_open) before_open();
    return Try(HostCall::kOpenBeneath, [&] { return real_->OpenBeneath(dir, path, flags, mode); });
  }
  Result<UniqueFd> Reopen(int fd, int flags) override {
    return Try(HostCall::kReopen, [&] { return real_->Reopen(fd, flags); });
  }
  Result<HostStat> Statx(int fd, const std::string& name) override {
    if (before_statx) before_statx();
    return Try(HostCall::kStatx, [&] { return real_->Statx(fd, name); });
  }
  Result<std::string> ReadLink(int fd, const std::string& name) override {
    return Try(HostCall::kReadLink, [&] { return real_->ReadLink(fd, name); });
  }
  Result<vfs::StatFs> GetStatFs(int fd) override {
    return Try(HostCall::kGetStatFs, [&] { return real_->GetStatFs(fd); });
  }
  // Fails after one entry.
  Result<void> ReadDir(int dir, absl::FunctionRef<void(const HostDirent&)> fn) override {
    const std::optional<int> fault = Count(HostCall::kReadDir);
    if (!fault) return real_->ReadDir(dir, fn);
    bool first = true;
    auto done = real_->ReadDir(dir, [&](const HostDirent& entry) {
      if (std::exchange(first, false)) fn(entry);
    });
    return done ? Err(*fault) : done;
  }
  Result<void> Mkdir(int dir, const std::string& name, uint32_t mode) override {
    return Try(HostCall::kMkdir, [&] { return real_->Mkdir(dir, name, mode); });
  }
  Result<void> Mknod(int dir, const std::string& name, uint32_t mode, uint64_t rdev) override {
    return Try(HostCall::kMknod, [&] { return real_->Mknod(dir, name, mode, rdev); });
  }
  Result<void> Symlink(const std::string& target, int dir, const std::string& name) override {
    return Try(HostCall::kSymlink, [&] { return real_->Symlink(target, dir, name); });
  }
  Result<void> Link(int fd, int dir, const std::string& name) override {
    return Try(HostCall::kLink, [&] { return real_->Link(fd, dir, name); });
  }
  Result<void> Unlink(int dir, const std::string& name, bool directory) override {
    return Try(HostCall::kUnlink, [&] { return real_->Unlink(dir, name, directory); });
  }
  Result<void> Rename(int old_dir, const std::string& old_name, int new_dir,
                      const std::string& new_name, uint32_t flags) override {
    return Try(HostCall::kRename,
               [&] { return real_->Rename(old_dir, old_name, new_dir, new_name, flags); });
  }
  Result<void> Chmod(int fd, uint32_t mode) override {
    return Try(HostCall::kChmod, [&] { return real_->Chmod(fd, mode); });
  }
  Result<void> Chown(int fd, uint32_t uid, uint32_t gid) override {
    return Try(HostCall::kChown, [&] { return real_->Chown(fd, uid, gid); });
  }
  Result<void> SetTimes(int fd, const timespec& atime, const timespec& mtime) override {
    return Try(HostCall::kSetTimes, [&] { return real_->SetTimes(fd, atime, mtime); });
  }
  Result<std::string> GetXattr(int fd, const std::string& name) override {
    return Try(HostCall::kGetXattr, [&] { return real_->GetXattr(fd, name); });
  }
  Result<void> SetXattr(int fd, const std::string& name, std::string_view value,
                        int flags) override {
    return Try(HostCall::kSetXattr, [&] { return real_->SetXattr(fd, name, value, flags); });
  }
  Result<std::vector<std::string>> ListXattr(int fd) override {
    return Try(HostCall::kListXattr, [&] { return real_->ListXattr(fd); });
  }
  Result<void> RemoveXattr(int fd, const std::string& name) override {
    return Try(HostCall::kRemoveXattr, [&] { return real_->RemoveXattr(fd, name); });
  }
  Result<size_t> Read(int fd, uint64_t offset, std::span<std::byte> out) override {
    if (before_read) before_read();
    const std::optional<int> fault = Count(HostCall::kRead);
    if (fault && *fault != kShort) return Err(*fault);
    return real_->Read(fd, offset, fault ? out.first(Half(out.size())) : out);
  }
  Result<size_t> Write(int fd, uint64_t offset, std::span<const std::byte> bytes) override {
    const std::optional<int> fault = Count(HostCall::kWrite);
    if (fault && *fault != kShort) return Err(*fault);
    return real_->Write(fd, offset, fault ? bytes.first(Half(bytes.size())) : bytes);
  }
  Result<void> Truncate(int fd, uint64_t size) override {
    return Try(HostCall::kTruncate, [&] { return real_->Truncate(fd, size); });
  }
  Result<void> Allocate(int fd, int mode, uint64_t offset, uint64_t length) override {
    return Try(HostCall::kAllocate, [&] { return real_->Allocate(fd, mode, offset, length); });
  }
  Result<uint64_t> CopyRange(int from, uint64_t from_offset, int to, uint64_t to_offset,
                             uint64_t length) override {
    const std::optional<int> fault = Count(HostCall::kCopyRange);
    if (fault && *fault != kShort) return Err(*fault);
    return real_->CopyRange(from, from_offset, to, to_offset, fault ? Half(length) : length);
  }
  Result<uint64_t> Seek(int fd, uint64_t offset, int whence) override {
    return Try(HostCall::kSeek, [&] { return real_->Seek(fd, offset, whence); });
  }
  Result<void> Sync(int fd) override {
    return Try(HostCall::kSync, [&] { return real_->Sync(fd); });
  }
  Result<void> SyncFs(int fd) override {
    return Try(HostCall::kSyncFs, [&] { return real_->SyncFs(fd); });
  }

 private:
  static size_t Half(size_t size) { return std::max<size_t>(1, size / 2); }

  // Notes the call. Returns what is to become of it, if it is to fail.
  std::optional<int> Count(HostCall call) {
    absl::MutexLock lock(&mu_);
    if (paused_) return std::nullopt;
    calls_.push_back(call);
    if (calls_.size() != fail_at_) return std::nullopt;
    return error_;
  }
  template <typename Call>
  auto Try(HostCall call, Call real) -> decltype(real()) {
    if (const std::optional<int> fault = Count(call)) return Err(*fault);
    return real();
  }

  const std::shared_ptr<HostOps> real_ = MakeHostOps();

  mutable absl::Mutex mu_;
  std::vector<HostCall> calls_ ABSL_GUARDED_BY(mu_);
  size_t fail_at_ ABSL_GUARDED_BY(mu_) = 0;
  int error_ ABSL_GUARDED_BY(mu_) = 0;
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace stasis::gofer

#endif  // STASIS_TESTS_FSIMPL_GOFER_FAULTY_HOST_OPS_H_
