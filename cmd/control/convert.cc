// SPDX-License-Identifier: Apache-2.0

#include "cmd/control/convert.h"

#include <absl/strings/str_cat.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace stasis::control {
namespace {

// Not negative.
uint64_t Milliseconds(absl::Duration time) {
  return static_cast<uint64_t>(std::max<int64_t>(absl::ToInt64Milliseconds(time), 0));
}

}  // namespace

void WriteStatus(const absl::Status& status, rpc::Status::Builder to) {
  to.setCode(static_cast<uint32_t>(status.code()));
  to.setMessage(std::string(status.message()));
  std::vector<std::pair<std::string, std::string>> payloads;
  status.ForEachPayload([&payloads](absl::string_view url, const absl::Cord& data) {
    payloads.emplace_back(std::string(url), std::string(data));
  });
  auto list = to.initPayloads(static_cast<unsigned int>(payloads.size()));
  for (unsigned int i = 0; i < list.size(); ++i) {
    list[i].setUrl(payloads[i].first);
    list[i].setData(kj::arrayPtr(reinterpret_cast<const kj::byte*>(payloads[i].second.data()),
                                 payloads[i].second.size()));
  }
}

absl::Status ReadStatus(rpc::Status::Reader from) {
  absl::Status status(static_cast<absl::StatusCode>(from.getCode()), ToString(from.getMessage()));
  for (const auto payload : from.getPayloads()) {
    const capnp::Data::Reader data = payload.getData();
    status.SetPayload(
        ToString(payload.getUrl()),
        absl::Cord(absl::string_view(reinterpret_cast<const char*>(data.begin()), data.size())));
  }
  return status;
}

void WriteTexts(const std::vector<std::string>& texts, capnp::List<capnp::Text>::Builder to) {
  for (unsigned int i = 0; i < to.size(); ++i) to.set(i, texts[i]);
}

std::vector<std::string> ReadTexts(capnp::List<capnp::Text>::Reader from) {
  std::vector<std::string> texts;
  for (const auto text : from) texts.push_back(ToString(text));
  return texts;
}

void WriteCheckpointParams(const CheckpointParams& params, rpc::CheckpointParams::Builder to) {
  to.setDirectory(params.directory);
  to.setTag(params.tag);
  to.setStop(params.stop);
  to.setDigest(params.digest);
  to.setMaxExtraMemory(params.max_extra_memory);
  to.setTimeoutMs(Milliseconds(params.timeout));
  to.setFreezeTimeoutMs(Milliseconds(params.freeze_timeout));
  to.setSeries(params.series);
  to.setCompanion(params.companion);
}

CheckpointParams ReadCheckpointParams(rpc::CheckpointParams::Reader from) {
  return {ToString(from.getDirectory()),
          ToString(from.getTag()),
          from.getStop(),
          ToString(from.getDigest()),
          from.getMaxExtraMemory(),
          absl::Milliseconds(from.getTimeoutMs()),
          absl::Milliseconds(from.getFreezeTimeoutMs()),
          ToString(from.getSeries()),
          ToString(from.getCompanion())};
}

void WriteEvents(const Events& events, capnp::List<rpc::Event>::Builder to) {
  for (unsigned int i = 0; i < to.size(); ++i) {
    const Event& event = events.events[i];
    to[i].setTimeNs(event.time_ns);
    to[i].setEvents(event.events);
    to[i].setCookie(event.cookie);
    to[i].setRemoved(event.removed);
    to[i].setPath(
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(event.path.data()), event.path.size()));
  }
}

Events ReadEvents(capnp::List<rpc::Event>::Reader from, uint64_t lost) {
  Events events;
  events.lost = lost;
  for (const auto event : from) {
    const capnp::Data::Reader path = event.getPath();
    events.events.push_back(
        {event.getTimeNs(), event.getEvents(), event.getCookie(), event.getRemoved(),
         std::string(reinterpret_cast<const char*>(path.begin()), path.size())});
  }
  return events;
}

void WriteRollbackParams(const RollbackParams& params, rpc::RollbackParams::Builder to) {
  to.setDirectory(params.directory);
  to.setTag(params.tag);
  to.setSafetyDirectory(params.safety_directory);
  to.setSafetyTag(params.safety_tag);
  to.setGraceMs(Milliseconds(params.grace));
  WriteTexts(params.roots, to.initRoots(static_cast<unsigned int>(params.roots.size())));
  to.setLayerCache(params.layer_cache);
  to.setValidate(params.validate);
  to.setOnDrift(params.on_drift);
  WriteTexts(params.rules, to.initRules(static_cast<unsigned int>(params.rules.size())));
}

RollbackParams ReadRollbackParams(rpc::RollbackParams::Reader from) {
  return {ToString(from.getDirectory()),         ToString(from.getTag()),
          ToString(from.getSafetyDirectory()),   ToString(from.getSafetyTag()),
          absl::Milliseconds(from.getGraceMs()), ReadTexts(from.getRoots()),
          ToString(from.getLayerCache()),        ToString(from.getValidate()),
          ToString(from.getOnDrift()),           ReadTexts(from.getRules())};
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
  to.setSharedMemoryBytes(info.shared_memory_bytes);
  WriteTexts(info.environment,
             to.initEnvironment(static_cast<unsigned int>(info.environment.size())));
  to.setRollbacks(info.rollbacks);
  to.setUpgrades(info.upgrades);
  to.setRecoveries(info.recoveries);
  to.setLastRecovery(info.last_recovery);
  to.setKeeperPid(info.keeper_pid);
  WriteTexts(info.command, to.initCommand(static_cast<unsigned int>(info.command.size())));
  to.setDegraded(info.degraded);
  to.setPrefetchMode(info.prefetch_mode);
  to.setPrefetchState(info.prefetch_state);
  to.setPrefetchDone(info.prefetch_done);
  to.setPrefetchTotal(info.prefetch_total);
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
  info.shared_memory_bytes = from.getSharedMemoryBytes();
  info.environment = ReadTexts(from.getEnvironment());
  info.rollbacks = from.getRollbacks();
  info.upgrades = from.getUpgrades();
  info.recoveries = from.getRecoveries();
  info.last_recovery = from.getLastRecovery();
  info.keeper_pid = from.getKeeperPid();
  info.command = ReadTexts(from.getCommand());
  info.degraded = ToString(from.getDegraded());
  info.prefetch_mode = ToString(from.getPrefetchMode());
  info.prefetch_state = ToString(from.getPrefetchState());
  info.prefetch_done = from.getPrefetchDone();
  info.prefetch_total = from.getPrefetchTotal();
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
