// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/launch.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

namespace stasis::cli {
namespace {

constexpr size_t kLogTail = 2000;

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

void Detach(const LaunchOptions& options, int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // until ready
  setsid();
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int log = open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) log = null;
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  (void)!chdir("/");
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  std::vector<int> keep = options.keep;
  keep.push_back(pipe);
  CloseOthers(std::move(keep));
}

std::string LogTail(const std::string& path) {
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.size() > kLogTail) text.erase(0, text.size() - kLogTail);
  return text;
}

// Reads lines of JSON until the one that decides.
class Listener {
 public:
  Listener(int pipe, const std::atomic<bool>* cancel) : pipe_(pipe), cancel_(cancel) {}

  // kUnknown: the child died.
  absl::StatusOr<nlohmann::json> Run() {
    for (std::string line; ReadLine(line);) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_object()) continue;
      if (json.contains("ready")) return json["ready"];
      if (json.contains("code"))
        return absl::Status(static_cast<absl::StatusCode>(json.value("code", 2)),
                            json.value("message", ""));
      line_.Update({json.value("phase", ""), json.value("done", uint64_t{0}),
                    json.value("total", uint64_t{0}), json.value("bytes", uint64_t{0})});
    }
    if (*cancel_) return absl::CancelledError("interrupted");
    return absl::UnknownError("");
  }

 private:
  bool ReadLine(std::string& line) {
    for (;;) {
      if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
        line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return true;
      }
      char bytes[4096];
      const ssize_t size = read(pipe_, bytes, sizeof bytes);
      if (size < 0 && errno == EINTR && !*cancel_) continue;
      if (size <= 0) return false;
      buffer_.append(bytes, static_cast<size_t>(size));
    }
  }

  const int pipe_;
  const std::atomic<bool>* cancel_;
  std::string buffer_;
  ProgressLine line_;
};

}  // namespace

void StartupLine::Send(const nlohmann::json& json) {
  if (!pipe_.valid()) return;
  const std::string text =
      json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (write(pipe_.get(), text.data(), text.size()) < 0) pipe_.reset();
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
  Send({{"code", static_cast<int>(status.code())}, {"message", std::string(status.message())}});
  pipe_.reset();
}

absl::StatusOr<nlohmann::json> Launch(const LaunchOptions& options,
                                      absl::FunctionRef<int(StartupLine)> body,
                                      const std::atomic<bool>* cancel) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "cannot fork");
  if (pid == 0) {
    from_child.reset();
    Detach(options, to_parent.get());
    _exit(body(StartupLine(std::move(to_parent))));
  }
  to_parent.reset();
  absl::StatusOr<nlohmann::json> result = Listener(from_child.get(), cancel).Run();
  if (result.ok()) return result;
  kill(pid, *cancel ? SIGKILL : SIGCONT);
  waitpid(pid, nullptr, 0);
  if (absl::IsUnknown(result.status()))
    return absl::InternalError(absl::StrCat(
        "the daemon died while it started: ", LogTail(options.log), " (", options.log, ")"));
  return result;
}

}  // namespace stasis::cli
