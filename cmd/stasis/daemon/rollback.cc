// SPDX-License-Identifier: Apache-2.0

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "cmd/stasis/daemon/keeping.h"
#include "cmd/stasis/daemon/tasks.h"
#include "cmd/stasis/output.h"
#include "fsimpl/gofer/filesystem.h"
#include "restore/image/layout.h"
#include "restore/image/lease.h"

namespace stasis::cli {
namespace {

constexpr absl::Duration kKillTimeout = absl::Seconds(10);
// How long init itself waits for programs that were asked to end.
constexpr absl::Duration kSignalTime = absl::Milliseconds(50);
constexpr absl::Duration kLookInterval = absl::Milliseconds(10);
// How long another writer of the safety checkpoint's layout may take, once the programs have ended.
constexpr absl::Duration kBusyTime = absl::Seconds(10);

absl::Status WithNote(const absl::Status& status, const std::string& note) {
  absl::Status noted(status.code(), absl::StrCat(status.message(), note));
  status.ForEachPayload([&noted](absl::string_view url, const absl::Cord& payload) {
    noted.SetPayload(url, payload);
  });
  return noted;
}

// The options of a sandbox whose tree is out of an image.
nlohmann::ordered_json ConfigOfImage(nlohmann::ordered_json config, const std::string& layer_cache,
                                     const vfs::VirtualFilesystem& vfs) {
  for (const char* key : {"import", "mount", "tmpfs", "rootfs", "rootfs-options", "upper",
                          "size-limit", "inode-limit", "root"})
    config.erase(key);
  if (!layer_cache.empty()) config["layer-cache"] = layer_cache;
  for (const auto& [name, directory] : HostDirectories(vfs))
    config["root"].push_back(absl::StrCat(name, "=", directory));
  return config;
}

// One rollback. Requires: its work has begun.
class Rollback {
 public:
  Rollback(Box& box, const control::RollbackParams& params,
           const control::ProgressCallback& on_progress, const std::atomic<bool>* cancel)
      : box_(box), params_(params), on_progress_(on_progress), cancel_(cancel) {}

  absl::StatusOr<control::Report> Run();

 private:
  absl::Status ReadOptions();
  absl::Status Check();
  absl::Status StopPrograms();
  absl::Status Save();
  absl::Status Load();
  absl::Status Replace();
  absl::Status CheckCancelled() const;
  std::string reference() const { return absl::StrCat(params_.directory, ":", params_.tag); }
  std::string safety() const {
    return absl::StrCat(params_.safety_directory, ":", params_.safety_tag);
  }
  control::Report Report() const;

  Box& box_;
  const control::RollbackParams& params_;
  const control::ProgressCallback& on_progress_;
  const std::atomic<bool>* const cancel_;
  const absl::Time began_ = absl::Now();
  absl::Time down_;  // when the programs were asked to end
  ContentOptions wanted_;
  std::shared_ptr<image::Lease> lease_;  // of the target, from the check to the end
  restore::CheckpointReport saved_;
  Content content_;
  std::string restored_;  // the report of the restore
  std::vector<std::string> warnings_;
};

absl::Status Rollback::CheckCancelled() const {
  if (cancel_ != nullptr && *cancel_) return absl::CancelledError("the rollback was cancelled");
  return absl::OkStatus();
}

// The directories are those of the sandbox, unless the caller says otherwise.
absl::Status Rollback::ReadOptions() {
  const DaemonOptions& options = box_.options();
  wanted_.reference = reference();
  wanted_.reader = box_.name();
  wanted_.prefetch = options.content.prefetch;
  wanted_.record_trace = options.content.record_trace;
  wanted_.share_in = options.content.share_in;
  wanted_.own_as_root = options.content.own_as_root;
  wanted_.host.own_as_root = options.content.own_as_root;
  wanted_.host.fd_limit = options.content.host.fd_limit;
  HostOptions host;
  host.roots = params_.roots;
  host.validate = params_.validate;
  host.on_drift = params_.on_drift;
  host.rules = params_.rules;
  host.layer_cache =
      params_.layer_cache.empty() ? options.content.roots.layer_cache : params_.layer_cache;
  absl::StatusOr<HostRoots> roots = ReadHostOptions(host);
  if (!roots.ok()) return roots.status();
  wanted_.roots = *std::move(roots);
  const auto own = HostDirectories(box_.sandbox()->vfs());
  if (const auto upper = own.find(kUpperName); upper != own.end())
    wanted_.locked_upper = upper->second;
  wanted_.roots.directories.insert(own.begin(), own.end());
  wanted_.roots.spare_roots = true;
  return absl::OkStatus();
}

// All that can be found out while the programs run.
absl::Status Rollback::Check() {
  on_progress_({"check", 0, 0, 0});
  if (absl::Status read = ReadOptions(); !read.ok()) return read;
  if (absl::Status tag = image::CheckTag(params_.safety_tag); !tag.ok()) return tag;
  box_.sandbox()->freezer().set_limits({});
  if (absl::Status flushed = box_.sandbox()->freezer().Flush(); !flushed.ok()) return flushed;
  absl::StatusOr<restore::RestoreRequest> request = box_.types().Request(reference());
  if (!request.ok()) return request.status();
  wanted_.roots.ApplyTo(*request);
  request->cancel = cancel_;
  const auto source = image::Layout::Open(params_.directory);
  if (!source.ok()) return source.status();
  lease_ = image::Lease::Take(**source, box_.name());
  const absl::StatusOr<restore::DriftReport> drift = restore::DriftOf(*request);
  if (!drift.ok()) return NameTags(drift.status(), *request);
  if (absl::Status differs = restore::ErrorOf(*drift); !differs.ok()) return differs;
  // The place of the safety checkpoint: it can be written, and nobody else is writing.
  const auto layout = image::Layout::OpenForWriting(params_.safety_directory);
  if (!layout.ok()) return layout.status();
  // Whatever the two are called.
  if ((*source)->id() == (*layout)->id() && params_.tag == params_.safety_tag)
    return absl::InvalidArgumentError(
        "--safety would overwrite the image that is to be rolled back to; choose another tag");
  return CheckCancelled();
}

absl::Status Rollback::StopPrograms() {
  on_progress_({"stop", 0, 0, 0});
  down_ = absl::Now();
  box_.CountRollback();
  sandbox::Init& init = box_.sandbox()->init();
  const absl::Time deadline = down_ + params_.grace;
  if (params_.grace > absl::ZeroDuration())
    (void)init.Terminate(std::min(params_.grace, kSignalTime));
  // Init has other work to do meanwhile, and the caller may lose patience.
  while (absl::Now() < deadline && init.CountProcesses().value_or(1) > 0) {
    if (absl::Status cancelled = CheckCancelled(); !cancelled.ok()) return cancelled;
    absl::SleepFor(kLookInterval);
  }
  return init.KillAll(kKillTimeout);
}

absl::Status Rollback::Save() {
  control::CheckpointParams params;
  params.directory = params_.safety_directory;
  params.tag = params_.safety_tag;
  const absl::Time deadline = absl::Now() + kBusyTime;
  absl::StatusOr<restore::CheckpointReport> saved = SaveBox(box_, params, on_progress_, cancel_);
  while (absl::IsUnavailable(saved.status()) && absl::Now() < deadline) {
    absl::SleepFor(kLookInterval);
    saved = SaveBox(box_, params, on_progress_, cancel_);
  }
  if (!saved.ok()) return saved.status();
  saved_ = *std::move(saved);
  return absl::OkStatus();
}

absl::Status Rollback::Load() {
  on_progress_({"restore", 0, 0, 0});
  absl::StatusOr<Content> content =
      MakeContent(box_.types(), wanted_, {}, cancel_, box_.NewDataLog());
  if (!content.ok()) return content.status();
  content_ = *std::move(content);
  restored_ = content_.report;
  warnings_ = content_.warnings;
  return absl::OkStatus();
}

// From here on it is not cancelled any more.
absl::Status Rollback::Replace() {
  on_progress_({"replace", 0, 0, 0});
  const TreeChange tree_change(box_.keeping(), "a rollback");
  sandbox::Sandbox& sandbox = *box_.sandbox();
  nlohmann::ordered_json config =
      ConfigOfImage(box_.config(), wanted_.roots.layer_cache, *content_.tree.vfs);
  absl::StatusOr<sandbox::Sandbox::ServedTree> entered =
      sandbox.Enter(std::move(content_.tree), box_.options().sandbox);
  if (!entered.ok()) return entered.status();
  // Whoever has come in between is in the tree that ends.
  (void)sandbox.init().KillAll(kKillTimeout);
  box_.lazy()->Stop();
  box_.ReplaceTree(*std::move(entered));
  box_.SetOrigin(std::move(content_));
  box_.lazy()->Start();
  box_.SetConfig(std::move(config));
  return absl::OkStatus();
}

control::Report Rollback::Report() const {
  const absl::Time now = absl::Now();
  const int64_t down = absl::ToInt64Nanoseconds(now - down_);
  const int64_t wall = absl::ToInt64Nanoseconds(now - began_);
  const auto restored = nlohmann::ordered_json::parse(restored_, nullptr, false);
  const std::string digest = restored.value("digest", "");
  const nlohmann::ordered_json json = {
      {"name", box_.name()},
      {"reference", reference()},
      {"digest", digest},
      {"safety", nlohmann::ordered_json::parse(saved_.ToJson(), nullptr, false)},
      {"restore", restored},
      {"down_ns", down},
      {"wall_ns", wall},
      {"warnings", warnings_}};
  std::string text =
      fmt::format("{}  {}\nsafety {}  {}\ndown   {}\nwall   {}\n", reference(), digest, safety(),
                  saved_.digest.ToString(), FormatDuration(down), FormatDuration(wall));
  for (const std::string& warning : warnings_) absl::StrAppend(&text, "note   ", warning, "\n");
  return {json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), text};
}

absl::StatusOr<control::Report> Rollback::Run() {
  if (absl::Status checked = Check(); !checked.ok()) return checked;
  const std::string name = box_.name();
  absl::Status done = StopPrograms();
  if (done.ok()) done = Save();
  if (!done.ok())
    return WithNote(done, absl::StrCat("; the files of ", name,
                                       " are as they were, but its programs were ended"));
  done = Load();
  if (done.ok()) done = Replace();
  if (!done.ok())
    return WithNote(done, absl::StrCat("; ", name, " has the files it had, saved as ", safety(),
                                       " besides, but its programs were ended"));
  return Report();
}

}  // namespace

absl::StatusOr<control::Report> RollBackBox(Box& box, const control::RollbackParams& params,
                                            const control::ProgressCallback& on_progress,
                                            const std::atomic<bool>* cancel) {
  if (absl::Status begun = box.Begin("rolling back"); !begun.ok()) return begun;
  const absl::Cleanup done = [&box] { box.Done(); };
  absl::StatusOr<control::Report> report = Rollback(box, params, on_progress, cancel).Run();
  if (report.ok())
    box.log().info("rollback {}", report->json);
  else
    box.log().warn("rollback to {}:{}: {}", params.directory, params.tag,
                   std::string(report.status().message()));
  return report;
}

}  // namespace stasis::cli
