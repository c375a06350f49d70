// SPDX-License-Identifier: Apache-2.0
//
// init.h: what the two sides agree on before anything else (FUSE_INIT).

#ifndef STASIS_CMD_FUSE_INIT_H_
#define STASIS_CMD_FUSE_INIT_H_

#include <cstdint>
#include <span>

#include "cmd/fuse/protocol.h"
#include "state/annotations.h"
#include "state/base/result.h"

namespace stasis::fuse {

// What this server would like.
struct Wishes {
  uint32_t max_pages = 256;  // of READ and WRITE; MaxPages() at most
  bool ask_at_open = false;
  bool ask_at_opendir = false;
  // Somebody else changes files: the kernel is to compare times before it trusts its page cache.
  bool check_times = false;
  bool passthrough = false;  // only with ask_at_open
};

// Of READ and WRITE, in bytes.
inline constexpr uint32_t kMaxData = 1 << 20;

uint32_t PageSize();  // of this machine
uint32_t MaxPages();  // kMaxData in pages

// The result, as the kernel has it. A value; saved, because a server that takes a mount over is not
// asked again.
class Negotiated {
 public:
  // True once INIT was answered.
  bool done() const { return major_ != 0; }
  uint32_t major() const { return major_; }
  uint32_t minor() const { return minor_; }
  // FUSE_* bits that both sides have, upper half from flags2.
  uint64_t flags() const { return flags_; }
  bool Has(uint64_t flag) const { return (flags_ & flag) != 0; }
  // The kernel opens and closes files, or directories, without asking: handle 0 means the node's.
  bool opens_unasked() const { return Has(FUSE_NO_OPEN_SUPPORT); }
  bool opens_directories_unasked() const { return Has(FUSE_NO_OPENDIR_SUPPORT); }
  // Files may be opened with a backing (backing_table.h).
  bool passthrough() const { return Has(kPassthrough); }
  uint32_t max_write() const { return max_write_; }          // bytes
  uint32_t max_readahead() const { return max_readahead_; }  // bytes
  uint32_t max_pages() const { return max_pages_; }

  // Requires: done(). False for a restored one that no version of this server agrees to.
  bool Valid() const;

  void FillReply(InitOut& out) const;

 private:
  STATE_SAVABLE(Negotiated);
  friend Result<Negotiated> Negotiate(std::span<const std::byte> message, const Wishes& wishes);

  uint32_t major_ = 0;
  uint32_t minor_ = 0;
  uint64_t flags_ = 0;
  uint32_t max_write_ = 0;
  uint32_t max_readahead_ = 0;
  uint32_t max_pages_ = 0;
};

// Answers the payload of an INIT request.
// Errors: EPROTO if the kernel's protocol is too old, EINVAL if the message is too short.
Result<Negotiated> Negotiate(std::span<const std::byte> message, const Wishes& wishes);

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_INIT_H_
