// SPDX-License-Identifier: Apache-2.0
//
// tree_server.h: a tree that is served without a sandbox, as `mount` and `serve` do.

#ifndef STASIS_CMD_STASIS_TREE_SERVER_H_
#define STASIS_CMD_STASIS_TREE_SERVER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cmd/fuse/server.h"
#include "cmd/stasis/content.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/memory_options.h"
#include "restore/checkpoint.h"
#include "state/base/unique_fd.h"

namespace stasis::cli {

// As on the command line.
struct TreeOptions {
  std::string reference;  // empty: a new tree
  std::vector<std::string> imports;
  std::string prefetch = "trace";
  HostOptions host;
  MemoryOptions memory;
};
// All but the image and imports.
void AddTreeOptions(CLI::App& command, TreeOptions& options);

// The same, understood.
struct ServedTreeOptions {
  ContentOptions content;
  MemoryLimits limits;
};
absl::StatusOr<ServedTreeOptions> ReadTreeOptions(const TreeOptions& options);

// Not thread-safe.
class TreeServer {
 public:
  // `types` is borrowed. Errors: those of MakeContent; kCancelled once `cancel` is true.
  static absl::StatusOr<std::unique_ptr<TreeServer>> Make(const Types& types,
                                                          const ServedTreeOptions& options,
                                                          const std::atomic<bool>* cancel);
  // Stops serving and takes the tree down.
  ~TreeServer();

  // Once.
  absl::Status Serve(UniqueFd device, const fuse::ServerOptions& how);
  fuse::Server& server() { return *server_; }
  const std::vector<std::string>& warnings() const { return content_.warnings; }

  // Ends the server and writes the tree as it is then. Errors: as of restore::Checkpoint.
  absl::StatusOr<restore::CheckpointReport> Save(const std::string& directory,
                                                 const std::string& tag);

 private:
  TreeServer(const Types& types, Content content) : types_(types), content_(std::move(content)) {}

  const Types& types_;
  Content content_;
  std::unique_ptr<fuse::Server> server_;
};

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_TREE_SERVER_H_
