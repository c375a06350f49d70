// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/fuse/fake_kernel.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace stasis::fuse {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  perror(what);
  abort();
}

}  // namespace

TestTree::TestTree(const memfs::MemfsOptions& options)
    : vfs_(MakeRef<vfs::VirtualFilesystem>(clock_)) {
  namespace_ = vfs_->NewMountNamespace(memfs::MemFilesystem::Create(*vfs_, options), {});
}

TestTree::~TestTree() {
  namespace_.reset();
  vfs_->Teardown();
}

vfs::VirtualDentry TestTree::Find(std::string_view path) {
  const vfs::VirtualDentry top = root();
  auto found = vfs_->GetDentryAt(creds_, {top, top, path});
  Require(found.has_value(), "TestTree::Find");
  return *found;
}

void TestTree::MakeFile(std::string_view path) {
  const vfs::VirtualDentry top = root();
  Require(vfs_->MknodAt(creds_, {top, top, path}, {S_IFREG | 0644, 0}).has_value(), "MakeFile");
}

void TestTree::MakeDirectory(std::string_view path) {
  const vfs::VirtualDentry top = root();
  Require(vfs_->MkdirAt(creds_, {top, top, path}, 0755).has_value(), "MakeDirectory");
}

Payload& Payload::Raw(const void* data, size_t size) {
  const auto* begin = static_cast<const std::byte*>(data);
  bytes_.insert(bytes_.end(), begin, begin + size);
  return *this;
}

FakeKernel::FakeKernel(const ServerOptions& options, const memfs::MemfsOptions& tree_options)
    : tree_(tree_options), server_(std::make_unique<Server>(tree_.vfs(), tree_.root(), options)) {
  Connect();
}

FakeKernel::FakeKernel(RefPtr<vfs::VirtualFilesystem> vfs, RefPtr<FuseState> state,
                       const ServerOptions& options, const std::function<void(Server&)>& prepare)
    : server_(std::make_unique<Server>(std::move(vfs), std::move(state), options)) {
  if (prepare) prepare(*server_);
  Connect();
}

void FakeKernel::Connect() {
  int ends[2];
  Require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  const int size = 4 << 20;
  for (int end : ends) setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
  socket_ = UniqueFd(ends[0]);
  Require(server_->Serve(UniqueFd(ends[1])).ok(), "Serve");
}

FakeKernel::~FakeKernel() { server_.reset(); }

FakeReply FakeKernel::Init(uint32_t offered) {
  fuse_init_in in{};
  in.major = FUSE_KERNEL_VERSION;
  in.minor = kNewestMinorVersion;
  in.max_readahead = 1 << 17;
  in.flags = offered;
  in.flags2 = ~0u;
  return Call(FUSE_INIT, 0, Payload().Struct(in));
}

uint64_t FakeKernel::Send(uint32_t opcode, uint64_t node, const Bytes& payload) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof(header) + payload.size());
  header.opcode = opcode;
  header.unique = next_unique_;
  header.nodeid = node;
  next_unique_ += 2;
  SendRaw(Payload().Struct(header).Raw(payload.data(), payload.size()));
  return header.unique;
}

void FakeKernel::SendRaw(const Bytes& message) {
  Require(send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0, "send");
}

std::optional<FakeReply> FakeKernel::Receive(int timeout_ms) {
  pollfd fd{socket_.get(), POLLIN, 0};
  if (poll(&fd, 1, timeout_ms) != 1) return std::nullopt;
  const ssize_t size = recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
  fuse_out_header header;
  if (size < static_cast<ssize_t>(sizeof(header))) return std::nullopt;
  std::memcpy(&header, buffer_.data(), sizeof(header));
  if (header.len != size) return std::nullopt;
  return FakeReply{header.unique, -header.error,
                   Bytes(buffer_.begin() + sizeof(header), buffer_.begin() + size)};
}

std::optional<FakeReply> FakeKernel::ReceiveReply() {
  std::optional<FakeReply> reply;
  do {
    reply = Receive();
  } while (reply.has_value() && reply->unique == 0);
  return reply;
}

FakeReply FakeKernel::Call(uint32_t opcode, uint64_t node, const Bytes& payload) {
  const uint64_t unique = Send(opcode, node, payload);
  std::optional<FakeReply> reply = ReceiveReply();
  if (!reply.has_value() || reply->unique != unique) return {unique, ETIMEDOUT, {}};
  return *reply;
}

FakeReply FakeKernel::Lookup(uint64_t dir, std::string_view name) {
  return Call(FUSE_LOOKUP, dir, Payload().Text(name));
}

bool FakeKernel::Alive() {
  const FakeReply reply = Call(FUSE_GETATTR, FUSE_ROOT_ID, Payload().Struct(fuse_getattr_in{}));
  return reply.error == 0 && reply.payload.size() == sizeof(fuse_attr_out) &&
         S_ISDIR(reply.As<fuse_attr_out>().attr.mode);
}

}  // namespace stasis::fuse
