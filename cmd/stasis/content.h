// SPDX-License-Identifier: Apache-2.0
//
// content.h: the tree that is served: new, filled from host directories, or out of an image.

#ifndef STASIS_CMD_STASIS_CONTENT_H_
#define STASIS_CMD_STASIS_CONTENT_H_

#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/sandbox/sandbox.h"
#include "cmd/stasis/host_mounts.h"
#include "cmd/stasis/host_options.h"
#include "cmd/stasis/progress_line.h"
#include "cmd/stasis/rootfs.h"
#include "cmd/stasis/types.h"
#include "restore/fork.h"
#include "restore/image/lazy_image.h"
#include "restore/transfer/report.h"

namespace stasis::cli {

// "--import DIR[:DST]".
struct ImportSpec {
  std::string directory;  // absolute, on the host
  std::string target = "/";
};
// Errors: kInvalidArgument; kNotFound if the directory is not there.
absl::StatusOr<ImportSpec> ParseImport(std::string_view text);

// A running sandbox's tree as it was offered (daemon/tasks.h).
struct ForkedTree {
  std::string sandbox;  // its name
  restore::ForkPlaces places;
  std::string base_image;
  std::string base_settings;
  std::optional<image::Digest> image;  // that it was made of or saved as last
  std::string image_directory;
};

// What to make the tree of.
struct ContentOptions {
  std::optional<ForkedTree> fork;
  std::string reference;  // "DIR:TAG"; empty: a new tree
  std::string reader;     // of the image, to people who want to remove it: a sandbox's name
  HostRoots roots;        // of the image
  // Deleted files that were open when the image was made stay (Tree::kept).
  bool keep_handles = false;
  image::PrefetchMode prefetch = image::PrefetchMode::kNone;  // of its data
  bool record_trace = false;                                  // of it, where there is none
  std::string share_in;  // where its data is shared (image/shared_frames.h); empty: nowhere
  RootfsOptions rootfs;  // of a new tree
  HostMounts host;       // of a new tree; its fd_limit also of an image's
  std::vector<ImportSpec> imports;
  // The directory of an upper layer that the caller has locked already; empty: none.
  std::string locked_upper;
  // The caller's files become root's: whoever serves the tree in a user namespace is root there.
  bool own_as_root = false;
};

// What came of it.
struct Content {
  sandbox::Tree tree;
  std::string source;                  // the image's "DIR:TAG", or what it is a fork of
  std::optional<image::Digest> image;  // its manifest
  std::string image_directory;         // the layout it is in
  UniqueFd upper_lock;                 // see LockUpper
  std::string base_image;              // whose layers are below the tree, "DIR@DIGEST"; empty: none
  std::optional<oci::ImageConfig> base_config;  // of it; after a restore only what CMD is run with
  std::string report;                           // of the restore or the imports: JSON, or empty
  std::vector<std::string> warnings;
  // What keeps the layers below it from being removed.
  std::vector<oci::BaseLayer> base_layers;
  std::shared_ptr<LayerLocks> found_layers;
  // What goes on behind the tree, once it is started; never null.
  std::unique_ptr<image::LazyImage> lazy;
};

// What a checkpoint of a tree is to say of its base, for a restore to find again.
image::Annotations BaseAnnotations(const std::string& base_image,
                                   const std::optional<oci::ImageConfig>& base_config);

// Who hears of stored file data. All may be null, and are called from any thread.
struct DataLog {
  std::function<void(const absl::Status&)> error;     // some cannot be read
  std::function<void(const std::string&)> recovered;  // all can be again
  std::function<void(const std::string&)> note;       // of interest to nobody but developers
};

// `types` outlives the tree. The caller calls tree.vfs->Teardown() in the end. Errors of a restore
// carry their drift report; kCancelled once `cancel` (may be null) is true.
absl::StatusOr<Content> MakeContent(const Types& types, const ContentOptions& options,
                                    const StepCallback& on_step, const std::atomic<bool>* cancel,
                                    DataLog log = {});

// What goes on behind a tree whose data is in images, the first of them in `directory`.
std::unique_ptr<image::LazyImage> MakeLazy(const ContentOptions& options, DataLog log,
                                           const std::string& directory);

// "--prefetch MODE".
void AddPrefetchOption(CLI::App& command, std::string& mode);

// "64M", "2GiB", "1000". Errors: kInvalidArgument.
absl::StatusOr<uint64_t> ParseSize(std::string_view text);

}  // namespace stasis::cli

#endif  // STASIS_CMD_STASIS_CONTENT_H_
