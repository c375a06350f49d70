// SPDX-License-Identifier: Apache-2.0

#include "cmd/control/convert.h"

#include <absl/strings/str_cat.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stasis::control {

void WriteStatus(const absl::Status& status, rpc::Status::Builder to) {
  to.setCode(static_cast<uint32_t>(status.code()));
  to.setMessage(std::string(status.message()));
}

absl::Status ReadStatus(rpc::Status::Reader from) {
  return absl::Status(static_cast<absl::StatusCode>(from.getCode()), ToString(from.getMessage()));
}

void WriteInfo(const Info& info, rpc::Info::Builder to) {
  to.setName(info.name);
  to.setVersion(info.version);
  to.setDaemonPid(info.daemon_pid);
  to.setInitPid(info.init_pid);
  to.setProcesses(info.processes);
  to.setCreatedNs(info.created_ns);
  to.setSource(info.source);
  to.setRootless(info.rootless);
  to.setCgroup(info.cgroup);
  to.setCgroupVersion(static_cast<uint32_t>(info.cgroup_version));
  to.setWorkdir(info.workdir);
  to.setActivity(info.activity);
  to.setFiles(info.files);
  to.setBytes(info.bytes);
  to.setMemoryBytes(info.memory_bytes);
  to.setMemoryLimit(info.memory_limit);
  auto environment = to.initEnvironment(static_cast<unsigned int>(info.environment.size()));
  for (unsigned int i = 0; i < environment.size(); ++i) environment.set(i, info.environment[i]);
}

Info ReadInfo(rpc::Info::Reader from) {
  Info info;
  info.name = ToString(from.getName());
  info.version = ToString(from.getVersion());
  info.daemon_pid = from.getDaemonPid();
  info.init_pid = from.getInitPid();
  info.processes = from.getProcesses();
  info.created_ns = from.getCreatedNs();
  info.source = ToString(from.getSource());
  info.rootless = from.getRootless();
  info.cgroup = ToString(from.getCgroup());
  info.cgroup_version = static_cast<int>(from.getCgroupVersion());
  info.workdir = ToString(from.getWorkdir());
  info.activity = ToString(from.getActivity());
  info.files = from.getFiles();
  info.bytes = from.getBytes();
  info.memory_bytes = from.getMemoryBytes();
  info.memory_limit = from.getMemoryLimit();
  for (const auto entry : from.getEnvironment()) info.environment.push_back(ToString(entry));
  return info;
}

bool IsTrusted(kj::AsyncIoStream& stream) {
  ucred peer{};
  kj::uint size = sizeof peer;
  try {
    stream.getsockopt(SOL_SOCKET, SO_PEERCRED, &peer, &size);
  } catch (const kj::Exception&) {
    return false;
  }
  return size == sizeof peer && (peer.uid == 0 || peer.uid == geteuid());
}

absl::Status StatusOf(const kj::Exception& exception) {
  if (exception.getType() == kj::Exception::Type::DISCONNECTED)
    return absl::NotFoundError("the sandbox's daemon has ended");
  const kj::StringPtr text = exception.getDescription();
  return absl::InternalError(
      absl::StrCat("the control socket failed: ", absl::string_view(text.begin(), text.size())));
}

}  // namespace stasis::control
