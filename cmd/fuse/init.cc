// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/init.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace stasis::fuse {
namespace {

// docs/fuse.md says why these and no others.
constexpr uint64_t kWantedFlags =
    FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS |
    FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 |
    FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT |
    FUSE_INIT_EXT | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT | kNoExportSupport |
    kPassthrough | kHasResend | FUSE_AUTO_INVAL_DATA;

// What images may say that older versions have written.
constexpr uint64_t kKnownFlags = kWantedFlags | FUSE_EXPORT_SUPPORT;

// 7.31 (Linux 5.4) is what gVisor's client speaks. What newer ones have brought is agreed on flag
// by flag.
constexpr uint32_t kOldestMinor = 31;
constexpr uint32_t kOldestInitSize = offsetof(fuse_init_in, flags2);
constexpr uint16_t kMaxBackground = 64;

// A backing must not be a stacked filesystem's itself (overlayfs, another FUSE mount): one more,
// and programs in the sandbox could not put an overlay on this mount.
constexpr uint32_t kMaxStackDepth = 1;

constexpr uint32_t kPagesWithoutMaxPages = 32;
constexpr uint32_t kMostPages = 256;  // of any machine

}  // namespace

uint32_t PageSize() {
  static const auto size = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  return size;
}

uint32_t MaxPages() { return kMaxData / PageSize(); }

Result<Negotiated> Negotiate(std::span<const std::byte> message, const Wishes& wishes) {
  if (message.size() < kOldestInitSize) return Err(EINVAL);
  fuse_init_in in{};
  std::memcpy(&in, message.data(), std::min(message.size(), sizeof(in)));

  Negotiated result;
  result.major_ = kMajorVersion;
  result.minor_ = std::min(in.minor, kNewestMinorVersion);
  // A newer major is answered with ours alone; the kernel then asks again in our version.
  if (in.major > kMajorVersion) return result;
  if (in.major < kMajorVersion || in.minor < kOldestMinor) return Err(EPROTO);

  uint64_t offered = in.flags;
  if ((offered & FUSE_INIT_EXT) != 0) offered |= uint64_t{in.flags2} << 32;
  result.flags_ = offered & kWantedFlags;
  if (wishes.ask_at_open) result.flags_ &= ~uint64_t{FUSE_NO_OPEN_SUPPORT};
  if (wishes.ask_at_opendir) result.flags_ &= ~uint64_t{FUSE_NO_OPENDIR_SUPPORT};
  if (!wishes.check_times) result.flags_ &= ~uint64_t{FUSE_AUTO_INVAL_DATA};
  if (!wishes.passthrough || result.opens_unasked()) result.flags_ &= ~kPassthrough;
  // Who does not ask at open(2) must say in other words what O_TRUNC does.
  if (result.opens_unasked()) result.flags_ &= ~uint64_t{FUSE_ATOMIC_O_TRUNC};
  const uint32_t pages = result.Has(FUSE_MAX_PAGES) ? wishes.max_pages : kPagesWithoutMaxPages;
  result.max_pages_ = std::clamp(pages, 1u, MaxPages());
  result.max_write_ = result.max_pages_ * PageSize();
  result.max_readahead_ = in.max_readahead;
  return result;
}

bool Negotiated::Valid() const {
  return major_ == kMajorVersion && minor_ >= kOldestMinor && minor_ <= kNewestMinorVersion &&
         max_pages_ >= 1 && max_pages_ <= kMostPages && max_write_ >= 1 && max_write_ <= kMaxData &&
         (flags_ & ~kKnownFlags) == 0;
}

void Negotiated::FillReply(InitOut& out) const {
  out.major = major_;
  out.minor = minor_;
  out.max_readahead = max_readahead_;
  out.flags = static_cast<uint32_t>(flags_);
  out.flags2 = static_cast<uint32_t>(flags_ >> 32);
  out.max_background = kMaxBackground;
  out.congestion_threshold = kMaxBackground * 3 / 4;
  out.max_write = max_write_;
  out.time_gran = 1;
  out.max_pages = static_cast<uint16_t>(max_pages_);
  if (passthrough()) out.max_stack_depth = kMaxStackDepth;
}

}  // namespace stasis::fuse
