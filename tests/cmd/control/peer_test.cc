// SPDX-License-Identifier: Apache-2.0
//
// Who may talk to whom over the control socket. Changes its user, so it needs root.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "cmd/control/client.h"
#include "cmd/control/server.h"
#include "tests/cmd/control/null_handler.h"

namespace stasis::control {
namespace {

constexpr uid_t kOwner = 1001;
constexpr uid_t kOther = 1000;

// Runs `body` in a child that is user `uid`.
pid_t As(uid_t uid, const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(setuid(uid) == 0 ? body() : 99);
  return pid;
}

class PeerTest : public testing::Test {
 protected:
  // A server of kOwner's whose socket everybody may open.
  void SetUp() override {
    char scratch[] = "/tmp/stasis-test-XXXXXX";
    ASSERT_NE(mkdtemp(scratch), nullptr);
    scratch_ = scratch;
    ASSERT_EQ(chown(scratch, kOwner, kOwner), 0);
    ASSERT_EQ(chmod(scratch, 0755), 0);
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    server_ = As(kOwner, [&] {
      NullHandler handler;
      const auto server = Server::Start(path(), handler);
      if (!server.ok() || chmod(path().c_str(), 0666) != 0) return 1;
      (void)!write(ready[1], "r", 1);
      for (;;) pause();
    });
    close(ready[1]);
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  void TearDown() override {
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    std::filesystem::remove_all(scratch_);
  }

  std::string path() const { return scratch_ + "/control.sock"; }
  // What Connect and GetInfo say to a user.
  absl::StatusCode Ask(uid_t uid) {
    const pid_t client = As(uid, [this] {
      const auto connected = Client::Connect(path());
      const absl::Status status =
          connected.ok() ? (*connected)->GetInfo().status() : connected.status();
      return static_cast<int>(status.code());
    });
    int status = 0;
    waitpid(client, &status, 0);
    return static_cast<absl::StatusCode>(WEXITSTATUS(status));
  }

  std::string scratch_;
  pid_t server_ = 0;
};

TEST_F(PeerTest, TheOwnerAndRootAreServed) {
  EXPECT_EQ(Ask(kOwner), absl::StatusCode::kOk);
  EXPECT_EQ(Ask(0), absl::StatusCode::kOk);
}

TEST_F(PeerTest, AClientDoesNotTalkToSomebodyElse) {
  EXPECT_EQ(Ask(kOther), absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace stasis::control
