// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/tree_server.h"

#include <utility>

#include "cmd/stasis/output.h"

namespace stasis::cli {

void AddTreeOptions(CLI::App& command, TreeOptions& options) {
  AddPrefetchOption(command, options.prefetch);
  AddHostOptions(command, options.host);
  AddMemoryOptions(command, options.memory);
}

absl::StatusOr<ServedTreeOptions> ReadTreeOptions(const TreeOptions& options) {
  ServedTreeOptions read;
  read.content.reference = AbsoluteReference(options.reference);
  absl::StatusOr<image::PrefetchMode> prefetch = image::ParsePrefetchMode(options.prefetch);
  if (!prefetch.ok()) return prefetch.status();
  read.content.prefetch = *prefetch;
  read.content.record_trace = true;
  absl::StatusOr<HostRoots> roots = ReadHostOptions(options.host);
  if (!roots.ok()) return roots.status();
  read.content.roots = *std::move(roots);
  for (const std::string& text : options.imports) {
    absl::StatusOr<ImportSpec> spec = ParseImport(text);
    if (!spec.ok()) return spec.status();
    read.content.imports.push_back(*std::move(spec));
  }
  absl::StatusOr<MemoryLimits> limits = ReadMemoryOptions(options.memory);
  if (!limits.ok()) return limits.status();
  read.limits = *std::move(limits);
  return read;
}

absl::StatusOr<std::unique_ptr<TreeServer>> TreeServer::Make(const Types& types,
                                                             const ServedTreeOptions& options,
                                                             const std::atomic<bool>* cancel) {
  if (absl::Status set = ApplyMemoryLimits(options.limits); !set.ok()) return set;
  DataLog log;
  log.error = [](const absl::Status& error) { Warn(std::string(error.message())); };
  log.recovered = [](const std::string& what) { Warn(what); };
  absl::StatusOr<Content> content = MakeContent(
      types, options.content, [](const Step&) {}, cancel, std::move(log));
  if (!content.ok()) return content.status();
  return std::unique_ptr<TreeServer>(new TreeServer(types, *std::move(content)));
}

TreeServer::~TreeServer() {
  server_.reset();
  content_.lazy->Stop();
  content_.tree.Teardown();
}

absl::Status TreeServer::Serve(UniqueFd device, const fuse::ServerOptions& how) {
  server_ = std::make_unique<fuse::Server>(content_.tree.vfs, content_.tree.root(), how);
  if (absl::Status serving = server_->Serve(std::move(device)); !serving.ok()) return serving;
  content_.lazy->Start();
  return absl::OkStatus();
}

// What its client had open ended with it.
absl::StatusOr<restore::CheckpointReport> TreeServer::Save(const std::string& directory,
                                                           const std::string& tag) {
  if (server_ != nullptr) {
    server_->Stop();
    const vfs::Operation inside(content_.tree.vfs->gate());
    server_->state()->DropKernelState();
  }
  restore::NoFreezer nobody;
  restore::CheckpointRequest request;
  request.vfs = content_.tree.vfs.get();
  request.registry = &types_.registry();
  request.clock = &types_.clock();
  request.freezer = &nobody;
  request.directory = directory;
  request.tag = tag;
  request.creator = Creator();
  request.annotations = BaseAnnotations(content_.base_image, content_.base_config);
  request.packs = content_.lazy->LaterOptions();
  if (content_.image.has_value() && content_.image_directory == directory)
    request.parent = content_.image;
  return restore::Checkpoint(request);
}

}  // namespace stasis::cli
