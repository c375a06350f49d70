// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace stasis::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kStep = std::chrono::milliseconds(5);

std::vector<char*> Pointers(const Strings& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

void PrintTo(const Outcome& outcome, std::ostream* os) {
  *os << "exit code " << outcome.exit_code << "\nstdout: " << outcome.out
      << "\nstderr: " << outcome.err;
}

void CliTest::SetUp() {
  char scratch[] = "/tmp/stasis-test-XXXXXX";
  ASSERT_NE(mkdtemp(scratch), nullptr);
  scratch_ = scratch;
  binary_ = STASIS_BINARY;
}

void CliTest::TearDown() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(runtime_dir(), error))
    if (const pid_t pid = DaemonPid(entry.path().filename()); pid > 1) {
      kill(pid, SIGKILL);
      Eventually([pid] { return !IsRunning(pid); });
      Stasis({"stop", entry.path().filename()});
    }
  for (const pid_t pid : started_) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  std::filesystem::remove_all(scratch_, error);
}

pid_t CliTest::Start(const Strings& arguments) {
  Strings line = prefix_;
  line.push_back(binary_);
  line.insert(line.end(), arguments.begin(), arguments.end());
  const pid_t pid = fork();
  if (pid == 0) {
    (void)!chdir(scratch_.c_str());
    // Whatever the runner of the tests ignores.
    for (int signal : {SIGINT, SIGQUIT, SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
    setenv("STASIS_RUNTIME_DIR", runtime_dir().c_str(), 1);
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(open(Path("out." + std::to_string(getpid())).c_str(), O_CREAT | O_TRUNC | O_RDWR, 0666),
         1);
    dup2(open(Path("err." + std::to_string(getpid())).c_str(), O_CREAT | O_TRUNC | O_RDWR, 0666),
         2);
    execvp(line[0].c_str(), Pointers(line).data());
    _exit(126);
  }
  started_.push_back(pid);
  return pid;
}

Outcome CliTest::Wait(pid_t pid, std::chrono::seconds timeout) {
  const auto deadline = Clock::now() + timeout;
  Outcome outcome;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(kStep);
  }
  std::erase(started_, pid);
  if (Clock::now() <= deadline)
    outcome.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  outcome.out = ReadFile(Path("out." + std::to_string(pid)));
  outcome.err = ReadFile(Path("err." + std::to_string(pid)));
  return outcome;
}

Outcome CliTest::Stasis(const Strings& arguments, std::chrono::seconds timeout) {
  return Wait(Start(arguments), timeout);
}

pid_t CliTest::StartHost(const Strings& arguments) {
  const Strings prefix = std::exchange(prefix_, {});
  const std::string binary = std::exchange(binary_, arguments[0]);
  const pid_t pid = Start({arguments.begin() + 1, arguments.end()});
  prefix_ = prefix;
  binary_ = binary;
  return pid;
}

Outcome CliTest::Host(const Strings& arguments, std::chrono::seconds timeout) {
  return Wait(StartHost(arguments), timeout);
}

Outcome CliTest::In(const std::string& name, const std::string& script) {
  return Stasis({"exec", name, "--", "/bin/sh", "-ec", script});
}

void CliTest::StartBox(const std::string& name, Strings options, const Strings& command) {
  Strings line = {"run", "--detach", "--name", name};
  line.insert(line.end(), options.begin(), options.end());
  if (!command.empty()) line.push_back("--");
  line.insert(line.end(), command.begin(), command.end());
  const Outcome outcome = Stasis(line);
  ASSERT_THAT(outcome, Succeeded());
  ASSERT_EQ(outcome.out, name + "\n");
}

void CliTest::WriteFile(const std::string& name, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
  std::ofstream(Path(name)) << content;
}

std::string CliTest::ReadFile(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

nlohmann::json CliTest::Record(const std::string& name) {
  nlohmann::json json =
      nlohmann::json::parse(ReadFile(runtime_dir() + "/" + name + "/record.json"), nullptr, false);
  return json.is_object() ? json : nlohmann::json::object();
}

pid_t CliTest::InitPid(const std::string& name) {
  const nlohmann::json boxes = Stasis({"ps", "--json"}).Json().at("sandboxes");
  for (const nlohmann::json& box : boxes)
    if (box.at("name") == name) return box.at("init_pid");
  return 0;
}

bool CliTest::Eventually(const std::function<bool()>& condition) {
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(kStep);
  }
  return true;
}

bool CliTest::IsRunning(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat[name_end + 2] != 'Z';
}

}  // namespace stasis::cli
