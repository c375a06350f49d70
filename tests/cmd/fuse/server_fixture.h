// SPDX-License-Identifier: Apache-2.0
//
// server_fixture.h: the fixture of tests of the server, through a socket.

#ifndef STASIS_TESTS_CMD_FUSE_SERVER_FIXTURE_H_
#define STASIS_TESTS_CMD_FUSE_SERVER_FIXTURE_H_

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string_view>

#include "tests/cmd/fuse/fake_kernel.h"

namespace stasis::fuse {

class ServerTest : public testing::Test {
 protected:
  explicit ServerTest(const ServerOptions& options = {},
                      const memfs::MemfsOptions& tree_options = {})
      : kernel_(options, tree_options) {}

  uint64_t NodeOf(std::string_view name) {
    return kernel_.Lookup(FUSE_ROOT_ID, name).As<fuse_entry_out>().nodeid;
  }

  uint64_t OpenDir(uint64_t node) {
    const FakeReply reply = kernel_.Call(FUSE_OPENDIR, node, Payload().Struct(fuse_open_in{}));
    EXPECT_EQ(reply.error, 0);
    return reply.As<fuse_open_out>().fh;
  }

  uint64_t OpenFile(uint64_t node) {
    fuse_open_in in{};
    in.flags = O_RDWR;
    return kernel_.Call(FUSE_OPEN, node, Payload().Struct(in)).As<fuse_open_out>().fh;
  }

  // Waits for the file's lock.
  uint64_t SendSlowWrite(uint64_t node, uint64_t handle) {
    fuse_write_in in{};
    in.fh = handle;
    in.size = 1;
    return kernel_.Send(FUSE_WRITE, node, Payload().Struct(in).Raw("x", 1));
  }

  FakeReply SetMode(uint64_t node, uint32_t mode) {
    fuse_setattr_in in{};
    in.valid = FATTR_MODE;
    in.mode = mode;
    return kernel_.Call(FUSE_SETATTR, node, Payload().Struct(in));
  }

  ServerStats Stats() { return kernel_.server().stats(); }

  FakeKernel kernel_;
};

}  // namespace stasis::fuse

#endif  // STASIS_TESTS_CMD_FUSE_SERVER_FIXTURE_H_
