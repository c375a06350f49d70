// SPDX-License-Identifier: Apache-2.0
//
// A tree served on a socket, through the program, to a client that can say anything.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
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

  // Starts `stasis serve --fd N ARGUMENTS` and is its client.
  void StartServer(Strings arguments) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const UniqueFd theirs(ends[1]);
    const int size = 4 << 20;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    const UniqueFd inherited(dup(theirs.get()));
    arguments.insert(arguments.begin(), {"serve", "--fd", std::to_string(inherited.get())});
    pid_ = Start(arguments);
    client_ = std::make_unique<FakeKernel>(UniqueFd(ends[0]));
    ASSERT_EQ(client_->Init().error, 0);
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
