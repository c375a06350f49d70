// SPDX-License-Identifier: Apache-2.0
//
// messages.h: what goes over the control socket, as plain values.

#ifndef STASIS_CMD_CONTROL_MESSAGES_H_
#define STASIS_CMD_CONTROL_MESSAGES_H_

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace stasis::control {

// See control.capnp.
struct Info {
  std::string name;
  std::string version;
  int daemon_pid = 0;
  int init_pid = 0;
  uint32_t processes = 0;
  int64_t created_ns = 0;
  std::string source;
  bool rootless = false;
  std::string cgroup;
  int cgroup_version = 0;
  std::string workdir;
  std::string activity;
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t memory_bytes = 0;
  uint64_t memory_limit = 0;  // 0: none
  uint64_t shared_memory_bytes = 0;
  std::vector<std::string> environment;
  uint32_t rollbacks = 0;
  uint32_t upgrades = 0;
  uint32_t recoveries = 0;
  std::string last_recovery;
  int32_t keeper_pid = 0;
  std::vector<std::string> command;
  std::string degraded;
  std::string prefetch_mode;
  std::string prefetch_state;
  uint64_t prefetch_done = 0;
  uint64_t prefetch_total = 0;
};

struct CheckpointParams {
  std::string directory;
  std::string tag;
  bool stop = false;
  std::string digest = "none";
  uint64_t max_extra_memory = 0;  // 0: as the library does
  absl::Duration timeout;         // zero: none
  absl::Duration freeze_timeout;  // zero: the daemon's own
  std::string series;
  std::string companion;
};

struct RollbackParams {
  std::string directory;
  std::string tag;
  std::string safety_directory;
  std::string safety_tag;
  absl::Duration grace;
  std::vector<std::string> roots;
  std::string layer_cache;
  std::string validate;
  std::string on_drift = "fail";
  std::vector<std::string> rules;
};

struct UpgradeParams {
  std::string binary;
  absl::Duration timeout;
};

struct Report {
  std::string json;
  std::string text;
};

struct MountParams {
  std::string mount;
  std::string directory;
};

struct CommitParams {
  std::string directory;
  std::string tag;
  std::string compression = "gzip";
  std::string author;
  std::string message;
};

struct Progress {
  std::string phase;
  uint64_t done = 0;
  uint64_t total = 0;
  uint64_t bytes = 0;
};

struct Event {
  int64_t time_ns = 0;
  uint32_t events = 0;  // IN_...
  uint32_t cookie = 0;
  bool removed = false;
  std::string path;
};
struct Events {
  std::vector<Event> events;
  uint64_t lost = 0;  // before them
};
// Returns whether to go on.
using EventCallback = std::function<bool(const Events&)>;

using ProgressCallback = std::function<void(const Progress&)>;

}  // namespace stasis::control

#endif  // STASIS_CMD_CONTROL_MESSAGES_H_
