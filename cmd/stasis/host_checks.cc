// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/host_checks.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>

#include "cmd/fuse/mount.h"
#include "cmd/fuse/protocol.h"
#include "cmd/sandbox/cgroup.h"
#include "cmd/sandbox/init.h"
#include "cmd/sandbox/sandbox.h"
#include "cmd/stasis/content.h"

namespace stasis::cli {
namespace {

// Bits of the flags in FUSE_INIT, of which the upper half is in flags2.
constexpr uint64_t kPassthrough = uint64_t{1} << 37;
constexpr uint64_t kOverIoUring = uint64_t{1} << 41;

constexpr const char kUringSwitch[] = "/sys/module/fuse/parameters/enable_uring";

// What the kernel says when a mount begins.
struct KernelFuse {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t flags = 0;
};

std::optional<KernelFuse> ReadInitRequest(const UniqueFd& device) {
  pollfd entry{device.get(), POLLIN, 0};
  std::vector<char> request(256 * 1024);
  if (poll(&entry, 1, 2000) != 1) return std::nullopt;
  const ssize_t size = read(device.get(), request.data(), request.size());
  fuse_in_header header{};
  fuse_init_in init{};
  constexpr size_t kShortest = sizeof header + offsetof(fuse_init_in, flags) + sizeof init.flags;
  if (size < static_cast<ssize_t>(kShortest)) return std::nullopt;
  std::memcpy(&header, request.data(), sizeof header);
  const size_t body = std::min(static_cast<size_t>(size) - sizeof header, sizeof init);
  std::memcpy(&init, request.data() + sizeof header, body);
  return KernelFuse{init.major, init.minor, init.flags | uint64_t{init.flags2} << 32};
}

// An empty directory for as long as it lives.
class Staging {
 public:
  Staging() { made_ = mkdtemp(path_) != nullptr; }
  ~Staging() {
    if (made_) rmdir(path_);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  const char* path() const { return path_; }

 private:
  char path_[32] = "/tmp/stasis-check-XXXXXX";
  bool made_ = false;
};

// Does what `run` begins with: namespaces, and a FUSE mount in them.
absl::StatusOr<KernelFuse> TryMount() {
  const Staging staging;
  absl::StatusOr<std::unique_ptr<sandbox::Init>> init = sandbox::Init::Start(geteuid() != 0);
  if (!init.ok()) return init.status();
  absl::StatusOr<UniqueFd> device = (*init)->MakeFuse(0, "stasis:check", staging.path());
  if (!device.ok()) return device.status();
  if (std::optional<KernelFuse> kernel = ReadInitRequest(*device); kernel.has_value())
    return *kernel;
  return absl::UnavailableError("the kernel does not begin to talk");
}

// Does the rest of it: a tree, everything that is mounted in it, and the change of the root.
absl::Status TrySandbox() {
  const Staging staging;
  absl::StatusOr<std::unique_ptr<sandbox::Init>> init = sandbox::Init::Start(geteuid() != 0);
  if (!init.ok()) return init.status();
  const Types types;
  absl::StatusOr<Content> content = MakeContent(types, {}, {}, nullptr);
  if (!content.ok()) return content.status();
  sandbox::SandboxOptions options;
  options.name = "check";
  options.hostname = "check";
  options.staging = staging.path();
  options.freezer = sandbox::FreezerKind::kSignal;
  options.rootless = geteuid() != 0;
  return sandbox::Sandbox::Start(std::move(*init), std::move(content->tree), options).status();
}

// A failed check, of an error "WHAT; REMEDY".
HostCheck Failed(const std::string& name, const absl::Status& error) {
  const std::string message(error.message());
  const size_t end = message.find("; ");
  if (end != std::string::npos)
    return {name, false, true, message.substr(0, end), message.substr(end + 2)};
  return {name, false, true, message,
          "let this user make namespaces and mount in them, or be root with CAP_SYS_ADMIN"};
}

HostCheck CheckDevice() {
  HostCheck check{"fuse", true, true, "/dev/fuse can be opened", ""};
  if (absl::StatusOr<UniqueFd> device = fuse::OpenDevice(); !device.ok()) {
    check.ok = false;
    check.detail = std::string(device.status().message());
    check.remedy = access("/dev/fuse", F_OK) == 0
                       ? "be root, or: chmod 0666 /dev/fuse"
                       : "modprobe fuse; in a container: --device /dev/fuse";
  }
  return check;
}

HostCheck CheckMount(const absl::StatusOr<KernelFuse>& kernel) {
  if (kernel.ok())
    return {"mount", true, true,
            absl::StrCat("FUSE ", kernel->major, ".", kernel->minor,
                         " mounts in namespaces of its own"),
            ""};
  return Failed("mount", kernel.status());
}

HostCheck CheckSandbox() {
  const absl::Status status = TrySandbox();
  if (!status.ok()) return Failed("sandbox", status);
  return {"sandbox", true, true, "/proc, /dev and a root of its own can be had", ""};
}

HostCheck CheckPassthrough(const absl::StatusOr<KernelFuse>& kernel) {
  const bool ok = kernel.ok() && (kernel->flags & kPassthrough) != 0;
  return {"passthrough", ok, false, ok ? "the kernel offers it" : "the kernel does not offer it",
          ok ? "" : "Linux 6.9 or later with CONFIG_FUSE_PASSTHROUGH; it is optional"};
}

HostCheck CheckUring(const absl::StatusOr<KernelFuse>& kernel) {
  std::string value;
  std::ifstream(kUringSwitch) >> value;
  const bool offered = kernel.ok() && (kernel->flags & kOverIoUring) != 0;
  HostCheck check{"io_uring", offered, false, "the kernel offers it", ""};
  if (offered) return check;
  check.detail = value.empty() ? "the kernel does not know it" : "switched off";
  check.remedy = value.empty() ? "Linux 6.14 or later with CONFIG_FUSE_IO_URING; it is optional"
                               : absl::StrCat("echo Y > ", kUringSwitch, "; it is optional");
  return check;
}

HostCheck CheckUserNamespaces() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  HostCheck check{"user_namespaces", ok, geteuid() != 0, "can be made", ""};
  if (ok) return check;
  check.detail = absl::StrCat("cannot be made: ", strerror(WEXITSTATUS(status)));
  check.remedy =
      "sysctl user.max_user_namespaces=10000 (Debian: also "
      "kernel.unprivileged_userns_clone=1), or run as root";
  return check;
}

HostCheck CheckFreezer() {
  absl::StatusOr<sandbox::Cgroup> group = sandbox::Cgroup::Create(absl::StrCat("check.", getpid()));
  HostCheck check{"freezer", group.ok(), false, "", ""};
  if (group.ok()) {
    check.detail = absl::StrCat("cgroup version ", group->version(), " at ", group->path());
    group->Destroy();
    return check;
  }
  check.detail = absl::StrCat("no cgroup: ", group.status().message());
  check.remedy =
      "checkpoints stop programs by signals instead; for a cgroup be root, or have one "
      "delegated (systemd-run --user --scope -p Delegate=yes)";
  return check;
}

// The first line that a program prints, and how it ends; -1 if there is no such program.
int RunQuietly(const std::string& command, std::string& line) {
  FILE* output = popen(absl::StrCat(command, " 2>&1").c_str(), "re");
  if (output == nullptr) return -1;
  char buffer[512];
  while (fgets(buffer, sizeof buffer, output) != nullptr)
    if (line.empty()) line = buffer;
  const int status = pclose(output);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (!WIFEXITED(status) || WEXITSTATUS(status) == 127) return -1;
  return WEXITSTATUS(status);
}

HostCheck CheckCriu() {
  std::string version, said;
  HostCheck check{"criu", false, false, "not installed", ""};
  if (RunQuietly("criu --version", version) != 0) {
    check.remedy = "apt-get install criu; it is optional: it saves processes (docs/criu.md)";
    return check;
  }
  const int result = RunQuietly("criu check", said);
  check.ok = result == 0;
  check.detail = check.ok ? version : absl::StrCat(version, ": ", said);
  if (check.ok) return check;
  // Linux 6.13 has split the pages beside the vDSO.
  const bool too_old = absl::StrContains(said, "vDSO area bounds");
  check.remedy = too_old ? "a newer CRIU than 4.0, for Linux 6.13 and later; it is optional"
                         : "`criu check` says what it misses; it is optional";
  return check;
}

HostCheck CheckPrivileges() {
  const bool root = geteuid() == 0;
  return {"privileges", true, false,
          root ? "root: sandboxes have no user namespace"
               : "not root: sandboxes get a user namespace, in which you are root",
          ""};
}

}  // namespace

std::vector<HostCheck> CheckHost() {
  const absl::StatusOr<KernelFuse> kernel = TryMount();
  return {CheckPrivileges(),        CheckDevice(),         CheckMount(kernel),
          CheckSandbox(),           CheckUserNamespaces(), CheckFreezer(),
          CheckPassthrough(kernel), CheckUring(kernel),    CheckCriu()};
}

}  // namespace stasis::cli
