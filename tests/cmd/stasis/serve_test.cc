// SPDX-License-Identifier: Apache-2.0
//
// A tree served on a socket, through the program, to a client that can say anything.

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <random>
#include <utility>

#include "state/base/unique_fd.h"
#include "tests/cmd/fuse/fake_kernel.h"
#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using fuse::Bytes;
using fuse::FakeKernel;
using fuse::FakeReply;
using fuse::Payload;
using testing::HasSubstr;
using testing::IsEmpty;

class ServeTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    ASSERT_THAT(Shell("mkdir -p src/d && echo text > src/d/file && "
                      "head -c 3000000 /dev/urandom > src/random"),
                Succeeded());
    ASSERT_THAT(Stasis({"import", "src", "snaps:base"}), Succeeded());
  }

  // Starts `stasis serve --fd N ARGUMENTS` and is its client, which says INIT.
  void StartServer(Strings arguments) {
    Connect(std::move(arguments));
    ASSERT_EQ(client_->Init().error, 0);
  }
  void Connect(Strings arguments) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const UniqueFd theirs(ends[1]);
    const int size = 4 << 20;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    const UniqueFd inherited(dup(theirs.get()));
    arguments.insert(arguments.begin(), {"serve", "--fd", std::to_string(inherited.get())});
    pid_ = Start(arguments);
    client_ = std::make_unique<FakeKernel>(UniqueFd(ends[0]));
  }
  Outcome HangUp() {
    client_->Hangup();
    return Wait(pid_);
  }

  uint64_t Find(const std::vector<std::string>& names) {
    uint64_t node = FUSE_ROOT_ID;
    for (const std::string& name : names)
      node = client_->Lookup(node, name).As<fuse_entry_out>().nodeid;
    return node;
  }
  std::string Read(uint64_t node, uint32_t size, uint64_t offset = 0) {
    const FakeReply opened =
        client_->Call(FUSE_OPEN, node, Payload().Struct(fuse_open_in{.flags = O_RDONLY}));
    fuse_read_in in{};
    in.fh = opened.As<fuse_open_out>().fh;
    in.size = size;
    in.offset = offset;
    const FakeReply reply = client_->Call(FUSE_READ, node, Payload().Struct(in));
    EXPECT_EQ(reply.error, 0);
    return {reinterpret_cast<const char*>(reply.payload.data()), reply.payload.size()};
  }
  // An operation that succeeds.
  FakeReply Do(uint32_t opcode, uint64_t node, const Bytes& payload) {
    FakeReply reply = client_->Call(opcode, node, payload);
    EXPECT_EQ(reply.error, 0) << "opcode " << opcode;
    return reply;
  }
  uint64_t MakeDirectory(const std::string& name) {
    return Do(FUSE_MKDIR, FUSE_ROOT_ID, Payload().Struct(fuse_mkdir_in{.mode = 0755}).Text(name))
        .As<fuse_entry_out>()
        .nodeid;
  }
  int Rename(uint64_t from, const std::string& name, uint64_t to, const std::string& new_name,
             uint32_t flags) {
    const fuse_rename2_in in{.newdir = to, .flags = flags};
    return client_->Call(FUSE_RENAME2, from, Payload().Struct(in).Text(name).Text(new_name)).error;
  }
  // Names and types of a directory, read in pieces of `size` bytes.
  std::map<std::string, uint32_t> List(uint64_t node, uint32_t opcode, uint32_t size = 4096) {
    const uint64_t handle =
        Do(FUSE_OPENDIR, node, Payload().Struct(fuse_open_in{})).As<fuse_open_out>().fh;
    std::map<std::string, uint32_t> found;
    fuse_read_in in{.fh = handle, .offset = 0, .size = size};
    for (FakeReply reply; !(reply = Do(opcode, node, Payload().Struct(in))).payload.empty();) {
      EXPECT_LE(reply.payload.size(), size);
      for (size_t at = 0; at < reply.payload.size();) {
        fuse_dirent entry{};
        if (opcode == FUSE_READDIRPLUS) at += sizeof(fuse_entry_out);
        std::memcpy(&entry, &reply.payload[at], FUSE_NAME_OFFSET);
        const char* name = reinterpret_cast<const char*>(&reply.payload[at + FUSE_NAME_OFFSET]);
        found.emplace(std::string(name, entry.namelen), entry.type);
        in.offset = entry.off;
        at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
      }
    }
    Do(FUSE_RELEASEDIR, node, Payload().Struct(fuse_release_in{.fh = handle}));
    found.erase(".");
    found.erase("..");
    return found;
  }
  // Makes a file in the root; returns its node and leaves it open.
  uint64_t Make(const std::string& name, const std::string& content) {
    fuse_create_in create{};
    create.flags = O_RDWR | O_CREAT;
    create.mode = S_IFREG | 0644;
    const FakeReply made =
        client_->Call(FUSE_CREATE, FUSE_ROOT_ID, Payload().Struct(create).Text(name));
    EXPECT_EQ(made.error, 0);
    const auto entry = made.As<fuse_entry_out>();
    fuse_open_out opened{};
    std::memcpy(&opened, made.payload.data() + sizeof entry, sizeof opened);
    fuse_write_in write{};
    write.fh = opened.fh;
    write.size = static_cast<uint32_t>(content.size());
    EXPECT_EQ(client_
                  ->Call(FUSE_WRITE, entry.nodeid,
                         Payload().Struct(write).Raw(content.data(), content.size()))
                  .error,
              0);
    return entry.nodeid;
  }

  pid_t pid_ = 0;
  std::unique_ptr<FakeKernel> client_;
};

TEST_F(ServeTest, ServesAnImageAndSavesWhatWasWritten) {
  StartServer({"snaps:base", "--save", "snaps:after", "--json"});
  EXPECT_EQ(Read(Find({"d", "file"}), 100), "text\n");
  const std::string all = ReadFile(Path("src/random"));
  const uint64_t random = Find({"random"});
  EXPECT_EQ(Read(random, 1 << 20, 1 << 20), all.substr(1 << 20, 1 << 20));
  Make("new", "from the client");
  Make("gone", "deleted while open");
  EXPECT_EQ(client_->Call(FUSE_UNLINK, FUSE_ROOT_ID, Payload().Text("gone")).error, 0);
  const Outcome outcome = HangUp();
  ASSERT_THAT(outcome, Succeeded());
  const nlohmann::json report = outcome.Json();
  EXPECT_THAT(report.at("reference").get<std::string>(), HasSubstr("snaps:after"));
  EXPECT_EQ(report.at("parent"), Stasis({"inspect", "snaps:base", "--json"}).Json().at("digest"));
  ASSERT_THAT(Stasis({"verify", "snaps:after"}), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:after", "out"}), Succeeded());
  EXPECT_EQ(ReadFile(Path("out/new")), "from the client");
  EXPECT_THAT(Shell("cmp src/random out/random && test ! -e out/gone"), Succeeded());
  EXPECT_EQ(Stasis({"inspect", "snaps:after", "--json"}).Json().at("deleted_files"), 0);
}

TEST_F(ServeTest, ServesACopyOfADirectory) {
  StartServer({"--import", "src:/copy"});
  EXPECT_EQ(Read(Find({"copy", "d", "file"}), 100), "text\n");
  const Outcome outcome = HangUp();
  EXPECT_THAT(outcome, Succeeded());
  EXPECT_THAT(outcome.out, IsEmpty());
}

TEST_F(ServeTest, AnInterruptEndsItAndSaves) {
  StartServer({"--save", "snaps:new"});
  Make("f", "text");
  kill(pid_, SIGINT);
  ASSERT_THAT(Wait(pid_), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:new", "out"}), Succeeded());
  EXPECT_EQ(ReadFile(Path("out/f")), "text");
}

// From INIT to DESTROY, as a kernel would.
TEST_F(ServeTest, AWholeSession) {
  StartServer({"snaps:base", "--save", "snaps:after"});
  const FakeReply missing = client_->Lookup(FUSE_ROOT_ID, "new");
  EXPECT_EQ(missing.error, 0);
  EXPECT_EQ(missing.As<fuse_entry_out>().nodeid, 0u) << "to be remembered";
  const uint64_t file = Make("new", "content");
  EXPECT_EQ(Read(file, 100), "content");
  EXPECT_EQ(
      Do(FUSE_GETATTR, file, Payload().Struct(fuse_getattr_in{})).As<fuse_attr_out>().attr.size,
      7u);
  const uint64_t directory = MakeDirectory("dir");
  for (int i = 0; i < 200; ++i)
    Do(FUSE_MKNOD, directory,
       Payload().Struct(fuse_mknod_in{.mode = S_IFREG | 0600}).Text("f" + std::to_string(i)));
  Do(FUSE_SYMLINK, directory, Payload().Text("link").Text("../new"));
  EXPECT_EQ(List(directory, FUSE_READDIRPLUS).size(), 201u);
  EXPECT_EQ(List(directory, FUSE_READDIR, 512).size(), 201u);
  EXPECT_EQ(List(directory, FUSE_READDIR).at("link"), uint32_t{DT_LNK});
  Do(FUSE_LINK, directory, Payload().Struct(fuse_link_in{.oldnodeid = file}).Text("hard"));

  EXPECT_EQ(Rename(FUSE_ROOT_ID, "new", directory, "hard", RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(Rename(FUSE_ROOT_ID, "new", directory, "f0", 0), 0);
  EXPECT_EQ(Find({"new"}), 0u);
  EXPECT_EQ(client_->Lookup(directory, "f0").As<fuse_entry_out>().nodeid, file);
  EXPECT_EQ(client_->Call(FUSE_RMDIR, FUSE_ROOT_ID, Payload().Text("dir")).error, ENOTEMPTY);
  Do(FUSE_UNLINK, directory, Payload().Text("f1"));
  EXPECT_EQ(client_->Call(FUSE_UNLINK, directory, Payload().Text("f1")).error, ENOENT);
  Do(FUSE_SETATTR, file, Payload().Struct(fuse_setattr_in{.valid = FATTR_SIZE, .size = 3}));
  EXPECT_EQ(Read(file, 100), "con");
  const auto space = Do(FUSE_STATFS, FUSE_ROOT_ID, {}).As<fuse_statfs_out>();
  EXPECT_EQ(space.st.namelen, 255u);
  EXPECT_GT(space.st.bavail, 0u);
  client_->Send(FUSE_FORGET, file, Payload().Struct(fuse_forget_in{.nlookup = 1}));  // no reply
  Do(FUSE_DESTROY, 0, {});

  ASSERT_THAT(HangUp(), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:after", "out"}), Succeeded());
  EXPECT_THAT(Shell("test \"$(cat out/dir/f0)\" = con && test out/dir/f0 -ef out/dir/hard && "
                    "test ! -e out/new && test ! -e out/dir/f1 && "
                    "test \"$(readlink out/dir/link)\" = ../new && "
                    "test $(ls out/dir | wc -l) = 201"),
              Succeeded());
}

// gVisor's client: the older INIT, few features, no READDIRPLUS, RENAME without flags.
TEST_F(ServeTest, AClientThatSaysLess) {
  Connect({"snaps:base", "--save", "snaps:after"});
  struct ShortInit {
    uint32_t major = 7, minor = 31, max_readahead = 131072, flags = FUSE_MAX_PAGES;
  };
  const FakeReply init = Do(FUSE_INIT, 0, Payload().Struct(ShortInit{}));
  EXPECT_EQ(init.As<fuse_init_out>().minor, 31u);
  EXPECT_EQ(init.As<fuse_init_out>().flags, uint32_t{FUSE_MAX_PAGES});
  EXPECT_EQ(client_->Lookup(FUSE_ROOT_ID, "new").error, ENOENT) << "not a reply without a node";
  EXPECT_EQ(List(FUSE_ROOT_ID, FUSE_READDIR).at("d"), uint32_t{DT_DIR});
  EXPECT_EQ(Read(Find({"d", "file"}), 4096), "text\n");
  EXPECT_EQ(Read(Find({"random"}), 4096, 4096), ReadFile(Path("src/random")).substr(4096, 4096));
  Make("new", "by a client that says less");
  struct ShortSetXattr {
    uint32_t size, flags;
  };
  const uint64_t file = Find({"new"});
  Do(FUSE_SETXATTR, file, Payload().Struct(ShortSetXattr{5, 0}).Text("user.x").Raw("value", 5));
  EXPECT_EQ(Do(FUSE_GETXATTR, file, Payload().Struct(fuse_getxattr_in{.size = 100}).Text("user.x"))
                .payload.size(),
            5u);
  Do(FUSE_RENAME, FUSE_ROOT_ID,
     Payload().Struct(fuse_rename_in{.newdir = Find({"d"})}).Text("new").Text("moved"));
  ASSERT_THAT(HangUp(), Succeeded());
  ASSERT_THAT(Stasis({"export", "snaps:after", "out"}), Succeeded());
  EXPECT_EQ(ReadFile(Path("out/d/moved")), "by a client that says less");
  EXPECT_EQ(Shell("getfattr --only-values -n user.x out/d/moved").out, "value");
}

TEST_F(ServeTest, WhatAClientMustNotSay) {
  Connect({"snaps:base"});
  EXPECT_EQ(client_->Lookup(FUSE_ROOT_ID, "d").error, EIO) << "before INIT";
  struct ShortInit {
    uint32_t major = 7, minor = 12, max_readahead = 0, flags = 0;
  };
  EXPECT_EQ(client_->Call(FUSE_INIT, 0, Payload().Struct(ShortInit{})).error, EPROTO);
  EXPECT_EQ(client_->Call(FUSE_INIT, 0, Payload().Struct(uint32_t{7})).error, EINVAL);
  ASSERT_EQ(client_->Init().error, 0);
  EXPECT_NE(client_->Init().error, 0) << "twice";
  for (const char* name : {"", ".", "..", "a/b"})
    EXPECT_EQ(client_->Lookup(FUSE_ROOT_ID, name).error, EINVAL) << name;
  EXPECT_EQ(client_->Lookup(FUSE_ROOT_ID, std::string(256, 'a')).error, ENAMETOOLONG);
  EXPECT_EQ(client_->Call(FUSE_LOOKUP, FUSE_ROOT_ID, Payload().Raw("d", 1)).error, EINVAL)
      << "no NUL";
  EXPECT_EQ(client_->Lookup(123456, "d").error, ESTALE);
  const uint64_t file = Find({"d", "file"});
  EXPECT_EQ(client_->Lookup(file, "d").error, ENOTDIR);
  EXPECT_EQ(
      client_->Call(FUSE_READ, file, Payload().Struct(fuse_read_in{.fh = 77, .size = 1})).error,
      EBADF);
  const fuse_write_in more{.fh = 77, .size = 1000};
  EXPECT_EQ(client_->Call(FUSE_WRITE, file, Payload().Struct(more).Raw("x", 1)).error, EINVAL);
  EXPECT_EQ(client_->Call(4095, FUSE_ROOT_ID, {}).error, ENOSYS);
  EXPECT_EQ(client_->Call(FUSE_STATFS, FUSE_ROOT_ID, Payload().Text("and more")).error, EINVAL);
  // Larger than any: what is cut off is no message.
  client_->SendRaw(Bytes(3 << 20, std::byte{0}));
  while (client_->Receive(200).has_value()) {
  }
  EXPECT_EQ(Read(file, 100), "text\n");
  EXPECT_THAT(HangUp(), Succeeded());
}

TEST_F(ServeTest, HostileMessagesDoNoHarm) {
  StartServer({"snaps:base", "--save", "snaps:after"});
  std::random_device device;
  const char* given = getenv("STASIS_SEED");
  const uint64_t seed = given != nullptr ? std::stoull(given) : device();
  printf("STASIS_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    Bytes message(random() % 200 + 1);
    for (std::byte& byte : message) byte = static_cast<std::byte>(random());
    // Half of them have a header that is right, with any opcode but for the end of the mount.
    if (random() % 2 == 0 && message.size() >= sizeof(fuse_in_header)) {
      fuse_in_header header{};
      header.len = static_cast<uint32_t>(message.size());
      header.opcode = static_cast<uint32_t>(random() % 60);
      if (header.opcode == FUSE_DESTROY) header.opcode = FUSE_GETATTR;
      header.unique = 1'000'001 + 2 * static_cast<uint64_t>(round);
      header.nodeid = random() % 4;
      std::memcpy(message.data(), &header, sizeof header);
    }
    client_->SendRaw(message);
    while (client_->Receive(0).has_value()) {
    }
  }
  const Bytes long_name(300, std::byte{'a'});
  client_->Send(FUSE_LOOKUP, FUSE_ROOT_ID, Payload().Raw(long_name.data(), 300).Text(""));
  client_->Send(FUSE_LOOKUP, FUSE_ROOT_ID, Payload().Text("../etc"));
  // Whatever was answered: the next answer to a right question is right.
  while (client_->Receive(200).has_value()) {
  }
  EXPECT_TRUE(client_->Alive());
  EXPECT_EQ(Read(Find({"d", "file"}), 100), "text\n");
  ASSERT_THAT(HangUp(), Succeeded());
  EXPECT_THAT(Stasis({"verify", "snaps:after"}), Succeeded());
}

TEST_F(ServeTest, SaysWhatIsWrong) {
  EXPECT_THAT(Stasis({"serve", "snaps:base"}), ExitsWith(2));
  EXPECT_THAT(Stasis({"serve", "snaps:base", "--fd", "999"}), FailsWith(2, "is not open"));
  EXPECT_THAT(Shell(binary_ + " serve snaps:base --fd 5 5</dev/null"),
              FailsWith(2, "is no socket"));
  EXPECT_THAT(Stasis({"serve", "snaps:base", "--import", "src", "--fd", "999"}),
              FailsWith(2, "not both"));
  EXPECT_THAT(Stasis({"serve", "snaps:base", "--fd", "999", "--save", "no/where:v1"}),
              FailsWith(10, "mkdir -p"));
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const UniqueFd one(ends[0]), other(ends[1]);
  EXPECT_THAT(Stasis({"serve", "snaps:base", "--fd", std::to_string(one.get())}),
              FailsWith(2, "SOCK_SEQPACKET"));
}

}  // namespace
}  // namespace stasis::cli
