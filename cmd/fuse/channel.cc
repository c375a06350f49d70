// SPDX-License-Identifier: Apache-2.0

#include "cmd/fuse/channel.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cerrno>
#include <utility>

#include "cmd/fuse/protocol.h"

namespace stasis::fuse {
namespace {

absl::Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("FUSE channel: ", what, ": ", ErrnoName(Errno(errno))));
}

absl::Status Watch(int epoll, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) return Failed("epoll_ctl");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Channel>> Channel::Create(UniqueFd fd, const Events& events) {
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) return Failed("fcntl");
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return Failed("epoll_create1");
  // Exclusive: a request wakes one of the readers of a mount, not all.
  if (absl::Status s = Watch(epoll.get(), fd.get(), EPOLLIN | EPOLLEXCLUSIVE); !s.ok()) return s;
  for (const int event : {events.stop, events.pause})
    if (event >= 0)
      if (absl::Status s = Watch(epoll.get(), event, EPOLLIN); !s.ok()) return s;
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return Failed("fstat");
  return std::unique_ptr<Channel>(
      new Channel(std::move(fd), std::move(epoll), events, S_ISSOCK(status.st_mode)));
}

absl::StatusOr<std::unique_ptr<Channel>> Channel::Clone() const {
  UniqueFd device(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!device.valid()) return Failed("opening /dev/fuse");
  uint32_t source = static_cast<uint32_t>(fd_.get());
  if (ioctl(device.get(), FUSE_DEV_IOC_CLONE, &source) != 0) {
    if (errno == EINVAL || errno == ENOTTY) {
      return absl::UnimplementedError("FUSE channel: the descriptor cannot be cloned");
    }
    return Failed("FUSE_DEV_IOC_CLONE");
  }
  return Create(std::move(device), events_);
}

absl::StatusOr<std::unique_ptr<Channel>> Channel::Share() const {
  if (is_socket_) return absl::UnimplementedError("FUSE channel: a socket has one reader");
  UniqueFd device(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!device.valid()) return Failed("fcntl");
  return Create(std::move(device), events_);
}

Result<void> Channel::Wait() {
  epoll_event events[3];
  for (;;) {
    idle_.store(true, std::memory_order_release);
    const int count = epoll_wait(epoll_.get(), events, 3, -1);
    const int error = errno;
    idle_.store(false, std::memory_order_seq_cst);
    if (count < 0 && error != EINTR) return Err(error);
    bool pause = false;
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == events_.stop) return Err(ECANCELED);
      pause = pause || events[i].data.fd == events_.pause;
    }
    if (pause) return Err(EINTR);
    if (count > 0) return {};
  }
}

bool Channel::HasMessage() const {
  pollfd entry{fd_.get(), POLLIN, 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & POLLIN) != 0;
}

Result<std::span<const std::byte>> Channel::Receive(std::span<std::byte> buffer) {
  auto message = DoReceive(buffer);
  if (!message) idle_.store(true, std::memory_order_release);
  return message;
}

Result<std::span<const std::byte>> Channel::DoReceive(std::span<std::byte> buffer) {
  for (;;) {
    const ssize_t size = read(fd_.get(), buffer.data(), buffer.size());
    if (size > 0) return buffer.first(static_cast<size_t>(size));
    if (size == 0) return Err(ENODEV);  // the socket's peer is gone
    switch (errno) {
      case EAGAIN:
        STASIS_RETURN_IF_ERROR(Wait());
        break;
      case EINTR:
      case ENOENT:  // the request was taken back before we got it
        break;
      case ECONNABORTED:  // the connection was aborted through fusectl
      case ECONNRESET:
        return Err(ENODEV);
      default:
        return Err(errno);
    }
  }
}

Result<void> Channel::WaitUntilWritable() {
  pollfd fds[2] = {{fd_.get(), POLLOUT, 0}, {events_.stop, POLLIN, 0}};
  if (poll(fds, 2, -1) < 0 && errno != EINTR) return Err(errno);
  if (fds[1].revents != 0) return Err(ECANCELED);
  return {};
}

Result<void> Channel::Send(uint64_t unique, int error, std::span<const std::byte> payload) {
  fuse_out_header header{};
  header.len = static_cast<uint32_t>(sizeof(header) + payload.size());
  header.error = error;
  header.unique = unique;
  iovec parts[2] = {{&header, sizeof(header)},
                    {const_cast<std::byte*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = payload.empty() ? 1 : 2;
  for (;;) {
    const ssize_t sent = is_socket_ ? sendmsg(fd_.get(), &message, MSG_NOSIGNAL)
                                    : writev(fd_.get(), parts, payload.empty() ? 1 : 2);
    if (sent >= 0) return {};
    if (errno == EAGAIN) {
      STASIS_RETURN_IF_ERROR(WaitUntilWritable());
    } else if (errno != EINTR) {
      return Err(errno);
    }
  }
}

Result<int32_t> Channel::OpenBacking(int fd) const {
  BackingMap map{};
  map.fd = fd;
  const int backing = ioctl(fd_.get(), kIoctlBackingOpen, &map);
  if (backing < 0) return Err(errno);
  return backing;
}

void Channel::CloseBacking(int32_t backing) const {
  auto number = static_cast<uint32_t>(backing);
  // It can fail only with the connection.
  (void)ioctl(fd_.get(), kIoctlBackingClose, &number);
}

Result<void> Channel::SendReply(uint64_t unique, int error, std::span<const std::byte> payload) {
  if (error != 0) return Send(unique, -error, {});
  return Send(unique, 0, payload);
}

Result<void> Channel::SendNotification(int code, std::span<const std::byte> payload) {
  return Send(0, code, payload);
}

}  // namespace stasis::fuse
