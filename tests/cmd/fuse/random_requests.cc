// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/fuse/random_requests.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <cstring>

namespace stasis::fuse {

void RandomRequests::Step() {
  switch (Below(6)) {
    case 0:
      return MakeSomething();
    case 1:
      return ChangeNames();
    case 2:
      return ChangeAttributes();
    case 3:
      return ChangeData();
    case 4:
      return OpenOrClose();
    default:
      return LookOrForget();
  }
}

void RandomRequests::MakeSomething() {
  const uint64_t dir = Node();
  switch (Below(5)) {
    case 0:
      return Told(
          kernel_.Call(FUSE_MKDIR, dir, Payload().Struct(fuse_mkdir_in{0755, 022}).Text(Name())));
    case 1:
      return Told(
          kernel_.Call(FUSE_MKNOD, dir,
                       Payload().Struct(fuse_mknod_in{S_IFREG | 0644, 0, 022, 0}).Text(Name())));
    case 2:
      return Told(kernel_.Call(FUSE_SYMLINK, dir, Payload().Text(Name()).Text("some/where")));
    default: {
      fuse_create_in in{};
      in.flags = O_RDWR | O_CREAT | (Below(2) == 0 ? O_EXCL : 0) | (Below(4) == 0 ? O_TRUNC : 0);
      in.mode = S_IFREG | 0640;
      const bool unnamed = Below(5) == 0;
      const FakeReply reply = kernel_.Call(unnamed ? FUSE_TMPFILE : FUSE_CREATE, dir,
                                           Payload().Struct(in).Text(unnamed ? "/" : Name()));
      Told(reply);
      if (reply.error != 0) return;
      fuse_open_out open{};
      std::memcpy(&open, reply.payload.data() + sizeof(fuse_entry_out), sizeof(open));
      if (open.fh != 0) handles_[open.fh] = reply.As<fuse_entry_out>().nodeid;
    }
  }
}

void RandomRequests::ChangeNames() {
  const uint64_t dir = Node();
  switch (Below(4)) {
    case 0:
      kernel_.Call(FUSE_UNLINK, dir, Payload().Text(Name()));
      return;
    case 1:
      kernel_.Call(FUSE_RMDIR, dir, Payload().Text(Name()));
      return;
    case 2:
      return Told(
          kernel_.Call(FUSE_LINK, dir, Payload().Struct(fuse_link_in{Node()}).Text(Name())));
    default: {
      constexpr uint32_t kFlags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT};
      const fuse_rename2_in in{Node(), kFlags[Below(4)], 0};
      kernel_.Call(FUSE_RENAME2, dir, Payload().Struct(in).Text(Name()).Text(Name()));
    }
  }
}

void RandomRequests::ChangeAttributes() {
  const uint64_t node = Node();
  switch (Below(4)) {
    case 0: {
      const std::string value(Below(300), 'v');
      fuse_setxattr_in in{};
      in.size = static_cast<uint32_t>(value.size());
      kernel_.Call(FUSE_SETXATTR, node,
                   Payload().Struct(in).Text("user." + Name()).Raw(value.data(), value.size()));
      return;
    }
    case 1:
      kernel_.Call(FUSE_REMOVEXATTR, node, Payload().Text("user." + Name()));
      return;
    default: {
      fuse_setattr_in in{};
      constexpr uint32_t kValid[] = {FATTR_MODE,  FATTR_UID | FATTR_GID,
                                     FATTR_SIZE,  FATTR_MTIME | FATTR_MTIME_NOW,
                                     FATTR_MTIME, 0};
      in.valid = kValid[Below(6)];
      in.mode = static_cast<uint32_t>(Below(01000));
      in.uid = in.gid = static_cast<uint32_t>(Below(3));
      in.size = Below(100'000);
      in.mtime = Below(1'000'000);
      kernel_.Call(FUSE_SETATTR, node, Payload().Struct(in));
    }
  }
}

void RandomRequests::ChangeData() {
  const uint64_t handle = Handle();
  if (handle == 0) return;
  const uint64_t node = handles_[handle];
  switch (Below(5)) {
    case 0: {
      const fuse_fallocate_in in{handle, Below(50'000), 1 + Below(50'000), Below(2) == 0 ? 0u : 3u,
                                 0};  // reserve, or punch a hole
      kernel_.Call(FUSE_FALLOCATE, node, Payload().Struct(in));
      return;
    }
    case 1: {
      fuse_copy_file_range_in in{};
      in.fh_in = handle;
      in.off_in = Below(10'000);
      in.fh_out = Handle();
      in.nodeid_out = handles_[in.fh_out];
      in.off_out = Below(100'000);
      in.len = Below(20'000);
      kernel_.Call(FUSE_COPY_FILE_RANGE, node, Payload().Struct(in));
      return;
    }
    default: {
      const std::string data(1 + Below(9000), static_cast<char>('a' + Below(26)));
      fuse_write_in in{};
      in.fh = handle;
      in.offset = Below(60'000);
      in.size = static_cast<uint32_t>(data.size());
      in.write_flags = Below(4) == 0 ? FUSE_WRITE_CACHE : 0;
      kernel_.Call(FUSE_WRITE, node, Payload().Struct(in).Raw(data.data(), data.size()));
    }
  }
}

void RandomRequests::OpenOrClose() {
  if (handles_.size() > 6 || Below(3) == 0) {
    if (handles_.empty()) return;
    const auto [handle, node] = *handles_.begin();
    handles_.erase(handle);
    fuse_release_in in{};
    in.fh = handle;
    kernel_.Call(FUSE_RELEASE, node, Payload().Struct(in));
    return;
  }
  const uint64_t node = Node();
  fuse_open_in in{};
  in.flags = O_RDWR | (Below(4) == 0 ? O_TRUNC : 0);
  const FakeReply reply = kernel_.Call(FUSE_OPEN, node, Payload().Struct(in));
  if (reply.error == 0) handles_[reply.As<fuse_open_out>().fh] = node;
}

void RandomRequests::LookOrForget() {
  if (Below(3) != 0 || nodes_.empty()) return Told(kernel_.Lookup(Node(), Name()));
  const auto it = std::next(nodes_.begin(), static_cast<int64_t>(Below(nodes_.size())));
  const uint64_t count = 1 + Below(it->second);
  const uint64_t node = it->first;
  if ((it->second -= count) == 0) nodes_.erase(it);
  if (Below(2) == 0) {
    kernel_.Send(FUSE_FORGET, node, Payload().Struct(fuse_forget_in{count}));
  } else {
    kernel_.Send(FUSE_BATCH_FORGET, 0,
                 Payload().Struct(fuse_batch_forget_in{1, 0}).Struct(fuse_forget_one{node, count}));
  }
}

}  // namespace stasis::fuse
