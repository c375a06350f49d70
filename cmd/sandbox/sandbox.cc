// SPDX-License-Identifier: Apache-2.0

#include "cmd/sandbox/sandbox.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <utility>

#include "cmd/sandbox/tree_setup.h"

namespace stasis::sandbox {
namespace {

constexpr absl::Duration kUnmountTimeout = absl::Seconds(5);

}  // namespace

void Tree::Teardown() {
  kept.reset();
  ns.reset();
  if (vfs) vfs->Teardown();
  vfs.reset();
}

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

std::unique_ptr<Sandbox> Sandbox::Adopt(std::unique_ptr<Init> init, Tree tree,
                                        std::unique_ptr<ServedFilesystems> served,
                                        std::optional<Cgroup> cgroup) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox(std::move(init), std::move(tree)));
  sandbox->served_ = std::move(served);
  sandbox->cgroup_ = std::move(cgroup);
  sandbox->freezer_ =
      std::make_unique<SandboxFreezer>(*sandbox->init_, *sandbox->served_, sandbox->cgroup_);
  return sandbox;
}

void Sandbox::Release() {
  served_->Stop();
  init_->Release();
}

absl::Status Sandbox::Mount(const SandboxOptions& options) {
  absl::StatusOr<std::vector<Bind>> binds =
      PrepareTree(*tree_.vfs, tree_.root(), options.binds, options.system);
  if (!binds.ok()) return binds.status();
  served_ = std::make_unique<ServedFilesystems>(*init_, options.name, options.staging);
  served_->set_kept(tree_.kept);
  served_->SetJournal(options.journal);
  absl::StatusOr<std::vector<ServedMount>> mounts = served_->ServeAll(*tree_.vfs, *tree_.ns);
  if (!mounts.ok()) return mounts.status();
  return init_->EnterRoot({options.hostname, *std::move(mounts), *std::move(binds)});
}

absl::StatusOr<Sandbox::ServedTree> Sandbox::Enter(Tree tree, const SandboxOptions& options) {
  ServedTree entered;
  entered.tree = std::move(tree);
  absl::Cleanup end = [&] { End(std::move(entered)); };
  absl::StatusOr<std::vector<Bind>> binds =
      PrepareTree(*entered.tree.vfs, entered.tree.root(), options.binds, options.system);
  if (!binds.ok()) return binds.status();
  entered.served = std::make_unique<ServedFilesystems>(*init_, options.name, options.staging,
                                                       served_->next_number());
  entered.served->set_kept(entered.tree.kept);
  entered.served->SetJournal(options.journal);
  absl::StatusOr<std::vector<ServedMount>> mounts =
      entered.served->ServeAll(*entered.tree.vfs, *entered.tree.ns);
  if (!mounts.ok()) return mounts.status();
  if (absl::Status done =
          init_->EnterRoot({options.hostname, *std::move(mounts), *std::move(binds)});
      !done.ok())
    return done;
  std::move(end).Cancel();
  return entered;
}

void Sandbox::Swap(ServedTree& other) {
  std::swap(tree_, other.tree);
  std::swap(served_, other.served);
  freezer_ = std::make_unique<SandboxFreezer>(*init_, *served_, cgroup_);
}

void Sandbox::End(ServedTree ended) {
  if (ended.served != nullptr) {
    ended.served->Forget();
    (void)ended.served->WaitUntilUnmountedFor(kUnmountTimeout);
    ended.served.reset();
  }
  ended.tree.Teardown();
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
  freezer_ = std::make_unique<SandboxFreezer>(*init_, *served_, cgroup_);
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
  // init is the last process of the namespaces: with it the kernel unmounts. Who serves refers to
  // it.
  init_->Await();
  if (served_ != nullptr) {
    (void)served_->WaitUntilUnmountedFor(kUnmountTimeout);
    served_.reset();
  }
  init_.reset();
  if (cgroup_.has_value()) cgroup_->Destroy();
  tree_.Teardown();
}

}  // namespace stasis::sandbox
