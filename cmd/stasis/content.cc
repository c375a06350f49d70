// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/content.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

#include "cmd/sandbox/kept_files.h"
#include "cmd/sandbox/paths.h"
#include "cmd/sandbox/tree_setup.h"
#include "cmd/stasis/output.h"
#include "restore/transfer/import.h"

namespace stasis::cli {
namespace {

// JSON: what the base says of how its programs are run.
constexpr char kAnnotationBaseSettings[] = "vnd.stasis.checkpoint.base.settings";
// Manifests are limited, too.
constexpr size_t kMaxBaseSettings = size_t{1} << 20;

// Into `content`, whose tree is to be taken down if this fails.
absl::Status MakeTree(const ContentOptions& options, Content& content, const StepCallback& on_step,
                      const std::atomic<bool>* cancel) {
  sandbox::Tree& tree = content.tree;
  absl::StatusOr<Rootfs> root =
      MakeRootfs(*tree.vfs, options.rootfs, options.host, on_step, cancel);
  if (!root.ok()) return root.status();
  content.upper_lock = std::move(root->lock);
  if (root->image.has_value()) {
    content.base_image = root->reference;
    content.base_config = std::move(root->image->config);
    content.base_layers = std::move(root->image->layers);
    content.warnings = std::move(root->image->warnings);
  }
  tree.ns = tree.vfs->NewMountNamespace(std::move(root->filesystem), {});
  return MountAll(options.host, tree);
}

absl::Status Import(const ImportSpec& spec, const ContentOptions& options, Content& content,
                    const StepCallback& on_step, const std::atomic<bool>* cancel) {
  vfs::VirtualFilesystem& vfs = *content.tree.vfs;
  const vfs::VirtualDentry root = content.tree.root();
  if (absl::Status made = sandbox::MakeDirectories(vfs, root, spec.target); !made.ok()) return made;
  const Result<vfs::VirtualDentry> target =
      vfs.GetDentryAt(vfs::Credentials::Root(), {root, root, spec.target, true});
  if (!target)
    return absl::ErrnoToStatus(target.error().value(),
                               absl::StrCat("cannot find ", spec.target, " in the sandbox"));
  restore::ImportOptions how;
  if (options.own_as_root) how.owners = restore::OwnerMap::ToRoot(geteuid(), getegid());
  how.cancel = cancel;
  how.on_progress = [&on_step](const restore::TransferProgress& progress) {
    on_step({"import", progress.files, 0, progress.bytes});
  };
  absl::StatusOr<restore::TransferReport> report =
      restore::ImportDirectory(spec.directory, vfs, *target, how);
  if (!report.ok()) return report.status();
  content.report = report->ToJson();
  for (const restore::TransferIssue& issue : report->warnings)
    content.warnings.push_back(absl::StrCat(spec.directory, "/", issue.path, ": ", issue.message));
  return absl::OkStatus();
}

// The mounts will be new ones, which know none of the old ones' nodes and handles. Returns what is
// kept of these.
RefPtr<sandbox::KeptFiles> DropKernelState(const restore::RestoredImage& restored,
                                           vfs::VirtualFilesystem& vfs, bool keep) {
  const vfs::Operation inside(vfs.gate());
  RefPtr<sandbox::KeptFiles> kept;
  if (keep) kept = restored.Root<sandbox::KeptFiles>(sandbox::kKeptFiles);
  if (keep && !kept) kept = MakeRef<sandbox::KeptFiles>();
  for (const std::string& name : restored.root_names()) {
    const auto state = restored.Root<fuse::FuseState>(name);
    if (state && kept) kept->Take(*state);
    if (state) state->DropKernelState();
  }
  return kept;
}

absl::Status ReadBase(const std::string& base_image, const std::string& settings,
                      Content& content) {
  content.base_image = base_image;
  if (settings.empty()) return absl::OkStatus();
  absl::StatusOr<oci::ImageConfig> config = oci::ParseRunSettings(settings);
  if (!config.ok()) return config.status();
  content.base_config = *std::move(config);
  return absl::OkStatus();
}

std::string Find(const image::Annotations& annotations, const char* name) {
  const auto found = annotations.find(name);
  return found == annotations.end() ? "" : found->second;
}

// What a tree that comes from elsewhere is restored with.
class Restoring {
 public:
  Restoring(const ContentOptions& options, restore::RestoreRequest request)
      : options_(options), request_(std::move(request)) {}

  // Errors: of LockUpper.
  absl::Status Prepare(const std::atomic<bool>* cancel, DataLog log, const std::string& directory);
  restore::RestoreRequest& request() { return request_; }
  Content& content() { return content_; }
  // Errors: kDataLoss for a tree that nothing can be served of.
  absl::StatusOr<Content> Finish(restore::RestoredImage restored, const std::string& source);

 private:
  const ContentOptions& options_;
  restore::RestoreRequest request_;
  gofer::GoferServices services_;
  Content content_;
};

absl::Status Restoring::Prepare(const std::atomic<bool>* cancel, DataLog log,
                                const std::string& directory) {
  content_.lazy = MakeLazy(options_, std::move(log), directory);
  request_.packs = content_.lazy->RestoreOptions();
  request_.cancel = cancel;
  request_.lease_name = options_.reader;
  options_.roots.ApplyTo(request_);
  services_.fd_limit = options_.host.fd_limit;
  services_.owners = {options_.own_as_root, geteuid(), getegid()};
  request_.services.Provide(&services_);
  const auto upper = options_.roots.directories.find(kUpperName);
  if (upper == options_.roots.directories.end() || upper->second == options_.locked_upper)
    return absl::OkStatus();
  absl::StatusOr<UniqueFd> locked = LockUpper(upper->second);
  if (!locked.ok()) return locked.status();
  content_.upper_lock = *std::move(locked);
  return absl::OkStatus();
}

absl::StatusOr<Content> Restoring::Finish(restore::RestoredImage restored,
                                          const std::string& source) {
  content_.found_layers = options_.roots.layers;
  content_.source = source;
  content_.report = restored.report().ToJson();
  for (const restore::DriftFinding& finding : restored.report().drift.findings)
    if (finding.policy == vfs::DriftPolicy::kWarn)
      content_.warnings.push_back(absl::StrCat("drift: ", finding.ToText()));
  content_.tree.vfs = restored.TakeVfs();
  content_.tree.kept = DropKernelState(restored, *content_.tree.vfs, options_.keep_handles);
  if (content_.tree.vfs->namespaces().empty())
    return absl::DataLossError(absl::StrCat(source, " holds no mount namespace"));
  content_.tree.ns = content_.tree.vfs->namespaces().front();
  return std::move(content_);
}

absl::StatusOr<Content> FromImage(const Types& types, const ContentOptions& options,
                                  const std::atomic<bool>* cancel, DataLog log) {
  absl::StatusOr<restore::RestoreRequest> request = types.Request(options.reference);
  if (!request.ok()) return request.status();
  const std::string directory = request->directory;
  Restoring restoring(options, *std::move(request));
  if (absl::Status s = restoring.Prepare(cancel, std::move(log), directory); !s.ok()) return s;
  absl::StatusOr<restore::RestoredImage> restored = restore::Restore(restoring.request());
  if (!restored.ok()) return NameTags(restored.status(), restoring.request());
  Content& content = restoring.content();
  content.image = restored->report().digest;
  content.image_directory = directory;
  const image::Annotations& annotations = restored->image().info().manifest.annotations;
  if (absl::Status base = ReadBase(Find(annotations, image::kAnnotationBase),
                                   Find(annotations, kAnnotationBaseSettings), content);
      !base.ok())
    return base;
  const std::string source = restored->report().reference;
  std::unique_ptr<image::ImageReader> image = restored->TakeImage();
  absl::StatusOr<Content> made = restoring.Finish(*std::move(restored), source);
  if (made.ok()) made->lazy->Attach(std::move(image));
  return made;
}

absl::StatusOr<Content> FromFork(const Types& types, const ContentOptions& options,
                                 const std::atomic<bool>* cancel, DataLog log) {
  const ForkedTree& fork = *options.fork;
  restore::RestoreRequest request;
  request.registry = &types.registry();
  request.clock = &types.clock();
  Restoring restoring(options, std::move(request));
  if (absl::Status s = restoring.Prepare(cancel, std::move(log), ""); !s.ok()) return s;
  absl::StatusOr<std::unique_ptr<restore::ForkedState>> state =
      restore::TakeFork(fork.places, restoring.request().packs, options.reader);
  if (!state.ok()) return state.status();
  absl::StatusOr<restore::RestoredImage> restored =
      restore::RestoreFork(*std::move(state), restoring.request());
  if (!restored.ok()) return restored.status();
  Content& content = restoring.content();
  content.image = fork.image;
  content.image_directory = fork.image_directory;
  if (absl::Status base = ReadBase(fork.base_image, fork.base_settings, content); !base.ok())
    return base;
  return restoring.Finish(*std::move(restored), absl::StrCat("a fork of ", fork.sandbox));
}

}  // namespace

std::unique_ptr<image::LazyImage> MakeLazy(const ContentOptions& options, DataLog log,
                                           const std::string& directory) {
  image::LazyOptions lazy;
  lazy.directory = directory;
  lazy.mode = options.prefetch;
  lazy.record = options.record_trace;
  lazy.share_in = options.share_in;
  lazy.health.on_failed = std::move(log.error);
  lazy.health.on_recovered = std::move(log.recovered);
  lazy.on_note = std::move(log.note);
  return std::make_unique<image::LazyImage>(std::move(lazy));
}

absl::StatusOr<ImportSpec> ParseImport(std::string_view text) {
  ImportSpec spec;
  spec.directory = std::string(text);
  struct stat st {};
  // A colon may belong to the name.
  if (const size_t colon = spec.directory.rfind(':');
      colon != std::string::npos && stat(spec.directory.c_str(), &st) != 0) {
    spec.target = std::filesystem::path(spec.directory.substr(colon + 1)).lexically_normal();
    spec.directory.resize(colon);
  }
  if (spec.directory.empty() || spec.target.empty() || spec.target.front() != '/')
    return absl::InvalidArgumentError(absl::StrCat(
        "--import ", std::string(text), " is not of the form DIR[:DST] with an absolute DST"));
  if (stat(spec.directory.c_str(), &st) != 0)
    return WithRemedy(absl::ErrnoToStatus(errno, absl::StrCat("cannot import ", spec.directory)),
                      "name an existing directory");
  if (!S_ISDIR(st.st_mode))
    return absl::InvalidArgumentError(
        absl::StrCat("cannot import ", spec.directory, ": it is not a directory"));
  spec.directory = sandbox::AbsolutePath(spec.directory);
  return spec;
}

image::Annotations BaseAnnotations(const std::string& base_image,
                                   const std::optional<oci::ImageConfig>& base_config) {
  image::Annotations annotations;
  if (!base_image.empty()) annotations[image::kAnnotationBase] = base_image;
  if (!base_config.has_value()) return annotations;
  std::string settings = oci::RunSettingsToJson(*base_config);
  if (settings.size() <= kMaxBaseSettings)
    annotations[kAnnotationBaseSettings] = std::move(settings);
  return annotations;
}

absl::StatusOr<Content> MakeContent(const Types& types, const ContentOptions& options,
                                    const StepCallback& on_step, const std::atomic<bool>* cancel,
                                    DataLog log) {
  if (options.fork.has_value()) return FromFork(types, options, cancel, std::move(log));
  if (!options.reference.empty()) return FromImage(types, options, cancel, std::move(log));
  Content content;
  content.lazy = MakeLazy(options, std::move(log), "");
  content.tree.vfs = MakeRef<vfs::VirtualFilesystem>(types.clock());
  absl::Cleanup teardown = [&content] { content.tree.Teardown(); };
  if (absl::Status made = MakeTree(options, content, on_step, cancel); !made.ok()) return made;
  for (const ImportSpec& spec : options.imports)
    if (absl::Status done = Import(spec, options, content, on_step, cancel); !done.ok())
      return done;
  std::move(teardown).Cancel();
  return content;
}

void AddPrefetchOption(CLI::App& command, std::string& mode) {
  command
      .add_option("--prefetch", mode,
                  "What to read before it is asked for: trace, what the last restore of the image "
                  "wanted first; all; none")
      ->type_name("MODE")
      ->check(CLI::IsMember({"trace", "all", "none"}))
      ->capture_default_str();
}

absl::StatusOr<uint64_t> ParseSize(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  uint64_t number = 0;
  const std::string_view unit = text.substr(digits);
  constexpr std::string_view kUnits = "KMGTkmgt";
  const size_t power = unit.empty() ? 0 : kUnits.find(unit[0]) % 4 + 1;
  const bool unit_ok = unit.empty() || (kUnits.find(unit[0]) != std::string_view::npos &&
                                        (unit.size() == 1 || unit.substr(1) == "iB"));
  if (!unit_ok || !absl::SimpleAtoi(absl::string_view(text.data(), digits), &number) ||
      number > (std::numeric_limits<uint64_t>::max() >> (10 * power)))
    return absl::InvalidArgumentError(absl::StrCat(
        "'", std::string(text), "' is not a size; write a number with K, M, G or T, such as 64M"));
  return number << (10 * power);
}

}  // namespace stasis::cli
