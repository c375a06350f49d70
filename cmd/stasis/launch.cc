// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/launch.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "cmd/sandbox/signal_relay.h"

namespace stasis::cli {
namespace {

constexpr size_t kLogTail = 2000;
constexpr int kEndIntervalMs = 10;

// SIGINT, SIGTERM and SIGHUP as something to read, while it lives.
class InterruptReader {
 public:
  InterruptReader() : signals_(sandbox::EndingSignals()) {
    sigprocmask(SIG_BLOCK, &signals_, &mask_);
    fd_.reset(signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~InterruptReader() { sigprocmask(SIG_SETMASK, &mask_, nullptr); }
  InterruptReader(const InterruptReader&) = delete;
  InterruptReader& operator=(const InterruptReader&) = delete;

  int fd() const { return fd_.get(); }
  // True if there was one.
  bool Take() {
    signalfd_siginfo info;
    return read(fd_.get(), &info, sizeof info) == sizeof info;
  }

 private:
  const sigset_t signals_;
  sigset_t mask_;
  UniqueFd fd_;
};

// Closes everything above the standard descriptors but `keep`.
void CloseOthers(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned int first = 3;
  for (int fd : keep) {
    if (static_cast<unsigned int>(fd) > first)
      (void)close_range(first, static_cast<unsigned int>(fd) - 1, 0);
    first = static_cast<unsigned int>(fd) + 1;
  }
  (void)close_range(first, ~0U, 0);
}

void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void SetSignals() {
  for (int signal : {SIGPIPE, SIGHUP, SIGINT}) ::signal(signal, SIG_IGN);
  for (int signal : {SIGTERM, SIGCHLD}) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void Detach(const LaunchOptions& options, int log, int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // until ready
  setsid();
  dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 0);
  dup2(log, 1);
  dup2(log, 2);
  (void)!chdir("/");
  RaiseFileLimit();
  SetSignals();
  std::vector<int> keep = options.keep;
  keep.push_back(pipe);
  CloseOthers(std::move(keep));
}

// What StartupLine::Failed said.
absl::Status StatusOf(const nlohmann::json& json) {
  absl::Status status(static_cast<absl::StatusCode>(json.value("code", 2)),
                      json.value("message", ""));
  const nlohmann::json payloads = json.value("payloads", nlohmann::json::object());
  for (const auto& [url, payload] : payloads.items())
    if (payload.is_string())
      status.SetPayload(url, absl::Cord(absl::string_view(payload.get<std::string>())));
  return status;
}

// Reads lines of JSON until the one that decides.
class Listener {
 public:
  Listener(int pipe, InterruptReader& interrupts, pid_t child, ProgressMode progress)
      : pipe_(pipe), interrupts_(interrupts), child_(child), line_(progress) {}

  // kUnknown: the child died.
  absl::StatusOr<nlohmann::json> Run() {
    for (std::string line; ReadLine(line);) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object() || interrupted_) continue;
      if (json.contains("ready")) {
        PassOnInterrupt();
        if (!interrupted_) return json["ready"];
      }
      if (json.contains("code")) return StatusOf(json);
      line_.Update({json.value("phase", ""), json.value("done", uint64_t{0}),
                    json.value("total", uint64_t{0}), json.value("bytes", uint64_t{0})});
    }
    if (interrupted_) return absl::CancelledError("interrupted");
    return absl::UnknownError("");
  }

  // Waits for the end of the child.
  void AwaitEnd() {
    while (waitpid(child_, nullptr, WNOHANG) == 0) {
      pollfd entry{interrupts_.fd(), POLLIN, 0};
      poll(&entry, 1, kEndIntervalMs);
      PassOnInterrupt();
    }
  }

 private:
  void PassOnInterrupt() {
    if (!interrupts_.Take()) return;
    kill(child_, interrupted_ ? SIGKILL : SIGTERM);
    interrupted_ = true;
  }

  bool ReadLine(std::string& line) {
    for (size_t looked_at = 0;;) {
      if (const size_t end = buffer_.find('\n', looked_at); end != std::string::npos) {
        line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return true;
      }
      looked_at = buffer_.size();
      pollfd entries[] = {{pipe_, POLLIN, 0}, {interrupts_.fd(), POLLIN, 0}};
      if (poll(entries, 2, -1) < 0) continue;
      PassOnInterrupt();
      if (entries[0].revents == 0) continue;
      char bytes[65536];
      const ssize_t size = read(pipe_, bytes, sizeof bytes);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return false;
      buffer_.append(bytes, static_cast<size_t>(size));
    }
  }

  const int pipe_;
  InterruptReader& interrupts_;
  const pid_t child_;
  bool interrupted_ = false;
  std::string buffer_;
  ProgressLine line_;
};

}  // namespace

void StartupLine::Send(const nlohmann::json& json) {
  if (!pipe_.valid()) return;
  const std::string text =
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = write(pipe_.get(), rest.data(), rest.size());
    if (written < 0 && errno != EINTR) return pipe_.reset();
    rest.remove_prefix(static_cast<size_t>(std::max<ssize_t>(written, 0)));
  }
}

void StartupLine::Report(const Step& step) {
  Send({{"phase", step.phase}, {"done", step.done}, {"total", step.total}, {"bytes", step.bytes}});
}

void StartupLine::Ready(const nlohmann::json& result) {
  prctl(PR_SET_PDEATHSIG, 0);
  Send({{"ready", result}});
  pipe_.reset();
}

void StartupLine::Failed(const absl::Status& status) {
  nlohmann::json payloads = nlohmann::json::object();
  status.ForEachPayload([&payloads](absl::string_view url, const absl::Cord& payload) {
    payloads[std::string(url)] = std::string(payload);
  });
  Send({{"code", static_cast<int>(status.code())},
        {"message", std::string(status.message())},
        {"payloads", std::move(payloads)}});
  pipe_.reset();
}

std::string LogNote(const std::string& log) {
  std::ifstream in(log);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.size() > kLogTail) text.erase(0, text.find('\n', text.size() - kLogTail) + 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "" : absl::StrCat("\nits log ends with:\n", text);
}

absl::StatusOr<nlohmann::json> Launch(const LaunchOptions& options,
                                      absl::FunctionRef<int(StartupLine)> body) {
  const UniqueFd log(open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", options.log));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  InterruptReader interrupts;
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "cannot fork");
  if (pid == 0) {
    from_child.reset();
    Detach(options, log.get(), to_parent.get());
    _exit(body(StartupLine(std::move(to_parent))));
  }
  to_parent.reset();
  Listener listener(from_child.get(), interrupts, pid, options.progress);
  absl::StatusOr<nlohmann::json> result = listener.Run();
  if (result.ok()) return result;
  const bool died = absl::IsUnknown(result.status());
  if (died) kill(pid, SIGKILL);
  listener.AwaitEnd();
  if (died)
    return absl::InternalError(
        absl::StrCat("the daemon died while it started", LogNote(options.log)));
  return result;
}

}  // namespace stasis::cli
