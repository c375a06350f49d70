// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/init_channel.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace stasis::sandbox {
namespace {

constexpr size_t kMaxPacket = 160 * 1024;

union ControlBuffer {
  char bytes[CMSG_SPACE(sizeof(int))];
  cmsghdr align;
};

UniqueFd TakeFd(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return UniqueFd(fd);
  }
  return UniqueFd();
}

int PollTimeout(absl::Time deadline) {
  if (deadline == absl::InfiniteFuture()) return -1;
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

absl::Status WaitReadable(int fd, absl::Time deadline) {
  for (;;) {
    pollfd entry{fd, POLLIN, 0};
    const int ready = poll(&entry, 1, PollTimeout(deadline));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "cannot wait for a packet");
    if (ready == 0 && absl::Now() >= deadline)
      return absl::DeadlineExceededError("no answer from the sandbox's init");
  }
}

}  // namespace

absl::StatusOr<std::pair<InitChannel, InitChannel>> InitChannel::MakePair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return absl::ErrnoToStatus(errno, "cannot make a socket pair");
  return std::pair(InitChannel(UniqueFd(ends[0])), InitChannel(UniqueFd(ends[1])));
}

absl::Status InitChannel::Send(const nlohmann::json& json, int fd) {
  std::vector<uint8_t> bytes = nlohmann::json::to_cbor(json);
  if (bytes.size() > kMaxPacket)
    return absl::InvalidArgumentError("more mounts than fit into one message; use fewer --bind");
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBuffer control{};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return absl::UnavailableError("the sandbox's init has ended");
  return absl::OkStatus();
}

bool InitChannel::closed() const {
  pollfd entry{socket_.get(), POLLIN | POLLRDHUP, 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLRDHUP)) != 0;
}

absl::StatusOr<Packet> InitChannel::Receive(absl::Duration timeout) {
  if (absl::Status ready = WaitReadable(socket_.get(), absl::Now() + timeout); !ready.ok())
    return ready;
  std::vector<uint8_t> bytes(kMaxPacket);
  iovec part{bytes.data(), bytes.size()};
  ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t size = 0;
  do {
    size = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return absl::UnavailableError("the sandbox's init has ended");
  Packet packet;
  packet.fd = TakeFd(message);
  packet.json = nlohmann::json::from_cbor(bytes.begin(), bytes.begin() + size, /*strict=*/true,
                                          /*allow_exceptions=*/false);
  if (!packet.json.is_object()) return absl::InternalError("a packet is not a JSON object");
  return packet;
}

nlohmann::json AnswerOf(const absl::Status& status) {
  return {{"code", static_cast<int>(status.code())}, {"message", std::string(status.message())}};
}

absl::Status StatusOf(const nlohmann::json& answer) {
  return absl::Status(static_cast<absl::StatusCode>(answer.value("code", 13)),
                      answer.value("message", "an answer without a code"));
}

}  // namespace stasis::sandbox
