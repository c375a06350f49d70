// SPDX-License-Identifier: Apache-2.0
//
// cli_fixture.h: a fixture that runs the real program.
//
// Each test has a scratch folder, which is the working directory of what it runs, and in it a
// runtime directory of its own. What a test leaves running is killed, by process number, when it
// ends.

#ifndef STASIS_TESTS_CMD_STASIS_CLI_FIXTURE_H_
#define STASIS_TESTS_CMD_STASIS_CLI_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace stasis::cli {

using Strings = std::vector<std::string>;

// How a program ended and what it printed.
struct Outcome {
  int exit_code = -1;  // 128 + signal; -1 if it had to be killed because it took too long
  std::string out;
  std::string err;

  nlohmann::json Json() const { return nlohmann::json::parse(out, nullptr, false); }
};
void PrintTo(const Outcome& outcome, std::ostream* os);

MATCHER(Succeeded, "") { return arg.exit_code == 0; }
MATCHER_P(ExitsWith, code, "") { return arg.exit_code == code; }
MATCHER_P2(FailsWith, code, message, "") {
  return arg.exit_code == code && arg.err.find(message) != std::string::npos;
}

class CliTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A path in the scratch folder.
  std::string Path(const std::string& name) const { return scratch_ + "/" + name; }
  std::string runtime_dir() const { return Path("run"); }

  // Runs `stasis ARGUMENTS`.
  Outcome Stasis(const Strings& arguments, std::chrono::seconds timeout = std::chrono::seconds(60));
  // Runs a host program.
  Outcome Host(const Strings& arguments, std::chrono::seconds timeout = std::chrono::seconds(60));
  // A shell script on the host.
  Outcome Shell(const std::string& script) { return Host({"/bin/sh", "-ec", script}); }
  // `stasis exec NAME -- /bin/sh -ec SCRIPT`.
  Outcome In(const std::string& name, const std::string& script);

  // The same in the background, and its end.
  pid_t Start(const Strings& arguments);
  pid_t StartHost(const Strings& arguments);
  Outcome Wait(pid_t pid, std::chrono::seconds timeout = std::chrono::seconds(60));

  // Starts a sandbox with options, detached, and expects success.
  void StartBox(const std::string& name, Strings options = {}, const Strings& command = {});

  void WriteFile(const std::string& name, const std::string& content);
  static std::string ReadFile(const std::string& path);

  nlohmann::json Record(const std::string& name);
  pid_t DaemonPid(const std::string& name) { return Record(name).value("daemon_pid", 0); }
  pid_t InitPid(const std::string& name);

  // Tries until `condition` holds; false after ten seconds.
  static bool Eventually(const std::function<bool()>& condition);
  static bool IsRunning(pid_t pid);

  // Put before the program and its arguments by Stasis() and Start().
  Strings prefix_;
  std::string binary_;

 private:
  std::string scratch_;
  std::vector<pid_t> started_;
};

}  // namespace stasis::cli

#endif  // STASIS_TESTS_CMD_STASIS_CLI_FIXTURE_H_
