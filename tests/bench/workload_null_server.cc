// SPDX-License-Identifier: Apache-2.0
//
// workload_null_server: what a round trip through /dev/fuse costs when nothing is done for it.
//
//   workload_null_server DIRECTORY
//
// Mounts a filesystem that is an empty directory and serves it on one thread with a bare read() and
// write() per request: GETATTR and STATFS are answered from constants, everything else with ENOSYS.
// It is the peer of our server, so it uses nothing of ours. Ends when it is unmounted. Built by
// `workloads`.

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kMaxWrite = 1 << 20;

void Require(bool condition, const char* what) {
  if (condition) return;
  perror((std::string("workload_null_server: ") + what).c_str());
  exit(1);
}

// A reply whose header is filled in but for the request's number.
template <typename Body>
struct Reply {
  fuse_out_header header{sizeof(Reply), 0, 0};
  Body body{};
};

Reply<fuse_init_out> MakeInitReply() {
  Reply<fuse_init_out> reply;
  reply.body.major = FUSE_KERNEL_VERSION;
  reply.body.minor = FUSE_KERNEL_MINOR_VERSION;
  reply.body.max_readahead = kMaxWrite;
  reply.body.flags = FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS;
  reply.body.max_write = kMaxWrite;
  reply.body.time_gran = 1;
  return reply;
}

Reply<fuse_attr_out> MakeAttributesReply() {
  Reply<fuse_attr_out> reply;
  reply.body.attr.ino = FUSE_ROOT_ID;
  reply.body.attr.mode = S_IFDIR | 0755;
  reply.body.attr.nlink = 2;
  reply.body.attr.blksize = 4096;
  return reply;
}

Reply<fuse_statfs_out> MakeStatfsReply() {
  Reply<fuse_statfs_out> reply;
  reply.body.st.bsize = 4096;
  reply.body.st.namelen = 255;
  reply.body.st.frsize = 4096;
  return reply;
}

class Server {
 public:
  explicit Server(int device) : device_(device) {}

  // Until the filesystem is unmounted.
  void Serve() {
    std::vector<char> message(kMaxWrite + FUSE_MIN_READ_BUFFER);
    while (true) {
      const ssize_t size = read(device_, message.data(), message.size());
      if (size < 0 && (errno == EINTR || errno == ENOENT)) continue;
      if (size < 0 && errno == ENODEV) return;
      Require(size >= static_cast<ssize_t>(sizeof(fuse_in_header)), "reading the device");
      fuse_in_header request;
      memcpy(&request, message.data(), sizeof(request));
      Answer(request);
    }
  }

 private:
  void Answer(const fuse_in_header& request) {
    switch (request.opcode) {
      case FUSE_GETATTR:
        return Send(attributes_, request.unique);
      case FUSE_STATFS:
        return Send(statfs_, request.unique);
      case FUSE_INIT:
        return Send(init_, request.unique);
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;  // these have no reply
      default:
        return SendError(ENOSYS, request.unique);
    }
  }

  template <typename Body>
  void Send(Reply<Body>& reply, uint64_t unique) {
    reply.header.unique = unique;
    Write(&reply, sizeof(reply));
  }

  void SendError(int error, uint64_t unique) {
    const fuse_out_header header{sizeof(header), -error, unique};
    Write(&header, sizeof(header));
  }

  void Write(const void* reply, size_t size) {
    const ssize_t written = write(device_, reply, size);
    // ENOENT: nobody waits any more. ENODEV: the next read says so too.
    Require(written == static_cast<ssize_t>(size) || errno == ENOENT || errno == ENODEV,
            "writing a reply");
  }

  const int device_;
  Reply<fuse_init_out> init_ = MakeInitReply();
  Reply<fuse_attr_out> attributes_ = MakeAttributesReply();
  Reply<fuse_statfs_out> statfs_ = MakeStatfsReply();
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: workload_null_server DIRECTORY\n");
    return 2;
  }
  const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  Require(device >= 0, "/dev/fuse");
  const std::string options =
      "fd=" + std::to_string(device) +
      ",rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other";
  Require(mount("null", argv[1], "fuse.null", MS_NOSUID | MS_NODEV, options.c_str()) == 0, argv[1]);
  Server(device).Serve();
}
