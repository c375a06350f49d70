// SPDX-License-Identifier: Apache-2.0
//
// fake_kernel.h: the other end of a FUSE server, over a socket, that can say anything.

#ifndef STASIS_TESTS_CMD_FUSE_FAKE_KERNEL_H_
#define STASIS_TESTS_CMD_FUSE_FAKE_KERNEL_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/fuse/protocol.h"
#include "cmd/fuse/server.h"
#include "fsimpl/memfs/filesystem.h"
#include "state/base/clock.h"
#include "state/base/unique_fd.h"
#include "vfs/virtual_filesystem.h"

namespace stasis::fuse {

// An empty memfs, taken down at the end.
class TestTree {
 public:
  explicit TestTree(const memfs::MemfsOptions& options = {});
  ~TestTree();

  const RefPtr<vfs::VirtualFilesystem>& vfs() { return vfs_; }
  vfs::VirtualDentry root() const { return namespace_->root(); }
  // The file of a path from the root. Requires: it is there.
  vfs::VirtualDentry Find(std::string_view path);
  void MakeFile(std::string_view path);
  void MakeDirectory(std::string_view path);
  vfs::MountNamespace& mounts() { return *namespace_; }
  const vfs::Credentials& creds() const { return creds_; }

 private:
  RealClock clock_;
  const vfs::Credentials creds_ = vfs::Credentials::Root();
  RefPtr<vfs::VirtualFilesystem> vfs_;
  RefPtr<vfs::MountNamespace> namespace_;
};

using Bytes = std::vector<std::byte>;

// Puts a payload together.
class Payload {
 public:
  template <typename T>
  Payload& Struct(const T& value) {
    return Raw(&value, sizeof(value));
  }
  Payload& Text(std::string_view text) {
    Raw(text.data(), text.size());
    bytes_.push_back(std::byte{0});
    return *this;
  }
  Payload& Raw(const void* data, size_t size);
  const Bytes& bytes() const { return bytes_; }
  operator const Bytes&() const { return bytes_; }  // NOLINT(google-explicit-constructor)

 private:
  Bytes bytes_;
};

struct FakeReply {
  uint64_t unique = 0;
  int error = 0;  // positive, or 0
  Bytes payload;

  // The payload's beginning. Requires: it is long enough.
  template <typename T>
  T As() const {
    T value{};
    if (payload.size() >= sizeof(T)) std::memcpy(&value, payload.data(), sizeof(T));
    return value;
  }
};

// A server over a TestTree, and its fake kernel.
class FakeKernel {
 public:
  explicit FakeKernel(const ServerOptions& options = {},
                      const memfs::MemfsOptions& tree_options = {});
  // Of a restored tree; tree() is another. `prepare` is called before it serves.
  FakeKernel(RefPtr<vfs::VirtualFilesystem> vfs, RefPtr<FuseState> state,
             const ServerOptions& options = {},
             const std::function<void(Server&)>& prepare = nullptr);
  // Of a server elsewhere; there is no server(), and tree() is another.
  explicit FakeKernel(UniqueFd socket) : socket_(std::move(socket)) {}
  ~FakeKernel();

  TestTree& tree() { return tree_; }
  Server& server() { return *server_; }

  // Says INIT. Most requests are refused before. Offers everything but to open files unasked.
  FakeReply Init(uint32_t offered = ~uint32_t{FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT});

  // Sends a request and returns its id. The header's length is right.
  uint64_t Send(uint32_t opcode, uint64_t node, const Bytes& payload);
  // Sends bytes as they are.
  void SendRaw(const Bytes& message);
  // The next reply; nothing if none comes within `timeout_ms`.
  std::optional<FakeReply> Receive(int timeout_ms = 10'000);
  // The same, passing over notifications.
  std::optional<FakeReply> ReceiveReply();
  // Send and ReceiveReply. A missing reply has the error ETIMEDOUT.
  FakeReply Call(uint32_t opcode, uint64_t node, const Bytes& payload);
  FakeReply Lookup(uint64_t dir, std::string_view name);
  // True if the server still answers as it should.
  bool Alive();

  // The peer goes away.
  void Hangup() { socket_.reset(); }

 private:
  void Connect();

  TestTree tree_;
  std::unique_ptr<Server> server_;
  UniqueFd socket_;
  Bytes buffer_ = Bytes(2 << 20);  // of replies
  uint64_t next_unique_ = 2;       // even, as the kernel's
};

}  // namespace stasis::fuse

#endif  // STASIS_TESTS_CMD_FUSE_FAKE_KERNEL_H_
