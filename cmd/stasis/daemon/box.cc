// SPDX-License-Identifier: Apache-2.0

#include "cmd/stasis/daemon/box.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace stasis::cli {
namespace {

// If it is ended by a signal.
constexpr absl::Duration kSignalGrace = absl::Seconds(2);

}  // namespace

Box::Box(const DaemonOptions& options)
    : options_(options),
      log_(spdlog::basic_logger_mt(options.dir.name(), options.dir.log_path())),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      config_(options.config),
      created_(types_.clock().Now()),
      grace_(kSignalGrace) {
  log_->flush_on(spdlog::level::info);
}

DataLog Box::NewDataLog() const {
  DataLog data;
  data.error = [log = log_](const absl::Status& error) {
    log->error("{}", std::string(error.message()));
  };
  data.recovered = [log = log_](const std::string& what) { log->info("{}", what); };
  data.note = [log = log_](const std::string& what) { log->debug("{}", what); };
  return data;
}

std::shared_ptr<image::LazyImage> Box::lazy() const {
  const absl::MutexLock lock(&mu_);
  return lazy_;
}

void Box::LookAtTree(absl::FunctionRef<void(const sandbox::Tree& tree)> look) const {
  const absl::ReaderMutexLock lock(&tree_mu_);
  look(sandbox_->tree());
}

void Box::ReplaceTree(sandbox::Sandbox::ServedTree tree) {
  {
    const absl::MutexLock lock(&tree_mu_);
    sandbox_->Swap(tree);
  }
  sandbox_->End(std::move(tree));
  // Those of its layers go with it.
  const absl::MutexLock lock(&mu_);
  layer_locks_.clear();
}

void Box::SetOrigin(Content content) {
  std::shared_ptr<image::LazyImage> lazy = std::move(content.lazy);
  const absl::MutexLock lock(&mu_);
  lazy_.swap(lazy);
  origin_.source = std::move(content.source);
  origin_.base_image = std::move(content.base_image);
  if (content.base_config.has_value()) origin_.base_config = std::move(content.base_config);
  if (content.upper_lock.valid()) upper_lock_ = std::move(content.upper_lock);
  base_layers_ = std::move(content.base_layers);
  found_layers_ = std::move(content.found_layers);
  ancestor_.reset();
  if (content.image.has_value())
    ancestor_ = Ancestor{*content.image, std::move(content.image_directory)};
}

Origin Box::origin() const {
  const absl::MutexLock lock(&mu_);
  return origin_;
}

std::optional<image::Digest> Box::ParentIn(const std::string& directory) const {
  const absl::MutexLock lock(&mu_);
  if (!ancestor_.has_value() || ancestor_->directory != directory) return std::nullopt;
  return ancestor_->digest;
}

std::optional<Ancestor> Box::ancestor() const {
  const absl::MutexLock lock(&mu_);
  return ancestor_;
}

void Box::KeepOffer(std::unique_ptr<restore::ForkOffer> offer) {
  const absl::MutexLock lock(&mu_);
  std::erase_if(offers_, [](const auto& other) { return other->ended(); });
  offers_.push_back(std::move(offer));
}

absl::StatusOr<std::unique_ptr<restore::PackedState>> Box::Pack(const state::SavedGraph& graph,
                                                                restore::CleanChunks clean,
                                                                restore::Parcel& parcel) const {
  const absl::MutexLock lock(&mu_);
  std::vector<const restore::ForkOffer*> offers;
  for (const auto& offer : offers_) offers.push_back(offer.get());
  return restore::PackState(graph, clean, offers, parcel);
}

void Box::SetLock(UniqueFd lock) {
  const absl::MutexLock hold(&mu_);
  lock_ = std::move(lock);
}

UniqueFd Box::TakeLock() {
  const absl::MutexLock hold(&mu_);
  return std::move(lock_);
}

Box::Locks Box::locks() const {
  const absl::MutexLock hold(&mu_);
  Locks locks{lock_.get(), upper_lock_.get(), {}};
  for (const UniqueFd& lock : layer_locks_) locks.layers.push_back(lock.get());
  for (const oci::BaseLayer& layer : base_layers_)
    if (layer.lock != nullptr) locks.layers.push_back(layer.lock->get());
  if (found_layers_ == nullptr) return locks;
  for (const oci::LayerLock& lock : found_layers_->list())
    if (lock != nullptr) locks.layers.push_back(lock->get());
  return locks;
}

void Box::KeepLayerLock(UniqueFd lock) {
  const absl::MutexLock hold(&mu_);
  layer_locks_.push_back(std::move(lock));
}

void Box::SetAncestor(Ancestor ancestor) {
  const absl::MutexLock lock(&mu_);
  ancestor_ = std::move(ancestor);
}

nlohmann::ordered_json Box::config() const {
  const absl::MutexLock lock(&mu_);
  return config_;
}

void Box::SetConfig(nlohmann::ordered_json config) {
  const absl::MutexLock lock(&mu_);
  config_ = std::move(config);
}

uint32_t Box::rollbacks() const {
  const absl::MutexLock lock(&mu_);
  return rollbacks_;
}

void Box::CountRollback() {
  const absl::MutexLock lock(&mu_);
  ++rollbacks_;
}

TimeNs Box::created() const {
  const absl::MutexLock lock(&mu_);
  return created_;
}

uint32_t Box::upgrades() const {
  const absl::MutexLock lock(&mu_);
  return upgrades_;
}

Box::Recoveries Box::recoveries() const {
  const absl::MutexLock lock(&mu_);
  return recoveries_;
}

void Box::SetRecoveries(Recoveries recoveries) {
  const absl::MutexLock lock(&mu_);
  recoveries_ = std::move(recoveries);
}

void Box::SetHistory(TimeNs created, uint32_t rollbacks, uint32_t upgrades) {
  const absl::MutexLock lock(&mu_);
  created_ = created;
  rollbacks_ = rollbacks;
  upgrades_ = upgrades;
}

void Box::HandOver(pid_t successor) {
  sandbox_->Release();
  const absl::MutexLock lock(&mu_);
  lock_.reset();
  successor_ = successor;
}

pid_t Box::successor() const {
  const absl::MutexLock lock(&mu_);
  return successor_;
}

absl::Status Box::Begin(const char* work) {
  const absl::MutexLock lock(&mu_);
  if (busy_with_ != nullptr)
    return absl::UnavailableError(
        absl::StrCat(name(), " is ", busy_with_, "; try again when that is done"));
  busy_with_ = work;
  return absl::OkStatus();
}

void Box::Done() {
  const absl::MutexLock lock(&mu_);
  busy_with_ = nullptr;
}

std::string Box::activity() const {
  const absl::MutexLock lock(&mu_);
  return busy_with_ == nullptr ? "running" : busy_with_;
}

void Box::EndAt(absl::Time when, absl::Duration grace) {
  const absl::MutexLock lock(&mu_);
  // What was saved to be stopped must not run on because somebody else stops it with more grace.
  grace_ = end_at_ == absl::InfiniteFuture() ? grace : std::min(grace_, grace);
  end_at_ = when;
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

absl::Duration Box::TimeLeft() const {
  const absl::MutexLock lock(&mu_);
  return end_at_ - absl::Now();
}

absl::Duration Box::grace() const {
  const absl::MutexLock lock(&mu_);
  return grace_;
}

}  // namespace stasis::cli
