// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/takeover_channel.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace stasis::cli {
namespace {

constexpr size_t kMaxPacket = 64 * 1024;
constexpr size_t kFdsPerPacket = 128;  // SCM_RIGHTS takes 253
constexpr int kMostFds = 1 << 16;

union ControlBuffer {
  char bytes[CMSG_SPACE(kFdsPerPacket * sizeof(int))];
  cmsghdr align;
};

absl::Status Ended() { return absl::AbortedError("the other process has ended"); }

std::vector<UniqueFd> FdsOf(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

absl::Status WaitReadable(int fd, absl::Time deadline) {
  for (;;) {
    int timeout = -1;
    if (deadline != absl::InfiniteFuture())
      timeout = static_cast<int>(std::clamp<int64_t>(
          absl::ToInt64Milliseconds(deadline - absl::Now()) + 1, 0, int64_t{1} << 30));
    pollfd entry{fd, POLLIN, 0};
    const int ready = poll(&entry, 1, timeout);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "cannot wait for a message");
    if (ready == 0 && absl::Now() >= deadline)
      return absl::DeadlineExceededError("the other process does not answer in time");
  }
}

absl::StatusOr<UniqueFd> FileOf(const nlohmann::json& json) {
  const std::vector<uint8_t> bytes = nlohmann::json::to_cbor(json);
  UniqueFd file(memfd_create("stasis-description", MFD_CLOEXEC));
  if (!file.valid()) return absl::ErrnoToStatus(errno, "cannot make a file in memory");
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n =
        pwrite(file.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::ErrnoToStatus(n < 0 ? errno : EIO, "cannot write the description");
    at += static_cast<size_t>(n);
  }
  return file;
}

absl::StatusOr<nlohmann::json> ReadFileOf(const UniqueFd& file) {
  struct stat st {};
  if (fstat(file.get(), &st) != 0) return absl::ErrnoToStatus(errno, "cannot read the description");
  std::vector<uint8_t> bytes(static_cast<size_t>(st.st_size));
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n =
        pread(file.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::ErrnoToStatus(n < 0 ? errno : EIO, "cannot read the description");
    at += static_cast<size_t>(n);
  }
  nlohmann::json json = nlohmann::json::from_cbor(bytes, /*strict=*/true,
                                                  /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("the description is not whole");
  return json;
}

}  // namespace

nlohmann::json FailureOf(const absl::Status& status) {
  return {{"code", static_cast<int>(status.code())}, {"message", std::string(status.message())}};
}

absl::StatusOr<std::pair<TakeoverChannel, TakeoverChannel>> TakeoverChannel::MakePair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return absl::ErrnoToStatus(errno, "cannot make a socket pair");
  return std::pair(TakeoverChannel(UniqueFd(ends[0])), TakeoverChannel(UniqueFd(ends[1])));
}

absl::Status TakeoverChannel::Send(const nlohmann::json& json, std::span<const int> fds) {
  std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBuffer control{};
  if (!fds.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  }
  while (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EPIPE || errno == ECONNRESET) return Ended();
    if (errno != EINTR) return absl::ErrnoToStatus(errno, "cannot send to the other process");
  }
  return absl::OkStatus();
}

absl::StatusOr<TakeoverChannel::Packet> TakeoverChannel::Receive(absl::Time deadline) {
  if (absl::Status ready = WaitReadable(socket_.get(), deadline); !ready.ok()) return ready;
  std::vector<char> bytes(kMaxPacket);
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlBuffer control{};
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t size = 0;
  do {
    size = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return Ended();
  Packet packet;
  packet.fds = FdsOf(message);
  packet.json = nlohmann::json::parse(bytes.begin(), bytes.begin() + size, nullptr,
                                      /*allow_exceptions=*/false);
  if (!packet.json.is_object())
    return absl::InternalError("the other process sent what is no message");
  if ((message.msg_flags & MSG_CTRUNC) != 0)
    return absl::ResourceExhaustedError("no descriptor is left for what is handed over");
  return packet;
}

namespace {

// kAborted is said of the other end alone.
absl::Status Failure(const nlohmann::json& failed) {
  auto code = static_cast<absl::StatusCode>(failed.value("code", 13));
  if (code == absl::StatusCode::kAborted) code = absl::StatusCode::kInternal;
  return {code, failed.value("message", "it does not say why")};
}

}  // namespace

absl::StatusOr<nlohmann::json> TakeoverChannel::Open(const nlohmann::json& json, const char* what) {
  if (const auto failed = json.find("failed"); failed != json.end() && failed->is_object())
    return Failure(*failed);
  const auto found = json.find(what);
  if (found == json.end() || !found->is_object())
    return absl::InternalError(
        absl::StrCat("the other process sent another message than '", what, "'"));
  return *found;
}

absl::Status TakeoverChannel::Say(const char* what, nlohmann::json with) {
  return Send({{what, std::move(with)}}, {});
}

absl::StatusOr<nlohmann::json> TakeoverChannel::Hear(const char* what, absl::Time deadline) {
  const absl::StatusOr<Packet> packet = Receive(deadline);
  if (!packet.ok()) return packet.status();
  return Open(packet->json, what);
}

absl::StatusOr<std::string> TakeoverChannel::HearAny(absl::Time deadline) {
  const absl::StatusOr<Packet> packet = Receive(deadline);
  if (!packet.ok()) return packet.status();
  if (packet->json.empty()) return absl::InternalError("the other process said nothing");
  return packet->json.begin().key();
}

absl::Status TakeoverChannel::SendParcel(const restore::Parcel& parcel) {
  const absl::StatusOr<UniqueFd> file = FileOf(parcel.json);
  if (!file.ok()) return file.status();
  std::vector<int> fds = {file->get()};
  for (const UniqueFd& fd : parcel.fds) fds.push_back(fd.get());
  if (absl::Status said = Say("take", {{"fds", fds.size()}}); !said.ok()) return said;
  for (size_t at = 0; at < fds.size(); at += kFdsPerPacket) {
    const auto some = std::span(fds).subspan(at, std::min(kFdsPerPacket, fds.size() - at));
    if (absl::Status sent = Send({{"fds", some.size()}}, some); !sent.ok()) return sent;
  }
  return absl::OkStatus();
}

absl::StatusOr<restore::Parcel> TakeoverChannel::ReceiveParcel(absl::Time deadline) {
  const absl::StatusOr<nlohmann::json> take = Hear("take", deadline);
  if (!take.ok()) return take.status();
  const int count = take->value("fds", 0);
  if (count < 1 || count > kMostFds) return absl::DataLossError("what is handed over is not whole");
  restore::Parcel parcel;
  while (parcel.fds.size() < static_cast<size_t>(count)) {
    absl::StatusOr<Packet> packet = Receive(deadline);
    if (!packet.ok()) return packet.status();
    if (packet->fds.empty()) return absl::DataLossError("what is handed over is not whole");
    for (UniqueFd& fd : packet->fds) parcel.fds.push_back(std::move(fd));
  }
  absl::StatusOr<nlohmann::json> json = ReadFileOf(parcel.fds.front());
  if (!json.ok()) return json.status();
  parcel.json = *std::move(json);
  parcel.fds.erase(parcel.fds.begin());
  return parcel;
}

}  // namespace stasis::cli
