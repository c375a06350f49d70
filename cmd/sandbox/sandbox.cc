// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/sandbox.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <utility>

#include "cmd/sandbox/tree_setup.h"

namespace stasis::sandbox {
namespace {

constexpr absl::Duration kUnmountTimeout = absl::Seconds(5);

}  // namespace

absl::StatusOr<FreezerKind> ParseFreezerKind(std::string_view text) {
  if (text == "auto") return FreezerKind::kAuto;
  if (text == "cgroup") return FreezerKind::kCgroup;
  if (text == "signal") return FreezerKind::kSignal;
  return absl::InvalidArgumentError(
      absl::StrCat("--freezer is auto, cgroup or signal, not '", std::string(text), "'"));
}

Sandbox::Sandbox(std::unique_ptr<Init> init, Tree tree)
    : init_(std::move(init)), tree_(std::move(tree)) {}

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Start(std::unique_ptr<Init> init, Tree tree,
                                                        const SandboxOptions& options) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox(std::move(init), std::move(tree)));
  if (absl::Status mounted = sandbox->Mount(options); !mounted.ok()) return mounted;
  if (absl::Status made = sandbox->MakeFreezer(options); !made.ok()) return made;
  return sandbox;
}

absl::Status Sandbox::Mount(const SandboxOptions& options) {
  absl::StatusOr<std::vector<Bind>> binds =
      PrepareTree(*tree_.vfs, tree_.root, options.binds, options.system);
  if (!binds.ok()) return binds.status();
  MountPlan plan;
  plan.hostname = options.hostname;
  plan.source = absl::StrCat("stasis:", options.name);
  plan.staging = options.staging;
  plan.binds = std::move(*binds);
  absl::StatusOr<UniqueFd> device = init_->MountRoot(plan);
  if (!device.ok()) return device.status();
  server_ = tree_.state
                ? std::make_unique<fuse::Server>(tree_.vfs, tree_.state, fuse::ServerOptions())
                : std::make_unique<fuse::Server>(tree_.vfs, tree_.root, fuse::ServerOptions());
  if (absl::Status serving = server_->Serve(std::move(*device)); !serving.ok()) return serving;
  return init_->EnterRoot(plan);
}

std::string Sandbox::CgroupName(const SandboxOptions& options) {
  return absl::StrCat(options.name, ".", getpid());
}

absl::Status Sandbox::MakeFreezer(const SandboxOptions& options) {
  if (options.freezer != FreezerKind::kSignal) {
    absl::StatusOr<Cgroup> group = Cgroup::Create(CgroupName(options));
    if (!group.ok() && options.freezer == FreezerKind::kCgroup)
      return absl::FailedPreconditionError(
          absl::StrCat("no cgroup that can be frozen: ", group.status().message(),
                       "; use --freezer signal, or have a cgroup delegated to you"));
    if (group.ok())
      cgroup_ = std::move(*group);
    else
      warnings_.push_back(
          absl::StrCat("checkpoints will stop programs by signals, of which they may notice: ",
                       group.status().message(), "; `stasis check` says how to get a cgroup"));
  }
  freezer_ = std::make_unique<SandboxFreezer>(*init_, *server_, cgroup_);
  return absl::OkStatus();
}

Sandbox::~Sandbox() {
  // What is frozen shall not run on. In a version 1 cgroup it dies only once it is thawed, before
  // it runs.
  init_->Kill();
  if (cgroup_.has_value()) {
    cgroup_->Kill();
    (void)cgroup_->Thaw();
  }
  freezer_.reset();
  init_.reset();  // the last process of the namespaces: the kernel unmounts
  if (server_ != nullptr) {
    (void)server_->WaitUntilUnmountedFor(kUnmountTimeout);
    server_->Stop();
    server_.reset();
  }
  if (cgroup_.has_value()) cgroup_->Destroy();
  tree_.root = {};
  tree_.state.reset();
  if (tree_.vfs) tree_.vfs->Teardown();
}

}  // namespace stasis::sandbox
