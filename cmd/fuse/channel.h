// SPDX-License-Identifier: Apache-2.0
//
// channel.h: messages to and from the kernel, one descriptor each.
//
// A channel is over /dev/fuse, mounted, or over a socket that keeps message borders
// (SOCK_SEQPACKET). It knows nothing of what the messages say.
//
// The descriptor is non-blocking; a reader waits for it and for a stop event at once. Several
// readers of one device are woken one at a time.

#ifndef STASIS_CMD_FUSE_CHANNEL_H_
#define STASIS_CMD_FUSE_CHANNEL_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "state/base/result.h"
#include "state/base/unique_fd.h"

namespace stasis::fuse {

// One thread receives; any may send.
class Channel {
 public:
  // What may end a wait: eventfds, borrowed.
  struct Events {
    int stop = -1;   // for good
    int pause = -1;  // of Receive alone; -1: never
  };
  // Errors: Internal.
  static absl::StatusOr<std::unique_ptr<Channel>> Create(UniqueFd fd, const Events& events);

  // Another descriptor of the same mount, with a queue of its own. A request's reply goes where the
  // request came from. Errors: Unimplemented if it is a socket, Internal.
  absl::StatusOr<std::unique_ptr<Channel>> Clone() const;

  // Another descriptor of the same open device: whoever takes a request, any may answer it.
  // Errors: as Clone.
  absl::StatusOr<std::unique_ptr<Channel>> Share() const;

  // Waits for a message and puts it in `buffer`, which must be able to hold the largest one.
  // Errors: ENODEV if the mount is gone or the peer has closed, ECANCELED if the stop event came,
  // EINTR if the pause event did, others if the descriptor does not work.
  Result<std::span<const std::byte>> Receive(std::span<std::byte> buffer);

  // True while the receiving thread waits for a message, or has given up: not from before it takes
  // one until it asks for the next.
  bool idle() const { return idle_.load(std::memory_order_acquire); }
  // True if there is a message to take.
  bool HasMessage() const;

  // Sends a reply: an error (positive) without payload, or 0 with it.
  // Errors: ENOENT if nobody waits for it any more; those of writev(2).
  Result<void> SendReply(uint64_t unique, int error, std::span<const std::byte> payload);

  // Sends something that is no reply. `code` is an enum fuse_notify_code.
  // Errors: ENOENT if the kernel does not have the node; those of writev(2).
  Result<void> SendNotification(int code, std::span<const std::byte> payload);

  // Gives the kernel the open file `fd` of the host as a backing. Returns its number.
  // Errors: EPERM without CAP_SYS_ADMIN or if passthrough was not negotiated, ELOOP if the file's
  // filesystem is stacked itself, ENOTTY if it is no device or the kernel is too old, others.
  Result<int32_t> OpenBacking(int fd) const;
  // Gives the number back; open files go on with the backing.
  void CloseBacking(int32_t backing) const;

  int fd() const { return fd_.get(); }
  bool is_socket() const { return is_socket_; }

 private:
  Channel(UniqueFd fd, UniqueFd epoll, const Events& events, bool is_socket)
      : fd_(std::move(fd)), epoll_(std::move(epoll)), events_(events), is_socket_(is_socket) {}
  // Returns when it may be worth reading. Errors: ECANCELED, EINTR.
  Result<void> Wait();
  Result<std::span<const std::byte>> DoReceive(std::span<std::byte> buffer);
  // For a socket whose peer is slow. Errors: ECANCELED.
  Result<void> WaitUntilWritable();
  Result<void> Send(uint64_t unique, int error, std::span<const std::byte> payload);

  const UniqueFd fd_;
  const UniqueFd epoll_;
  const Events events_;
  const bool is_socket_;
  std::atomic<bool> idle_{false};
};

}  // namespace stasis::fuse

#endif  // STASIS_CMD_FUSE_CHANNEL_H_
